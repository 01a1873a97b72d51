package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/approval"
	"github.com/kuberik/kuberik/internal/flux"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/kube"
)

// world is a namespace where 1.0.0 may be deployed, and nothing was.
func world(t *testing.T, funcs interceptor.Funcs) (client.WithWatch, *Controller) {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, environments.AddToScheme, flux.AddToScheme, admissionv1.AddToScheme} {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
	}
	meta := metav1.ObjectMeta{Namespace: "ns", Name: "app"}
	ro := &v1alpha1.Rollout{ObjectMeta: meta}
	ro.Spec.ReleasesImagePolicy.Name = "app"
	ro.Spec.HealthCheckSelector = &v1alpha1.HealthCheckSelector{Selector: &v1alpha1.LabelSelector{}}
	policy := &imagev1.ImagePolicy{ObjectMeta: meta, Status: imagev1.ImagePolicyStatus{LatestRef: &imagev1.ImageRef{Name: "reg/app", Tag: "1.0.0"}}}
	k := &kustomizev1.Kustomization{ObjectMeta: meta}
	k.Annotations = map[string]string{"rollout.kuberik.com/substitute.VERSION.from": "app"}
	check := &v1alpha1.HealthCheck{ObjectMeta: meta}
	build := fake.NewClientBuilder().WithScheme(s).WithObjects(ro, policy, k, check).WithStatusSubresource(ro, policy, k).
		WithIndex(&v1alpha1.RolloutGate{}, "spec.rolloutRef.name", func(o client.Object) []string { return []string{o.(*v1alpha1.RolloutGate).Spec.RolloutRef.Name} }).
		WithIndex(&v1alpha1.Override{}, kube.SelectRolloutName, func(o client.Object) []string { return []string{o.(*v1alpha1.Override).Spec.RolloutRef.Name} })
	for _, i := range slices.Concat(Indexes(), approval.Indexes()) {
		build = build.WithIndex(i.Object, i.Key, i.Values)
	}
	plain := build.Build()
	if err := plain.Status().Update(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	c := interceptor.NewClient(plain, funcs)
	policies, err := approval.NewPolicyVerifier(c)
	if err != nil {
		t.Fatal(err)
	}
	return plain, New(c, c, events.NewFakeRecorder(100), clock.RealClock{}, Options{Policies: policies})
}

func step(t *testing.T, c client.Client, r *Controller) error {
	t.Helper()
	ro := &v1alpha1.Rollout{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "ns", Name: "app"}, ro); err != nil {
		t.Fatal(err)
	}
	_, err := r.Reconcile(t.Context(), ro)
	return err
}

// failingLists are lists that a decision depends on; failing, none of them may look like an empty one.
func TestD20ListThatFailsOpensNothing(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]func(client.ObjectList) bool{
		"gates":           func(l client.ObjectList) bool { _, ok := l.(*v1alpha1.RolloutGateList); return ok },
		"overrides":       func(l client.ObjectList) bool { _, ok := l.(*v1alpha1.OverrideList); return ok },
		"checks":          func(l client.ObjectList) bool { _, ok := l.(*v1alpha1.HealthCheckList); return ok },
		"releases":        func(l client.ObjectList) bool { _, ok := l.(*v1alpha1.ReleaseList); return ok },
		"Kustomizations":  func(l client.ObjectList) bool { _, ok := l.(*kustomizev1.KustomizationList); return ok },
		"OCIRepositories": func(l client.ObjectList) bool { _, ok := l.(*sourcev1.OCIRepositoryList); return ok },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			boom, broken := errors.New("boom"), true
			c, r := world(t, interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
				if broken && fails(list) {
					return boom
				}
				return c.List(ctx, list, opts...)
			}})
			if err := step(t, c, r); !errors.Is(err, boom) {
				t.Fatalf("it returned %v", err)
			}
			wantDeployed(t, c, 0, "")
			broken = false
			if err := step(t, c, r); err != nil {
				t.Fatal(err)
			}
			wantDeployed(t, c, 1, "1.0.0")
		})
	}
}

