package github

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	gh "github.com/google/go-github/v92/github"
)

func TestLongPayloads(t *testing.T) {
	t.Parallel()
	read := func(id, key, signature string) *payload {
		t.Helper()
		raw := fmt.Sprintf(`{"id":%q,"relationship":{"environment":"dev","type":%q},"version":{"tag":"v1"},"kuberik":{"key":%q,"signature":%q,"after":%s}}`,
			id, strings.Repeat("t", 1000), key, signature, jsonList(300, `"`+strings.Repeat("n", 120)+`"`))
		p, _, err := parsePayload(json.RawMessage(raw))
		if err != nil {
			return nil
		}
		return p
	}
	p := read("1", strings.Repeat("k", 128), strings.Repeat("s", 64))
	if p == nil || len(p.Kuberik.After) != maxAfter || cap(p.Kuberik.After) > 2*maxAfter || len(p.Kuberik.After[0]) > maxName || len(p.Relationship.Type) > maxName {
		t.Errorf("got %+v", p)
	}
	for name, p := range map[string]*payload{
		"key": read("1", strings.Repeat("k", 129), ""), "signature": read("1", "k", strings.Repeat("s", 65)), "number": read(strings.Repeat("0", 100)+"1", "k", ""),
	} {
		if p != nil {
			t.Errorf("a long %s was taken", name)
		}
	}
}

func TestLongWords(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 101)
	if loginOf(&gh.User{Login: &long}) != "" || loginOf(&gh.User{Login: new("kuberik")}) != "kuberik" || loginOf(nil) != "" {
		t.Error("a login that is too long is somebody's")
	}
	w, _ := parseWord("success", "Bake succeeded", "https://x/#kuberik:n=1&signature="+strings.Repeat("s", 65))
	if w.signature != "" || w.number != 1 {
		t.Errorf("got %+v", w)
	}
	if w, _ = parseWord("success", "Bake succeeded", "https://x/"+strings.Repeat("x", maxLogURL)+"#kuberik:n=1"); w.number != 0 {
		t.Errorf("got %+v", w)
	}
	var list []*gh.DeploymentStatus
	for id := range int64(100) {
		list = append(list, &gh.DeploymentStatus{
			ID: new(id + 1), State: new("success"), Description: new("Bake succeeded"), EnvironmentURL: new("https://x/" + strings.Repeat("x", 1000)),
		})
	}
	var r record
	r.hear(list, 20, time.Time{})
	linked := 0
	for _, s := range r.statuses {
		linked += min(len(s.url), 1)
	}
	if len(r.statuses) != 20 || r.statuses[0].id != 100 || r.statuses[0].url == "" || linked != 8 {
		t.Errorf("%d are kept, %d with links", len(r.statuses), linked)
	}
}

// newApplication makes an application of so many records.
func newApplication(f *friends, n int, of func(i int) (environment, creator string)) *application {
	r := &repository{apps: map[string]*application{}}
	app := r.application("kuberik/shop")
	for i := range n {
		environment, creator := of(i)
		app.add(&record{id: int64(i + 1), environment: environment, creator: creator})
	}
	app.prune(f, 0)
	return app
}

func TestPrune(t *testing.T) {
	t.Parallel()
	f := &friends{logins: map[string]bool{}}
	f.befriend("Kuberik", "their-bot")
	for name, tc := range map[string]struct {
		n                    int
		of                   func(int) (string, string)
		all, ours, strangers int
		environments         int
	}{
		"nobody is at another's cost": {n: 600, of: func(i int) (string, string) {
			return "staging", []string{"kuberik", "stranger", "stranger", "Stranger", "STRANGER", "their-bot"}[i%6]
		}, all: 300, ours: 200, strangers: 1, environments: 1},
		"many strangers": {n: 1000, of: func(i int) (string, string) {
			if i < 50 {
				return "staging", "KUBERIK"
			}
			return "staging", fmt.Sprintf("stranger-%d", i%50)
		}, all: 50 + 10*19, ours: 50, strangers: 10, environments: 1},
		"many environments": {n: 1000, of: func(i int) (string, string) {
			if i < 50 {
				return fmt.Sprintf("env-%d", i), "kuberik"
			}
			return fmt.Sprintf("env-%d", i), "stranger"
		}, all: 200, ours: 50, environments: 200},
		"many": {n: 20000, of: func(i int) (string, string) {
			if i < 1000 {
				return fmt.Sprintf("env-%d", i%20), "kuberik"
			}
			return fmt.Sprintf("env-%d", i%200), fmt.Sprintf("stranger-%d", i%1000)
		}, all: maxRecords - perPage, ours: 1000, strangers: 5, environments: 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := newApplication(f, tc.n, tc.of)
			ours, strangers := 0, map[string]bool{}
			for _, r := range app.records {
				if name := strings.ToLower(r.creator); name == "kuberik" || name == "their-bot" {
					ours++
				} else if r.environment == "staging" || r.environment == "env-199" {
					strangers[name] = true
				}
			}
			if len(app.records) != tc.all || ours != tc.ours || len(app.environments) != tc.environments || !app.dropped {
				t.Errorf("%d are kept, %d of them ours, in %d environments", len(app.records), ours, len(app.environments))
			}
			if len(strangers) > maxStrangers || tc.strangers > 0 && len(strangers) == 0 {
				t.Errorf("%d strangers in one environment", len(strangers))
			}
		})
	}
}

// TestPruneStays: what was just looked for is found, however old it is.
func TestPruneStays(t *testing.T) {
	t.Parallel()
	f := &friends{logins: map[string]bool{"kuberik": true}}
	app := newApplication(f, 0, nil)
	for i := range int64(maxRecords + 1) {
		app.add(&record{id: i + 1, environment: fmt.Sprintf("env-%d", i%50), creator: "kuberik"})
	}
	app.prune(f, 1)
	if app.records[1] == nil || app.records[51] != nil || len(app.records) != maxRecords-perPage {
		t.Errorf("%d are kept", len(app.records))
	}
}
