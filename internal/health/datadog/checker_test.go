package datadog

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/DataDog/datadog-api-client-go/v2/api/datadogV1"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
)

// check runs a check and fails the test if the report or the error contains a key.
func (f *fake) check(s health.CheckInput) (health.Report, error) {
	f.Helper()
	r, err := f.Check(f.Context(), s)
	if text := fmt.Sprint(r, err); strings.Contains(text, testAPIKey) || strings.Contains(text, testAppKey) {
		f.Errorf("the result contains a key: %s", text)
	}
	return r, err
}

func TestEverySiteHasAServer(t *testing.T) {
	f := newFake(t)
	for site, want := range map[v1alpha1.DatadogSite]string{
		"datadoghq.com": "https://api.datadoghq.com", "us3.datadoghq.com": "https://api.us3.datadoghq.com",
		"us5.datadoghq.com": "https://api.us5.datadoghq.com", "datadoghq.eu": "https://api.datadoghq.eu",
		"ap1.datadoghq.com": "https://api.ap1.datadoghq.com", "ap2.datadoghq.com": "https://api.ap2.datadoghq.com",
		"ddog-gov.com": "https://api.ddog-gov.com",
	} {
		if got, err := f.siteURL(site); err != nil || got.String() != want {
			t.Errorf("%s: got %v, %v", site, got, err)
		}
	}
	if got, err := f.siteURL("evil.example/"); err == nil {
		t.Errorf("got %v for an unknown site", got)
	}
}

