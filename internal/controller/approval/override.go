package approval

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/approval"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/release"
)

// Reasons of the condition Counted of an Override, besides those of an Approval.
const (
	// reasonOtherRollout means that the Release belongs to another Rollout. To do: create another Override.
	reasonOtherRollout = "OtherRollout"
	// reasonExpired means that the Override has expired. To do: create another Override if you still need it.
	reasonExpired = "Expired"
	// reasonOverridesUnproven means that nothing proves who created the Override. To do: read the message.
	reasonOverridesUnproven = "OverridesUnproven"
)

// override returns the result for one Override.
func (in *input) override(o *v1alpha1.Override) result {
	if in.forAll != nil {
		return *in.forAll
	}
	if rollout := in.rel.Spec.RolloutRef.Name; o.Spec.RolloutRef.Name != rollout {
		return mistaken(reasonOtherRollout, "spec.rolloutRef.name is %s, and Release %s belongs to Rollout %s",
			o.Spec.RolloutRef.Name, in.rel.Name, rollout)
	}
	if why := approval.Mismatch(kindOverride, o, o.Spec.ReleaseRef.UID, in.rel); why != "" {
		return notCounted(reasonOtherRelease, "%s", why)
	}
	i := slices.IndexFunc(in.overrides, func(other release.Override) bool { return other.Name == o.Name })
	if i < 0 { // it is being deleted, or was created after the others were listed
		return notCounted(gate.ReasonNotCounted, "Rollout %s has not read the Override yet", in.ro.Name)
	}
	return in.settle(in.inForce(in.overrides[i]), o.CreationTimestamp)
}

// inForce returns whether an Override is in force, and until when.
func (in *input) inForce(o release.Override) result {
	end := o.ExpiresAt.UTC().Format(time.RFC3339)
	switch o.State(in.context.Now, in.context.UnverifiedReason) {
	case release.OverrideUntrusted:
		return notCounted(gate.ReasonNotCounted, "the Override does not count: %s", o.UntrustedReason)
	case release.OverrideUnverified:
		return notCounted(reasonOverridesUnproven, "Overrides are not counted: %s", in.context.UnverifiedReason)
	case release.OverrideExpired:
		return notCounted(reasonExpired, "the Override ended at %s; create another if the release still has to go out", end)
	}
	message := fmt.Sprintf("Release %s skips %s until %s", in.rel.Name, listed(o.Bypass), end)
	return result{counted: true, reason: gate.ReasonCounted, message: message, until: o.ExpiresAt.Time}
}

// listed lists what an Override skips.
func listed(bypass []v1alpha1.Bypass) string {
	names := make([]string, len(bypass))
	for i, b := range bypass {
		names[i] = string(b)
	}
	return strings.Join(names, ", ")
}
