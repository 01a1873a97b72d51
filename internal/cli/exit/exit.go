package exit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Code is the exit code of the command.
type Code int

const (
	// OK means that the goal is reached, or that there is nothing to object to.
	OK Code = 0
	// No means that the answer is no: failed, unhealthy, findings, or differences.
	No Code = 1
	// Usage means that the command was called in a wrong way, or that the cluster could not be asked.
	Usage Code = 2
	// Held means that a release waits for a gate, a schedule, a person, or the health of what runs.
	Held Code = 3
	// TimedOut means that --timeout was over first.
	TimedOut Code = 4
	// Replaced means that the release was superseded, cancelled or replaced by another one.
	Replaced Code = 5
	// NotFound means that there is no such object or release.
	NotFound Code = 6
	// Refused means that the user lacks a right, or that admission rejected the request.
	Refused Code = 7
	// Interrupted means that the user ended the command.
	Interrupted Code = 130
)

// Error is an error with an exit code.
type Error struct {
	// Code is the exit code.
	Code Code
	// Err is the cause. If it is nil, the output of the verb has said everything and nothing is printed.
	Err error
	// Hints say what to do, one line each.
	Hints []string
}

// Error returns the message of the cause.
func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// With gives an error a code and hints. It returns nil for nil.
func With(code Code, err error, hints ...string) error {
	if err == nil {
		return nil
	}
	return &Error{Code: code, Err: err, Hints: hints}
}

// Errorf returns an error with a code.
func Errorf(code Code, format string, args ...any) error {
	return &Error{Code: code, Err: fmt.Errorf(format, args...)}
}

// Silently returns an error that ends the command with a code and prints nothing. It returns nil for OK.
func Silently(code Code) error {
	if code == OK {
		return nil
	}
	return &Error{Code: code}
}

// Of returns the code of an error. An error without one is classified by its cause.
func Of(err error) Code {
	var e *Error
	switch {
	case err == nil:
		return OK
	case errors.As(err, &e):
		return e.Code
	case errors.Is(err, context.Canceled):
		return Interrupted
	case errors.Is(err, context.DeadlineExceeded), apierrors.IsTimeout(err):
		return TimedOut
	case apierrors.IsNotFound(err):
		return NotFound
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err):
		return Refused
	}
	return Usage
}

// Print writes an error and its hints for people. It writes nothing if the output of the verb has said everything.
func Print(w io.Writer, program string, err error) {
	var e *Error
	if err == nil || errors.As(err, &e) && e.Err == nil {
		return
	}
	prefix := program + ": "
	if Of(err) == Refused {
		prefix = "refused: "
	}
	lines := []string{prefix + err.Error()}
	if e != nil {
		for _, hint := range e.Hints {
			lines = append(lines, "  "+hint)
		}
	}
	// There is nobody left to tell if this fails.
	_, _ = fmt.Fprintln(w, strings.Join(lines, "\n")) //nolint:errcheck // see above
}
