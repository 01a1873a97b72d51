package github

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	gh "github.com/google/go-github/v92/github"
)

func repeated(n int, one string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + "]"
}

func TestLongPayloads(t *testing.T) {
	t.Parallel()
	read := func(id, key, signature string) *payload {
		t.Helper()
		raw := fmt.Sprintf(
			`{"id":%q,"relationship":{"environment":"dev","type":%q},"version":{"tag":"v1"},"kuberik":{"key":%q,"signature":%q,"after":%s}}`,
			id, strings.Repeat("t", 1000), key, signature, repeated(300, `"`+strings.Repeat("n", 120)+`"`),
		)
		p, _, err := parsePayload(json.RawMessage(raw))
		if err != nil {
			return nil
		}
		return p
	}
	p := read("1", strings.Repeat("k", 128), strings.Repeat("s", 64))
	if p == nil || len(p.Kuberik.After) != maxAfter || cap(p.Kuberik.After) > 2*maxAfter ||
		len(p.Kuberik.After[0]) > maxName ||
		len(p.Relationship.Type) > maxName {
		t.Errorf("got %+v", p)
	}
	for name, p := range map[string]*payload{
		"key": read("1", strings.Repeat("k", 129), ""), "signature": read("1", "k", strings.Repeat("s", 65)),
		"number": read(strings.Repeat("0", 100)+"1", "k", ""),
	} {
		if p != nil {
			t.Errorf("a long %s was accepted", name)
		}
	}
}

func TestLongReports(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 101)
	if loginOf(&gh.User{Login: &long}) != "" || loginOf(&gh.User{Login: new("kuberik")}) != "kuberik" ||
		loginOf(nil) != "" {
		t.Error("a login that is too long is accepted")
	}
	w, _ := parseReport("success", "Bake succeeded", "https://x/#kuberik:n=1&signature="+strings.Repeat("s", 65))
	if w.signature != "" || w.number != 1 {
		t.Errorf("got %+v", w)
	}
	w, _ = parseReport("success", "Bake succeeded", "https://x/"+strings.Repeat("x", maxLogURL)+"#kuberik:n=1")
	if w.number != 0 {
		t.Errorf("got %+v", w)
	}
	var statuses []*gh.DeploymentStatus
	for id := range int64(100) {
		statuses = append(statuses, &gh.DeploymentStatus{
			ID: new(id + 1), State: new("success"), Description: new("Bake succeeded"),
			EnvironmentURL: new("https://x/" + strings.Repeat("x", 1000)),
		})
	}
	var r record
	r.setStatuses(statuses, 20, time.Time{})
	linked := 0
	for _, s := range r.statuses {
		linked += min(len(s.url), 1)
	}
	if len(r.statuses) != 20 || r.statuses[0].id != 100 || r.statuses[0].url == "" || linked != 8 {
		t.Errorf("%d are cached, %d with links", len(r.statuses), linked)
	}
}

// TestRecordsAreBounded: the deployments of one login in one environment do not displace others.
func TestRecordsAreBounded(t *testing.T) {
	t.Parallel()
	trusted := map[string]bool{"kuberik": true, "their-bot": true}
	for name, tc := range map[string]struct {
		n         int
		of        func(int) (environment, creator string)
		all, ours int
		forgotten bool
	}{
		"two trusted logins": {n: 600, of: func(i int) (string, string) {
			return "staging", []string{"kuberik", "mallory", "mallory", "Mallory", "MALLORY", "Their-Bot"}[i%6]
		}, all: 300, ours: 200, forgotten: true},
		"many untrusted logins": {n: 1000, of: func(i int) (string, string) {
			if i < 50 {
				return "staging", "KUBERIK"
			}
			return "staging", fmt.Sprintf("mallory-%d", i)
		}, all: 150, ours: 50, forgotten: true},
		"many environments": {n: 1000, of: func(i int) (string, string) {
			if i < 50 {
				return fmt.Sprintf("env-%d", i), "kuberik"
			}
			return fmt.Sprintf("env-%d", i), "mallory"
		}, all: 150, ours: 50, forgotten: true},
		"a busy environment": {n: 5000, of: func(i int) (string, string) {
			if i < 10 {
				return "production", "kuberik"
			}
			return "dev", "kuberik"
		}, all: 110, ours: 110},
		"all": {n: 20000, of: func(i int) (string, string) {
			return fmt.Sprintf("env-%d", i%400), []string{"kuberik", "their-bot"}[i%2]
		}, all: maxRecords, ours: maxRecords},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := newApplication("kuberik/shop")
			for i := range tc.n {
				r := &record{id: int64(i + 1)}
				r.environment, r.creator = tc.of(i)
				r.writer = writerOf(r, trusted)
				app.add(r)
				if app.records[r.id] == nil {
					t.Fatalf("deployment %d was dropped at once", r.id)
				}
			}
			ours := 0
			for _, r := range app.records {
				if r.writer != untrusted {
					ours++
				}
			}
			if len(app.records) != tc.all || ours != tc.ours || app.forgotten != tc.forgotten {
				t.Errorf("%d are cached, %d of them by trusted logins, forgotten is %t", len(app.records), ours, app.forgotten)
			}
		})
	}
}

// TestAdoptedDeploymentStays: a deployment that was just looked up is cached, however old it is.
func TestAdoptedDeploymentStays(t *testing.T) {
	t.Parallel()
	app := newApplication("kuberik/shop")
	for i := range int64(2 * maxPerWriter) {
		app.add(&record{id: i + 2, writer: writer{"staging", "kuberik"}})
	}
	app.add(&record{id: 1, writer: writer{"staging", "kuberik"}})
	if app.records[1] == nil || len(app.records) != maxPerWriter {
		t.Errorf("%d are cached", len(app.records))
	}
}
