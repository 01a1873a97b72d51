package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/cluster"
)

// The suite of environmenttest is about places that are written to, by actors of whom some are trusted. Here nothing is published and
// nobody else can write a history, so that hardly a test of it would have a meaning.

var noon = time.Date(2030, 3, 1, 12, 0, 0, 0, time.UTC)

func namespace(name, group string) *corev1.Namespace {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if group != "-" {
		ns.Labels = map[string]string{cluster.LabelGroup: group}
	}
	return ns
}

func env(ns, name string, edits ...func(*environments.Environment)) *environments.Environment {
	e := &environments.Environment{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec: environments.EnvironmentSpec{
			RolloutRef: corev1.LocalObjectReference{Name: "app"}, Name: "shop", Environment: name,
		},
	}
	for _, edit := range edits {
		edit(e)
	}
	return e
}

func called(name string) func(*environments.Environment) {
	return func(e *environments.Environment) { e.Spec.Environment = name }
}

func of(application string) func(*environments.Environment) {
	return func(e *environments.Environment) { e.Spec.Name = application }
}

func at(t environments.BackendType) func(*environments.Environment) {
	return func(e *environments.Environment) { e.Spec.Backend = &environments.Backend{Type: t} }
}

func deleted(e *environments.Environment) {
	e.DeletionTimestamp, e.Finalizers = &metav1.Time{Time: noon}, []string{"example.com/waits"}
}

func rollout(ns string) *v1alpha1.Rollout {
	id, state := int64(1), string(v1alpha1.BakeSucceeded)
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "app", UID: types.UID(ns)}}
	ro.Status.History = []v1alpha1.DeploymentHistoryEntry{{
		ID: &id, Version: v1alpha1.VersionInfo{Tag: "1.0.0", Digest: "sha256:1"}, BakeStatus: &state, Timestamp: metav1.NewTime(noon),
	}}
	return ro
}

func open(t *testing.T, funcs interceptor.Funcs, objects ...client.Object) cluster.Backend {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, environments.AddToScheme, corev1.AddToScheme} {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
	}
	build := fake.NewClientBuilder().WithScheme(s).WithObjects(objects...)
	for _, i := range cluster.Indexes() {
		build = build.WithIndex(i.Object, i.Key, i.Values)
	}
	return cluster.Backend{
		Client: interceptor.NewClient(build.Build(), funcs), Namespace: "here", Clock: clocktesting.NewFakePassiveClock(noon),
	}
}

// keysOf maps the environments to the keys of their deployments, with a "?" if they are no evidence.
func keysOf(n environment.Snapshot) map[string]string {
	keysByName := map[string]string{}
	for _, s := range n.Environments {
		var keys []string
		for _, d := range s.Deployments {
			if d.UntrustedReason != "" {
				d.Key += "?"
			}
			keys = append(keys, d.Key)
		}
		keysByName[s.Environment] = strings.Join(keys, ", ")
	}
	return keysByName
}