func TestMonitor(t *testing.T) {
	from := func(start, end int64) datadogV1.MatchingDowntime {
		d := datadogV1.NewMatchingDowntime(7)
		d.SetStart(start)
		if end != 0 {
			d.SetEnd(end)
		}
		return *d
	}
	muted := func(d datadogV1.MatchingDowntime, scope ...string) func(*datadogV1.Monitor) {
		d.SetScope(scope)
		return func(m *datadogV1.Monitor) { m.SetMatchingDowntimes([]datadogV1.MatchingDowntime{d}) }
	}
	silenced := func(scope string, until int64) func(*datadogV1.Monitor) {
		return func(m *datadogV1.Monitor) {
			o := datadogV1.NewMonitorOptions()
			o.SetSilenced(map[string]int64{scope: until})
			m.SetOptions(*o)
		}
	}
	simple := func(m *datadogV1.Monitor) { m.SetMulti(false) }
	past, future := now.Add(-time.Hour).Unix(), now.Add(time.Hour).Unix()
	const label = "monitor 123 (errors of hello) "
	cases := map[string]struct {
		reason string
		answer any
		want   health.Report
	}{
		"OK": {"OK is Healthy", newMonitor(123, "OK"), health.Report{State: "Healthy", Message: label + "is OK"}},
		"Alert": {
			"an alert is Unhealthy", newMonitor(123, "Alert"),
			health.Report{State: "Unhealthy", Message: label + "is in alert"},
		},
		"Warn": {
			"a warning is Pending", newMonitor(123, "Warn"),
			health.Report{State: "Pending", Message: label + "is in state Warn"},
		},
		"NoData": {
			"spec.noData says what NoData means", newMonitor(123, "No Data"),
			health.Report{State: "NoData", Message: label + "has no data"},
		},
		"Skipped": {
			"the state is inconclusive", newMonitor(123, "Skipped"),
			health.Report{State: "Pending", Message: label + "is neither healthy nor in alert: its state is Skipped"},
		},
		"Ignored": {
			"the state is inconclusive", newMonitor(123, "Ignored"),
			health.Report{State: "Pending", Message: label + "is neither healthy nor in alert: its state is Ignored"},
		},
		"Unknown": {
			"the state is inconclusive", newMonitor(123, "Unknown"),
			health.Report{State: "Pending", Message: label + "is neither healthy nor in alert: its state is Unknown"},
		},
		"NewState": {
			"an unknown state is Pending", `{"id":123,"name":"errors of hello","query":"q","type":"query alert","overall_state":"Melting"}`,
			health.Report{State: "Pending", Message: label + `has the unknown state "Melting"`},
		},
		"NewType": {
			"unknown types are accepted", `{"id":123,"name":"errors of hello","query":"q","type":"new alert","overall_state":"OK"}`,
			health.Report{State: "Healthy", Message: label + "is OK"},
		},
		"NewFields": {
			"unknown fields are ignored", `{"id":123,"name":"errors of hello","query":"q","type":"query alert","overall_state":"OK","new":[1]}`,
			health.Report{State: "Healthy", Message: label + "is OK"},
		},
		"NoState": {
			"a new monitor has no state", `{"id":123,"name":"errors of hello","query":"q","type":"query alert"}`,
			health.Report{State: "Pending", Message: label + "has no state yet"},
		},
		"Groups": {
			"the groups in alert are listed in sorted order",
			`{"id":123,"name":"errors of hello","query":"q","type":"query alert","overall_state":"Alert","state":{"groups":{
				"env:b":{"name":"env:b","status":"Alert"},"env:a":{"name":"env:a","status":"Alert"},"env:c":{"name":"env:c","status":"OK"}}}}`,
			health.Report{State: "Unhealthy", Message: label + "is in alert: env:a, env:b"},
		},
		"Deleted": {
			"a deleted monitor is not healthy",
			`{"id":123,"name":"errors of hello","query":"q","type":"query alert","overall_state":"OK","deleted":"2025-11-01T00:00:00Z"}`,
			health.Report{State: "Pending", Message: label + "is deleted"},
		},
		"Muted": {
			"a muted monitor is not healthy", newMonitor(123, "OK", muted(from(past, future), "*")),
			health.Report{State: "Pending", Message: label + "is muted"},
		},
		"MutedAlert": {
			"a muted monitor is not unhealthy", newMonitor(123, "Alert", muted(from(past, 0), "*")),
			health.Report{State: "Pending", Message: label + "is muted"},
		},
		"MutedSimple": {
			"a monitor without groups is muted by any downtime", newMonitor(
				123, "OK", simple, muted(from(past, future), "env:prod"),
			),
			health.Report{State: "Pending", Message: label + "is muted"},
		},
		"MutedInPart": {
			"the state includes the muted groups", newMonitor(123, "OK", muted(from(past, future), "host:a")),
			health.Report{State: "Healthy", Message: label + "is OK"},
		},
		"MutedBefore": {
			"a downtime in the past", newMonitor(123, "OK", muted(from(past-60, past), "*")),
			health.Report{State: "Healthy", Message: label + "is OK"},
		},
		"MutedLater": {
			"a downtime in the future", newMonitor(123, "OK", muted(from(future, 0), "*")),
			health.Report{State: "Healthy", Message: label + "is OK"},
		},
		"Silenced": {
			"muted by the deprecated option", newMonitor(123, "OK", silenced("*", 0)),
			health.Report{State: "Pending", Message: label + "is muted"},
		},
		"SilencedUntil": {
			"the mute is over", newMonitor(123, "OK", silenced("*", past)),
			health.Report{State: "Healthy", Message: label + "is OK"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.respondWith(tc.answer)
			got, err := f.check(subject(byID()))
			if diff := cmp.Diff(tc.want, got); err != nil || diff != "" {
				t.Errorf("%s: %v: -want +got:\n%s", tc.reason, err, diff)
			}
			f.wantRequest("/api/v1/monitor/123", url.Values{"with_downtimes": {"true"}})
		})
	}
}

