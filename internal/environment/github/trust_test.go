package github_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/github"
)

// call makes a request as any user could, and returns the response.
func (b *bench) call(t *testing.T, login, method, path string, body any) []byte {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, b.url+"/repos/"+project+path, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	b.AddToken("token-of-"+login, login)
	req.Header.Set("Authorization", "Bearer token-of-"+login)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	response, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %v", method, path, response, err)
	}
	return response
}

// shown is a deployment or a status as the API shows it.
type shown struct {
	ID      int64  `json:"id"`
	Ref     string `json:"ref"`
	Task    string `json:"task"`
	Env     string `json:"environment"`
	Text    string `json:"description"`
	Payload any    `json:"payload"`
	Prod    bool   `json:"production_environment"`

	State  string `json:"state"`
	EnvURL string `json:"environment_url"`
	LogURL string `json:"log_url"`
}

func (b *bench) list(t *testing.T, path string) (list []shown) {
	t.Helper()
	if err := json.Unmarshal(b.call(t, "anybody", http.MethodGet, path, nil), &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// public creates a deployment and its status as the public controllers do: the payload is a string in base64.
func (b *bench) public(t *testing.T, login, env, payload, statusState, text string) int64 {
	t.Helper()
	var made shown
	err := json.Unmarshal(b.call(t, login, http.MethodPost, "/deployments", map[string]any{
		"ref": "0000000000000000000000000000000000000001", "task": "deploy:kuberik/shop",
		"environment": "kuberik/shop/" + env,
		"description": "by another controller", "auto_merge": false, "required_contexts": []string{},
		"payload": base64.StdEncoding.EncodeToString([]byte(payload)),
	}), &made)
	if err != nil {
		t.Fatal(err)
	}
	if statusState != "" {
		b.status(t, login, made.ID, statusState, text, "")
	}
	return made.ID
}

func (b *bench) status(t *testing.T, login string, id int64, state, text, logURL string) {
	t.Helper()
	b.call(
		t, login, http.MethodPost, fmt.Sprintf("/deployments/%d/statuses", id),
		map[string]any{"state": state, "description": text, "log_url": logURL},
	)
}

const theirs = `{"id":"7","relationship":{"environment":"dev","type":"After"},"version":{"tag":"v1.7.0","revision":"0000000000000000000000000000000000000001"}}`

// TestWireFormat checks exactly what the public controller reads.
func TestWireFormat(t *testing.T) {
	b := newBench(t)
	s := environment.State{
		Application: "shop", Environment: "production", After: []string{"staging", "qa"}, URL: "https://kuberik.example.com/",
	}
	d := deployment(3, v1alpha1.BakeSucceeded)
	d.Message, d.StateMessage, d.AvailableSince = "Deployed 3", "all well", d.At.Add(time.Hour)
	d.Version.Revision = new("main@sha1:0123456789012345678901234567890123456789")
	s.Deployments = []environment.Deployment{d}
	publish(t, b.backend(t, b.options("kuberik")), s)
	got := b.list(t, "/deployments")
	if len(got) != 1 {
		t.Fatalf("got %+v", got)
	}
	want := shown{
		ID: got[0].ID, Ref: "0123456789012345678901234567890123456789", Task: "deploy:kuberik/shop",
		Env: "kuberik/shop/production", Text: "Deployed 3", Prod: true,
		Payload: map[string]any{
			"id": "3", "relationship": map[string]any{"environment": "staging", "type": "After"},
			"version": map[string]any{"tag": "v1.3.0", "revision": "main@sha1:0123456789012345678901234567890123456789"},
			"kuberik": map[string]any{"key": "uid-1/3", "after": []any{"staging", "qa"}, "at": "2026-03-01T11:03:00Z"},
		},
	}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Errorf("the deployment (-want +got):\n%s", diff)
	}
	for _, tc := range []struct {
		change      func(*environment.Deployment)
		state, text string
	}{
		{func(*environment.Deployment) {}, "success", "Bake succeeded: all well"},
		{
			func(d *environment.Deployment) { d.Quarantine = "loses orders" }, "failure",
			"Bake failed: quarantined: loses orders",
		},
		{
			func(d *environment.Deployment) { d.State, d.Quarantine = v1alpha1.BakeFailed, "" }, "failure",
			"Bake failed: all well",
		},
		{
			func(d *environment.Deployment) { d.State = v1alpha1.BakeInProgress }, "in_progress", "Baking in progress: all well",
		},
		{
			func(d *environment.Deployment) { d.State, d.StateMessage = v1alpha1.BakeDeploying, "" }, "in_progress", "Deploying",
		},
		{func(d *environment.Deployment) { d.State = v1alpha1.BakeCancelled }, "inactive", "Bake cancelled"},
	} {
		tc.change(&s.Deployments[0])
		publish(t, b.backend(t, b.options("kuberik")), s)
		st := b.list(t, fmt.Sprintf("/deployments/%d/statuses", want.ID))[0]
		if st.State != tc.state || st.Text != tc.text || st.EnvURL != s.URL ||
			!strings.Contains(st.LogURL, "/octo-org/shop/deployments#kuberik:") {
			t.Errorf("the status is %+v, want %s %q", st, tc.state, tc.text)
		}
	}
}

// TestPublicControllers: their deployments are evidence if they are trusted, and are read correctly.
func TestPublicControllers(t *testing.T) {
	b := newBench(t)
	b.public(
		t, "their-bot", "dev", `{"id":"1","version":{"tag":"v1.6.0","revision":"0000000000000000000000000000000000000001"}}`,
		"success", "Bake succeeded",
	)
	b.clock.Step(time.Minute)
	id := b.public(t, "their-bot", "dev", theirs, "in_progress", "Baking in progress: 3m left")
	b.clock.Step(time.Minute)
	for _, junk := range []string{`{}`, `null`, `{"id":"x","version":{"tag":"v1"}}`, `{"id":"1","version":{"tag":"-bad"}}`, `{"id":"1"}`, `[]`, `x`} {
		b.public(t, "their-bot", "dev", junk, "success", "Bake succeeded")
	}
	o := b.options("kuberik")
	o.TrustedActors = []string{"Their-Bot"}
	backend := b.backend(t, o)
	b.status(t, "their-bot", id, "success", "Bake succeeded: fine", "")
	b.status(t, "their-bot", id, "inactive", "", "")
	b.status(t, "ci", id, "failure", "Tests failed", "")
	rev := "0000000000000000000000000000000000000001"
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	message := "by another controller"
	want := []environment.State{
		{Application: "shop", Environment: "dev", After: []string{"dev"}, Deployments: []environment.Deployment{
			{
				ID: 7, Version: v1alpha1.VersionInfo{Tag: "v1.7.0", Revision: &rev}, Message: message,
				State: v1alpha1.BakeSucceeded, StateMessage: "fine", At: at.Add(time.Minute),
				AvailableSince: at.Add(2 * time.Minute),
			},
			{
				ID: 1, Version: v1alpha1.VersionInfo{Tag: "v1.6.0", Revision: &rev}, Message: message,
				State: v1alpha1.BakeSucceeded, At: at, AvailableSince: at,
			},
		}},
	}
	if diff := cmp.Diff(want, read(t, backend).Environments, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// With a signature key, their deployments have to be signed as well, unless the login may be unsigned.
	for unsigned, want := range map[string]bool{"": true, "their-bot": false} {
		o.SignatureKey, o.UnsignedActors = key, []string{unsigned}
		s, _ := read(t, b.backend(t, o)).Find("dev")
		if got := s.Deployments[0].UntrustedReason != ""; got != want {
			t.Errorf("unsigned actors %q: the reason is %q", unsigned, s.Deployments[0].UntrustedReason)
		}
	}
}

func TestDeploymentsOfAReplacedControllerAreAdopted(t *testing.T) {
	b := newBench(t)
	b.public(t, "kuberik", "dev", theirs, "in_progress", "Deploying")
	d := environment.Deployment{
		Key: "uid-1/7", ID: 7, State: v1alpha1.BakeSucceeded, At: b.clock.Now(),
		Version: v1alpha1.VersionInfo{Tag: "v1.7.0", Revision: new("0000000000000000000000000000000000000001")},
	}
	publish(t, b.backend(t, b.options("kuberik")), state("dev", d))
	if n := len(b.list(t, "/deployments")); n != 1 {
		t.Errorf("there are %d deployments", n)
	}
	d.Version.Tag = "v1.7.1"
	publish(t, b.backend(t, b.options("kuberik")), state("dev", d))
	if n := len(b.list(t, "/deployments")); n != 2 {
		t.Errorf("another version: there are %d deployments", n)
	}
}

// TestStolenCredentialsForgeNothing: with a signature key, credentials alone promote nothing. The attacker has stolen ours,
// and repeats our writes.
func TestStolenCredentialsForgeNothing(t *testing.T) {
	signed := func(b *bench) github.Options {
		o := b.options("kuberik")
		o.SignatureKey = key
		return o
	}
	first := func(t *testing.T, b *bench) (shown, []shown) {
		t.Helper()
		d := b.list(t, "/deployments")[0]
		return d, b.list(t, fmt.Sprintf("/deployments/%d/statuses", d.ID))
	}
	copied := func(t *testing.T, b *bench, change func(*shown)) {
		t.Helper()
		d, _ := first(t, b)
		change(&d)
		var made shown
		if err := json.Unmarshal(b.call(t, "kuberik", http.MethodPost, "/deployments", map[string]any{
			"ref": d.Ref, "task": d.Task, "environment": d.Env, "payload": d.Payload, "required_contexts": []string{},
		}), &made); err != nil {
			t.Fatal(err)
		}
		b.status(t, "kuberik", made.ID, "success", "Bake succeeded", "")
	}
	for name, attack := range map[string]func(*testing.T, *bench){
		"an unsigned status": func(t *testing.T, b *bench) {
			t.Helper()
			d, _ := first(t, b)
			b.status(t, "kuberik", d.ID, "success", "Bake succeeded", "")
		},
		"the signature of another status": func(t *testing.T, b *bench) {
			t.Helper()
			d, said := first(t, b)
			b.status(t, "kuberik", d.ID, "success", "Bake succeeded", said[0].LogURL)
		},
		"an old status again": func(t *testing.T, b *bench) {
			t.Helper()
			d, said := first(t, b)
			old := said[len(said)-1]
			b.status(t, "kuberik", d.ID, old.State, old.Text, old.LogURL)
		},
		"another environment": func(t *testing.T, b *bench) {
			t.Helper()
			copied(t, b, func(d *shown) { d.Env = "kuberik/shop/production" })
		},
		"another version": func(t *testing.T, b *bench) {
			t.Helper()
			copied(t, b, func(d *shown) {
				d.Payload.(map[string]any)["version"] = map[string]any{"tag": "v6.6.6", "revision": d.Ref}
			})
		},
		"another key": func(t *testing.T, b *bench) {
			t.Helper()
			copied(t, b, func(d *shown) { d.Payload.(map[string]any)["kuberik"].(map[string]any)["key"] = "uid-6/6" })
		},
		"no signature": func(t *testing.T, b *bench) {
			t.Helper()
			copied(t, b, func(d *shown) { delete(d.Payload.(map[string]any), "kuberik") })
		},
		"another application": func(t *testing.T, b *bench) {
			t.Helper()
			copied(t, b, func(d *shown) { d.Task, d.Env = "deploy:kuberik/other", "kuberik/other/staging" })
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			ours := b.backend(t, signed(b))
			// It succeeded, and failed when it was run again.
			d := deployment(1, v1alpha1.BakeSucceeded)
			publish(t, ours, state("staging", d))
			d.State, d.Attempt = v1alpha1.BakeFailed, d.At.Add(time.Hour)
			publish(t, ours, state("staging", d))
			attack(t, b)
			for _, app := range []string{"shop", "other"} {
				snapshot, err := b.backend(t, signed(b)).Read(t.Context(), app)
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range snapshot.Environments {
					for _, d := range s.Deployments {
						if d.State == v1alpha1.BakeSucceeded && d.UntrustedReason == "" {
							t.Errorf("the forgery is evidence: %s %+v", s.Environment, d)
						}
					}
				}
			}
			// Nor does it keep us from publishing.
			d.State, d.Attempt = v1alpha1.BakeSucceeded, d.At.Add(2*time.Hour)
			b.clock.Step(time.Hour)
			publish(t, b.backend(t, signed(b)), state("staging", d))
			snapshot := read(t, b.backend(t, signed(b)))
			s, _ := snapshot.Find("staging")
			evidence := false
			for _, d := range s.Deployments {
				evidence = evidence ||
					d.State == v1alpha1.BakeSucceeded && d.UntrustedReason == "" && d.Attempt.Equal(d.At.Add(2*time.Hour))
			}
			if !evidence {
				t.Errorf("ours is returned as %+v", s)
			}
		})
	}
}

func TestSignatureWithAnotherKeyIsInvalid(t *testing.T) {
	b := newBench(t)
	o := b.options("kuberik")
	o.SignatureKey = key
	publish(t, b.backend(t, o), succeeded(1))
	o.SignatureKey = bytes.Repeat([]byte("x"), 32)
	if s, _ := read(t, b.backend(t, o)).Find("staging"); s.Deployments[0].UntrustedReason == "" {
		t.Error("a deployment that was signed with another key is evidence")
	}
}

// TestTwoReporters: another trusted login reports about our deployment, as the public controller does while it is
// replaced. The last report counts, and none is repeated.
func TestTwoReporters(t *testing.T) {
	b := newBench(t)
	o := b.options("kuberik")
	o.TrustedActors = []string{"their-bot"}
	d := deployment(1, v1alpha1.BakeDeploying)
	for _, s := range []v1alpha1.BakeStatus{v1alpha1.BakeDeploying, v1alpha1.BakeInProgress} {
		d.State = s
		publish(t, b.backend(t, o), state("dev", d))
	}
	id := b.list(t, "/deployments")[0].ID
	last := func() environment.Deployment {
		t.Helper()
		s, _ := read(t, b.backend(t, o)).Find("dev")
		return s.Deployments[0]
	}
	b.status(t, "their-bot", id, "failure", "Bake failed: by the other", "")
	if got := last(); got.State != v1alpha1.BakeFailed {
		t.Errorf("the last report is that of the other login, got %+v", got)
	}
	d.State = v1alpha1.BakeSucceeded
	publish(t, b.backend(t, o), state("dev", d))
	if got := last(); got.State != v1alpha1.BakeSucceeded {
		t.Errorf("the last report is ours, got %+v", got)
	}
	before := b.Writes()
	publish(t, b.backend(t, o), state("dev", d))
	if b.Writes() != before {
		t.Error("the report was repeated")
	}
}