// wantDeployed looks at the history and at what Flux was handed.
func wantDeployed(t *testing.T, c client.Client, entries int, value string) {
	t.Helper()
	ro, k := &v1alpha1.Rollout{}, &kustomizev1.Kustomization{}
	key := client.ObjectKey{Namespace: "ns", Name: "app"}
	if err := errors.Join(c.Get(t.Context(), key, ro), c.Get(t.Context(), key, k)); err != nil {
		t.Fatal(err)
	}
	got := ""
	if k.Spec.PostBuild != nil {
		got = k.Spec.PostBuild.Substitute["VERSION"]
	}
	if len(ro.Status.History) != entries || got != value {
		t.Errorf("%d deployments, Flux was handed %q; want %d, %q", len(ro.Status.History), got, entries, value)
	}
}

// TestGateThatCloses between the intent and the handover: the cache has not seen it, and nothing is handed over.
func TestGateThatTheCacheHasNotSeenHoldsTheHandover(t *testing.T) {
	t.Parallel()
	c, r := world(t, interceptor.Funcs{})
	closed := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "gate"}}
	closed.Spec.RolloutRef.Name = "app"
	r.client = interceptor.NewClient(c, interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
		if _, ok := list.(*v1alpha1.RolloutGateList); ok {
			return nil // a cache that lags behind
		}
		return c.List(ctx, list, opts...)
	}})
	r.flux.Reader, r.pinner.Client = r.client, r.client
	if err := c.Create(t.Context(), closed); err != nil {
		t.Fatal(err)
	}
	if err := step(t, c, r); err != nil {
		t.Fatal(err)
	}
	wantDeployed(t, c, 1, "")
}

// TestGateThatIsBeingDeletedIsNotTheGateOfItsOwner: somebody who may write gates deletes a copy of the gate that a schedule
// owns, which a finalizer keeps, and takes the real one away. The copy is open.
func TestGateThatIsBeingDeletedIsNotTheGateOfItsOwner(t *testing.T) {
	t.Parallel()
	c, r := world(t, interceptor.Funcs{})
	freeze := &v1alpha1.RolloutSchedule{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "freeze", UID: "freeze-uid"}}
	freeze.Spec.RolloutSelector = v1alpha1.LabelSelector{}
	freeze.Spec.Action = v1alpha1.ScheduleDeny
	freeze.Spec.Rules = []v1alpha1.ScheduleRule{{}}
	fake := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "fake", Finalizers: []string{"example.com/stay"}}}
	fake.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.KindRolloutSchedule, Name: "freeze", UID: "freeze-uid", Controller: ptr.To(true),
	}}
	fake.Spec.RolloutRef.Name, fake.Spec.Passing = "app", ptr.To(true)
	if err := errors.Join(c.Create(t.Context(), freeze), c.Create(t.Context(), fake), c.Delete(t.Context(), fake)); err != nil {
		t.Fatal(err)
	}
	if err := step(t, c, r); err != nil {
		t.Fatal(err)
	}
	wantDeployed(t, c, 0, "")
}

// TestChecksAreReadInPages past the cache, without their definitions.
func TestChecksAreReadInPages(t *testing.T) {
	t.Parallel()
	var limits []int64
	c, r := world(t, interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
		var o client.ListOptions
		o.ApplyOptions(opts)
		checks, ok := list.(*v1alpha1.HealthCheckList)
		if !ok {
			return c.List(ctx, list, opts...)
		}
		limits = append(limits, o.Limit)
		err := c.List(ctx, checks, client.InNamespace(o.Namespace))
		half := len(checks.Items) / 2
		if o.Continue == "" {
			checks.Items, checks.Continue = checks.Items[:half], "more"
		} else {
			checks.Items = checks.Items[half:]
		}
		return err
	}})
	for i := range 5 {
		check := &v1alpha1.HealthCheck{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: fmt.Sprint("check-", i)}}
		check.Spec.Script = &v1alpha1.ScriptCheck{Script: "exit 0"}
		if err := c.Create(t.Context(), check); err != nil {
			t.Fatal(err)
		}
	}
	ro := &v1alpha1.Rollout{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "ns", Name: "app"}, ro); err != nil {
		t.Fatal(err)
	}
	list, err := r.checks(t.Context(), flux.Reader{Reader: r.live, Live: true, Pages: r.pages}, ro, labels.Everything())
	if err != nil || len(list) != 6 || !slices.Equal(limits, []int64{checksPerPage, checksPerPage}) {
		t.Errorf("%d checks in pages of at most %v: %v", len(list), limits, err)
	}
	for i := range list {
		if list[i].Spec.Script != nil {
			t.Errorf("the definition of %s is kept", list[i].Name)
		}
	}
}