// wantRequest checks that there was one request, in the format of the Datadog API.
func (f *fake) wantRequest(path string, query url.Values) {
	f.Helper()
	if len(f.received) != 1 {
		f.Fatalf("got %d requests, want 1", len(f.received))
	}
	r := f.received[0]
	if r.URL.Path != path || !cmp.Equal(query, r.URL.Query()) {
		f.Errorf("got a request of %s with %v, want %s with %v", r.URL.Path, r.URL.Query(), path, query)
	}
	for header, want := range map[string]string{
		"DD-API-KEY": testAPIKey, "DD-APPLICATION-KEY": testAppKey, "Accept": "application/json", "Authorization": "",
	} {
		if got := r.Header.Get(header); got != want {
			f.Errorf("header %s: got %q, want %q", header, got, want)
		}
	}
}

func TestMonitors(t *testing.T) {
	mute := func(m *datadogV1.Monitor) {
		o := datadogV1.NewMonitorOptions()
		o.SetSilenced(map[string]int64{"*": 0})
		m.SetOptions(*o)
	}
	cases := map[string]struct {
		reason string
		answer any
		noData v1alpha1.NoData
		want   health.Report
	}{
		"None": {
			"no monitor is NoData", []datadogV1.Monitor{}, "",
			health.Report{State: "NoData", Message: "no monitor has the tags service:hello,team:shop"},
		},
		"OK": {
			"all are OK", []datadogV1.Monitor{newMonitor(1, "OK"), newMonitor(2, "OK")}, "", health.Report{
				State: "Healthy", Message: "all 2 monitors are OK",
			},
		},
		"One": {
			"a single monitor is named", []datadogV1.Monitor{newMonitor(1, "OK")}, "",
			health.Report{State: "Healthy", Message: "monitor 1 (errors of hello) is OK"},
		},
		"Worst": {
			"an alert is worst, and monitors in alert are listed in sorted order",
			[]datadogV1.Monitor{newMonitor(3, "Alert"), newMonitor(2, "Warn"), newMonitor(1, "OK"), newMonitor(4, "No Data"), newMonitor(0x7, "Alert")}, "",
			health.Report{
				State: "Unhealthy", Message: "monitor 3 (errors of hello) is in alert; monitor 7 (errors of hello) is in alert",
			},
		},
		"Many": {
			"the list is shortened",
			[]datadogV1.Monitor{newMonitor(5, "Alert"), newMonitor(4, "Alert"), newMonitor(3, "Alert"), newMonitor(2, "Alert"), newMonitor(1, "Alert")}, "",
			health.Report{
				State:   "Unhealthy",
				Message: "monitor 1 (errors of hello) is in alert; monitor 2 (errors of hello) is in alert; monitor 3 (errors of hello) is in alert; and 2 more",
			},
		},
		"Pending": {
			"Pending is worse than NoData", []datadogV1.Monitor{newMonitor(1, "No Data"), newMonitor(2, "Warn"), newMonitor(3, "OK")}, "",
			health.Report{State: "Pending", Message: "monitor 2 (errors of hello) is in state Warn"},
		},
		"NoDataFails": {
			"NoData is worse if it fails the check", []datadogV1.Monitor{newMonitor(1, "No Data"), newMonitor(2, "Warn"), newMonitor(3, "OK")}, v1alpha1.NoDataFail,
			health.Report{State: "NoData", Message: "monitor 1 (errors of hello) has no data"},
		},
		"Muted": {
			"a muted monitor is Pending", []datadogV1.Monitor{newMonitor(1, "OK"), newMonitor(2, "OK", mute)}, "",
			health.Report{State: "Pending", Message: "monitor 2 (errors of hello) is muted"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.respondWith(tc.answer)
			s := subject(byTags("team:shop", "service:hello", "team:shop"))
			s.Check.Spec.NoData = tc.noData
			got, err := f.check(s)
			if diff := cmp.Diff(tc.want, got); err != nil || diff != "" {
				t.Errorf("%s: %v: -want +got:\n%s", tc.reason, err, diff)
			}
			f.wantRequest("/api/v1/monitor", url.Values{
				"monitor_tags": {"service:hello,team:shop"}, "with_downtimes": {"true"}, "page": {"0"}, "page_size": {"100"},
			})
		})
	}
}