func TestWhoMeets(t *testing.T) {
	t.Parallel()
	here, there := env("here", "production"), env("there", "staging")
	rollouts := []client.Object{rollout("here"), rollout("there")}
	alone, both := map[string]string{"production": "here/1"}, map[string]string{"production": "here/1", "staging": "there/1"}
	for name, tc := range map[string]struct {
		objects []client.Object
		want    map[string]string
	}{
		"one namespace":         {[]client.Object{namespace("here", "-"), here, env("here", "staging")}, map[string]string{"production": "here/1", "staging": "here/1"}},
		"one group":             {[]client.Object{namespace("here", "shop"), namespace("there", "shop"), here, there}, both},
		"different groups":      {[]client.Object{namespace("here", "shop"), namespace("there", "other"), here, there}, alone},
		"no groups":             {[]client.Object{namespace("here", "-"), namespace("there", "-"), here, there}, alone},
		"empty groups":          {[]client.Object{namespace("here", ""), namespace("there", ""), here, there}, alone},
		"a group here only":     {[]client.Object{namespace("here", "shop"), namespace("there", "-"), here, there}, alone},
		"a group there only":    {[]client.Object{namespace("here", "-"), namespace("there", "shop"), here, there}, alone},
		"that namespace gone":   {[]client.Object{namespace("here", "shop"), here, there}, alone},
		"this namespace gone":   {[]client.Object{namespace("there", "shop"), here, there}, alone},
		"another application":   {[]client.Object{namespace("here", "-"), here, env("here", "staging", of("mail"))}, alone},
		"with the prefix":       {[]client.Object{namespace("here", "-"), here, env("here", "staging", of("kuberik/shop"))}, map[string]string{"production": "here/1", "staging": "here/1"}},
		"that meets at GitHub":  {[]client.Object{namespace("here", "-"), here, env("here", "staging", at(environments.BackendGitHub))}, alone},
		"that meets at GitLab":  {[]client.Object{namespace("here", "-"), here, env("here", "staging", at(environments.BackendGitLab))}, alone},
		"says that it is here":  {[]client.Object{namespace("here", "-"), here, env("here", "staging", at(environments.BackendCluster))}, map[string]string{"production": "here/1", "staging": "here/1"}},
		"being deleted":         {[]client.Object{namespace("here", "-"), here, env("here", "staging", deleted)}, alone},
		"without a name":        {[]client.Object{namespace("here", "-"), here, env("here", "staging", called(""))}, alone},
		"the same name":         {[]client.Object{namespace("here", "-"), here, env("here", "second", called("production"))}, map[string]string{"production": "here/1?, here/1?"}},
		"the same name, thrice": {[]client.Object{namespace("here", "-"), here, env("here", "b", called("production")), env("here", "c", called("production"))}, map[string]string{"production": strings.Repeat("here/1?, ", 2) + "here/1?"}},
		"the same, of a group":  {[]client.Object{namespace("here", "shop"), namespace("there", "shop"), here, env("there", "production")}, map[string]string{"production": "here/1?, there/1?"}},
		"the same, of another":  {[]client.Object{namespace("here", "shop"), namespace("there", "other"), here, env("there", "production")}, alone},
		"the same, deleted":     {[]client.Object{namespace("here", "-"), here, env("here", "second", called("production"), deleted)}, alone},
		"without its Rollout": {[]client.Object{namespace("here", "-"), here, env("here", "staging", func(e *environments.Environment) {
			e.Spec.RolloutRef.Name = "missing"
		})}, map[string]string{"production": "here/1", "staging": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var objects []client.Object
			for _, o := range append(tc.objects, rollouts...) {
				if copied, ok := o.DeepCopyObject().(client.Object); ok {
					objects = append(objects, copied)
				}
			}
			b := open(t, interceptor.Funcs{}, objects...)
			n, err := b.Read(t.Context(), "shop")
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(tc.want, keysOf(n)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if !n.At.Equal(noon) {
				t.Errorf("the snapshot is of %s", n.At)
			}
		})
	}
}

// TestManyOfAnotherNamespaceCostNothing: whoever may write Environments can have thousands of the application of another tenant.
func TestManyOfAnotherNamespaceCostNothing(t *testing.T) {
	t.Parallel()
	objects := []client.Object{namespace("here", "shop"), namespace("there", "shop"), namespace("attacker", "-"), env("here", "production"), env("there", "staging"), rollout("here")}
	for i := range 2 * cluster.Most {
		objects = append(objects, env("attacker", fmt.Sprintf("e-%d", i)))
	}
	looked := 0
	b := open(t, interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
		err := c.List(ctx, list, opts...)
		if found, ok := list.(*environments.EnvironmentList); ok {
			looked += len(found.Items)
		}
		return err
	}}, objects...)
	near, err := b.Neighbours(t.Context(), "shop")
	if err != nil || len(near) != 2 || looked != 2 {
		t.Errorf("it looked at %d and found %d: %v", looked, len(near), err)
	}
}

