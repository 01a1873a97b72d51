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

// fixture is a namespace with the Environment production, which comes after staging, and the service of their backend.
type fixture struct {
	t       *testing.T
	client  client.Client
	clock   *clocktesting.FakePassiveClock
	service *memory.Service
	self    *environments.Environment
	rollout *v1alpha1.Rollout
	// forErr, publishErr and readErr are the errors of the backend. If neverRead is set, it has no snapshot yet.
	forErr, publishErr, readErr error
	neverRead                   bool
	// failStatus makes every write of a status fail.
	failStatus bool
	// log are the writes: create, patch, delete or status, and the kind.
	log []string

	controller *Controller
	backend    *memory.Backend
}

// For implements Backends.
func (f *fixture) For(context.Context, *environments.Environment) (environment.Backend, error) {
	return f, f.forErr
}

func (f *fixture) Publish(ctx context.Context, s environment.State) error {
	return errors.Join(f.backend.Publish(ctx, s), f.publishErr)
}

func (f *fixture) Read(ctx context.Context, application string) (environment.Snapshot, error) {
	switch {
	case f.neverRead:
		return environment.Snapshot{}, f.readErr
	case f.readErr != nil:
		f.service.Interrupt(func(e memory.Effect) memory.Interruption {
			if e == memory.Read {
				return memory.Interruption{Before: f.readErr}
			}
			return memory.Interruption{}
		})
		defer f.service.Interrupt(nil)
	}
	return f.backend.Read(ctx, application)
}

func release(tag string) v1alpha1.VersionInfo {
	return v1alpha1.VersionInfo{Tag: tag, Digest: "sha256:" + tag}
}

func entry(id int64, tag string, s v1alpha1.BakeStatus) v1alpha1.DeploymentHistoryEntry {
	status := string(s)
	e := v1alpha1.DeploymentHistoryEntry{
		ID: &id, Version: release(tag), BakeStatus: &status,
		Timestamp: metav1.NewTime(noon.Add(time.Duration(id-100) * time.Minute)),
	}
	if s == v1alpha1.BakeSucceeded {
		end := metav1.NewTime(e.Timestamp.Add(30 * time.Second))
		e.BakeEndTime = &end
	}
	return e
}

// outsideBackend sets a backend outside of the cluster.
func outsideBackend(e *environments.Environment) {
	e.Spec.Backend = &environments.Backend{Type: environments.BackendGitHub, Project: "o/r"}
}

func newFixture(t *testing.T, edits ...func(*environments.Environment)) *fixture {
	t.Helper()
	meta := metav1.ObjectMeta{Namespace: "ns", Name: "app", UID: "production"}
	f := &fixture{t: t, clock: clocktesting.NewFakePassiveClock(noon)}
	f.service = memory.NewService(f.clock)
	f.backend = f.service.Backend("kuberik")
	f.rollout = &v1alpha1.Rollout{ObjectMeta: meta}
	f.rollout.Status.ReleaseCandidates = []v1alpha1.VersionInfo{release("2.0.0"), release("1.0.0")}
	f.self = &environments.Environment{ObjectMeta: meta, Spec: environments.EnvironmentSpec{
		RolloutRef: corev1.LocalObjectReference{Name: "app"}, Name: "shop", Environment: "production",
		Relationship: &environments.Relationship{Environment: "staging", Type: environments.After},
	}}
	for _, edit := range edits {
		edit(f.self)
	}
	f.client = f.newClient(f.self, f.rollout)
	f.controller = New(f.client, f.client, f, f.clock)
	return f
}

// newClient returns a client that logs the writes.
func (f *fixture) newClient(objects ...client.Object) client.Client {
	f.t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, environments.AddToScheme, corev1.AddToScheme} {
		if err := add(s); err != nil {
			f.t.Fatal(err)
		}
	}
	build := fake.NewClientBuilder().WithScheme(s).WithObjects(objects...).
		WithStatusSubresource(&environments.Environment{}, &v1alpha1.Rollout{}, &v1alpha1.RolloutGate{}).
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
	logWrite := func(verb string, o client.Object) {
		kind := "gate"
		if _, ok := o.(*environments.Environment); ok {
			kind = "environment"
		}
		f.log = append(f.log, verb+" "+kind)
	}
	return interceptor.NewClient(build.Build(), interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			logWrite("create", o)
			o.SetUID("created")
			return c.Create(ctx, o, opts...)
		},
		Patch: func(
			ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption,
		) error {
			logWrite("patch", o)
			return c.Patch(ctx, o, p, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			logWrite("delete", o)
			return c.Delete(ctx, o, opts...)
		},
		SubResourcePatch: func(
			ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch,
			opts ...client.SubResourcePatchOption,
		) error {
			logWrite("status", o)
			if f.failStatus {
				return errBroken
			}
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		},
	})
}

