package prometheus

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/expr"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/outbound"
)

// Checker judges by queries.
type Checker struct {
	// Client asks.
	Client *outbound.Client
	// Conditions remembers what was compiled.
	Conditions *expr.Cache
}

// Check asks the query of a check.
func (c Checker) Check(ctx context.Context, s health.Subject) (health.Report, error) {
	spec := s.Check.Spec.Prometheus
	if spec == nil {
		return health.Report{}, errors.New("spec.prometheus is missing")
	}
	program, err := c.Conditions.Compile(ctx, spec.Success, expr.Result)
	if err != nil {
		return health.Report{}, fmt.Errorf("success: %w", err)
	}
	value, err := c.ask(ctx, s)
	if err != nil {
		return health.Report{}, err
	}
	list, err := samples(value)
	switch {
	case err != nil:
		return health.Report{}, err
	case len(list) == 0:
		return health.Report{State: health.NoData, Message: "the query has no result"}, nil
	}
	if list = numbers(list); len(list) == 0 {
		return health.Report{State: health.NoData, Message: "the query has no result but NaN"}, nil
	}
	return judge(ctx, program, list, s.Release)
}

const (
	// mostAnswer and mostValues bound the answer to a query. Each series has two objects and a list, and takes up to a hundred times the
	// memory of its text; the checks of one namespace may ask 32 servers at once.
	mostAnswer = 256 << 10
	mostValues = 4000
)

// ask runs the query, at the time of the check.
func (c Checker) ask(ctx context.Context, s health.Subject) (model.Value, error) {
	spec := s.Check.Spec.Prometheus
	address, err := url.Parse(spec.Address)
	if err != nil || address.Hostname() == "" || address.Scheme != "http" && address.Scheme != "https" {
		return nil, errors.New("address is not a URL such as http://prometheus.monitoring.svc:9090")
	}
	httpClient, redactor, err := c.Client.HTTPClient(ctx, s.Check.Namespace,
		outbound.Access{Host: address.Host, HeadersFrom: spec.HeadersFrom, TLS: spec.TLS, MaxBody: mostAnswer, MaxValues: mostValues})
	if err != nil {
		return nil, err
	}
	client, err := api.NewClient(api.Config{Address: spec.Address, Client: httpClient})
	if err != nil {
		return nil, errors.New("address is not a URL such as http://prometheus.monitoring.svc:9090")
	}
	timeout := outbound.Timeout(s.Check.Spec.Timeout)
	ctx, cancel := outbound.WithTimeout(ctx, timeout)
	defer cancel()
	value, _, err := promv1.NewAPI(client).Query(ctx, spec.Query, s.Now, promv1.WithTimeout(timeout))
	if err != nil {
		return nil, errors.New(redactor.Text(explain(ctx, err)))
	}
	return value, nil
}

func judge(ctx context.Context, program *expr.Program, list []expr.Sample, r health.Release) (health.Report, error) {
	holds, err := program.Eval(ctx, expr.OfResult(list, expr.Release{
		Tag: r.Tag, Digest: r.Digest, Revision: r.Revision, Rollout: r.Rollout, Namespace: r.Namespace,
	}))
	switch {
	case err != nil:
		return health.Report{}, fmt.Errorf("success: %w", err)
	case !holds:
		return health.Report{State: v1alpha1.HealthUnhealthy, Message: "success is false: the query returned " + shown(list)}, nil
	}
	return health.Report{State: v1alpha1.HealthHealthy, Message: "success is true for the result of the query"}, nil
}
