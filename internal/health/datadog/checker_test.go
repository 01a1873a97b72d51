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

// check asks, and fails if a key turns up in what is told.
func (f *fake) check(s health.Subject) (health.Report, error) {
	f.Helper()
	r, err := f.Check(f.Context(), s)
	if told := fmt.Sprint(r, err); strings.Contains(told, theAPIKey) || strings.Contains(told, theAppKey) {
		f.Errorf("a key is told: %s", told)
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
		if got, err := f.known(site); err != nil || got.String() != want {
			t.Errorf("%s: got %v, %v", site, got, err)
		}
	}
	if got, err := f.known("evil.example/"); err == nil {
		t.Errorf("got %v for what is no site", got)
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
		"OK":      {"OK is health", monitorIs(123, "OK"), health.Report{State: "Healthy", Message: label + "is OK"}},
		"Alert":   {"an alert is failure", monitorIs(123, "Alert"), health.Report{State: "Unhealthy", Message: label + "is in alert"}},
		"Warn":    {"a warning is no verdict", monitorIs(123, "Warn"), health.Report{State: "Pending", Message: label + "warns"}},
		"NoData":  {"what no data means is for the check to say", monitorIs(123, "No Data"), health.Report{State: "NoData", Message: label + "has no data"}},
		"Skipped": {"no verdict", monitorIs(123, "Skipped"), health.Report{State: "Pending", Message: label + "has no verdict: its state is Skipped"}},
		"Ignored": {"no verdict", monitorIs(123, "Ignored"), health.Report{State: "Pending", Message: label + "has no verdict: its state is Ignored"}},
		"Unknown": {"no verdict", monitorIs(123, "Unknown"), health.Report{State: "Pending", Message: label + "has no verdict: its state is Unknown"}},
		"NewState": {
			"a state that nobody knows is no verdict", `{"id":123,"name":"errors of hello","query":"q","type":"query alert","overall_state":"Melting"}`,
			health.Report{State: "Pending", Message: label + `is in a state that is not known: "Melting"`},
		},
		"NewType": {
			"a type that the client does not know is judged all the same", `{"id":123,"name":"errors of hello","query":"q","type":"new alert","overall_state":"OK"}`,
			health.Report{State: "Healthy", Message: label + "is OK"},
		},
		"NewFields": {
			"fields that the client does not know are no harm", `{"id":123,"name":"errors of hello","query":"q","type":"query alert","overall_state":"OK","new":[1]}`,
			health.Report{State: "Healthy", Message: label + "is OK"},
		},
		"NoState": {
			"a new monitor has no state", `{"id":123,"name":"errors of hello","query":"q","type":"query alert"}`,
			health.Report{State: "Pending", Message: label + "has no state yet"},
		},
		"Groups": {
			"the groups in alert are named, in one order",
			`{"id":123,"name":"errors of hello","query":"q","type":"query alert","overall_state":"Alert","state":{"groups":{
				"env:b":{"name":"env:b","status":"Alert"},"env:a":{"name":"env:a","status":"Alert"},"env:c":{"name":"env:c","status":"OK"}}}}`,
			health.Report{State: "Unhealthy", Message: label + "is in alert: env:a, env:b"},
		},
		"Deleted": {
			"a deleted monitor is not healthy",
			`{"id":123,"name":"errors of hello","query":"q","type":"query alert","overall_state":"OK","deleted":"2025-11-01T00:00:00Z"}`,
			health.Report{State: "Pending", Message: label + "is deleted"},
		},
		"Muted":      {"a muted monitor is not healthy", monitorIs(123, "OK", muted(from(past, future), "*")), health.Report{State: "Pending", Message: label + "is muted"}},
		"MutedAlert": {"nor is its alert a failure", monitorIs(123, "Alert", muted(from(past, 0), "*")), health.Report{State: "Pending", Message: label + "is muted"}},
		"MutedSimple": {
			"a monitor without groups is muted by any downtime", monitorIs(123, "OK", simple, muted(from(past, future), "env:prod")),
			health.Report{State: "Pending", Message: label + "is muted"},
		},
		"MutedInPart": {
			"its state speaks for the muted groups too", monitorIs(123, "OK", muted(from(past, future), "host:a")),
			health.Report{State: "Healthy", Message: label + "is OK"},
		},
		"MutedBefore":   {"a downtime that is over", monitorIs(123, "OK", muted(from(past-60, past), "*")), health.Report{State: "Healthy", Message: label + "is OK"}},
		"MutedLater":    {"a downtime to come", monitorIs(123, "OK", muted(from(future, 0), "*")), health.Report{State: "Healthy", Message: label + "is OK"}},
		"Silenced":      {"muted by the older option", monitorIs(123, "OK", silenced("*", 0)), health.Report{State: "Pending", Message: label + "is muted"}},
		"SilencedUntil": {"muted no more", monitorIs(123, "OK", silenced("*", past)), health.Report{State: "Healthy", Message: label + "is OK"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.says(tc.answer)
			got, err := f.check(subject(byID()))
			if diff := cmp.Diff(tc.want, got); err != nil || diff != "" {
				t.Errorf("%s: %v: -want +got:\n%s", tc.reason, err, diff)
			}
			f.wasAsked("/api/v1/monitor/123", url.Values{"with_downtimes": {"true"}})
		})
	}
}