// TestStaleRollout: what was decided from a Rollout that has changed meanwhile is not done.
func TestVersionOfAStaleRolloutIsNotHandedOver(t *testing.T) {
	t.Parallel()
	c, r := world(t, interceptor.Funcs{Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
		if _, ok := obj.(*kustomizev1.Kustomization); ok {
			return errors.New("boom")
		}
		return c.Patch(ctx, obj, patch, opts...)
	}})
	if err := step(t, c, r); err == nil || !strings.Contains(err.Error(), "boom") {
		t.Fatalf("the handover: %v", err)
	}
	stale := &v1alpha1.Rollout{}
	key := client.ObjectKey{Namespace: "ns", Name: "app"}
	if err := c.Get(t.Context(), key, stale); err != nil {
		t.Fatal(err)
	}
	fresh := stale.DeepCopy()
	pin := "2.0.0"
	fresh.Spec.WantedVersion = &pin
	if err := c.Update(t.Context(), fresh); err != nil {
		t.Fatal(err)
	}
	r.pinner.Client = c
	result, err := r.Reconcile(t.Context(), stale)
	if err != nil || result.RequeueAfter == 0 {
		t.Errorf("a Rollout from before: again after %s, %v", result.RequeueAfter, err)
	}
	wantDeployed(t, c, 1, "")
}

// TestForbiddenWrite: who refuses for ever is named, and the record goes on.
func TestRefusedHandoverIsRecorded(t *testing.T) {
	t.Parallel()
	c, r := world(t, interceptor.Funcs{Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
		if _, ok := obj.(*kustomizev1.Kustomization); ok {
			return errors.New("a webhook says no")
		}
		return c.Patch(ctx, obj, patch, opts...)
	}})
	if err := step(t, c, r); err == nil {
		t.Fatal("nothing is tried again")
	}
	ro := &v1alpha1.Rollout{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "ns", Name: "app"}, ro); err != nil {
		t.Fatal(err)
	}
	if len(ro.Status.BlockedBy) == 0 || ro.Status.BlockedBy[0].Reason != v1alpha1.ReasonWriteFailed || !strings.Contains(ro.Status.BlockedBy[0].Message, "a webhook says no") {
		t.Errorf("it says %+v", ro.Status.BlockedBy)
	}
}

// TestNothingFailsOnACacheThatLagsBehind: what the API server has is asked first, and decides.
func TestNothingFailsOnACacheThatLagsBehind(t *testing.T) {
	t.Parallel()
	c, r := world(t, interceptor.Funcs{})
	if err := step(t, c, r); err != nil {
		t.Fatal(err)
	}
	red := func(list client.ObjectList) {
		if checks, ok := list.(*v1alpha1.HealthCheckList); ok {
			at := metav1.NewTime(time.Now().Add(time.Minute))
			checks.Items[0].Status = v1alpha1.HealthCheckStatus{Status: v1alpha1.HealthUnhealthy, LastChangeTime: &at, LastErrorTime: &at}
		}
	}
	r.client = interceptor.NewClient(c, interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
		err := c.List(ctx, list, opts...)
		red(list)
		return err
	}})
	r.flux.Reader = r.client
	status := func() string {
		ro := &v1alpha1.Rollout{}
		if err := errors.Join(step(t, c, r), c.Get(t.Context(), client.ObjectKey{Namespace: "ns", Name: "app"}, ro)); err != nil {
			t.Fatal(err)
		}
		return *ro.Status.History[0].BakeStatus
	}
	if got := status(); got != string(v1alpha1.BakeDeploying) {
		t.Errorf("unhealthy in the cache alone, it is %s", got)
	}
	r.live = r.client
	if got := status(); got != string(v1alpha1.BakeFailed) {
		t.Errorf("unhealthy in truth, it is %s", got)
	}
}

