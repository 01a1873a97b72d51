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

// Checker evaluates the result of a query.
type Checker struct {
	// Client makes the HTTP requests.
	Client *outbound.Client
	// Conditions caches compiled expressions.
	Conditions *expr.Cache
}

// Check runs the query of a check and evaluates its success expression.
func (c Checker) Check(ctx context.Context, s health.CheckInput) (health.Report, error) {
	spec := s.Check.Spec.Prometheus
	if spec == nil {
		return health.Report{}, errors.New("spec.prometheus is missing")
	}
	program, err := c.Conditions.Compile(ctx, s.Check.Namespace, spec.Success, expr.Result)
	if err != nil {
		return health.Report{}, fmt.Errorf("success: %w", err)
	}
	value, err := c.query(ctx, s)
	if err != nil {
		return health.Report{}, err
	}
	list, err := samples(value)
	switch {
	case err != nil:
		return health.Report{}, err
	case len(list) == 0:
		return health.Report{State: health.NoData, Message: "the query returned no result"}, nil
	}
	if list = withoutNaN(list); len(list) == 0 {
		return health.Report{State: health.NoData, Message: "the query returned only NaN"}, nil
	}
	return evaluate(ctx, program, list, s.Release)
}

const (
	// maxBody and maxValues limit the response to a query. A series has two objects and a list and needs up to a hundred
	// times the memory of its text. The checks of one namespace may query 32 servers concurrently.
	maxBody   = 256 << 10
	maxValues = 4000
)

var errAddress = errors.New(
	"spec.prometheus.address is not a URL: use one such as http://prometheus.monitoring.svc:9090")

// query runs the query for the time of the check.
func (c Checker) query(ctx context.Context, s health.CheckInput) (model.Value, error) {
	spec := s.Check.Spec.Prometheus
	address, err := url.Parse(spec.Address)
	if err != nil || address.Hostname() == "" || address.Scheme != "http" && address.Scheme != "https" {
		return nil, errAddress
	}
	httpClient, redactor, err := c.Client.HTTPClient(ctx, s.Check.Namespace,
		outbound.Access{Host: address.Host, HeadersFrom: spec.HeadersFrom, TLS: spec.TLS,
			MaxBody: maxBody, MaxValues: maxValues})
	if err != nil {
		return nil, err
	}
	client, err := api.NewClient(api.Config{Address: spec.Address, Client: httpClient})
	if err != nil {
		return nil, errAddress
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

// evaluate returns the report for the values of a result.
func evaluate(ctx context.Context, program *expr.Program, list []expr.Sample, r health.Release) (health.Report, error) {
	holds, err := program.Eval(ctx, expr.OfResult(list, expr.ReleaseOf(r)))
	switch {
	case err != nil:
		return health.Report{}, fmt.Errorf("success: %w", err)
	case !holds:
		message := "success is false: the query returned " + formatValues(list)
		return health.Report{State: v1alpha1.HealthUnhealthy, Message: message}, nil
	}
	return health.Report{State: v1alpha1.HealthHealthy, Message: "success is true for the result of the query"}, nil
}