func TestMonitorsOnSeveralPages(t *testing.T) {
	f := newFake(t)
	pages := 2
	f.handle(func(w http.ResponseWriter, r *http.Request) {
		var list []datadogV1.Monitor
		var page int64
		fmt.Sscan(r.URL.Query().Get("page"), &page)
		for i := range int64(100) {
			if state := datadogV1.MONITOROVERALLSTATES_OK; int(page) < pages {
				if page == 1 && i == 99 {
					state = datadogV1.MONITOROVERALLSTATES_ALERT
				}
				list = append(list, newMonitor(1+page*100+i, state))
			}
		}
		f.write(w, append([]datadogV1.Monitor{}, list...))
	})
	got, err := f.check(subject(byTags("team:shop")))
	if err != nil || got.State != v1alpha1.HealthUnhealthy || f.requests() != 3 {
		t.Errorf("want the alert on the second page: got %v, %v after %d requests", got, err, f.requests())
	}
	pages = 1000
	if got, err := f.check(subject(byTags("team:other"))); err == nil || !strings.Contains(err.Error(), "more than 1000 monitors") || f.requests() != 13 {
		t.Errorf("too many monitors: got %v, %v after %d requests", got, err, f.requests())
	}
}

func TestQuery(t *testing.T) {
	failing := "series.all(s, s.last < 0.01)"
	cases := map[string]struct {
		reason  string
		answer  any
		success string
		want    health.Report
	}{
		"Holds": {
			"success is true", queryResponse(newSeries("env:a", 0.5, 0.001), newSeries("env:b", 0.002)), failing,
			health.Report{State: "Healthy", Message: "success is true"},
		},
		"Fails": {
			"the message lists the values", queryResponse(newSeries("env:b", 0.5), newSeries("env:a", 0.001)), failing,
			health.Report{State: "Unhealthy", Message: "success is false: env:a is 0.001, env:b is 0.5"},
		},
		"Points": {
			"points are numbers", queryResponse(newSeries("env:a", 1.0, 2.0, 3.0)),
			"series[0].points.exists(p, p > 2) && size(series[0].points) == 3",
			health.Report{State: "Healthy", Message: "success is true"},
		},
		"Release": {
			"the release is available", queryResponse(newSeries("env:a", 1.0)),
			`release.tag == "1.2.3" && series[0].scope == "env:a"`,
			health.Report{State: "Healthy", Message: "success is true"},
		},
		"Empty": {
			"no series is NoData, whatever the expression is", queryResponse(), failing,
			health.Report{State: "NoData", Message: "the query returned no data for the last 5m0s"},
		},
		"Nulls": {
			"points without values are NoData", queryResponse(newSeries("env:a", nil, nil)), failing,
			health.Report{State: "NoData", Message: "the query returned no data for the last 5m0s"},
		},
		"Gaps": {
			"last is the last value, not the last point", queryResponse(newSeries("env:a", 0.5, 0.001, nil)), failing,
			health.Report{State: "Healthy", Message: "success is true"},
		},
		"OneGone": {
			"a group without values is omitted", queryResponse(newSeries("env:a", nil), newSeries("env:b", 0.001)),
			"size(series) == 1", health.Report{State: "Healthy", Message: "success is true"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.respondWith(tc.answer)
			s := subject(byQuery(tc.success))
			s.Release.Tag = "1.2.3"
			got, err := f.check(s)
			if diff := cmp.Diff(tc.want, got); err != nil || diff != "" {
				t.Errorf("%s: %v: -want +got:\n%s", tc.reason, err, diff)
			}
			f.wantRequest("/api/v1/query", url.Values{
				"query": {"avg:trace.http.request.errors{service:hello} by {env}"},
				"from":  {fmt.Sprint(now.Add(-5 * time.Minute).Unix())}, "to": {fmt.Sprint(now.Unix())},
			})
		})
	}
}

