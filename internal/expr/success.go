package expr

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kuberik/kuberik/internal/fair"
)

// Response is the HTTP response of an endpoint.
type Response struct {
	// Status is the status code.
	Status int
	// Headers have lower-case names.
	Headers map[string]string
	// Body is the whole body, or the beginning of it if Truncated is true.
	Body      []byte
	Truncated bool
}

// Outcome is the result of a Success for a Response.
type Outcome int

// Outcomes of Success.Check.
const (
	// Unusable: the condition needs a body that is too large or malformed.
	Unusable Outcome = iota
	// NoValue: the condition has no value for the answer.
	NoValue
	// Unsuccessful: the condition is false, or the status code is not expected.
	Unsuccessful
	// Successful: the condition is true, or the status code is expected.
	Successful
)

var (
	errTruncated = errors.New("answer is larger than 64 KiB")
	errMalformed = errors.New("malformed JSON")
)

// Success reports whether an HTTP response is a success: by a condition over HTTPResponse, else by the status code.
type Success struct {
	condition *Program
	expected  []string
	ranges    []statusRange
}

// CompileSuccess compiles spec.success. If it is empty, the status code has to be in one of the expected ranges, such
// as "204" or "200-299", which is the default.
func (c *Cache) CompileSuccess(
	ctx context.Context, namespace, condition string, expected []string,
) (*Success, error) {
	if condition != "" {
		program, err := c.Compile(ctx, namespace, condition, HTTPResponse)
		if err != nil {
			return nil, fmt.Errorf("success: %w", err)
		}
		return &Success{condition: program}, nil
	}
	if len(expected) == 0 {
		expected = []string{"200-299"}
	}
	s := &Success{expected: expected}
	for _, text := range expected {
		r, err := parseStatusRange(text)
		if err != nil {
			return nil, err
		}
		s.ranges = append(s.ranges, r)
	}
	return s, nil
}

// Check returns the outcome for an answer, with a message that quotes no text of it. The error wraps ErrCost, or that
// of the context if it has ended; neither says anything about the answer.
func (s *Success) Check(ctx context.Context, a Response, r Release) (Outcome, string, error) {
	if s.condition == nil {
		return s.checkStatus(a)
	}
	holds, err := s.condition.evalResponse(ctx, a, r)
	switch {
	case errors.Is(err, errTruncated):
		return Unusable, err.Error(), nil
	case errors.Is(err, errMalformed):
		return Unusable, fmt.Sprintf("answered %d with %s", a.Status, err), nil
	case errors.Is(err, ErrCost), err != nil && ctx.Err() != nil:
		return Unusable, "", fmt.Errorf("success: %w", err)
	case err != nil:
		return NoValue, fmt.Sprintf("success has no value for status %d: %s", a.Status, err), nil
	case !holds:
		return Unsuccessful, fmt.Sprintf("success is false for status %d%s", a.Status, s.condition.compared(ctx, a)), nil
	}
	return Successful, fmt.Sprintf("answered %d", a.Status), nil
}

func (s *Success) checkStatus(a Response) (Outcome, string, error) {
	for _, r := range s.ranges {
		if r.first <= a.Status && a.Status <= r.last {
			return Successful, fmt.Sprintf("answered %d", a.Status), nil
		}
	}
	return Unsuccessful, fmt.Sprintf("answered %d, expected %s", a.Status, strings.Join(s.expected, ", ")), nil
}

// evalResponse reports whether a condition over HTTPResponse holds. The body is parsed only if the condition uses it,
// which fails with errTruncated or errMalformed. Other errors are those of Eval.
func (p *Program) evalResponse(ctx context.Context, a Response, r Release) (bool, error) {
	var body any
	if p.uses("body") {
		if a.Truncated {
			return false, errTruncated
		}
		var err error
		if body, err = a.parseBody(ctx); err != nil {
			return false, err
		}
	}
	return p.Eval(ctx, ResponseValues(a.Status, a.Headers, body, r))
}

// parseBody parses the body and charges the time that it takes to the namespace.
func (a Response) parseBody(ctx context.Context) (any, error) {
	start := time.Now()
	defer func() { fair.Charge(ctx, time.Since(start)) }()
	return parseBody(a.Headers["content-type"], a.Body)
}

// statusRange is a range of status codes, including both ends.
type statusRange struct{ first, last int }

func parseStatusRange(text string) (statusRange, error) {
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	first, err := parseStatus(from)
	if err == nil {
		var last int
		if last, err = parseStatus(to); err == nil && first <= last {
			return statusRange{first, last}, nil
		}
	}
	return statusRange{}, fmt.Errorf("expectedStatus %q is neither a status code nor a range such as 200-299", text)
}

func parseStatus(text string) (int, error) {
	code, err := strconv.Atoi(text)
	if err == nil && (len(text) != 3 || code < 100 || code > 599) {
		return 0, strconv.ErrRange
	}
	return code, err
}