// wasAsked makes sure that the one question was put as Datadog's API describes it.
func (f *fake) wasAsked(path string, query url.Values) {
	f.Helper()
	if len(f.asked) != 1 {
		f.Fatalf("asked %d times", len(f.asked))
	}
	r := f.asked[0]
	if r.URL.Path != path || !cmp.Equal(query, r.URL.Query()) {
		f.Errorf("asked %s for %v, want %s for %v", r.URL.Path, r.URL.Query(), path, query)
	}
	for header, want := range map[string]string{
		"DD-API-KEY": theAPIKey, "DD-APPLICATION-KEY": theAppKey, "Accept": "application/json", "Authorization": "",
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
		"None": {"nothing that could be well is no data", []datadogV1.Monitor{}, "", health.Report{State: "NoData", Message: "no monitor has the tags service:hello,team:shop"}},
		"OK": {
			"all are OK", []datadogV1.Monitor{monitorIs(1, "OK"), monitorIs(2, "OK")}, "", health.Report{State: "Healthy", Message: "all 2 monitors are OK"},
		},
		"One": {"the one is named", []datadogV1.Monitor{monitorIs(1, "OK")}, "", health.Report{State: "Healthy", Message: "monitor 1 (errors of hello) is OK"}},
		"Worst": {
			"an alert weighs most, and those in alert are named in one order",
			[]datadogV1.Monitor{monitorIs(3, "Alert"), monitorIs(2, "Warn"), monitorIs(1, "OK"), monitorIs(4, "No Data"), monitorIs(0x7, "Alert")}, "",
			health.Report{State: "Unhealthy", Message: "monitor 3 (errors of hello) is in alert; monitor 7 (errors of hello) is in alert"},
		},
		"Many": {
			"not all are named",
			[]datadogV1.Monitor{monitorIs(5, "Alert"), monitorIs(4, "Alert"), monitorIs(3, "Alert"), monitorIs(2, "Alert"), monitorIs(1, "Alert")}, "",
			health.Report{State: "Unhealthy", Message: "monitor 1 (errors of hello) is in alert; monitor 2 (errors of hello) is in alert; monitor 3 (errors of hello) is in alert; and 2 more"},
		},
		"Pending": {
			"no verdict weighs more than no data", []datadogV1.Monitor{monitorIs(1, "No Data"), monitorIs(2, "Warn"), monitorIs(3, "OK")}, "",
			health.Report{State: "Pending", Message: "monitor 2 (errors of hello) warns"},
		},
		"NoDataFails": {
			"unless no data is failure", []datadogV1.Monitor{monitorIs(1, "No Data"), monitorIs(2, "Warn"), monitorIs(3, "OK")}, v1alpha1.NoDataFail,
			health.Report{State: "NoData", Message: "monitor 1 (errors of hello) has no data"},
		},
		"Muted": {
			"a muted one holds", []datadogV1.Monitor{monitorIs(1, "OK"), monitorIs(2, "OK", mute)}, "",
			health.Report{State: "Pending", Message: "monitor 2 (errors of hello) is muted"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.says(tc.answer)
			s := subject(byTags("team:shop", "service:hello", "team:shop"))
			s.Check.Spec.NoData = tc.noData
			got, err := f.check(s)
			if diff := cmp.Diff(tc.want, got); err != nil || diff != "" {
				t.Errorf("%s: %v: -want +got:\n%s", tc.reason, err, diff)
			}
			f.wasAsked("/api/v1/monitor", url.Values{
				"monitor_tags": {"service:hello,team:shop"}, "with_downtimes": {"true"}, "page": {"0"}, "page_size": {"100"},
			})
		})
	}
}

