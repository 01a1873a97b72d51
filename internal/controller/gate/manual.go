package gate

import (
	"context"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/approval"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/version"
)

// WithApprovals makes the controller count Approvals. Without it, manual gates count none.
func WithApprovals(r approval.Reader) Option {
	return func(c *Controller) { c.approvals = &r }
}

// reconcileManual writes the verdicts of a manual gate for the candidates of its Rollout.
func (c *Controller) reconcileManual(ctx context.Context, g *v1alpha1.RolloutGate) (ctrl.Result, error) {
	ro, missing, err := c.rollout(ctx, g)
	if err != nil {
		return kube.Finish(0, err)
	}
	input, err := c.readApprovals(ctx, ro)
	if err != nil {
		return kube.Finish(0, err)
	}
	list, wait := verdicts(g, ro, input)
	held, err := c.write(ctx, g, list, missing)
	return kube.Finish(kube.Sooner(wait, held), err)
}

// readApprovals returns the input of the evaluation: the Approvals and the authors of the releases of a Rollout.
func (c *Controller) readApprovals(ctx context.Context, ro *v1alpha1.Rollout) (gate.Context, error) {
	input := gate.Context{Now: c.clock.Now(), UnverifiedReason: "this controller does not count them"}
	if c.approvals == nil || len(ro.Status.ReleaseCandidates) == 0 {
		return input, nil
	}
	releases, err := approval.Releases(ctx, c.client, ro)
	if err != nil {
		return input, err
	}
	read, err := c.approvals.Read(ctx, ro, releases)
	input.Approvals, input.UnverifiedReason = read.Approvals, read.UnverifiedReason
	input.Authors = func(id v1alpha1.ReleaseIdentity) (string, bool) {
		for _, rel := range releases {
			if rel.Status.Details != nil && version.Identity(rel.Spec.Version) == id {
				return rel.Status.Details.Authors, true
			}
		}
		return "", false
	}
	return input, err
}

// verdicts returns the verdicts for the candidates, newest first, and the time until the first of them may change. A
// verdict with the same state and reason as before keeps its time.
func verdicts(
	g *v1alpha1.RolloutGate, ro *v1alpha1.Rollout, input gate.Context,
) (list []v1alpha1.GateVerdict, wait time.Duration) {
	for _, candidate := range gate.Candidates(ro) {
		id := version.Identity(candidate)
		v := gate.Evaluate(g, id, input)
		verdict := v1alpha1.GateVerdict{
			Release: id.Tag, Digest: id.Digest, State: v.State, Reason: v.Reason, Message: version.Clean(v.Message, 1024),
			Since: &metav1.Time{Time: input.Now.Truncate(time.Second)},
		}
		if v.Until.After(input.Now) {
			verdict.Until = &metav1.Time{Time: v.Until}
			if left := v.Until.Sub(input.Now); wait == 0 || left < wait {
				wait = left
			}
		}
		isSame := func(old v1alpha1.GateVerdict) bool {
			return old.Release == id.Tag && old.Digest == id.Digest && old.State == v.State && old.Reason == v.Reason
		}
		if i := slices.IndexFunc(g.Status.Verdicts, isSame); i >= 0 && g.Status.Verdicts[i].Since != nil {
			verdict.Since = g.Status.Verdicts[i].Since
		}
		list = append(list, verdict)
	}
	return list, wait
}
