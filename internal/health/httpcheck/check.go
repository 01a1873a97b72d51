package httpcheck

import (
	"context"
	"errors"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/expr"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/outbound"
)

// Checker checks endpoints.
type Checker struct {
	// Client sends the requests.
	Client *outbound.Client
	// Conditions caches compiled conditions.
	Conditions *expr.Cache
}

// Check requests the endpoint of a check and evaluates the answer.
func (c Checker) Check(ctx context.Context, s health.CheckInput) (health.Report, error) {
	spec := s.Check.Spec.HTTP
	if spec == nil {
		return health.Report{}, errors.New("spec.http is missing")
	}
	success, err := c.Conditions.CompileSuccess(ctx, s.Check.Namespace, spec.Success, spec.ExpectedStatus)
	if err != nil {
		return health.Report{}, err
	}
	response, err := c.Client.Do(ctx, s.Check.Namespace, spec.HTTPRequest, outbound.Timeout(s.Check.Spec.Timeout))
	var noResponse *outbound.NoResponseError
	switch {
	case errors.As(err, &noResponse):
		return health.Report{State: v1alpha1.HealthUnhealthy, Message: noResponse.Error()}, nil
	case err != nil:
		return health.Report{}, err
	}
	outcome, message, err := success.Check(ctx,
		expr.Response(response),
		expr.ReleaseOf(s.Release))
	if err != nil {
		return health.Report{}, err
	}
	state := v1alpha1.HealthUnhealthy
	if outcome == expr.Successful {
		state = v1alpha1.HealthHealthy
	}
	return health.Report{State: state, Message: message}, nil
}
