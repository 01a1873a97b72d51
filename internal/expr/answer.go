package expr

import (
	"context"
	"errors"
	"time"

	"github.com/kuberik/kuberik/internal/fair"
)

// Answer is what an endpoint answered.
type Answer struct {
	// Status code.
	Status int
	// Headers by their lower-case names.
	Headers map[string]string
	// Body, or the beginning of it.
	Body []byte
	// Truncated is whether the body is longer than that.
	Truncated bool
}

// ErrTruncated is an answer whose body was not read to its end, where the condition asks for it.
var ErrTruncated = errors.New("answer is larger than 64 KiB")

// EvalAnswer says whether a condition over HTTPAnswer holds for an answer. The body is parsed only if the condition speaks of it: the
// error is then ErrTruncated or ErrMalformed if there is nothing to parse. Every other error is that of Eval.
func (p *Program) EvalAnswer(ctx context.Context, a Answer, r Release) (bool, error) {
	var body any
	if p.Uses("body") {
		if a.Truncated {
			return false, ErrTruncated
		}
		start := time.Now()
		var err error
		body, err = Body(a.Headers["content-type"], a.Body)
		fair.Charge(ctx, time.Since(start))
		if err != nil {
			return false, err
		}
	}
	return p.Eval(ctx, OfAnswer(a.Status, a.Headers, body, r))
}
