package httpcheck

import (
	"context"
	"errors"
	"fmt"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/expr"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/outbound"
)

// Checker judges endpoints.
type Checker struct {
	// Client asks.
	Client *outbound.Client
	// Conditions remembers what was compiled.
	Conditions *expr.Cache
}

// Check asks the endpoint of a check.
func (c Checker) Check(ctx context.Context, s health.Subject) (health.Report, error) {
	spec := s.Check.Spec.HTTP
	if spec == nil {
		return health.Report{}, errors.New("spec.http is missing")
	}
	// What cannot be judged is not asked for.
	judge, err := c.judge(ctx, spec, s.Release)
	if err != nil {
		return health.Report{}, err
	}
	answer, err := c.Client.Do(ctx, s.Check.Namespace, spec.HTTPRequest, outbound.Timeout(s.Check.Spec.Timeout))
	var failure *outbound.NoAnswerError
	switch {
	case errors.As(err, &failure):
		return unhealthy(failure.Error()), nil
	case err != nil:
		return health.Report{}, err
	}
	return judge(ctx, answer)
}

// judge turns an answer into a verdict.
type judge func(context.Context, outbound.Answer) (health.Report, error)

func (c Checker) judge(ctx context.Context, spec *v1alpha1.HTTPCheck, r health.Release) (judge, error) {
	if spec.Success == "" {
		return byStatus(spec.ExpectedStatus)
	}
	program, err := c.Conditions.Compile(ctx, spec.Success, expr.HTTPAnswer)
	if err != nil {
		return nil, fmt.Errorf("success: %w", err)
	}
	return byCondition(program, r), nil
}

func byCondition(program *expr.Program, r health.Release) judge {
	return func(ctx context.Context, a outbound.Answer) (health.Report, error) {
		answer := expr.Answer{Status: a.Status, Headers: a.Headers, Body: a.Body, Truncated: a.Truncated}
		holds, err := program.EvalAnswer(ctx, answer, expr.Release{
			Tag: r.Tag, Digest: r.Digest, Revision: r.Revision, Rollout: r.Rollout, Namespace: r.Namespace,
		})
		switch {
		case errors.Is(err, expr.ErrTruncated):
			return unhealthy(err.Error()), nil
		case errors.Is(err, expr.ErrMalformed):
			return unhealthy(fmt.Sprintf("answered %d with %s", a.Status, err)), nil
		case errors.Is(err, expr.ErrCost), ctx.Err() != nil:
			return health.Report{}, fmt.Errorf("success: %w", err)
		case err != nil:
			return unhealthy(fmt.Sprintf("success has no value for status %d: %s", a.Status, err)), nil
		case !holds:
			return unhealthy(fmt.Sprintf("success is false for status %d%s", a.Status, program.Compared(ctx, answer))), nil
		}
		return healthy(fmt.Sprintf("answered %d", a.Status)), nil
	}
}

func healthy(message string) health.Report {
	return health.Report{State: v1alpha1.HealthHealthy, Message: message}
}

func unhealthy(message string) health.Report {
	return health.Report{State: v1alpha1.HealthUnhealthy, Message: message}
}