func TestAQueryStartsAtTheDeployment(t *testing.T) {
	window := v1alpha1.Duration("1h")
	check := func(deployed time.Duration) (*fake, health.Report) {
		f := newFake(t)
		f.respondWith(queryResponse(newSeries("env:a", 0.9, 0.9, 0.9, 0.001, 0.001))) // the newest three are of the last minute
		d := byQuery("series.all(s, s.points.all(p, p < 0.01))")
		d.Window = &window
		s := subject(d)
		s.Release.DeployedAt = now.Add(-deployed)
		got, err := f.check(s)
		if err != nil {
			t.Fatal(err)
		}
		return f, got
	}
	f, got := check(2 * time.Hour)
	if got.State != v1alpha1.HealthUnhealthy || f.received[0].URL.Query().Get("from") != fmt.Sprint(now.Add(-time.Hour).Unix()) {
		t.Errorf("a deployment before the window: got %v for %v", got, f.received[0].URL)
	}
	f, got = check(50 * time.Second)
	if got.State != v1alpha1.HealthHealthy || f.received[0].URL.Query().Get("from") != fmt.Sprint(now.Add(-50*time.Second).Unix()) {
		t.Errorf("a deployment within the window: got %v for %v", got, f.received[0].URL)
	}
	_, got = check(10 * time.Second)
	if got.State != health.NoData || got.Message != "the query returned no data since the deployment" {
		t.Errorf("a deployment after the last point: got %v", got)
	}
	f, got = check(0)
	if got.State != health.NoData || f.requests() != 0 {
		t.Errorf("an empty time range: got %v after %d requests", got, f.requests())
	}
}

