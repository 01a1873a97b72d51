package env

import (
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// Rollout creates a Rollout that uses the ImagePolicy of the same name.
func (w *World) Rollout(name string, edit ...func(*v1alpha1.Rollout)) *v1alpha1.Rollout {
	w.T.Helper()
	ro := &v1alpha1.Rollout{ObjectMeta: w.Meta(name)}
	ro.Spec.ReleasesImagePolicy.Name = name
	for _, e := range edit {
		e(ro)
	}
	w.Create(ro)
	return ro
}

// Bake sets the bake time and the deploy timeout of a Rollout. An empty duration is not set.
func Bake(bake, timeout v1alpha1.Duration) func(*v1alpha1.Rollout) {
	return func(ro *v1alpha1.Rollout) {
		if bake != "" {
			ro.Spec.BakeTime = &bake
		}
		if timeout != "" {
			ro.Spec.DeployTimeout = &timeout
		}
	}
}

// WithHealthChecks makes a Rollout select the checks whose label app is its name.
func WithHealthChecks(ro *v1alpha1.Rollout) {
	ro.Spec.HealthCheckSelector = &v1alpha1.HealthCheckSelector{
		Selector: &v1alpha1.LabelSelector{MatchLabels: map[string]string{"app": ro.Name}},
	}
}

// Check creates a HealthCheck of a class. Its label selects it for the Rollout app.
func (w *World) Check(name, class, app string) *v1alpha1.HealthCheck {
	w.T.Helper()
	c := &v1alpha1.HealthCheck{ObjectMeta: w.Meta(name), Spec: v1alpha1.HealthCheckSpec{Class: ptr.To(class)}}
	c.Labels = map[string]string{"app": app}
	if class == v1alpha1.HealthClassKustomization {
		c.Annotations = map[string]string{v1alpha1.AnnotationKustomization: app, v1alpha1.AnnotationRequeueInterval: "5s"}
	}
	w.Create(c)
	return c
}

// Report writes the status of a HealthCheck as the controller of a foreign class does. Times have a precision of one
// second, and a report counts only if it is from a later second than the deployment. So Report waits for a new
// second.
func (w *World) Report(name string, state v1alpha1.HealthState) {
	w.T.Helper()
	<-time.After(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
	c := &v1alpha1.HealthCheck{ObjectMeta: w.Meta(name)}
	w.Get(c)
	now := metav1.NewTime(time.Now().Truncate(time.Second))
	c.Status.LastChangeTime, c.Status.Status, c.Status.Message = &now, state, ptr.To("the test reports "+string(state))
	if state == v1alpha1.HealthUnhealthy {
		c.Status.LastErrorTime = &now
	}
	if err := w.Admin.Status().Update(w.Ctx(), c); err != nil {
		w.T.Fatal(err)
	}
}

// Gate creates a RolloutGate of a Rollout.
func (w *World) Gate(name, rollout string, edit ...func(*v1alpha1.RolloutGateSpec)) *v1alpha1.RolloutGate {
	w.T.Helper()
	g := &v1alpha1.RolloutGate{
		ObjectMeta: w.Meta(name), Spec: v1alpha1.RolloutGateSpec{RolloutRef: corev1.LocalObjectReference{Name: rollout}},
	}
	for _, e := range edit {
		e(&g.Spec)
	}
	w.Create(g)
	return g
}

// Allows sets the allowed versions of a gate.
func Allows(tags ...string) func(*v1alpha1.RolloutGateSpec) {
	return func(s *v1alpha1.RolloutGateSpec) { s.AllowedVersions = &tags }
}

// Annotate sets annotations of a Rollout.
func (w *World) Annotate(ro *v1alpha1.Rollout, pairs ...string) {
	w.T.Helper()
	var text string
	for i := 0; i+1 < len(pairs); i += 2 {
		if i > 0 {
			text += ","
		}
		text += fmt.Sprintf("%q:%q", pairs[i], pairs[i+1])
	}
	w.Patch(ro, `{"metadata":{"annotations":{`+text+`}}}`)
}

// AwaitPhase waits until a Rollout is in a phase with a version and has no one-shot annotation.
func (w *World) AwaitPhase(ro *v1alpha1.Rollout, phase v1alpha1.Phase, version string) {
	w.T.Helper()
	w.Await(ro, fmt.Sprintf("is %s with %q", phase, version), func() error {
		if ro.Status.Phase != phase || ro.Status.CurrentVersion != version {
			return fmt.Errorf("it is %s with %q", ro.Status.Phase, ro.Status.CurrentVersion)
		}
		for _, key := range v1alpha1.OneShotAnnotations() {
			if _, ok := ro.Annotations[key]; ok {
				return errors.New("it still has the annotation " + key)
			}
		}
		if n := len(ro.Status.HandledAnnotations); n > 0 {
			return fmt.Errorf("it still has %d handled annotations", n)
		}
		return nil
	})
}

// AwaitBlocked waits until the status of a Rollout has a blocker.
func (w *World) AwaitBlocked(ro *v1alpha1.Rollout, kind, reason string) v1alpha1.Blocker {
	w.T.Helper()
	var found v1alpha1.Blocker
	w.Await(ro, "is blocked by a "+kind+": "+reason, func() error {
		for _, b := range ro.Status.BlockedBy {
			if b.Kind == kind && b.Reason == reason {
				found = b
				return nil
			}
		}
		return fmt.Errorf("it is blocked by %+v", ro.Status.BlockedBy)
	})
	return found
}

// AwaitRelease waits until the Release of a tag is in a phase.
func (w *World) AwaitRelease(ro *v1alpha1.Rollout, tag string, phase v1alpha1.ReleasePhase) *v1alpha1.Release {
	w.T.Helper()
	rel := &v1alpha1.Release{ObjectMeta: w.Meta(ReleaseName(ro.Name, tag))}
	w.Await(rel, "is "+string(phase), func() error {
		if rel.Status.Phase != phase {
			return fmt.Errorf("it is %q", rel.Status.Phase)
		}
		return nil
	})
	return rel
}

// ReleaseName returns the name of the Release of a tag with the digest of Digest.
func ReleaseName(rollout, tag string) string { return rollout + "-" + tag + "-" + Digest(tag)[7:15] }
