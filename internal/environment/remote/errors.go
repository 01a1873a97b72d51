package remote

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/version"
)

// ErrGone says that one thing, such as a deployment, does not exist or is hidden from the credentials.
var ErrGone = errors.New("it does not exist any more")

// RejectedError says that the service does not accept what was sent.
type RejectedError struct {
	// Reason for people.
	Reason string
}

func (e *RejectedError) Error() string { return e.Reason }

// Refused returns a RefusedError.
func Refused(format string, args ...any) error {
	return &environment.RefusedError{Err: fmt.Errorf(format, args...)}
}

// Explain returns the error of a request for people. What names the thing that was requested, code is the status of the response, 0 if
// there was none, and reason is the one that the service gave.
func (s *Service) Explain(err error, what string, code int, reason string) error {
	var wait *environment.WaitError
	var refused *environment.RefusedError
	switch {
	case errors.As(err, &wait):
		return wait
	case errors.As(err, &refused):
		return refused
	case code == 0:
		return fmt.Errorf("requesting %s from %s: %w", what, s.Name, err)
	}
	reason = cmp.Or(strings.TrimSpace(version.Clean(reason, 200)), "no reason given")
	switch advice := s.Advice[code]; {
	case advice != "":
		return Refused("%s answered %d (%s) to the request for %s: %s", s.Name, code, reason, what, advice)
	case slices.Contains(s.Rejections, code):
		return &RejectedError{fmt.Sprintf("%s rejected it (%d, %s)", s.Name, code, reason)}
	}
	return fmt.Errorf("requesting %s from %s: it answered %d (%s)", what, s.Name, code, reason)
}
