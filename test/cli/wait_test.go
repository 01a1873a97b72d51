package cli

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/test/env"
)

// TestWaitFollowsARelease waits for a release that is not known yet, from its discovery to its end, and prints each
// change once.
func TestWaitFollowsARelease(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	ro, _ := waiting(w)
	viewer := someone(w, "viewer", "kuberik-view")
	var out, err output
	code := make(chan exit.Code, 1)
	go func() {
		code <- viewer.start(w.Ctx(), &out, &err, "wait", "app", "--version", "1.2.0", "--timeout", "2m")
	}()
	shows := func(text string) {
		t.Helper()
		w.Eventually("wait prints "+text, func() error {
			if !strings.Contains(out.String(), text) {
				return errors.New(out.String() + err.String())
			}
			return nil
		})
	}
	shows("1.2.0 is not known yet")
	w.Select("app", "1.2.0", env.Digest("1.2.0"))
	shows("1.2.0 is discovered")
	shows("1.2.0 waits: RolloutGate manager: waits for approval of 1.2.0")
	gate := &v1alpha1.RolloutGate{ObjectMeta: w.Meta("manager")}
	w.Patch(gate, `{"spec":{"approvals":null,"allowedVersions":["1.2.0"]}}`)
	if got := <-code; got != exit.OK {
		t.Fatalf("got code %d\n%s\n%s", got, out.String(), err.String())
	}
	shows("1.2.0 is Available")
	seen := map[string]bool{}
	for line := range strings.SplitSeq(strings.TrimSpace(out.String()), "\n") {
		if !regexp.MustCompile(`^\d\d:\d\d:\d\d  `).MatchString(line) || seen[line[10:]] {
			t.Errorf("the line %q has no time, or is printed twice:\n%s", line, out.String())
		}
		seen[line[10:]] = true
	}
	w.AwaitRelease(ro, "1.2.0", v1alpha1.ReleaseAvailable) // the status of the Release follows that of the Rollout
	expect(t, "where", viewer.runs("where", "app@1.2.0"), exit.OK, "1.2.0", "✓ Available", "You may not read other namespaces")
}

// TestWaitEndsWhenTheReleaseIsReplaced checks the codes of a release that does not get there.
func TestWaitEndsWhenTheReleaseIsReplaced(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	ro, _ := waiting(w)
	viewer := someone(w, "viewer", "kuberik-view")
	expect(t, "held", viewer.runs("wait", "app", "--for=held"), exit.OK, "1.1.0 waits")
	expect(t, "only people can help", viewer.runs("wait", "app", "--fail-when-held", "0s"), exit.Held, "only people can clear what holds the release")
	expect(t, "timed out", viewer.runs("wait", "app", "--timeout", "300ms"), exit.TimedOut, "timed out after 300ms")
	expect(t, "no rights", someone(w, "nobody").runs("wait", "app"), exit.Refused, "may not get rollouts")
	var out, err output
	code := make(chan exit.Code, 1)
	go func() { code <- viewer.start(w.Ctx(), &out, &err, "wait", "app@1.1.0", "--timeout", "2m") }()
	w.Eventually("wait prints what holds", func() error {
		if !strings.Contains(out.String(), "1.1.0 waits") {
			return errors.New(out.String() + err.String())
		}
		return nil
	})
	w.Select("app", "1.2.0", env.Digest("1.2.0"))
	gate := &v1alpha1.RolloutGate{ObjectMeta: w.Meta("manager")}
	w.Patch(gate, `{"spec":{"approvals":null,"allowedVersions":["1.2.0"]}}`)
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.2.0")
	if got := <-code; got != exit.Replaced {
		t.Errorf("got code %d\n%s\n%s", got, out.String(), err.String())
	}
}