// aSchedule is a schedule of every Rollout of the namespace, which is closed or open now.
func aSchedule(action v1alpha1.ScheduleAction) *v1alpha1.RolloutSchedule {
	s := &v1alpha1.RolloutSchedule{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "freeze", UID: "freeze-uid"}}
	s.Spec.Action, s.Spec.Always = action, true
	return s
}

// forged is an open gate in the name of a schedule.
func forged(kind string) *v1alpha1.RolloutGate {
	g := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "forged", OwnerReferences: []metav1.OwnerReference{{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: kind, Name: "freeze", UID: "freeze-uid", Controller: ptr.To(true),
	}}}}
	g.Spec.RolloutRef.Name, g.Spec.Passing = "app", ptr.To(true)
	return g
}

// TestForgedGateOfASchedule: whoever may write gates can delete the gate of a schedule and create another with its owner reference, or open
// it, faster than the controller of schedules puts it right. What the schedule itself says counts.
func TestForgedGateOfASchedule(t *testing.T) {
	t.Parallel()
	local, cluster := v1alpha1.KindRolloutSchedule, v1alpha1.KindClusterRolloutSchedule
	ofCluster := func(s *v1alpha1.RolloutSchedule) client.Object {
		return &v1alpha1.ClusterRolloutSchedule{ObjectMeta: metav1.ObjectMeta{Name: s.Name, UID: s.UID}, Spec: v1alpha1.ClusterScheduleSpec{ScheduleSpec: s.Spec}}
	}
	large := aSchedule(v1alpha1.ScheduleAllow)
	large.Spec.RolloutSelector.MatchLabels = map[string]string{"a": strings.Repeat("x", 1<<10)}
	for name, c := range map[string]struct {
		schedule client.Object
		gate     *v1alpha1.RolloutGate
		edit     func(*v1alpha1.RolloutGate)
		deployed bool
	}{
		"closed":                 {aSchedule(v1alpha1.ScheduleDeny), forged(local), nil, false},
		"closed, of the cluster": {ofCluster(aSchedule(v1alpha1.ScheduleDeny)), forged(cluster), nil, false},
		"closed, with a list":    {aSchedule(v1alpha1.ScheduleDeny), forged(local), func(g *v1alpha1.RolloutGate) { g.Spec.Passing, g.Spec.AllowedVersions = nil, &[]string{"1.0.0"} }, false},
		"closed, with another end": {aSchedule(v1alpha1.ScheduleDeny), forged(local), func(g *v1alpha1.RolloutGate) {
			g.Annotations = map[string]string{v1alpha1.AnnotationGateUntil: "2999-01-01T00:00:00Z", v1alpha1.AnnotationGateReason: "a"}
		}, false},
		"selecting too much":     {large, forged(local), nil, false},
		"open":                   {aSchedule(v1alpha1.ScheduleAllow), forged(local), nil, true},
		"open, of the cluster":   {ofCluster(aSchedule(v1alpha1.ScheduleAllow)), forged(cluster), nil, true},
		"open, and the gate not": {aSchedule(v1alpha1.ScheduleAllow), forged(local), func(g *v1alpha1.RolloutGate) { g.Spec.Passing = ptr.To(false) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cl, r := world(t, interceptor.Funcs{})
			if c.edit != nil {
				c.edit(c.gate)
			}
			if err := errors.Join(cl.Create(t.Context(), c.schedule), cl.Create(t.Context(), c.gate), step(t, cl, r)); err != nil {
				t.Fatal(err)
			}
			if c.deployed {
				wantDeployed(t, cl, 1, "1.0.0")
			} else {
				wantDeployed(t, cl, 0, "")
			}
		})
	}
}