func TestTooManyThatMeetAreRefused(t *testing.T) {
	t.Parallel()
	objects := []client.Object{namespace("here", "shop"), namespace("there", "shop")}
	for i := range cluster.Most {
		objects = append(objects, env([]string{"here", "there"}[i%2], fmt.Sprintf("e-%d", i)))
	}
	if near, err := open(t, interceptor.Funcs{}, objects...).Neighbours(t.Context(), "shop"); err != nil || len(near) != cluster.Most {
		t.Errorf("%d meet: %v", len(near), err)
	}
	var refused *environment.RefusedError
	b := open(t, interceptor.Funcs{}, append(objects, env("there", "more"))...)
	if _, err := b.Neighbours(t.Context(), "shop"); !errors.As(err, &refused) || !strings.Contains(err.Error(), "more than 100 Environments of the application shop meet") {
		t.Errorf("got %v", err)
	}
	if _, err := b.Read(t.Context(), "shop"); !errors.As(err, &refused) {
		t.Errorf("got %v", err)
	}
}

func TestNewsAreWhatTheEnvironmentsSay(t *testing.T) {
	t.Parallel()
	b := open(t, interceptor.Funcs{}, namespace("here", "-"), rollout("here"), env("here", "staging"), env("here", "production"))
	n, err := b.Read(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	want := []environment.State{environment.Of(env("here", "production"), rollout("here")), environment.Of(env("here", "staging"), rollout("here"))}
	if diff := gocmp.Diff(want, n.Environments, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n, err := b.Read(t.Context(), "nothing"); err != nil || len(n.Environments) != 0 {
		t.Errorf("got %+v, %v", n, err)
	}
}

// TestUnknownAsksForTheLabel: a label that somebody forgot looks like an environment that does not exist.
func TestUnknownAsksForTheLabel(t *testing.T) {
	t.Parallel()
	for group, want := range map[string]string{
		"-":    "kubectl label namespace here <the other namespace> environments.kuberik.com/group=<name>",
		"shop": "kubectl label namespace <the other namespace> environments.kuberik.com/group=shop",
	} {
		n, err := open(t, interceptor.Funcs{}, namespace("here", group), namespace("there", "-"), env("here", "production"), env("there", "staging"), rollout("here"), rollout("there")).Read(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		q := environment.Question{Upstreams: []environment.Upstream{{Environment: "staging"}}, Now: noon}
		if a := n.Ask(q, rollout("here").Status.History[0].Version); a.Reason != environment.ReasonUnknownEnvironment || !strings.Contains(a.Message, want) {
			t.Errorf("group %s: got %s: %s", group, a.Reason, a.Message)
		}
	}
}

func TestPublishWritesNothing(t *testing.T) {
	t.Parallel()
	b := open(t, interceptor.Funcs{}, namespace("here", "-"))
	if err := b.Publish(t.Context(), environment.State{}); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Publish(ctx, environment.State{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestWhatCannotBeReadIsNotNothing: each read that fails is an error, and none looks like an environment that is not there.
func TestWhatCannotBeReadIsNotNothing(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken on purpose")
	get := func(fails func(client.ObjectKey, client.Object) bool) interceptor.Funcs {
		return interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if fails(key, o) {
				return broken
			}
			return c.Get(ctx, key, o, opts...)
		}}
	}
	for name, funcs := range map[string]interceptor.Funcs{
		"listing Environments": {List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if _, ok := list.(*environments.EnvironmentList); ok {
				return broken
			}
			return c.List(ctx, list, opts...)
		}},
		`reading namespace "here"`: get(func(k client.ObjectKey, o client.Object) bool {
			_, ok := o.(*corev1.Namespace)
			return ok && k.Name == "here"
		}),
		"listing namespaces": {List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if _, ok := list.(*corev1.NamespaceList); ok {
				return broken
			}
			return c.List(ctx, list, opts...)
		}},
		`reading the Rollout of Environment "there/staging"`: get(func(k client.ObjectKey, o client.Object) bool {
			_, ok := o.(*v1alpha1.Rollout)
			return ok && k.Namespace == "there"
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t, funcs, namespace("here", "shop"), namespace("there", "shop"), rollout("here"), rollout("there"), env("here", "production"), env("there", "staging"))
			n, err := b.Read(t.Context(), "shop")
			if !errors.Is(err, broken) || !strings.Contains(err.Error(), name) || !n.At.IsZero() {
				t.Errorf("got %+v, %v", n, err)
			}
		})
	}
}