func TestErrors(t *testing.T) {
	tooLong := strings.Repeat(" ", 5<<20)
	many := make([]datadogV1.MetricsQueryMetadata, 501)
	for i := range many {
		many[i] = newSeries("x", 1.0)
	}
	cases := map[string]struct {
		reason string
		check  v1alpha1.DatadogCheck
		set    func(*fake)
		want   string
	}{
		"401": {"the keys are wrong", byID(), func(f *fake) { f.respondWithStatus(401) },
			"Datadog rejected the keys of Secret datadog with status 401: use keys of the site datadoghq.com and an application key with the permission monitors_read"},
		"403": {"a permission is missing", byTags("a:b"), func(f *fake) { f.respondWithStatus(403) },
			"Datadog rejected the keys of Secret datadog with status 403: use keys of the site datadoghq.com and an application key with the permission monitors_read"},
		"403Query": {"another permission is missing", byQuery("true"), func(f *fake) { f.respondWithStatus(403) },
			"Datadog rejected the keys of Secret datadog with status 403: use keys of the site datadoghq.com and an application key with the permission timeseries_query"},
		"404": {
			"the monitor was deleted", byID(), func(f *fake) { f.respondWithStatus(404) }, "monitor 123 does not exist",
		},
		"404Query": {
			"a query has no resource", byQuery("true"), func(f *fake) { f.respondWithStatus(404) }, "HOST returned status 404",
		},
		"400": {
			"the error message is included", byQuery("true"), func(f *fake) { f.respondWithStatus(400) },
			"Datadog rejected the request: no good: [redacted] [redacted]",
		},
		"429": {
			"Datadog says how long", byID(), func(f *fake) { f.respondWithStatus(429, "X-RateLimit-Reset", "30") },
			"Datadog limits requests until 2025-11-22T10:00:31Z",
		},
		"429Other": {
			"a proxy says how long", byID(),
			func(f *fake) { f.respondWithStatus(429, "Retry-After", "Sat, 22 Nov 2025 10:05:00 GMT") },
			"Datadog limits requests until 2025-11-22T10:05:01Z",
		},
		"429None": {
			"the response does not say how long", byID(), func(f *fake) { f.respondWithStatus(429) },
			"Datadog limits requests until 2025-11-22T10:01:01Z",
		},
		"429Ever": {
			"the time is limited", byID(), func(f *fake) { f.respondWithStatus(429, "X-RateLimit-Reset", "1e300") },
			"Datadog limits requests until 2025-11-22T11:00:01Z",
		},
		"500": {"Datadog is broken", byID(), func(f *fake) { f.respondWithStatus(500) }, "HOST returned status 500"},
		"302": {
			"a redirect is not followed", byID(),
			func(f *fake) { f.respondWithStatus(302, "Location", "http://169.254.169.254/") }, "HOST returned status 302",
		},
		"TooManyValues": {"a response needs much more memory than its text", byQuery("true"), func(f *fake) {
			f.handle(func(w http.ResponseWriter, _ *http.Request) {
				w.Write([]byte(`{"series":[` + strings.Repeat("{},", maxValues) + `{}]}`))
			})
		}, "querying HOST: answer holds more than 50000 objects and lists"},
		"TimeOut": {"Datadog is slow", byID(), func(f *fake) {
			f.handle(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		}, "querying HOST: timed out after 50ms"},
		"Stalled": {"the response stalls", byID(), func(f *fake) {
			f.handle(func(w http.ResponseWriter, r *http.Request) {
				w.Write([]byte(`{"id":`))
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			})
		}, "querying HOST: timed out after 50ms"},
		"Reset": {"the connection breaks", byID(), func(f *fake) { f.handle(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }) },
			"querying HOST: connection closed without an answer"},
		"Huge": {
			"the body is too large", byTags("a:b"), func(f *fake) { f.respondWith("[" + tooLong + "]") },
			"querying HOST: answer is larger than 2 MiB",
		},
		"Malformed": {"the body is not JSON", byID(), func(f *fake) { f.respondWith(`{"id": `) }, unreadable},
		"HTML":      {"an HTML page", byQuery("true"), func(f *fake) { f.respondWith(`<html>`) }, unreadable},
		"Empty":     {"an empty body is not an empty list", byTags("a:b"), func(f *fake) { f.respondWith(``) }, unreadable},
		"Null":      {"null is not a list", byTags("a:b"), func(f *fake) { f.respondWith(`null`) }, unreadable},
		"NullQuery": {"null is not a query response", byQuery("true"), func(f *fake) { f.respondWith(`null`) }, unreadable},
		"NoMonitor": {
			"an object that is not a monitor", byID(), func(f *fake) { f.respondWith(`{"overall_state":"OK"}`) }, unreadable,
		},
		"Other": {
			"another monitor than requested", byID(), func(f *fake) { f.respondWith(newMonitor(124, "OK")) }, unreadable,
		},
		"OfANumber": {
			"a state that is a number", byTags("a:b"),
			func(f *fake) { f.respondWith(`[{"id":1,"query":"q","type":"query alert","overall_state":5}]`) }, unreadable,
		},
		"NoStatus": {"the status is missing", byQuery("true"), func(f *fake) { f.respondWith(`{}`) }, unreadable},
		"BadPoints": {
			"invalid points", byQuery("true"),
			func(f *fake) { f.respondWith(`{"status":"ok","series":[{"pointlist":[[1]]}]}`) }, unreadable,
		},
		"BadSeries": {
			"invalid series", byQuery("true"), func(f *fake) { f.respondWith(`{"status":"ok","series":[{"pointlist":"x"}]}`) },
			unreadable,
		},
		"QueryError": {
			"the query failed", byQuery("true"),
			func(f *fake) { f.respondWith(`{"status":"error","error":"unknown function ` + testAppKey + `"}`) },
			"Datadog failed to run the query: unknown function [redacted]",
		},
		"Series": {
			"too many series", byQuery("true"), func(f *fake) { f.respondWith(queryResponse(many...)) },
			"the query returned more than 500 series or 10000 points: group by fewer tags, or shorten the window",
		},
		"Success": {
			"an invalid expression fails before the request", byQuery("series.size("),
			func(f *fake) { f.respondWithStatus(500) }, "success: Syntax error",
		},
		"Overrun": {
			"the expression does not fit the data", byQuery("series[5].last > 0"),
			func(f *fake) { f.respondWith(queryResponse(newSeries("a", 1.0))) },
			"success: a list has fewer entries than the condition asks for",
		},
		"NoSecret": {"the Secret is missing", byID(), func(f *fake) { clear(f.secrets) }, "Secret datadog does not exist"},
		"NoKey": {
			"a key is missing", byID(), func(f *fake) { f.secret("shop", "datadog", testAPIKey, "") },
			"Secret datadog has no key app-key, or it is empty",
		},
		"NotAllowed": {"the Secret does not allow it", byID(), func(f *fake) { f.secret("shop", "datadog", testAPIKey, testAppKey).Annotations = nil },
			"querying HOST: Secret datadog may not be sent to HOST without TLS: "},
		"NoRef": {
			"no Secret is named",
			v1alpha1.DatadogCheck{Query: "x", Success: "true", SecretRef: &corev1.LocalObjectReference{}}, func(*fake) {},
			"spec.datadog.secretRef is missing: name a Secret with the keys api-key and app-key",
		},
		"NoSource": {
			"no source is set", v1alpha1.DatadogCheck{}, func(*fake) {},
			"spec.datadog has no source: set monitorRef, monitorID, monitorTags or query",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.respondWith("{}")
			tc.set(f)
			s := subject(tc.check)
			timeout := v1alpha1.Duration("5s")
			if strings.Contains(tc.want, "50ms") {
				timeout = "50ms"
			}
			s.Check.Spec.Timeout = &timeout
			got, err := f.check(s)
			if err == nil {
				t.Fatalf("%s: got %v", tc.reason, got)
			}
			if message := strings.ReplaceAll(err.Error(), f.url.Host, "HOST"); !strings.HasPrefix(message, tc.want) {
				t.Errorf("%s:\ngot  %s\nwant %s", tc.reason, message, tc.want)
			}
		})
	}
}