func TestMonitorsOfSeveralPages(t *testing.T) {
	f := newFake(t)
	pages := 2
	f.with(func(w http.ResponseWriter, r *http.Request) {
		var list []datadogV1.Monitor
		var page int64
		fmt.Sscan(r.URL.Query().Get("page"), &page)
		for i := range int64(100) {
			if state := datadogV1.MONITOROVERALLSTATES_OK; int(page) < pages {
				if page == 1 && i == 99 {
					state = datadogV1.MONITOROVERALLSTATES_ALERT
				}
				list = append(list, monitorIs(1+page*100+i, state))
			}
		}
		f.write(w, append([]datadogV1.Monitor{}, list...))
	})
	got, err := f.check(subject(byTags("team:shop")))
	if err != nil || got.State != v1alpha1.HealthUnhealthy || f.requests() != 3 {
		t.Errorf("the last monitor of the second page is in alert: got %v, %v after %d requests", got, err, f.requests())
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
		"Holds":   {"success holds", graph(seriesOf("env:a", 0.5, 0.001), seriesOf("env:b", 0.002)), failing, health.Report{State: "Healthy", Message: "success holds"}},
		"Fails":   {"the values are named", graph(seriesOf("env:b", 0.5), seriesOf("env:a", 0.001)), failing, health.Report{State: "Unhealthy", Message: "success does not hold: env:a is 0.001, env:b is 0.5"}},
		"Points":  {"points are numbers", graph(seriesOf("env:a", 1.0, 2.0, 3.0)), "series[0].points.exists(p, p > 2) && size(series[0].points) == 3", health.Report{State: "Healthy", Message: "success holds"}},
		"Release": {"the release can be spoken of", graph(seriesOf("env:a", 1.0)), `release.tag == "1.2.3" && series[0].scope == "env:a"`, health.Report{State: "Healthy", Message: "success holds"}},
		"Empty":   {"no series is no data, whatever the expression makes of an empty list", graph(), failing, health.Report{State: "NoData", Message: "the query has no data in the last 5m0s"}},
		"Nulls":   {"nor are points without values data", graph(seriesOf("env:a", nil, nil)), failing, health.Report{State: "NoData", Message: "the query has no data in the last 5m0s"}},
		"Gaps":    {"the last value counts, not the last point", graph(seriesOf("env:a", 0.5, 0.001, nil)), failing, health.Report{State: "Healthy", Message: "success holds"}},
		"OneGone": {"a group without values is as one that is not there", graph(seriesOf("env:a", nil), seriesOf("env:b", 0.001)), "size(series) == 1", health.Report{State: "Healthy", Message: "success holds"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.says(tc.answer)
			s := subject(byQuery(tc.success))
			s.Release.Tag = "1.2.3"
			got, err := f.check(s)
			if diff := cmp.Diff(tc.want, got); err != nil || diff != "" {
				t.Errorf("%s: %v: -want +got:\n%s", tc.reason, err, diff)
			}
			f.wasAsked("/api/v1/query", url.Values{
				"query": {"avg:trace.http.request.errors{service:hello} by {env}"},
				"from":  {fmt.Sprint(now.Add(-5 * time.Minute).Unix())}, "to": {fmt.Sprint(now.Unix())},
			})
		})
	}
}

