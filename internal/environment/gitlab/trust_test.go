package gitlab_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment/remote"
)

// TestTrust: whose records are evidence, with and without a key.
func TestTrust(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		writer, reader func(*remote.Options)
		edit           bool
		reason         string
	}{
		"mallory": {reason: "not trusted"},
		"trusted": {reader: func(o *remote.Options) { o.TrustedActors = []string{"Peer"} }},
		"unsigned": {
			reader: func(o *remote.Options) { o.TrustedActors, o.SignatureKey = []string{"peer"}, key },
			reason: "without the right signature",
		},
		"allowed unsigned": {reader: func(o *remote.Options) { o.UnsignedActors, o.SignatureKey = []string{"peer"}, key }},
		"only a signature": {
			writer: func(o *remote.Options) { o.SignatureKey = key }, reader: func(o *remote.Options) { o.SignatureKey = key },
			reason: "not trusted",
		},
		"signed": {
			writer: func(o *remote.Options) { o.SignatureKey = key },
			reader: func(o *remote.Options) { o.TrustedActors, o.SignatureKey = []string{"peer"}, key },
		},
		"signed and edited": {
			writer: func(o *remote.Options) { o.SignatureKey = key },
			reader: func(o *remote.Options) { o.TrustedActors, o.SignatureKey = []string{"peer"}, key }, edit: true,
			reason: "without the right signature",
		},
		"other key": {
			writer: func(o *remote.Options) { o.SignatureKey = []byte(strings.Repeat("x", 32)) },
			reader: func(o *remote.Options) { o.TrustedActors, o.SignatureKey = []string{"peer"}, key },
			reason: "without the right signature",
		},
		"signed, no key": {
			writer: func(o *remote.Options) { o.SignatureKey = key },
			reader: func(o *remote.Options) { o.TrustedActors = []string{"peer"} },
		},
		"edited and trusted": {reader: func(o *remote.Options) { o.TrustedActors = []string{"peer"} }, edit: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			writer, reader := b.options("peer"), b.options(self)
			for o, change := range map[*remote.Options]func(*remote.Options){&writer: tc.writer, &reader: tc.reader} {
				if change != nil {
					change(o)
				}
			}
			publish(t, b.backend(t, writer), state(deployment(1, v1alpha1.BakeFailed)))
			if tc.edit {
				b.Edit("peer", func(text string) string { return strings.Replace(text, `"Failed"`, `"Succeeded"`, 1) })
			}
			got := b.read(t, b.backend(t, reader))
			if len(got) != 1 || (got[0].UntrustedReason == "") != (tc.reason == "") ||
				!strings.Contains(got[0].UntrustedReason, tc.reason) ||
				(got[0].Key == "") != (tc.reason != "") {
				t.Errorf("got %+v, want the reason %q", got, tc.reason)
			}
		})
	}
}