const unreadable = "the response of HOST is not in the format of the Datadog API"

func TestARateLimitStopsRequests(t *testing.T) {
	f := newFake(t)
	f.respondWithStatus(429, "X-RateLimit-Reset", "30")
	f.secret("other", "keys", testAPIKey, testAppKey)
	f.secret("shop", "second", testAPIKey, "another app key")
	first := subject(byID())
	_, err := f.check(first)
	if err == nil {
		t.Fatal("got no error, want the rate limit")
	}
	later := func(s health.CheckInput, d time.Duration) health.CheckInput {
		s.Now = now.Add(d)
		return s
	}
	shared := subject(byID())
	shared.Check.Namespace, shared.Check.Spec.Datadog.SecretRef.Name = "other", "keys"
	id := int64(5)
	for what, s := range map[string]health.CheckInput{
		"the same check": later(first, 29*time.Second), "another monitor": later(
			subject(v1alpha1.DatadogCheck{MonitorID: &id}), 2*time.Second,
		),
		"the same keys of another namespace": later(shared, 3*time.Second),
	} {
		if _, again := f.check(s); again == nil || again.Error() != err.Error() || f.requests() != 1 {
			t.Errorf("%s: got %v after %d requests, want %v after 1", what, again, f.requests(), err)
		}
	}
	f.respondWith(newMonitor(123, "OK"))
	second := subject(byID())
	second.Check.Spec.Datadog.SecretRef.Name = "second"
	if got, err := f.check(second); err != nil || got.State != v1alpha1.HealthHealthy {
		t.Errorf("other keys: got %v, %v", got, err)
	}
	if got, err := f.check(later(first, 31*time.Second)); err != nil || got.State != v1alpha1.HealthHealthy {
		t.Errorf("after the limit: got %v, %v", got, err)
	}
}

