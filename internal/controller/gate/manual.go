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

// WithApprovals makes the controller count approvals. Default: none is proved.
func WithApprovals(r approval.Reader) Option {
	return func(c *Controller) { c.people = &r }
}

// judge writes what a manual gate says of the candidates of its Rollout.
func (c *Controller) judge(ctx context.Context, g *v1alpha1.RolloutGate) (ctrl.Result, error) {
	ro, missing, err := c.rollout(ctx, g)
	if err != nil {
		return kube.Finish(0, err)
	}
	said, err := c.hear(ctx, ro)
	if err != nil {
		return kube.Finish(0, err)
	}
	list, wait := verdicts(g, ro, said)
	return kube.Finish(wait, c.write(ctx, g, list, missing))
}

// hear reads what people have said of the releases of a Rollout.
func (c *Controller) hear(ctx context.Context, ro *v1alpha1.Rollout) (gate.Context, error) {
	said := gate.Context{Now: c.clock.Now(), UnverifiedReason: "this controller does not count them"}
	if c.people == nil || len(ro.Status.ReleaseCandidates) == 0 {
		return said, nil
	}
	releases, err := approval.Releases(ctx, c.client, ro)
	if err != nil {
		return said, err
	}
	heard, err := c.people.Read(ctx, ro, releases)
	said.Approvals, said.UnverifiedReason = heard.Approvals, heard.UnverifiedReason
	said.Authors = func(id v1alpha1.ReleaseIdentity) (string, bool) {
		for _, rel := range releases {
			if rel.Status.Details != nil && version.Identity(rel.Spec.Version) == id {
				return rel.Status.Details.Authors, true
			}
		}
		return "", false
	}
	return said, err
}

// verdicts are for the candidates, newest first, each since it was first given, with how long the first of them lasts.
func verdicts(g *v1alpha1.RolloutGate, ro *v1alpha1.Rollout, said gate.Context) (list []v1alpha1.GateVerdict, wait time.Duration) {
	for _, candidate := range gate.Candidates(ro) {
		id := version.Identity(candidate)
		v := gate.Evaluate(g, id, said)
		verdict := v1alpha1.GateVerdict{
			Release: id.Tag, Digest: id.Digest, State: v.State, Reason: v.Reason, Message: version.Clean(v.Message, 1024),
			Since: &metav1.Time{Time: said.Now.Truncate(time.Second)},
		}
		if v.Until.After(said.Now) {
			verdict.Until = &metav1.Time{Time: v.Until}
			if left := v.Until.Sub(said.Now); wait == 0 || left < wait {
				wait = left
			}
		}
		same := func(old v1alpha1.GateVerdict) bool {
			return old.Release == id.Tag && old.Digest == id.Digest && old.State == v.State && old.Reason == v.Reason
		}
		if i := slices.IndexFunc(g.Status.Verdicts, same); i >= 0 && g.Status.Verdicts[i].Since != nil {
			verdict.Since = g.Status.Verdicts[i].Since
		}
		list = append(list, verdict)
	}
	return list, wait
}
