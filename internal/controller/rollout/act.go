package rollout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/approval"
	"github.com/kuberik/kuberik/internal/flux"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

// prove makes sure that what is about to be handed to Flux is what is wanted now. The first time that a version is
// handed over, the gates and the people are asked past the cache, and the decision is taken again on their answer.
func (c *Controller) prove(ctx context.Context, ro *v1alpha1.Rollout, obs release.Observation, dec release.Decision,
	fresh bool,
) (release.Observation, release.Decision, error) {
	pin, ok := pinOf(dec)
	if !ok {
		return obs, dec, nil
	}
	if !fresh {
		if err := c.unchanged(ctx, ro); err != nil {
			return obs, dec, err
		}
	}
	if !pin.First {
		return obs, dec, nil
	}
	var err error
	if obs.Gates, err = c.gates(ctx, true, ro, obs.Now); err != nil {
		return obs, dec, err
	}
	if err := c.rereadApprovals(ctx, ro, pin.Version, &obs); err != nil {
		return obs, dec, err
	}
	return obs, release.Decide(obs), nil
}

// rereadApprovals reads the Approvals and Overrides of the release that is about to be handed over, past the cache. It
// is needed only if the Rollout has a manual gate or the release used an Override: nothing else can be withdrawn.
func (c *Controller) rereadApprovals(
	ctx context.Context, ro *v1alpha1.Rollout, v v1alpha1.VersionInfo, obs *release.Observation,
) error {
	calls := func(g *v1alpha1.RolloutGate) bool { return gate.Class(g) == v1alpha1.GateClassManual }
	if !slices.ContainsFunc(obs.Gates, calls) && len(ro.Status.History[0].Overrides) == 0 {
		return nil
	}
	releases, err := approval.Releases(ctx, c.client, ro)
	if err != nil {
		return err
	}
	done, err := c.pages.Take(ctx, ro.Namespace)
	if err != nil {
		return err
	}
	defer done()
	releases = slices.DeleteFunc(releases, func(rel *v1alpha1.Release) bool {
		return !version.Matches(version.Identity(rel.Spec.Version), version.Identity(v))
	})
	return c.readApprovals(ctx, approval.Reader{From: c.live, Live: true, Policies: c.policies}, ro, releases, obs)
}

// unchanged returns a conflict if the Rollout that is stored is not the one that was read.
func (c *Controller) unchanged(ctx context.Context, ro *v1alpha1.Rollout) error {
	var stored v1alpha1.Rollout
	if err := c.live.Get(ctx, client.ObjectKeyFromObject(ro), &stored); err != nil {
		return err
	}
	if stored.UID != ro.UID || stored.ResourceVersion != ro.ResourceVersion {
		return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("rollouts").GroupResource(), ro.Name,
			errors.New("the cache lags behind"))
	}
	return nil
}

func pinOf(dec release.Decision) (release.Pin, bool) {
	for _, a := range dec.Actions {
		if p, ok := a.(release.Pin); ok {
			return p, true
		}
	}
	return release.Pin{}, false
}

// onlyHandsOver reports whether a decision only hands over a version. Right after the intent was recorded, nothing else
// has to be recorded then: the event of the Flux object that was written leads to the next look, and other Rollouts may
// be waiting to be handed over. That a version was put back is told at once, since nothing shows it later.
func onlyHandsOver(dec release.Decision) bool {
	pin, ok := pinOf(dec)
	return ok && !pin.Drift && len(dec.Notices) == 0
}

// act does what reaches outside. Each action can be done again without harm.
func (c *Controller) act(
	ctx context.Context, ro *v1alpha1.Rollout, obs release.Observation, dec release.Decision,
) error {
	var errs []error
	for _, action := range dec.Actions {
		switch a := action.(type) {
		case release.Pin:
			log.FromContext(ctx).Info("handing the version to Flux", "version", a.Version.Tag, "drift", a.Drift)
			errs = append(errs, c.pinner.Pin(ctx, ro.Namespace, obs.Targets, a))
		case release.ClearAnnotations:
			errs = append(errs, c.clear(ctx, ro, a))
		}
	}
	return errors.Join(errs...)
}

// clear removes annotations that were acted upon, if they are still what was acted upon.
func (c *Controller) clear(ctx context.Context, ro *v1alpha1.Rollout, a release.ClearAnnotations) error {
	gone := map[string]any{}
	for key, value := range a.Handled {
		if current, ok := ro.Annotations[key]; ok && current == value {
			gone[key] = nil
		}
	}
	if len(gone) == 0 {
		return nil
	}
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"annotations": gone, "resourceVersion": ro.ResourceVersion},
	})
	if err != nil {
		return err
	}
	if err := c.client.Patch(ctx, ro, client.RawPatch(types.MergePatchType, body), kube.FieldOwner); err != nil {
		return fmt.Errorf("removing used annotations: %w", err)
	}
	return nil
}

// record writes down what was decided, if that changes anything, and says what happened. It returns whether it wrote,
// and when to write what changes messages only, if it is too early for that.
func (c *Controller) record(ctx context.Context, ro *v1alpha1.Rollout, obs release.Observation, dec release.Decision,
	acted error,
) (wrote bool, held time.Time, err error) {
	if apierrors.IsConflict(acted) {
		return false, held, acted
	}
	next := release.Project(obs, dec, acted)
	log.FromContext(ctx).V(1).Info("decided", "rule", dec.Rule, "again", dec.Again, "blocked", len(dec.Blocked))
	happened := release.Events(ro.Spec, obs.Status, next, dec)
	changed := release.Changed(obs.Status, next)
	if changed && len(happened) == 0 {
		if wait := c.messages.Hold(ro.UID, obs.Status, next, obs.Now); wait > 0 {
			return false, obs.Now.Add(wait), nil
		}
	}
	if changed {
		before := ro.DeepCopy()
		ro.Status = next
		if err := kube.PatchStatus(ctx, c.client, before, ro); err != nil {
			return false, held, err
		}
		c.seen.Observe(c.clock.Now())
		c.elapsed(ro, c.clock.Now()) // a span that begins is seen at once
	}
	for _, e := range happened {
		c.tell(ro, obs.Now, e)
	}
	return changed, held, nil
}

// tell tells people what happened: in an event of the Rollout, and through Flux.
func (c *Controller) tell(ro *v1alpha1.Rollout, at time.Time, e release.Event) {
	c.events.Eventf(ro, related(ro, e.Release), e.Type, e.Reason, e.Reason, "%s", e.Message)
	told := flux.Event{
		Namespace: ro.Namespace, Policy: ro.Spec.ReleasesImagePolicy.Name, Rollout: ro.Name, Version: e.Release.Tag,
		Warning: e.Type == corev1.EventTypeWarning, Reason: e.Reason, Message: e.Message, At: at,
	}
	if e.Release.Tag != "" {
		told.Release = version.ReleaseName(ro.Name, e.Release)
	}
	if i := version.Index(ro.Status.AvailableReleases, e.Release); i >= 0 &&
		ro.Status.AvailableReleases[i].Revision != nil {
		told.Revision = *ro.Status.AvailableReleases[i].Revision
	}
	c.options.Notifier.Notify(told)
}

// related is the Release object that an event is about, or nil.
func related(ro *v1alpha1.Rollout, id v1alpha1.ReleaseIdentity) runtime.Object {
	if id.Tag == "" {
		return nil
	}
	return &v1alpha1.Release{
		ObjectMeta: metav1.ObjectMeta{Namespace: ro.Namespace, Name: version.ReleaseName(ro.Name, id)},
	}
}
