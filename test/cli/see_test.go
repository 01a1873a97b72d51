package cli

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/test/env"
)

var errNoGate = errors.New("the status does not list the gate")

// expect fails the test unless a call ended with a code and printed some texts.
func expect(t *testing.T, what string, got result, code exit.Code, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(got.out+got.err, text) {
			t.Errorf("%s: the output lacks %q:\n%s\n%s", what, text, got.out, got.err)
		}
	}
	if got.code != code {
		t.Errorf("%s: got code %d, want %d\n%s\n%s", what, got.code, code, got.out, got.err)
	}
}

// TestWhyNamesWhoMayApprove runs the verbs that show, as a viewer, as an approver whom the gate asks, as one whom it does
// not ask, and as somebody without rights.
func TestWhyNamesWhoMayApprove(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	_, rel := waiting(w)
	viewer := someone(w, "viewer", "kuberik-view")
	alice := someone(w, "alice", "kuberik-approver")
	bob := someone(w, "bob", "kuberik-approver")
	nobody := someone(w, "nobody")

	expect(t, "get rollouts", viewer.runs("get", "rollouts"), exit.OK, "NAME", "app", "1.0.0", "1.1.0", "waits for approval of 1.1.0")
	expect(t, "get releases", viewer.runs("get", "releases", "--rollout", "app"), exit.OK, "Pending", "Available")
	expect(t, "get gates", viewer.runs("get", "gates"), exit.OK, "manager", "pending")
	expect(t, "tree", viewer.runs("tree", "app"), exit.OK, "RolloutGate manager", "Kustomization app")
	expect(t, "history", viewer.runs("history", "app"), exit.OK, "1.0.0", "automatic")
	expect(t, "get checks", viewer.runs("get", "checks"), exit.OK, "No checks in namespace "+w.Namespace)

	may := "are " + alice.name + " and may approve it"
	expect(t, "why, as the approver", alice.runs("why", "app"), exit.Held, "1.1.0 is not out in", "RolloutGate manager", may)
	expect(t, "why, by release", alice.runs("why", "app@1.1.0"), exit.Held, may)
	expect(t, "why, by digest", alice.runs("why", "app@"+env.Digest("1.1.0")[:15]), exit.Held, may)
	expect(t, "why, by object", alice.runs("why", rel.Name), exit.Held, may)
	expect(t, "why, as another approver", bob.runs("why", "app"), exit.Held, "does not ask for "+bob.name)
	expect(t, "why, as a viewer", viewer.runs("why", "app"), exit.Held, "you may not create approvals in "+w.Namespace)
	expect(t, "why, of what runs", viewer.runs("why", "app@1.0.0"), exit.OK, "1.0.0 is Available")
	expect(t, "why, of nothing", viewer.runs("why", "app@3.0.0"), exit.NotFound, "has no release 3.0.0")
	expect(t, "why, of a typo", viewer.runs("why", "apq"), exit.NotFound, "Rollouts there: app")

	for _, args := range [][]string{{"get", "rollouts"}, {"get", "gates"}, {"why", "app"}, {"tree", "app"}, {"history", "app"}} {
		expect(t, strings.Join(args, " "), nobody.runs(args...), exit.Refused, "refused: "+nobody.name+" may not", "ClusterRole kuberik-view")
	}
	var answer struct {
		Standing string
		Blockers []struct{ You struct{ May bool } }
	}
	got := alice.runs("why", "app", "-o", "json")
	if err := json.Unmarshal([]byte(got.out), &answer); err != nil || answer.Standing != "Held" || !answer.Blockers[0].You.May {
		t.Errorf("%v: got\n%s", err, got.out)
	}
}

// TestWatchesPrintWhatChanges follows a Rollout with -w while its next release is approved.
func TestWatchesPrintWhatChanges(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	waiting(w)
	viewer := someone(w, "viewer", "kuberik-view")
	ctx, stop := context.WithCancel(w.Ctx())
	defer stop()
	type call struct {
		out, err output
		code     chan exit.Code
	}
	calls := map[string]*call{}
	for _, args := range []string{"get rollouts -w", "why app -w", "tree app -w"} {
		c := &call{code: make(chan exit.Code, 1)}
		calls[args] = c
		go func() { c.code <- viewer.start(ctx, &c.out, &c.err, strings.Fields(args)...) }()
	}
	shows := func(text string) {
		t.Helper()
		for args, c := range calls {
			w.Eventually(args+" shows "+text, func() error {
				if !strings.Contains(c.out.String(), text) {
					return errors.New(c.out.String() + c.err.String())
				}
				return nil
			})
		}
	}
	shows("waits for approval of 1.1.0")
	w.Select("app", "1.2.0", env.Digest("1.2.0"))
	shows("waits for approval of 1.2.0")
	stop()
	for args, c := range calls {
		if code := <-c.code; code != exit.Interrupted {
			t.Errorf("%s: got code %d\n%s", args, code, c.err.String())
		}
	}
}

// TestAClusterWithoutKuberik checks the hint for a cluster that lacks the definitions.
func TestAClusterWithoutKuberik(t *testing.T) {
	t.Parallel()
	w := env.NewWithoutInstallation(t)
	admin := person{w: w, name: "system:admin"}
	for _, args := range [][]string{{"get", "rollouts"}, {"why", "app"}} {
		got := admin.runs(append(args, "--as-group", "system:masters")...)
		expect(t, strings.Join(args, " "), got, exit.Usage, "this cluster has no Kuberik")
	}
}