// TestRequiredGateThatIsBeingDeleted is not the gate that the Rollout requires, although a finalizer keeps it.
func TestRequiredGateThatIsBeingDeletedHolds(t *testing.T) {
	t.Parallel()
	c, r := world(t, interceptor.Funcs{})
	ro := &v1alpha1.Rollout{}
	key := client.ObjectKey{Namespace: "ns", Name: "app"}
	if err := c.Get(t.Context(), key, ro); err != nil {
		t.Fatal(err)
	}
	ro.Spec.RequiredGates = []string{"approval"}
	open := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "approval", Finalizers: []string{"example.com/stay"}}}
	open.Spec.RolloutRef.Name, open.Spec.Passing = "app", ptr.To(true)
	if err := errors.Join(c.Update(t.Context(), ro), c.Create(t.Context(), open), c.Delete(t.Context(), open), step(t, c, r)); err != nil {
		t.Fatal(err)
	}
	wantDeployed(t, c, 0, "")
	if err := c.Get(t.Context(), key, ro); err != nil {
		t.Fatal(err)
	}
	if len(ro.Status.Gates) != 1 || ro.Status.Gates[0].Reason != "NoGate" {
		t.Errorf("it has the gates %+v", ro.Status.Gates)
	}
}

// TestGatesAreReadInPages past the cache, and no more of them than are evaluated.
func TestGatesAreReadInPages(t *testing.T) {
	t.Parallel()
	for _, n := range []int{3, gate.MaxGates + 1, 10 * gate.MaxGates} {
		lists, largest := 0, int64(0)
		c, r := world(t, interceptor.Funcs{List: func(_ context.Context, _ client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			var o client.ListOptions
			o.ApplyOptions(opts)
			gates, ok := list.(*v1alpha1.RolloutGateList)
			if !ok {
				return errors.New("something else is listed")
			}
			from, _ := strconv.Atoi(o.Continue)
			lists, largest = lists+1, max(largest, o.Limit)
			for i := from; i < min(n, from+int(o.Limit)); i++ {
				gates.Items = append(gates.Items, v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{
					Name: fmt.Sprintf("gate-%05d", i), Annotations: map[string]string{"example.com/large": strings.Repeat("x", 1<<10)},
				}})
			}
			if next := from + int(o.Limit); next < n {
				gates.Continue = strconv.Itoa(next)
			}
			return nil
		}})
		ro := &v1alpha1.Rollout{}
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: "ns", Name: "app"}, ro); err != nil {
			t.Fatal(err)
		}
		found, err := r.storedGates(t.Context(), ro)
		if err != nil || len(found) < min(n, gate.MaxGates+1) || len(found) > gate.MaxGates+gatesPerPage || largest != gatesPerPage {
			t.Errorf("of %d gates, %d are read in pages of at most %d: %v", n, len(found), largest, err)
		}
		if want := (min(n, gate.MaxGates+1) + gatesPerPage - 1) / gatesPerPage; lists != want {
			t.Errorf("of %d gates, %d pages are read, want %d", n, lists, want)
		}
		if found[0].Annotations["example.com/large"] != "" {
			t.Error("what nobody reads is kept")
		}
	}
}

// TestSelectorThatIsTooLargeHolds and says so, whether the whole of it is read or what is cached of it.
func TestSelectorThatIsTooLargeHolds(t *testing.T) {
	t.Parallel()
	large := &v1alpha1.LabelSelector{MatchLabels: map[string]string{}}
	for i := range 1000 {
		large.MatchLabels[fmt.Sprint("a-", i)] = "b"
	}
	for name, selector := range map[string]v1alpha1.HealthCheckSelector{
		"selector": {Selector: large}, "namespaceSelector": {Selector: &v1alpha1.LabelSelector{}, NamespaceSelector: large},
	} {
		for _, cached := range []bool{false, true} {
			c, r := world(t, interceptor.Funcs{})
			r.options.CrossNamespaces = true
			ro := &v1alpha1.Rollout{}
			key := client.ObjectKey{Namespace: "ns", Name: "app"}
			if err := c.Get(t.Context(), key, ro); err != nil {
				t.Fatal(err)
			}
			ro.Spec.HealthCheckSelector = selector.DeepCopy()
			if cached {
				if _, err := kube.Trim(ro); err != nil {
					t.Fatal(err)
				}
			}
			h, err := r.health(t.Context(), r.flux, ro, nil)
			want := "healthCheckSelector." + name + " cannot be used: the selector is too large: at most 64 matchLabels"
			if err != nil || !strings.HasPrefix(h.Problem, want) || len(h.Reports) > 0 {
				t.Errorf("%s, cached: %t: %q, %d reports, %v", name, cached, h.Problem, len(h.Reports), err)
			}
		}
	}
}

