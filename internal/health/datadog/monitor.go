package datadog

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/DataDog/datadog-api-client-go/v2/api/datadog"
	"github.com/DataDog/datadog-api-client-go/v2/api/datadogV1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/version"
)

const (
	// monitorTTL is how long the state of a monitor is cached. Datadog evaluates a monitor about once a minute.
	monitorTTL = 5 * time.Second
	pageSize   = 100
	maxPages   = 10

	readMonitors = "monitors_read"
)

// monitor reads one monitor.
func (c *Checker) monitor(ctx context.Context, s health.CheckInput, a account, id int64) (health.Report, error) {
	name := fmt.Sprintf("monitor %d", id)
	got, err := c.send(ctx, a, s.Now, request{
		queryKey:   queryKey{endpoint: "monitor", text: name, token: s.Release.Token},
		permission: readMonitors, resource: name, ttl: monitorTTL,
		do: func(ctx context.Context, client *datadog.APIClient) (queryResult, *http.Response, error) {
			options := datadogV1.NewGetMonitorOptionalParameters().WithWithDowntimes(true)
			m, resp, err := datadogV1.NewMonitorsApi(client).GetMonitor(ctx, id, *options)
			if err == nil {
				err = checkBody(resp, '{')
			}
			if err == nil && monitorID(m) != id {
				err = errFormat
			}
			if err != nil {
				return queryResult{}, resp, err
			}
			f, err := reportMonitor(m, s.Now)
			return queryResult{reports: []monitorReport{f}}, resp, err
		},
	})
	if err != nil {
		return health.Report{}, err
	}
	return combine(got.reports, s.Check.Spec.NoData), nil
}

// monitors reads the monitors that have all tags. The report is NoData if there is none.
func (c *Checker) monitors(ctx context.Context, s health.CheckInput, a account, tags []string) (health.Report, error) {
	joined := strings.Join(slices.Compact(slices.Sorted(slices.Values(tags))), ",")
	got, err := c.send(ctx, a, s.Now, request{
		queryKey:   queryKey{endpoint: "monitors", text: joined, token: s.Release.Token},
		permission: readMonitors, ttl: monitorTTL,
		do: func(ctx context.Context, client *datadog.APIClient) (queryResult, *http.Response, error) {
			var all queryResult
			for page := range int64(maxPages) {
				list, resp, err := listPage(ctx, client, joined, page)
				if err != nil {
					return queryResult{}, resp, err
				}
				for _, m := range list {
					f, err := reportMonitor(m, s.Now)
					if err != nil {
						return queryResult{}, resp, err
					}
					all.reports = append(all.reports, f)
				}
				if len(list) < pageSize {
					return all, resp, nil
				}
			}
			return queryResult{}, &http.Response{}, &responseError{
				fmt.Sprintf("more than %d monitors have these tags: add tags", pageSize*maxPages),
			}
		},
	})
	switch {
	case err != nil:
		return health.Report{}, err
	case len(got.reports) == 0:
		message := "no monitor has the tags " + version.Clean(joined, maxQuotedLength)
		return health.Report{State: health.NoData, Message: message}, nil
	}
	return combine(got.reports, s.Check.Spec.NoData), nil
}

// listPage returns a page of monitors.
func listPage(
	ctx context.Context, client *datadog.APIClient, tags string, page int64,
) ([]datadogV1.Monitor, *http.Response, error) {
	options := datadogV1.NewListMonitorsOptionalParameters().
		WithMonitorTags(tags).WithWithDowntimes(true).WithPage(page).WithPageSize(pageSize)
	list, resp, err := datadogV1.NewMonitorsApi(client).ListMonitors(ctx, *options)
	if err == nil {
		err = checkBody(resp, '[')
	}
	return list, resp, err
}

// reportMonitor returns the report of a monitor. It accepts types and states that the client library does not know.
func reportMonitor(m datadogV1.Monitor, now time.Time) (monitorReport, error) {
	id := monitorID(m)
	if id == 0 || m.Query == "" { // the client library could not parse it
		return monitorReport{}, errFormat
	}
	name := fmt.Sprintf("monitor %d", id)
	if m.GetName() != "" {
		name += fmt.Sprintf(" (%s)", version.Clean(m.GetName(), 100))
	}
	state := string(m.GetOverallState())
	if raw, ok := m.UnparsedObject["overall_state"].(string); ok && state == "" {
		state = raw
	}
	switch {
	case m.Deleted.Get() != nil:
		return monitorReport{v1alpha1.HealthPending, name + " is deleted"}, nil
	case isMuted(m, now):
		return monitorReport{v1alpha1.HealthPending, name + " is muted"}, nil
	}
	f := reportState(name, state)
	if groups := groupsInAlert(m); f.state == v1alpha1.HealthUnhealthy && len(groups) > 0 {
		f.message += ": " + joinFirst(groups, ", ")
	}
	return f, nil
}

// groupsInAlert returns the names of the groups in alert, if the response has them.
func groupsInAlert(m datadogV1.Monitor) []string {
	var list []string
	for name, group := range m.GetState().Groups {
		if group.GetStatus() == datadogV1.MONITOROVERALLSTATES_ALERT {
			list = append(list, version.Clean(name, 100))
		}
	}
	return list
}

// isMuted reports whether a monitor is muted as a whole. The state of a monitor includes its muted groups, so a
// monitor with some muted groups is reported by its state.
func isMuted(m datadogV1.Monitor, now time.Time) bool {
	const allScopes = "*"
	at, simple := now.Unix(), !m.GetMulti()
	options := m.GetOptions()
	for scope, end := range options.GetSilenced() {
		if (simple || scope == allScopes) && (end == 0 || at < end) {
			return true
		}
	}
	return slices.ContainsFunc(m.MatchingDowntimes, func(d datadogV1.MatchingDowntime) bool {
		return (simple || len(d.Scope) == 0 || slices.Contains(d.Scope, allScopes)) && isActive(d, at)
	})
}

// isActive reports whether a downtime has started and not ended.
func isActive(d datadogV1.MatchingDowntime, at int64) bool {
	end := d.End.Get()
	return d.GetStart() <= at && (end == nil || at < *end)
}

// monitorID returns the ID of a monitor, or 0 if it has none.
func monitorID(m datadogV1.Monitor) int64 {
	if m.Id != nil {
		return *m.Id
	}
	switch id := m.UnparsedObject["id"].(type) {
	case float64:
		return int64(id)
	case json.Number:
		n, _ := id.Int64() //nolint:errcheck // 0 is no ID
		return n
	}
	return 0
}
