package environment

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/cluster"
	"github.com/kuberik/kuberik/internal/environment/memory"
	"github.com/kuberik/kuberik/internal/kube"
)

var (
	noon      = time.Date(2030, 3, 1, 12, 0, 0, 0, time.UTC)
	errBroken = errors.New("broken on purpose")
)

// world is a namespace with the Environment production, which comes after staging, and a place where both meet.
type world struct {
	t       *testing.T
	client  client.Client
	clock   *clocktesting.FakePassiveClock
	place   *memory.Place
	self    *environments.Environment
	rollout *v1alpha1.Rollout
	// forErr, publishErr and readErr are what the backend answers in place of what it was asked; silent: it has told nothing yet.
	forErr, publishErr, readErr error
	silent                      bool
	// failStatus refuses every write to a status.
	failStatus bool
	// log holds what was written: create, patch, delete or status, and the kind.
	log []string

	controller *Controller
	backend    *memory.Backend
}

// For implements Backends.
func (w *world) For(context.Context, *environments.Environment) (environment.Backend, error) {
	return w, w.forErr
}

func (w *world) Publish(ctx context.Context, s environment.State) error {
	return errors.Join(w.backend.Publish(ctx, s), w.publishErr)
}

func (w *world) Read(ctx context.Context, application string) (environment.Snapshot, error) {
	switch {
	case w.silent:
		return environment.Snapshot{}, w.readErr
	case w.readErr != nil:
		w.place.Interrupt(func(e memory.Effect) memory.Interruption {
			if e == memory.Read {
				return memory.Interruption{Before: w.readErr}
			}
			return memory.Interruption{}
		})
		defer w.place.Interrupt(nil)
	}
	return w.backend.Read(ctx, application)
}

func release(tag string) v1alpha1.VersionInfo {
	return v1alpha1.VersionInfo{Tag: tag, Digest: "sha256:" + tag}
}

func entry(id int64, tag string, s v1alpha1.BakeStatus) v1alpha1.DeploymentHistoryEntry {
	status := string(s)
	e := v1alpha1.DeploymentHistoryEntry{ID: &id, Version: release(tag), BakeStatus: &status, Timestamp: metav1.NewTime(noon.Add(time.Duration(id-100) * time.Minute))}
	if s == v1alpha1.BakeSucceeded {
		end := metav1.NewTime(e.Timestamp.Add(30 * time.Second))
		e.BakeEndTime = &end
	}
	return e
}

// outsideBackend makes an Environment meet others outside of the cluster.
func outsideBackend(e *environments.Environment) {
	e.Spec.Backend = &environments.Backend{Type: environments.BackendGitHub, Project: "o/r"}
}

func newWorld(t *testing.T, edits ...func(*environments.Environment)) *world {
	t.Helper()
	meta := metav1.ObjectMeta{Namespace: "ns", Name: "app", UID: "production"}
	w := &world{t: t, clock: clocktesting.NewFakePassiveClock(noon)}
	w.place = memory.NewPlace(w.clock)
	w.backend = w.place.Backend("kuberik")
	w.rollout = &v1alpha1.Rollout{ObjectMeta: meta}
	w.rollout.Status.ReleaseCandidates = []v1alpha1.VersionInfo{release("2.0.0"), release("1.0.0")}
	w.self = &environments.Environment{ObjectMeta: meta, Spec: environments.EnvironmentSpec{
		RolloutRef: corev1.LocalObjectReference{Name: "app"}, Name: "shop", Environment: "production",
		Relationship: &environments.Relationship{Environment: "staging", Type: environments.After},
	}}
	for _, edit := range edits {
		edit(w.self)
	}
	w.client = w.open(w.self, w.rollout)
	w.controller = New(w.client, w.client, w, w.clock)
	return w
}

// open makes a client that notes what is written.
func (w *world) open(objects ...client.Object) client.Client {
	w.t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, environments.AddToScheme, corev1.AddToScheme} {
		if err := add(s); err != nil {
			w.t.Fatal(err)
		}
	}
	build := fake.NewClientBuilder().WithScheme(s).WithObjects(objects...).WithStatusSubresource(&environments.Environment{}, &v1alpha1.Rollout{}, &v1alpha1.RolloutGate{}).
		WithIndex(&environments.Environment{}, kube.ByRollout, func(o client.Object) []string {
			e, ok := o.(*environments.Environment)
			if !ok {
				return nil
			}
			return []string{e.Spec.RolloutRef.Name}
		})
	for _, i := range cluster.Indexes() {
		build = build.WithIndex(i.Object, i.Key, i.Values)
	}
	note := func(verb string, o client.Object) {
		kind := "gate"
		if _, ok := o.(*environments.Environment); ok {
			kind = "environment"
		}
		w.log = append(w.log, verb+" "+kind)
	}
	return interceptor.NewClient(build.Build(), interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			note("create", o)
			o.SetUID("made")
			return c.Create(ctx, o, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			note("patch", o)
			return c.Patch(ctx, o, p, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			note("delete", o)
			return c.Delete(ctx, o, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			note("status", o)
			if w.failStatus {
				return errBroken
			}
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		},
	})
}