// TestMessagesThatChangeAllTheTimeAreWrittenNowAndThen: whoever may write what a Rollout quotes, such as the message of a Kustomization,
// does not have the controller write all the time. A change of the state is written at once.
func TestMessagesThatChangeAllTheTimeAreWrittenNowAndThen(t *testing.T) {
	t.Parallel()
	writes := 0
	c, r := world(t, interceptor.Funcs{SubResourcePatch: func(ctx context.Context, c client.Client, sub string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
		if _, ok := obj.(*v1alpha1.Rollout); ok {
			writes++
		}
		return c.SubResource(sub).Patch(ctx, obj, patch, opts...)
	}})
	gateOf := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "gate"}}
	gateOf.Spec.RolloutRef.Name, gateOf.Spec.Passing = "app", ptr.To(false)
	if err := errors.Join(c.Create(t.Context(), gateOf), step(t, c, r)); err != nil {
		t.Fatal(err)
	}
	writes = 0
	for i := range 50 {
		gateOf.Annotations = map[string]string{v1alpha1.AnnotationGateReason: fmt.Sprint("reason ", i)}
		if err := errors.Join(c.Update(t.Context(), gateOf), step(t, c, r)); err != nil {
			t.Fatal(err)
		}
	}
	if writes < 2 || writes > 10 {
		t.Errorf("50 changes of a message cost %d writes", writes)
	}
	result, err := r.Reconcile(t.Context(), rolloutOf(t, c))
	if err != nil || result.RequeueAfter <= 0 || result.RequeueAfter > kube.MessageInterval {
		t.Errorf("the last message is written after %s, %v", result.RequeueAfter, err)
	}
	gateOf.Spec.Passing, gateOf.Annotations = ptr.To(true), nil
	if err := errors.Join(c.Update(t.Context(), gateOf), step(t, c, r)); err != nil {
		t.Fatal(err)
	}
	wantDeployed(t, c, 1, "1.0.0")
}

func rolloutOf(t *testing.T, c client.Client) *v1alpha1.Rollout {
	t.Helper()
	ro := &v1alpha1.Rollout{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "ns", Name: "app"}, ro); err != nil {
		t.Fatal(err)
	}
	return ro
}

// TestCheckThatIsBeingDeletedHolds: a finalizer keeps a check, and nobody evaluates it any more. What it last said does not pass a release.
func TestCheckThatIsBeingDeletedHolds(t *testing.T) {
	t.Parallel()
	c, r := world(t, interceptor.Funcs{})
	check := &v1alpha1.HealthCheck{}
	key := client.ObjectKey{Namespace: "ns", Name: "app"}
	if err := c.Get(t.Context(), key, check); err != nil {
		t.Fatal(err)
	}
	now := metav1.Now()
	check.Finalizers = []string{"example.com/stay"}
	check.Status = v1alpha1.HealthCheckStatus{Status: v1alpha1.HealthHealthy, LastChangeTime: &now}
	if err := errors.Join(c.Update(t.Context(), check), c.Delete(t.Context(), check)); err != nil {
		t.Fatal(err)
	}
	h, err := r.health(t.Context(), r.flux, rolloutOf(t, c), nil)
	if err != nil || len(h.Reports) != 1 || h.Reports[0].State != v1alpha1.HealthPending || !strings.Contains(h.Reports[0].Message, "is being deleted") {
		t.Errorf("it reports %+v, %v", h.Reports, err)
	}
}