func TestQueryOfTheDeployment(t *testing.T) {
	window := v1alpha1.Duration("1h")
	ask := func(deployed time.Duration) (*fake, health.Report) {
		f := newFake(t)
		f.says(graph(seriesOf("env:a", 0.9, 0.9, 0.9, 0.001, 0.001))) // the newest three are of the last minute
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
	f, got := ask(2 * time.Hour)
	if got.State != v1alpha1.HealthUnhealthy || f.asked[0].URL.Query().Get("from") != fmt.Sprint(now.Add(-time.Hour).Unix()) {
		t.Errorf("the window counts for what was deployed before it: got %v for %v", got, f.asked[0].URL)
	}
	f, got = ask(50 * time.Second)
	if got.State != v1alpha1.HealthHealthy || f.asked[0].URL.Query().Get("from") != fmt.Sprint(now.Add(-50*time.Second).Unix()) {
		t.Errorf("points from before the deployment count: got %v for %v", got, f.asked[0].URL)
	}
	_, got = ask(10 * time.Second)
	if got.State != health.NoData || got.Message != "the query has no data since the deployment" {
		t.Errorf("nothing is known of what was deployed just now: got %v", got)
	}
	f, got = ask(0)
	if got.State != health.NoData || f.requests() != 0 {
		t.Errorf("a question about no time at all is put: got %v after %d requests", got, f.requests())
	}
}

func TestFaults(t *testing.T) {
	tooLong := strings.Repeat(" ", 5<<20)
	many := make([]datadogV1.MetricsQueryMetadata, 501)
	for i := range many {
		many[i] = seriesOf("x", 1.0)
	}
	cases := map[string]struct {
		reason string
		check  v1alpha1.DatadogCheck
		set    func(*fake)
		want   string
	}{
		"401": {"the keys are wrong", byID(), func(f *fake) { f.fails(401) },
			"Datadog refuses the keys of Secret datadog (401): both have to be of datadoghq.com, and the application key needs the permission monitors_read"},
		"403": {"a permission is missing", byTags("a:b"), func(f *fake) { f.fails(403) },
			"Datadog refuses the keys of Secret datadog (403): both have to be of datadoghq.com, and the application key needs the permission monitors_read"},
		"403Query": {"another permission is missing", byQuery("true"), func(f *fake) { f.fails(403) },
			"Datadog refuses the keys of Secret datadog (403): both have to be of datadoghq.com, and the application key needs the permission timeseries_query"},
		"404":      {"the monitor was deleted", byID(), func(f *fake) { f.fails(404) }, "monitor 123 does not exist"},
		"404Query": {"nothing that could be missing", byQuery("true"), func(f *fake) { f.fails(404) }, "HOST answered 404"},
		"400":      {"what is wrong with the query is told", byQuery("true"), func(f *fake) { f.fails(400) }, "Datadog refuses the question: no good: [redacted] [redacted]"},
		"429":      {"Datadog says how long", byID(), func(f *fake) { f.fails(429, "X-RateLimit-Reset", "30") }, "Datadog limits requests until 2025-11-22T10:00:31Z"},
		"429Other": {"or a proxy says", byID(), func(f *fake) { f.fails(429, "Retry-After", "Sat, 22 Nov 2025 10:05:00 GMT") }, "Datadog limits requests until 2025-11-22T10:05:01Z"},
		"429None":  {"or nobody", byID(), func(f *fake) { f.fails(429) }, "Datadog limits requests until 2025-11-22T10:01:01Z"},
		"429Ever":  {"or too long", byID(), func(f *fake) { f.fails(429, "X-RateLimit-Reset", "1e300") }, "Datadog limits requests until 2025-11-22T11:00:01Z"},
		"500":      {"Datadog is broken", byID(), func(f *fake) { f.fails(500) }, "HOST answered 500"},
		"302":      {"a redirect is not followed", byID(), func(f *fake) { f.fails(302, "Location", "http://169.254.169.254/") }, "HOST answered 302"},
		"Bomb": {"the answer takes more memory than text", byQuery("true"), func(f *fake) {
			f.with(func(w http.ResponseWriter, _ *http.Request) {
				w.Write([]byte(`{"series":[` + strings.Repeat("{},", mostValues) + `{}]}`))
			})
		}, "asking HOST: answer holds more than 50000 objects and lists"},
		"TimeOut": {"Datadog is slow", byID(), func(f *fake) {
			f.with(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		}, "asking HOST: timed out after 50ms"},
		"Drip": {"Datadog stops in the middle of the answer", byID(), func(f *fake) {
			f.with(func(w http.ResponseWriter, r *http.Request) {
				w.Write([]byte(`{"id":`))
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			})
		}, "asking HOST: timed out after 50ms"},
		"Reset": {"the connection breaks", byID(), func(f *fake) { f.with(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }) },
			"asking HOST: connection closed without an answer"},
		"Huge":       {"the answer is too long", byTags("a:b"), func(f *fake) { f.says("[" + tooLong + "]") }, "asking HOST: answer is larger than 2 MiB"},
		"Malformed":  {"no JSON", byID(), func(f *fake) { f.says(`{"id": `) }, unreadable},
		"HTML":       {"a page of a proxy", byQuery("true"), func(f *fake) { f.says(`<html>`) }, unreadable},
		"Nothing":    {"an empty body is no empty list", byTags("a:b"), func(f *fake) { f.says(``) }, unreadable},
		"Null":       {"nor is null", byTags("a:b"), func(f *fake) { f.says(`null`) }, unreadable},
		"NullQuery":  {"nor is null a graph", byQuery("true"), func(f *fake) { f.says(`null`) }, unreadable},
		"NoMonitor":  {"an object that is no monitor", byID(), func(f *fake) { f.says(`{"overall_state":"OK"}`) }, unreadable},
		"Other":      {"another monitor than was asked for", byID(), func(f *fake) { f.says(monitorIs(124, "OK")) }, unreadable},
		"OfANumber":  {"a state that is a number", byTags("a:b"), func(f *fake) { f.says(`[{"id":1,"query":"q","type":"query alert","overall_state":5}]`) }, unreadable},
		"NoStatus":   {"a graph that does not say that it is one", byQuery("true"), func(f *fake) { f.says(`{}`) }, unreadable},
		"BadPoints":  {"points that are none", byQuery("true"), func(f *fake) { f.says(`{"status":"ok","series":[{"pointlist":[[1]]}]}`) }, unreadable},
		"BadSeries":  {"series that are none", byQuery("true"), func(f *fake) { f.says(`{"status":"ok","series":[{"pointlist":"x"}]}`) }, unreadable},
		"QueryError": {"the query failed", byQuery("true"), func(f *fake) { f.says(`{"status":"error","error":"unknown function ` + theAppKey + `"}`) }, "Datadog could not answer the query: unknown function [redacted]"},
		"Series":     {"too many series", byQuery("true"), func(f *fake) { f.says(graph(many...)) }, "the query has more than 500 series or 10000 points: group by fewer tags, or shorten the window"},
		"Success":    {"a broken expression is found before anybody is asked", byQuery("series.size("), func(f *fake) { f.fails(500) }, "success: Syntax error"},
		"Overrun":    {"the expression does not fit the data", byQuery("series[5].last > 0"), func(f *fake) { f.says(graph(seriesOf("a", 1.0))) }, "success: a list has fewer entries than the condition asks for"},
		"NoSecret":   {"the Secret is missing", byID(), func(f *fake) { clear(f.secrets) }, "Secret datadog does not exist"},
		"NoKey":      {"a key is missing", byID(), func(f *fake) { f.secret("shop", "datadog", theAPIKey, "") }, "Secret datadog has no key app-key, or it is empty"},
		"NotAllowed": {"the Secret does not allow it", byID(), func(f *fake) { f.secret("shop", "datadog", theAPIKey, theAppKey).Annotations = nil },
			"asking HOST: Secret datadog may not be sent to HOST without TLS: "},
		"NoRef":    {"no Secret is named", v1alpha1.DatadogCheck{Query: "x", Success: "true", APIKeyFrom: &corev1.LocalObjectReference{}}, func(*fake) {}, "spec.datadog.apiKeyFrom is missing: name a Secret with the keys api-key and app-key"},
		"Nothing2": {"no source is named", v1alpha1.DatadogCheck{}, func(*fake) {}, "spec.datadog names neither a monitor nor a query"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.says("{}")
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

const unreadable = "the answer of HOST cannot be read: it is not what Datadog's API describes"

func TestALimitIsRespected(t *testing.T) {
	f := newFake(t)
	f.fails(429, "X-RateLimit-Reset", "30")
	f.secret("other", "keys", theAPIKey, theAppKey)
	f.secret("shop", "second", theAPIKey, "another app key")
	first := subject(byID())
	_, err := f.check(first)
	if err == nil {
		t.Fatal("the limit is not told")
	}
	later := func(s health.Subject, d time.Duration) health.Subject {
		s.Now = now.Add(d)
		return s
	}
	shared := subject(byID())
	shared.Check.Namespace, shared.Check.Spec.Datadog.APIKeyFrom.Name = "other", "keys"
	id := int64(5)
	for what, s := range map[string]health.Subject{
		"the same check": later(first, 29*time.Second), "another monitor": later(subject(v1alpha1.DatadogCheck{MonitorID: &id}), 2*time.Second),
		"the same keys of another namespace": later(shared, 3*time.Second),
	} {
		if _, again := f.check(s); again == nil || again.Error() != err.Error() || f.requests() != 1 {
			t.Errorf("%s: got %v after %d requests, want %v after 1", what, again, f.requests(), err)
		}
	}
	f.says(monitorIs(123, "OK"))
	second := subject(byID())
	second.Check.Spec.Datadog.APIKeyFrom.Name = "second"
	if got, err := f.check(second); err != nil || got.State != v1alpha1.HealthHealthy {
		t.Errorf("other keys are not limited: got %v, %v", got, err)
	}
	if got, err := f.check(later(first, 31*time.Second)); err != nil || got.State != v1alpha1.HealthHealthy {
		t.Errorf("the limit is over: got %v, %v", got, err)
	}
}

func TestLimitsAreOfTheirEndpoint(t *testing.T) {
	f := newFake(t)
	f.fails(429, "X-RateLimit-Reset", "30")
	if _, err := f.check(subject(byQuery("true"))); err == nil {
		t.Fatal("the limit is not told")
	}
	f.says(monitorIs(123, "OK"))
	if got, err := f.check(subject(byID())); err != nil || got.State != v1alpha1.HealthHealthy {
		t.Errorf("monitors are not limited: got %v, %v", got, err)
	}
}

// TestAnswersOfANamespaceAreFewAtOnce: whoever writes queries decides how much comes back, and how many ask at once.
func TestAnswersOfANamespaceAreFewAtOnce(t *testing.T) {
	f := newFake(t)
	f.secret("other", "datadog", theAPIKey, theAppKey)
	held, arrived := make(chan struct{}), make(chan struct{}, 20)
	f.with(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-held
		w.WriteHeader(http.StatusInternalServerError)
	})
	var all sync.WaitGroup
	ask := func(namespace string, i int64) {
		s := subject(v1alpha1.DatadogCheck{MonitorID: new(i), APIKeyFrom: byID().APIKeyFrom})
		s.Check.Namespace = namespace
		s.Check.Spec.Timeout = new(v1alpha1.Duration("30s"))
		all.Go(func() {
			if _, err := f.check(s); err == nil {
				t.Error("there is an answer")
			}
		})
	}
	for i := range int64(10) {
		ask("shop", i+1)
	}
	for range answersAtOnce {
		<-arrived
	}
	ask("other", 100)
	<-arrived // another namespace does not wait
	if n := f.requests(); n != answersAtOnce+1 {
		t.Errorf("%d answers are read at once", n)
	}
	close(held)
	all.Wait()
}

func TestAnswersAreShared(t *testing.T) {
	f := newFake(t)
	f.says(monitorIs(123, "OK"))
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
	f.says(monitorIs(123, "Alert"))
	soon := subject(byID())
	soon.Now = now.Add(4 * time.Second)
	if got, err := f.check(soon); err != nil || got.State != v1alpha1.HealthHealthy {
		t.Errorf("an answer counts for some seconds: got %v, %v", got, err)
	}
	deployed := soon
	deployed.Release.Token = "another"
	if got, err := f.check(deployed); err != nil || got.State != v1alpha1.HealthUnhealthy {
		t.Errorf("an answer from before a deployment counts for it: got %v, %v", got, err)
	}
	later := subject(byID())
	later.Now = now.Add(5 * time.Second)
	if got, err := f.check(later); err != nil || got.State != v1alpha1.HealthUnhealthy {
		t.Errorf("an answer counts no longer: got %v, %v", got, err)
	}
	rotated := later
	f.secret("shop", "datadog", "another api key", "another app key")
	if _, err := f.check(rotated); err != nil || f.asked[len(f.asked)-1].Header.Get("DD-API-KEY") != "another api key" {
		t.Errorf("keys that were rotated are not used: %v", err)
	}
}

func TestFailuresAreNotShared(t *testing.T) {
	f := newFake(t)
	f.fails(500)
	if _, err := f.check(subject(byID())); err == nil {
		t.Fatal("the failure is not told")
	}
	f.says(monitorIs(123, "OK"))
	if got, err := f.check(subject(byID())); err != nil || got.State != v1alpha1.HealthHealthy {
		t.Errorf("a failure is remembered: got %v, %v", got, err)
	}
}

func TestWhoWaitsForAnAnswerEndsInTime(t *testing.T) {
	f := newFake(t)
	f.with(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			s := subject(byID())
			timeout := v1alpha1.Duration("200ms")
			s.Check.Spec.Timeout = &timeout
			start := time.Now()
			_, err := f.check(s)
			if took := time.Since(start); took > time.Second || err == nil || err.Error() != "asking "+f.url.Host+": timed out after 200ms" {
				t.Errorf("got %v after %s", err, took)
			}
		})
	}
	all.Wait()
}