// publishStaging publishes the history of staging, newest first.
func (f *fixture) publishStaging(history ...v1alpha1.DeploymentHistoryEntry) {
	f.t.Helper()
	f.publishOther("staging", nil, history...)
}

func (f *fixture) publishOther(
	name string, quarantined []v1alpha1.Quarantine, history ...v1alpha1.DeploymentHistoryEntry,
) {
	f.t.Helper()
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{UID: "uid of staging"}}
	ro.UID, ro.Status.History, ro.Status.Quarantined = "uid of "+ro.UID, history, quarantined
	e := &environments.Environment{Spec: environments.EnvironmentSpec{Name: "shop", Environment: name}}
	if err := f.backend.Publish(f.t.Context(), environment.StateOf(e, ro)); err != nil {
		f.t.Fatal(err)
	}
}

// setHistory sets the history of production.
func (f *fixture) setHistory(history ...v1alpha1.DeploymentHistoryEntry) {
	f.t.Helper()
	f.get(f.rollout)
	f.rollout.Status.History = history
	if err := f.client.Status().Update(f.t.Context(), f.rollout); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) get(o client.Object) bool {
	f.t.Helper()
	err := f.client.Get(f.t.Context(), client.ObjectKeyFromObject(o), o)
	if client.IgnoreNotFound(err) != nil {
		f.t.Fatal(err)
	}
	return err == nil
}

// edit changes the spec of the Environment.
func (f *fixture) edit(change func(*environments.EnvironmentSpec)) {
	f.t.Helper()
	f.get(f.self)
	change(&f.self.Spec)
	if err := f.client.Update(f.t.Context(), f.self); err != nil {
		f.t.Fatal(err)
	}
}

// reconcile reconciles the Environment. It clears the log first.
func (f *fixture) reconcile() (ctrl.Result, error) {
	f.t.Helper()
	f.log = nil
	f.get(f.self)
	result, err := f.controller.Reconcile(f.t.Context(), f.self)
	f.get(f.self)
	return result, err
}

// mustReconcile reconciles the Environment, and expects no error.
func (f *fixture) mustReconcile() ctrl.Result {
	f.t.Helper()
	result, err := f.reconcile()
	if err != nil {
		f.t.Fatal(err)
	}
	return result
}

// gate returns the gate of the Environment, or nil.
func (f *fixture) gate() *v1alpha1.RolloutGate {
	f.t.Helper()
	g := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: environment.GateName(f.self)}}
	if !f.get(g) {
		return nil
	}
	return g
}

// verdict returns the verdict for a tag.
func (f *fixture) verdict(tag string) v1alpha1.GateVerdict {
	f.t.Helper()
	if g := f.gate(); g != nil {
		for _, v := range g.Status.Verdicts {
			if v.Release == tag {
				return v
			}
		}
	}
	return v1alpha1.GateVerdict{}
}

// expectVerdict checks the verdict for a tag.
func (f *fixture) expectVerdict(tag string, state v1alpha1.GateState, reason string) {
	f.t.Helper()
	if v := f.verdict(tag); v.State != state || v.Reason != reason {
		f.t.Errorf("%s: got %s, %s: %s; want %s, %s", tag, v.State, v.Reason, v.Message, state, reason)
	}
}

// condition returns a condition of the Environment.
func (f *fixture) condition(kind string) metav1.Condition {
	if c := apimeta.FindStatusCondition(f.self.Status.Conditions, kind); c != nil {
		return *c
	}
	return metav1.Condition{}
}

// expectReady checks the reason of the condition Ready, and whether the Environment is stalled.
func (f *fixture) expectReady(reason string, stalled bool) {
	f.t.Helper()
	ready, stall := f.condition(v1alpha1.ConditionReady), f.condition(v1alpha1.ConditionStalled)
	if ready.Reason != reason || (ready.Status == metav1.ConditionTrue) != (reason == "Synced") ||
		(stall.Status == metav1.ConditionTrue) != stalled {
		f.t.Errorf("got %+v, %+v; want %s", ready, stall, reason)
	}
}
