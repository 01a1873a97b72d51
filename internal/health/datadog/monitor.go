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
	// keepMonitor is how long the state of a monitor counts. Datadog finds it anew about once a minute.
	keepMonitor = 5 * time.Second
	pageSize    = 100
	mostPages   = 10

	readMonitors = "monitors_read"
)

// monitor asks for one monitor.
func (c *Checker) monitor(ctx context.Context, s health.Subject, a account, id int64) (health.Report, error) {
	name := fmt.Sprintf("monitor %d", id)
	got, err := c.ask(ctx, a, s.Now, request{
		question: question{endpoint: "monitor", text: name, token: s.Release.Token}, needs: readMonitors, about: name, keep: keepMonitor,
		put: func(ctx context.Context, client *datadog.APIClient) (answer, *http.Response, error) {
			options := datadogV1.NewGetMonitorOptionalParameters().WithWithDowntimes(true)
			m, resp, err := datadogV1.NewMonitorsApi(client).GetMonitor(ctx, id, *options)
			if err == nil {
				err = begins(resp, '{')
			}
			if err == nil && identity(m) != id {
				err = errUnreadable
			}
			if err != nil {
				return answer{}, resp, err
			}
			f, err := found(m, s.Now)
			return answer{findings: []finding{f}}, resp, err
		},
	})
	if err != nil {
		return health.Report{}, err
	}
	return worst(got.findings, s.Check.Spec.NoData), nil
}

// monitors asks for all monitors that have all of some tags. Without any there is nothing that could be well.
func (c *Checker) monitors(ctx context.Context, s health.Subject, a account, tags []string) (health.Report, error) {
	joined := strings.Join(slices.Compact(slices.Sorted(slices.Values(tags))), ",")
	got, err := c.ask(ctx, a, s.Now, request{
		question: question{endpoint: "monitors", text: joined, token: s.Release.Token}, needs: readMonitors, keep: keepMonitor,
		put: func(ctx context.Context, client *datadog.APIClient) (answer, *http.Response, error) {
			var all answer
			for page := range int64(mostPages) {
				list, resp, err := listed(ctx, client, joined, page)
				if err != nil {
					return answer{}, resp, err
				}
				for _, m := range list {
					f, err := found(m, s.Now)
					if err != nil {
						return answer{}, resp, err
					}
					all.findings = append(all.findings, f)
				}
				if len(list) < pageSize {
					return all, resp, nil
				}
			}
			return answer{}, &http.Response{}, &complaint{fmt.Sprintf("more than %d monitors have these tags: give more tags", pageSize*mostPages)}
		},
	})
	switch {
	case err != nil:
		return health.Report{}, err
	case len(got.findings) == 0:
		return health.Report{State: health.NoData, Message: "no monitor has the tags " + version.Clean(joined, longestQuote)}, nil
	}
	return worst(got.findings, s.Check.Spec.NoData), nil
}

// listed is one page of monitors.
func listed(ctx context.Context, client *datadog.APIClient, tags string, page int64) ([]datadogV1.Monitor, *http.Response, error) {
	options := datadogV1.NewListMonitorsOptionalParameters().
		WithMonitorTags(tags).WithWithDowntimes(true).WithPage(page).WithPageSize(pageSize)
	list, resp, err := datadogV1.NewMonitorsApi(client).ListMonitors(ctx, *options)
	if err == nil {
		err = begins(resp, '[')
	}
	return list, resp, err
}

// found judges a monitor. Types and states that the client does not know yet are no reason not to.
func found(m datadogV1.Monitor, now time.Time) (finding, error) {
	id := identity(m)
	if id == 0 || m.Query == "" { // the client could make nothing of it
		return finding{}, errUnreadable
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
		return finding{v1alpha1.HealthPending, name + " is deleted"}, nil
	case muted(m, now):
		return finding{v1alpha1.HealthPending, name + " is muted"}, nil
	}
	f := judge(name, state)
	if groups := groupsInAlert(m); f.state == v1alpha1.HealthUnhealthy && len(groups) > 0 {
		f.message += ": " + few(groups, ", ")
	}
	return f, nil
}

// groupsInAlert names the groups, where Datadog tells.
func groupsInAlert(m datadogV1.Monitor) []string {
	var list []string
	for name, group := range m.GetState().Groups {
		if group.GetStatus() == datadogV1.MONITOROVERALLSTATES_ALERT {
			list = append(list, version.Clean(name, 100))
		}
	}
	return list
}

// muted says whether nobody is told of the monitor as a whole. One of which some groups are muted is judged by its state, which
// does not leave them out.
func muted(m datadogV1.Monitor, now time.Time) bool {
	const everything = "*"
	at, whole := now.Unix(), !m.GetMulti()
	options := m.GetOptions()
	for scope, end := range options.GetSilenced() {
		if (whole || scope == everything) && (end == 0 || at < end) {
			return true
		}
	}
	return slices.ContainsFunc(m.MatchingDowntimes, func(d datadogV1.MatchingDowntime) bool {
		return (whole || len(d.Scope) == 0 || slices.Contains(d.Scope, everything)) && lasts(d, at)
	})
}

// lasts says whether a downtime has begun and not ended.
func lasts(d datadogV1.MatchingDowntime, at int64) bool {
	end := d.End.Get()
	return d.GetStart() <= at && (end == nil || at < *end)
}

// identity is the ID of a monitor, 0 if it has none.
func identity(m datadogV1.Monitor) int64 {
	if m.Id != nil {
		return *m.Id
	}
	switch id := m.UnparsedObject["id"].(type) {
	case float64:
		return int64(id)
	case json.Number:
		n, _ := id.Int64() //nolint:errcheck // then it has none
		return n
	}
	return 0
}
