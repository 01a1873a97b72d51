package datadog

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/DataDog/datadog-api-client-go/v2/api/datadog"
	"github.com/DataDog/datadog-api-client-go/v2/api/datadogV1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/expr"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/version"
)

const (
	// keepSeries is how long the answer to a query counts: points are seconds apart, and an hour has 1600 queries for all.
	keepSeries    = 10 * time.Second
	defaultWindow = 5 * time.Minute
	mostSeries    = 500
	mostPoints    = 10_000

	queryMetrics = "timeseries_query"
)

// span is the time that a query looks at.
type span struct {
	from, to time.Time
	// clipped is whether it begins at the deployment.
	clipped bool
}

// looks back as far as the window, but not to what ran before.
func looks(d *v1alpha1.DatadogCheck, s health.Subject) (span, time.Duration) {
	window := defaultWindow
	if d.Window != nil {
		if v, err := d.Window.Parse(); err == nil && v > 0 {
			window = v
		}
	}
	back := span{from: s.Now.Add(-window), to: s.Now}
	if s.Release.DeployedAt.After(back.from) {
		back.from, back.clipped = s.Release.DeployedAt, true
	}
	return back, window
}

// query asks for metrics and judges them by the expression of the check.
func (c *Checker) query(ctx context.Context, s health.Subject, a account, d *v1alpha1.DatadogCheck) (health.Report, error) {
	success, err := c.conditions.Compile(ctx, d.Success, expr.SeriesList)
	if err != nil {
		return health.Report{}, fmt.Errorf("success: %w", err)
	}
	back, window := looks(d, s)
	if back.to.Unix() <= back.from.Unix() {
		return none(back, window), nil
	}
	got, err := c.ask(ctx, a, s.Now, request{
		question: question{endpoint: "query", text: window.String() + "\x00" + d.Query, token: s.Release.Token}, needs: queryMetrics, keep: keepSeries,
		put: func(ctx context.Context, client *datadog.APIClient) (answer, *http.Response, error) {
			r, resp, err := datadogV1.NewMetricsApi(client).QueryMetrics(ctx, back.from.Unix(), back.to.Unix(), d.Query)
			if err == nil {
				err = begins(resp, '{')
			}
			if err != nil {
				return answer{}, resp, err
			}
			list, err := numbers(r, s.Release.DeployedAt)
			return answer{series: list}, resp, err
		},
	})
	switch {
	case err != nil:
		return health.Report{}, err
	case len(got.series) == 0:
		return none(back, window), nil
	}
	r := s.Release
	release := expr.Release{Tag: r.Tag, Digest: r.Digest, Revision: r.Revision, Rollout: r.Rollout, Namespace: r.Namespace}
	switch ok, err := success.Eval(ctx, expr.OfSeries(got.series, release)); {
	case err != nil:
		return health.Report{}, fmt.Errorf("success: %w", err)
	case !ok:
		return health.Report{State: v1alpha1.HealthUnhealthy, Message: "success does not hold: " + tell(got.series)}, nil
	}
	return health.Report{State: v1alpha1.HealthHealthy, Message: "success holds"}, nil
}

func none(back span, window time.Duration) health.Report {
	when := "in the last " + window.String()
	if back.clipped {
		when = "since the deployment"
	}
	return health.Report{State: health.NoData, Message: "the query has no data " + when}
}

// numbers takes the series that have any. A point that begins before the deployment is about what ran before.
func numbers(r datadogV1.MetricsQueryResponse, since time.Time) ([]expr.Series, error) {
	switch {
	case r.GetStatus() == "error":
		return nil, &complaint{"Datadog could not answer the query: " + version.Clean(r.GetError(), longestQuote)}
	case r.UnparsedObject != nil || r.GetStatus() != "ok":
		return nil, errUnreadable
	case len(r.Series) > mostSeries:
		return nil, errTooMuch
	}
	var list []expr.Series
	total := 0
	for _, one := range r.Series {
		points, err := valuesOf(one, since)
		if err != nil {
			return nil, err
		}
		if total += len(points); total > mostPoints {
			return nil, errTooMuch
		}
		if len(points) > 0 {
			list = append(list, expr.Series{Scope: version.Clean(one.GetScope(), 200), Points: points})
		}
	}
	return list, nil
}

// valuesOf are the points of a series that have a value and began since a time.
func valuesOf(one datadogV1.MetricsQueryMetadata, since time.Time) ([]float64, error) {
	if one.UnparsedObject != nil {
		return nil, errUnreadable
	}
	var values []float64
	for _, point := range one.Pointlist {
		if len(point) != 2 || point[0] == nil {
			return nil, errUnreadable
		}
		if point[1] != nil && (since.IsZero() || int64(*point[0]) >= since.UnixMilli()) {
			values = append(values, *point[1])
		}
	}
	return values, nil
}

var errTooMuch = &complaint{fmt.Sprintf("the query has more than %d series or %d points: group by fewer tags, or shorten the window", mostSeries, mostPoints)}

// tell says what the series came to.
func tell(list []expr.Series) string {
	var texts []string
	for _, s := range list {
		texts = append(texts, cmp.Or(s.Scope, "the series")+" is "+strconv.FormatFloat(s.Points[len(s.Points)-1], 'g', 3, 64))
	}
	return few(texts, ", ")
}
