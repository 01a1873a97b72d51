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

// The contract test of environmenttest does not apply: this backend publishes nothing, and nobody else can write a
// history.

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

func named(name string) func(*environments.Environment) {
	return func(e *environments.Environment) { e.Spec.Environment = name }
}

func ofApplication(application string) func(*environments.Environment) {
	return func(e *environments.Environment) { e.Spec.Name = application }
}

func onBackend(t environments.BackendType) func(*environments.Environment) {
	return func(e *environments.Environment) { e.Spec.Backend = &environments.Backend{Type: t} }
}

func deleted(e *environments.Environment) {
	e.DeletionTimestamp, e.Finalizers = &metav1.Time{Time: noon}, []string{"example.com/waits"}
}

func rollout(ns string) *v1alpha1.Rollout {
	id, state := int64(1), string(v1alpha1.BakeSucceeded)
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "app", UID: types.UID(ns)}}
	ro.Status.History = []v1alpha1.DeploymentHistoryEntry{{
		ID: &id, Version: v1alpha1.VersionInfo{
			Tag: "1.0.0", Digest: "sha256:1",
		}, BakeStatus: &state, Timestamp: metav1.NewTime(noon),
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

func TestVisibleEnvironments(t *testing.T) {
	t.Parallel()
	here, there := env("here", "production"), env("there", "staging")
	rollouts := []client.Object{rollout("here"), rollout("there")}
	alone, both := map[string]string{
		"production": "here/1",
	}, map[string]string{
		"production": "here/1", "staging": "there/1",
	}
	for name, tc := range map[string]struct {
		objects []client.Object
		want    map[string]string
	}{
		"one namespace": {
			[]client.Object{namespace("here", "-"), here, env("here", "staging")},
			map[string]string{"production": "here/1", "staging": "here/1"},
		},
		"one group": {
			[]client.Object{namespace("here", "shop"), namespace("there", "shop"), here, there}, both,
		},
		"different groups": {
			[]client.Object{namespace("here", "shop"), namespace("there", "other"), here, there}, alone,
		},
		"no groups": {
			[]client.Object{namespace("here", "-"), namespace("there", "-"), here, there}, alone,
		},
		"empty groups": {
			[]client.Object{namespace("here", ""), namespace("there", ""), here, there}, alone,
		},
		"a group here only": {
			[]client.Object{namespace("here", "shop"), namespace("there", "-"), here, there}, alone,
		},
		"a group there only": {
			[]client.Object{namespace("here", "-"), namespace("there", "shop"), here, there}, alone,
		},
		"other namespace missing": {[]client.Object{namespace("here", "shop"), here, there}, alone},
		"own namespace missing":   {[]client.Object{namespace("there", "shop"), here, there}, alone},
		"another application": {
			[]client.Object{namespace("here", "-"), here, env("here", "staging", ofApplication("mail"))}, alone,
		},
		"with the prefix": {
			[]client.Object{namespace("here", "-"), here, env("here", "staging", ofApplication("kuberik/shop"))},
			map[string]string{"production": "here/1", "staging": "here/1"},
		},
		"on GitHub": {
			[]client.Object{namespace("here", "-"), here, env("here", "staging", onBackend(environments.BackendGitHub))}, alone,
		},
		"on GitLab": {
			[]client.Object{namespace("here", "-"), here, env("here", "staging", onBackend(environments.BackendGitLab))}, alone,
		},
		"explicitly in the cluster": {
			[]client.Object{namespace("here", "-"), here, env("here", "staging", onBackend(environments.BackendCluster))},
			map[string]string{"production": "here/1", "staging": "here/1"},
		},
		"being deleted": {
			[]client.Object{namespace("here", "-"), here, env("here", "staging", deleted)}, alone,
		},
		"without a name": {
			[]client.Object{namespace("here", "-"), here, env("here", "staging", named(""))}, alone,
		},
		"the same name": {
			[]client.Object{namespace("here", "-"), here, env("here", "second", named("production"))},
			map[string]string{"production": "here/1?, here/1?"},
		},
		"the same name three times": {
			[]client.Object{
				namespace("here", "-"), here, env("here", "b", named("production")), env("here", "c", named("production")),
			},
			map[string]string{"production": strings.Repeat("here/1?, ", 2) + "here/1?"},
		},
		"the same name in the group": {
			[]client.Object{namespace("here", "shop"), namespace("there", "shop"), here, env("there", "production")},
			map[string]string{"production": "here/1?, there/1?"},
		},
		"the same name in another group": {
			[]client.Object{namespace("here", "shop"), namespace("there", "other"), here, env("there", "production")}, alone,
		},
		"the same name, deleted": {
			[]client.Object{namespace("here", "-"), here, env("here", "second", named("production"), deleted)}, alone,
		},
		"without its Rollout": {[]client.Object{namespace("here", "-"), here, env("here", "staging", func(
			e *environments.Environment,
		) {
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
				t.Errorf("the time of the snapshot is %s", n.At)
			}
		})
	}
}

// TestEnvironmentsOfOtherNamespacesCostNothing: another tenant may have thousands of Environments of the same application.
func TestEnvironmentsOfOtherNamespacesCostNothing(t *testing.T) {
	t.Parallel()
	objects := []client.Object{
		namespace("here", "shop"), namespace("there", "shop"), namespace("attacker", "-"), env("here", "production"),
		env("there", "staging"), rollout("here"),
	}
	for i := range 2 * cluster.MaxEnvironments {
		objects = append(objects, env("attacker", fmt.Sprintf("e-%d", i)))
	}
	listed := 0
	b := open(t, interceptor.Funcs{List: func(
		ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption,
	) error {
		err := c.List(ctx, list, opts...)
		if found, ok := list.(*environments.EnvironmentList); ok {
			listed += len(found.Items)
		}
		return err
	}}, objects...)
	neighbours, err := b.Neighbours(t.Context(), "shop")
	if err != nil || len(neighbours) != 2 || listed != 2 {
		t.Errorf("listed %d, and found %d: %v", listed, len(neighbours), err)
	}
}

func TestTooManyEnvironmentsOfAnApplicationAreRefused(t *testing.T) {
	t.Parallel()
	objects := []client.Object{namespace("here", "shop"), namespace("there", "shop")}
	for i := range cluster.MaxEnvironments {
		objects = append(objects, env([]string{"here", "there"}[i%2], fmt.Sprintf("e-%d", i)))
	}
	neighbours, err := open(t, interceptor.Funcs{}, objects...).Neighbours(t.Context(), "shop")
	if err != nil || len(neighbours) != cluster.MaxEnvironments {
		t.Errorf("%d neighbours: %v", len(neighbours), err)
	}
	var refused *environment.RefusedError
	b := open(t, interceptor.Funcs{}, append(objects, env("there", "more"))...)
	_, err = b.Neighbours(t.Context(), "shop")
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "more than 100 Environments of the application shop") {
		t.Errorf("got %v", err)
	}
	if _, err := b.Read(t.Context(), "shop"); !errors.As(err, &refused) {
		t.Errorf("got %v", err)
	}
}

func TestReadReturnsTheStatesOfTheEnvironments(t *testing.T) {
	t.Parallel()
	b := open(
		t, interceptor.Funcs{}, namespace("here", "-"), rollout("here"), env("here", "staging"), env("here", "production"),
	)
	n, err := b.Read(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	want := []environment.State{
		environment.StateOf(env("here", "production"), rollout("here")),
		environment.StateOf(env("here", "staging"), rollout("here")),
	}
	if diff := gocmp.Diff(want, n.Environments, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n, err := b.Read(t.Context(), "nothing"); err != nil || len(n.Environments) != 0 {
		t.Errorf("got %+v, %v", n, err)
	}
}

// TestUnknownAsksForTheLabel: without the label, an environment seems not to exist.
func TestUnknownAsksForTheLabel(t *testing.T) {
	t.Parallel()
	for group, want := range map[string]string{
		"-":    "kubectl label namespace here <the other namespace> environments.kuberik.com/group=<name>",
		"shop": "kubectl label namespace <the other namespace> environments.kuberik.com/group=shop",
	} {
		n, err := open(
			t, interceptor.Funcs{}, namespace("here", group), namespace("there", "-"), env("here", "production"),
			env("there", "staging"), rollout("here"), rollout("there"),
		).Read(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		r := environment.Requirements{Upstreams: []environment.Upstream{{Environment: "staging"}}, Now: noon}
		if a := n.Evaluate(r, rollout("here").Status.History[0].Version); a.Reason != environment.ReasonUnknownEnvironment ||
			!strings.Contains(a.Message, want) {
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

// TestFailedReadsAreErrors: a failed read must not look like a missing environment.
func TestFailedReadsAreErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken on purpose")
	get := func(fails func(client.ObjectKey, client.Object) bool) interceptor.Funcs {
		return interceptor.Funcs{
			Get: func(
				ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption,
			) error {
				if fails(key, o) {
					return broken
				}
				return c.Get(ctx, key, o, opts...)
			},
		}
	}
	list := func(fails func(client.ObjectList) bool) interceptor.Funcs {
		return interceptor.Funcs{
			List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
				if fails(l) {
					return broken
				}
				return c.List(ctx, l, opts...)
			},
		}
	}
	for name, funcs := range map[string]interceptor.Funcs{
		"listing Environments": list(func(list client.ObjectList) bool {
			_, ok := list.(*environments.EnvironmentList)
			return ok
		}),
		`reading namespace "here"`: get(func(k client.ObjectKey, o client.Object) bool {
			_, ok := o.(*corev1.Namespace)
			return ok && k.Name == "here"
		}),
		"listing namespaces": list(func(list client.ObjectList) bool {
			_, ok := list.(*corev1.NamespaceList)
			return ok
		}),
		`reading the Rollout of Environment "there/staging"`: get(func(k client.ObjectKey, o client.Object) bool {
			_, ok := o.(*v1alpha1.Rollout)
			return ok && k.Namespace == "there"
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(
				t, funcs, namespace("here", "shop"), namespace("there", "shop"), rollout("here"), rollout("there"),
				env("here", "production"), env("there", "staging"),
			)
			n, err := b.Read(t.Context(), "shop")
			if !errors.Is(err, broken) || !strings.Contains(err.Error(), name) || !n.At.IsZero() {
				t.Errorf("got %+v, %v", n, err)
			}
		})
	}
}
