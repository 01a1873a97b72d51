package release

import (
	"testing"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// TestPinToATagThatDoesNotExist: a typing error in spec.wantedVersion is not deployed past every gate.
func TestPinToATagThatDoesNotExist(t *testing.T) {
	typo := pinned("9.9.9")
	found := func(state TagState) edit {
		return func(o *Observation) { o.PinnedTag = TagLookup{State: state, Until: now.Add(time.Minute)} }
	}
	check(t, map[string]decision{
		"not asked yet":            {"the registry may not have it", given(typo, found(TagPending)), []string{"stayPinned", "waits for Rollout app: UnknownVersion"}},
		"not found":                {"a person has to correct it", given(typo, found(TagNotFound)), []string{"stayPinned", "waits for Rollout app: UnknownVersion"}},
		"not found, first":         {"nothing runs yet", given(typo, found(TagNotFound), func(o *Observation) { o.Status.History = nil }), []string{"stayPinned", "waits for Rollout app: UnknownVersion"}},
		"not found, in flight":     {"what is in flight is judged as ever", given(typo, found(TagNotFound), deploying(), reports(pending)), []string{"awaitChecks", "waits for HealthCheck check-0: CheckPending"}},
		"not found, but forced":    {"a person insists", given(typo, found(TagNotFound), annotation(v1alpha1.AnnotationForceDeploy, "9.9.9")), []string{"followPin", "use force-deploy", "record 2 9.9.9 Pin"}},
		"forced, another":          {"that is not the pin", given(typo, found(TagNotFound), annotation(v1alpha1.AnnotationForceDeploy, "1.2.0")), []string{"ignoreForceUnderPin", "use force-deploy"}},
		"registry cannot be asked": {"a broken registry holds no person", given(typo, found("")), []string{"followPin", "record 2 9.9.9 Pin"}},
	})
	o := given(typo, found(TagPending))
	if d := Decide(o); !d.Again.Equal(now.Add(time.Minute)) {
		t.Errorf("it looks again at %s", d.Again)
	}
}
