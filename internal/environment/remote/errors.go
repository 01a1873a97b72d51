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

// ErrGone is returned for an object, such as a deployment, that does not exist or is hidden from the credentials.
var ErrGone = errors.New("it does not exist any more")

// RejectedError is returned for a write that the service does not accept.
type RejectedError struct {
	// Reason for people.
	Reason string
}

func (e *RejectedError) Error() string { return e.Reason }

// Refused returns a RefusedError.
func Refused(format string, args ...any) error {
	return &environment.RefusedError{Err: fmt.Errorf(format, args...)}
}

// Explain returns an error for users about a failed request. Object is what was requested, code is the status code of
// the response, or 0 without one, and reason is the text of the service.
func (s *Service) Explain(err error, object string, code int, reason string) error {
	var wait *environment.WaitError
	var refused *environment.RefusedError
	switch {
	case errors.As(err, &wait):
		return wait
	case errors.As(err, &refused):
		return refused
	case code == 0:
		return fmt.Errorf("requesting %s from %s: %w", object, s.Name, err)
	}
	reason = cmp.Or(strings.TrimSpace(version.Clean(reason, 200)), "no reason given")
	switch advice := s.Advice[code]; {
	case advice != "":
		return Refused("%s returned %d (%s) for %s: %s", s.Name, code, reason, object, advice)
	case slices.Contains(s.Rejections, code):
		return &RejectedError{fmt.Sprintf("%s rejected it (%d, %s)", s.Name, code, reason)}
	}
	return fmt.Errorf("requesting %s from %s: it returned %d (%s)", object, s.Name, code, reason)
}
