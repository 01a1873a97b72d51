package schedule

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// TestForgedGatesDelayNobody: one namespace is full of gates that look like those of a schedule of the cluster. Each reconcile first writes
// the gates of others and deletes a bounded number of the forged ones, until none is left.
func TestForgedGatesDelayNobody(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	freeze := &v1alpha1.ClusterRolloutSchedule{ObjectMeta: metav1.ObjectMeta{Name: "freeze", UID: "freeze-uid"}}
	freeze.Spec.Action, freeze.Spec.Always = v1alpha1.ScheduleDeny, true
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: "good", Name: "app"}}
	const evil, other = 300, 10
	objects := []client.Object{freeze, ro}
	forge := func(namespace string, i int) *v1alpha1.RolloutGate {
		g := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprint("forged-", i), OwnerReferences: []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.KindClusterRolloutSchedule, Name: "freeze", UID: "freeze-uid", Controller: new(true),
		}}}}
		g.Spec = v1alpha1.RolloutGateSpec{RolloutRef: corev1.LocalObjectReference{Name: "none"}, Passing: new(true)}
		return g
	}
	for i := range evil {
		objects = append(objects, forge("evil", i))
	}
	for i := range other {
		objects = append(objects, forge("other", i))
	}
	var deletes, deletesBeforeCreate atomic.Int64
	created := atomic.Bool{}
	build := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(freeze).WithInterceptorFuncs(interceptor.Funcs{
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			deletes.Add(1)
			if !created.Load() {
				deletesBeforeCreate.Add(1)
			}
			return c.Delete(ctx, o, opts...)
		},
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			created.Store(true)
			return c.Create(ctx, o, opts...)
		},
	})
	for _, i := range Indexes() {
		build = build.WithIndex(i.Object, i.Key, i.Values)
	}
	c := build.Build()
	controller := New(c, events.NewFakeRecorder(1000), clock.RealClock{})
	left := func(namespace string) int {
		var list v1alpha1.RolloutGateList
		if err := c.List(t.Context(), &list, client.InNamespace(namespace)); err != nil {
			t.Fatal(err)
		}
		return len(list.Items)
	}
	for round := 1; left("evil") > 0; round++ {
		if round > evil/maxRemovalsPerNamespace+1 {
			t.Fatalf("after %d rounds, %d forged gates are left", round, left("evil"))
		}
		deletes.Store(0)
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(freeze), freeze); err != nil {
			t.Fatal(err)
		}
		result, err := controller.reconcile(t.Context(), cluster(freeze))
		if err != nil {
			t.Fatal(err)
		}
		if round == 1 && (left("good") != 1 || left("other") > 0 || deletesBeforeCreate.Load() > 0) {
			t.Errorf("after the first round, there are %d gates of the Rollout, and %d forged ones in another namespace; %d were deleted first",
				left("good"), left("other"), deletesBeforeCreate.Load())
		}
		if n := deletes.Load(); n > maxRemovalsPerNamespace+other {
			t.Errorf("round %d deletes %d gates", round, n)
		}
		if left("evil") > 0 && (result.RequeueAfter <= 0 || result.RequeueAfter > time.Second) {
			t.Errorf("the next round is after %s", result.RequeueAfter)
		}
	}
}