// TestOwnRecordIsRestored: a change of our record by somebody else has no valid signature, and is overwritten.
func TestOwnRecordIsRestored(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	o := b.options(self)
	o.SignatureKey = key
	backend := b.backend(t, o)
	s := state(deployment(2, v1alpha1.BakeInProgress), deployment(1, v1alpha1.BakeFailed))
	publish(t, backend, s)
	for name, change := range map[string]func(string) string{
		"changed": func(text string) string { return strings.Replace(text, `"Failed"`, `"Succeeded"`, 1) },
		"emptied": func(string) string { return "" },
		"garbled": func(text string) string { return text[:len(text)/2] + "}" },
	} {
		b.Edit(self, change)
		b.clock.Step(time.Minute)
		publish(t, backend, s)
		got := b.read(t, b.backend(t, o))
		if len(got) != 2 || got[1].State != v1alpha1.BakeFailed || got[1].UntrustedReason != "" {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	b.expectDeployed(t, "1 failed", "2 running")
}

// TestDeploymentOfTrustedLoginIsAdopted: there is no second deployment, and the later report counts.
func TestDeploymentOfTrustedLoginIsAdopted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	publish(t, b.backend(t, b.options("peer")), state(deployment(1, v1alpha1.BakeInProgress)))
	o := b.options(self)
	o.TrustedActors = []string{"peer"}
	backend := b.backend(t, o)
	publish(t, backend, state(deployment(1, v1alpha1.BakeSucceeded)))
	b.expectDeployed(t, "1 success")
	if got := b.read(t, backend); len(got) != 1 || got[0].State != v1alpha1.BakeSucceeded || got[0].UntrustedReason != "" {
		t.Errorf("got %+v", got)
	}
}

func TestStatusAndURLAtGitLab(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	backend := b.backend(t, b.options(self))
	d := deployment(1, v1alpha1.BakeDeploying)
	s := state(d)
	s.URL = "https://kuberik.example.com/shop"
	for _, step := range []struct {
		state      v1alpha1.BakeStatus
		quarantine string
		want       string
	}{
		{v1alpha1.BakeDeploying, "", "running"},
		{v1alpha1.BakeFailed, "", "failed"},
		{v1alpha1.BakeInProgress, "", "failed"}, // a deployment at GitLab never returns to running
		{v1alpha1.BakeSucceeded, "", "success"},
		{v1alpha1.BakeSucceeded, "loses orders", "failed"},
		{v1alpha1.BakeSucceeded, "", "success"},
		{v1alpha1.BakeCancelled, "", "canceled"},
	} {
		s.Deployments[0].State, s.Deployments[0].Quarantine = step.state, step.quarantine
		publish(t, backend, s)
		b.expectDeployed(t, "1 "+step.want)
	}
	if _, url := b.Deployed(app + "/" + staging); url != s.URL {
		t.Errorf("the URL is %q", url)
	}
}

// TestRecordOfAnotherProject: a signed record is no evidence in another project.
func TestRecordOfAnotherProject(t *testing.T) {
	t.Parallel()
	var stolen string
	for _, where := range []string{"octo/other", project} {
		b := benchOf(t, where)
		o := b.options("peer")
		o.Project, o.SignatureKey = where, key
		publish(t, b.backend(t, o), state(deployment(1, v1alpha1.BakeSucceeded)))
		b.Edit("peer", func(text string) string {
			if stolen == "" {
				stolen = text
			}
			return stolen
		})
		if got := b.read(t, b.backend(t, o)); len(got) != 1 || (got[0].UntrustedReason == "") != (where == "octo/other") {
			t.Errorf("in %s, got %+v", where, got)
		}
	}
}

// TestOnlyOwnAreAdopted: neither a deployment by another user at the same commit nor one of another entry in the history
// is adopted.
func TestOnlyOwnAreAdopted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.options("pipeline")
	body := fmt.Sprintf(`{"environment":"shop/staging","sha":%q,"ref":%q,"tag":false,"status":"success"}`, commit(1), commit(1))
	req := httptest.NewRequestWithContext(
		t.Context(), http.MethodPost, "/api/v4/projects/octo%2Fteam%2Fshop/deployments", strings.NewReader(body),
	)
	req.Header.Set("Authorization", "Bearer token-of-pipeline")
	b.ServeHTTP(httptest.NewRecorder(), req)
	backend := b.backend(t, b.options(self))
	first, second := deployment(1, v1alpha1.BakeSucceeded), deployment(2, v1alpha1.BakeFailed)
	third := deployment(3, v1alpha1.BakeInProgress)
	third.Version = first.Version
	publish(t, backend, state(first))
	publish(t, backend, state(second, first))
	publish(t, backend, state(third, second, first))
	b.expectDeployed(t, "1 success", "1 success", "2 failed", "1 running")
}

// TestForeignContentIsNotSigned: a change of our record by somebody else is not signed with the next report.
func TestForeignContentIsNotSigned(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	o := b.options(self)
	o.SignatureKey = key
	backend := b.backend(t, o)
	publish(t, backend, state(deployment(1, v1alpha1.BakeFailed)))
	b.Edit(self, func(text string) string { return strings.Replace(text, `"Failed"`, `"Succeeded"`, 1) })
	publish(t, backend, state(deployment(2, v1alpha1.BakeInProgress)))
	for _, d := range b.read(t, backend) {
		if d.UntrustedReason == "" && d.State == v1alpha1.BakeSucceeded {
			t.Errorf("the changed deployment is evidence: %+v", d)
		}
	}
}

// TestTwoControllers: after a leader election there may be two for a moment. Neither relies on an old snapshot.
func TestTwoControllers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one, other := b.backend(t, b.options(self)), b.backend(t, b.options(self))
	if _, err := one.Read(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	s := state(deployment(2, v1alpha1.BakeInProgress), deployment(1, v1alpha1.BakeSucceeded))
	publish(t, other, s)
	writes := b.Writes()
	publish(t, one, s)
	if n := b.Writes() - writes; n != 0 || b.Count("uid-1/1") != 1 {
		t.Errorf("the state was published again, with %d writes", n)
	}
}
