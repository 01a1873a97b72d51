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
	// seriesTTL is how long the result of a query is cached. Points are seconds apart, and an organization may make 1600
	// queries an hour.
	seriesTTL     = 10 * time.Second
	defaultWindow = 5 * time.Minute
	maxSeries     = 500
	maxPoints     = 10_000

	readMetrics = "timeseries_query"
)

// timeRange is the time range of a query.
type timeRange struct {
	from, to time.Time
	// sinceDeployment reports whether the range starts at the deployment.
	sinceDeployment bool
}

// queryRange returns the time range of a query, which does not start before the deployment, and the window of the
// check.
func queryRange(d *v1alpha1.DatadogCheck, s health.CheckInput) (timeRange, time.Duration) {
	window := defaultWindow
	if d.Window != nil {
		if v, err := d.Window.Parse(); err == nil && v > 0 {
			window = v
		}
	}
	tr := timeRange{from: s.Now.Add(-window), to: s.Now}
	if s.Release.DeployedAt.After(tr.from) {
		tr.from, tr.sinceDeployment = s.Release.DeployedAt, true
	}
	return tr, window
}

// query runs the query of a check and evaluates its success expression.
func (c *Checker) query(
	ctx context.Context, s health.CheckInput, a account, d *v1alpha1.DatadogCheck,
) (health.Report, error) {
	success, err := c.conditions.Compile(ctx, s.Check.Namespace, d.Success, expr.SeriesList)
	if err != nil {
		return health.Report{}, fmt.Errorf("success: %w", err)
	}
	tr, window := queryRange(d, s)
	if tr.to.Unix() <= tr.from.Unix() {
		return noDataReport(tr, window), nil
	}
	got, err := c.send(ctx, a, s.Now, request{
		queryKey:   queryKey{endpoint: "query", text: window.String() + "\x00" + d.Query, token: s.Release.Token},
		permission: readMetrics, ttl: seriesTTL,
		do: func(ctx context.Context, client *datadog.APIClient) (queryResult, *http.Response, error) {
			r, resp, err := datadogV1.NewMetricsApi(client).QueryMetrics(ctx, tr.from.Unix(), tr.to.Unix(), d.Query)
			if err == nil {
				err = checkBody(resp, '{')
			}
			if err != nil {
				return queryResult{}, resp, err
			}
			list, err := parseSeries(r, s.Release.DeployedAt)
			return queryResult{series: list}, resp, err
		},
	})
	switch {
	case err != nil:
		return health.Report{}, err
	case len(got.series) == 0:
		return noDataReport(tr, window), nil
	}
	switch ok, err := success.Eval(ctx, expr.OfSeries(got.series, expr.ReleaseOf(s.Release))); {
	case err != nil:
		return health.Report{}, fmt.Errorf("success: %w", err)
	case !ok:
		return health.Report{State: v1alpha1.HealthUnhealthy, Message: "success is false: " + formatSeries(got.series)}, nil
	}
	return health.Report{State: v1alpha1.HealthHealthy, Message: "success is true"}, nil
}

// noDataReport returns the report for a query without data.
func noDataReport(tr timeRange, window time.Duration) health.Report {
	when := "for the last " + window.String()
	if tr.sinceDeployment {
		when = "since the deployment"
	}
	return health.Report{State: health.NoData, Message: "the query returned no data " + when}
}

// parseSeries returns the series that have values. It ignores points from before the deployment.
func parseSeries(r datadogV1.MetricsQueryResponse, since time.Time) ([]expr.Series, error) {
	switch {
	case r.GetStatus() == "error":
		return nil, &responseError{"Datadog failed to run the query: " + version.Clean(r.GetError(), maxQuotedLength)}
	case r.UnparsedObject != nil || r.GetStatus() != "ok":
		return nil, errFormat
	case len(r.Series) > maxSeries:
		return nil, errTooMuch
	}
	var list []expr.Series
	total := 0
	for _, metric := range r.Series {
		points, err := parsePoints(metric, since)
		if err != nil {
			return nil, err
		}
		if total += len(points); total > maxPoints {
			return nil, errTooMuch
		}
		if len(points) > 0 {
			list = append(list, expr.Series{Scope: version.Clean(metric.GetScope(), 200), Points: points})
		}
	}
	return list, nil
}

// parsePoints returns the values of a series since a time.
func parsePoints(metric datadogV1.MetricsQueryMetadata, since time.Time) ([]float64, error) {
	if metric.UnparsedObject != nil {
		return nil, errFormat
	}
	var values []float64
	for _, point := range metric.Pointlist {
		if len(point) != 2 || point[0] == nil {
			return nil, errFormat
		}
		if point[1] != nil && (since.IsZero() || int64(*point[0]) >= since.UnixMilli()) {
			values = append(values, *point[1])
		}
	}
	return values, nil
}

var errTooMuch = &responseError{
	fmt.Sprintf(
		"the query returned more than %d series or %d points: group by fewer tags, or shorten the window", maxSeries,
		maxPoints,
	),
}

// formatSeries returns the last value of each series for a message.
func formatSeries(list []expr.Series) string {
	var texts []string
	for _, s := range list {
		texts = append(texts, cmp.Or(s.Scope, "the series")+" is "+strconv.FormatFloat(s.Points[len(s.Points)-1], 'g', 3, 64))
	}
	return joinFirst(texts, ", ")
}