func TestRateLimitsArePerEndpoint(t *testing.T) {
	f := newFake(t)
	f.respondWithStatus(429, "X-RateLimit-Reset", "30")
	if _, err := f.check(subject(byQuery("true"))); err == nil {
		t.Fatal("got no error, want the rate limit")
	}
	f.respondWith(newMonitor(123, "OK"))
	if got, err := f.check(subject(byID())); err != nil || got.State != v1alpha1.HealthHealthy {
		t.Errorf("another endpoint: got %v, %v", got, err)
	}
}

func TestConcurrentResponsesOfANamespaceAreLimited(t *testing.T) {
	f := newFake(t)
	f.secret("other", "datadog", testAPIKey, testAppKey)
	blocked, arrived := make(chan struct{}), make(chan struct{}, 20)
	f.handle(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-blocked
		w.WriteHeader(http.StatusInternalServerError)
	})
	var all sync.WaitGroup
	check := func(namespace string, i int64) {
		s := subject(v1alpha1.DatadogCheck{MonitorID: new(i), SecretRef: byID().SecretRef})
		s.Check.Namespace = namespace
		s.Check.Spec.Timeout = new(v1alpha1.Duration("30s"))
		all.Go(func() {
			if _, err := f.check(s); err == nil {
				t.Error("got no error")
			}
		})
	}
	for i := range int64(10) {
		check("shop", i+1)
	}
	for range responsesPerNamespace {
		<-arrived
	}
	check("other", 100)
	<-arrived // another namespace does not wait
	if n := f.requests(); n != responsesPerNamespace+1 {
		t.Errorf("got %d concurrent requests, want %d", n, responsesPerNamespace+1)
	}
	close(blocked)
	all.Wait()
}

func TestResultsAreShared(t *testing.T) {
	f := newFake(t)
	f.respondWith(newMonitor(123, "OK"))
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if got, err := f.check(subject(byID())); err != nil || got.State != v1alpha1.HealthHealthy {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
	all.Wait()
	if f.requests() != 1 {
		t.Fatalf("50 checks of one monitor made %d requests", f.requests())
	}
	f.respondWith(newMonitor(123, "Alert"))
	soon := subject(byID())
	soon.Now = now.Add(4 * time.Second)
	if got, err := f.check(soon); err != nil || got.State != v1alpha1.HealthHealthy {
		t.Errorf("a cached result: got %v, %v", got, err)
	}
	deployed := soon
	deployed.Release.Token = "another"
	if got, err := f.check(deployed); err != nil || got.State != v1alpha1.HealthUnhealthy {
		t.Errorf("after a deployment: got %v, %v", got, err)
	}
	later := subject(byID())
	later.Now = now.Add(5 * time.Second)
	if got, err := f.check(later); err != nil || got.State != v1alpha1.HealthUnhealthy {
		t.Errorf("an expired result: got %v, %v", got, err)
	}
	rotated := later
	f.secret("shop", "datadog", "another api key", "another app key")
	if _, err := f.check(rotated); err != nil || f.received[len(f.received)-1].Header.Get("DD-API-KEY") != "another api key" {
		t.Errorf("rotated keys: %v", err)
	}
}

func TestErrorsAreNotCached(t *testing.T) {
	f := newFake(t)
	f.respondWithStatus(500)
	if _, err := f.check(subject(byID())); err == nil {
		t.Fatal("got no error")
	}
	f.respondWith(newMonitor(123, "OK"))
	if got, err := f.check(subject(byID())); err != nil || got.State != v1alpha1.HealthHealthy {
		t.Errorf("after an error: got %v, %v", got, err)
	}
}

func TestWaitingForASharedRequestTimesOut(t *testing.T) {
	f := newFake(t)
	f.handle(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			s := subject(byID())
			timeout := v1alpha1.Duration("200ms")
			s.Check.Spec.Timeout = &timeout
			start := time.Now()
			_, err := f.check(s)
			if took := time.Since(start); took > time.Second || err == nil || err.Error() != "querying "+f.url.Host+": timed out after 200ms" {
				t.Errorf("got %v after %s", err, took)
			}
		})
	}
	all.Wait()
}
