package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/test/env"
)

// TestListedTagStandsForItsDigest pushes other content under a tag that a gate lists, while no controller runs.
func TestListedTagStandsForItsDigest(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	m := w.Run()
	w.SimulateFlux()
	k := w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.ByDigest(k)
	g := w.Gate("approval", "app", env.Allows("1.0.0")) // before anybody knows it
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	listed, again := env.Digest("1.0.0"), env.Digest("other content")
	w.Await(g, "records what the tag stands for", func() error {
		if want := []v1alpha1.AllowedVersion{{Tag: "1.0.0", Digest: listed}}; !slices.Equal(g.Status.AllowedVersions, want) {
			return fmt.Errorf("it has %v", g.Status.AllowedVersions)
		}
		return nil
	})
	if err := m.Crash(); err != nil {
		t.Fatal(err)
	}
	w.Select("app", "1.0.0", again)

	w.Run()
	held := w.AwaitBlocked(ro, "RolloutGate", "OtherDigestAllowed")
	for _, text := range []string{listed[:19], again[:19]} {
		if !strings.Contains(held.Message, text) {
			t.Errorf("the blocker does not name %s: %s", text, held.Message)
		}
	}
	if want := "1.0.0@" + again; !strings.Contains(held.ClearedBy, want) {
		t.Errorf("the blocker does not say to list %s: %s", want, held.ClearedBy)
	}
	stays(w, ro, 1)

	w.Patch(g, `{"spec":{"allowedVersions":["1.0.0","1.0.0@`+again+`"]}}`)
	w.Await(ro, "is deployed, now that it is listed with its digest", func() error {
		if n := len(ro.Status.History); n != 2 || ro.Status.History[0].Version.Digest != again {
			return fmt.Errorf("it has %d deployments", n)
		}
		return nil
	})
}