// staging publishes what became of releases there, newest first.
func (w *world) staging(history ...v1alpha1.DeploymentHistoryEntry) {
	w.t.Helper()
	w.other("staging", nil, history...)
}

func (w *world) other(name string, quarantined []v1alpha1.Quarantine, history ...v1alpha1.DeploymentHistoryEntry) {
	w.t.Helper()
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{UID: "uid of staging"}}
	ro.UID, ro.Status.History, ro.Status.Quarantined = "uid of "+ro.UID, history, quarantined
	e := &environments.Environment{Spec: environments.EnvironmentSpec{Name: "shop", Environment: name}}
	if err := w.backend.Publish(w.t.Context(), environment.Of(e, ro)); err != nil {
		w.t.Fatal(err)
	}
}

// ran makes the history of production.
func (w *world) ran(history ...v1alpha1.DeploymentHistoryEntry) {
	w.t.Helper()
	w.get(w.rollout)
	w.rollout.Status.History = history
	if err := w.client.Status().Update(w.t.Context(), w.rollout); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) get(o client.Object) bool {
	w.t.Helper()
	err := w.client.Get(w.t.Context(), client.ObjectKeyFromObject(o), o)
	if client.IgnoreNotFound(err) != nil {
		w.t.Fatal(err)
	}
	return err == nil
}

// edit changes the spec of the Environment.
func (w *world) edit(change func(*environments.EnvironmentSpec)) {
	w.t.Helper()
	w.get(w.self)
	change(&w.self.Spec)
	if err := w.client.Update(w.t.Context(), w.self); err != nil {
		w.t.Fatal(err)
	}
}

// reconcile looks at the Environment, and forgets what was written before.
func (w *world) reconcile() (ctrl.Result, error) {
	w.t.Helper()
	w.log = nil
	w.get(w.self)
	result, err := w.controller.Reconcile(w.t.Context(), w.self)
	w.get(w.self)
	return result, err
}

// settle expects a look that goes well.
func (w *world) settle() ctrl.Result {
	w.t.Helper()
	result, err := w.reconcile()
	if err != nil {
		w.t.Fatal(err)
	}
	return result
}

// gate is that of the Environment, or nil.
func (w *world) gate() *v1alpha1.RolloutGate {
	w.t.Helper()
	g := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: environment.GateName(w.self)}}
	if !w.get(g) {
		return nil
	}
	return g
}

// says is the verdict on a tag.
func (w *world) says(tag string) v1alpha1.GateVerdict {
	w.t.Helper()
	if g := w.gate(); g != nil {
		for _, v := range g.Status.Verdicts {
			if v.Release == tag {
				return v
			}
		}
	}
	return v1alpha1.GateVerdict{}
}

// want expects a verdict on a tag.
func (w *world) want(tag string, state v1alpha1.GateState, reason string) {
	w.t.Helper()
	if v := w.says(tag); v.State != state || v.Reason != reason {
		w.t.Errorf("%s: got %s, %s: %s; want %s, %s", tag, v.State, v.Reason, v.Message, state, reason)
	}
}

// condition of the Environment.
func (w *world) condition(kind string) metav1.Condition {
	if c := apimeta.FindStatusCondition(w.self.Status.Conditions, kind); c != nil {
		return *c
	}
	return metav1.Condition{}
}

// reports expects a reason for not being ready, and whether somebody has to do something.
func (w *world) reports(reason string, stalled bool) {
	w.t.Helper()
	ready, stall := w.condition(v1alpha1.ConditionReady), w.condition(v1alpha1.ConditionStalled)
	if ready.Reason != reason || (ready.Status == metav1.ConditionTrue) != (reason == "Synced") || (stall.Status == metav1.ConditionTrue) != stalled {
		w.t.Errorf("it reports %+v, %+v; want %s", ready, stall, reason)
	}
}
