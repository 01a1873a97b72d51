package kube_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/kube"
)

const lastApplied = corev1.LastAppliedConfigAnnotation

// trimmed returns an object as it is cached.
func trimmed[T client.Object](t *testing.T, o T) T {
	t.Helper()
	copied, ok := o.DeepCopyObject().(T)
	if !ok {
		t.Fatalf("%T", o)
	}
	for range 2 { // a cache may trim an object twice
		if _, err := kube.Trim(copied); err != nil {
			t.Fatal(err)
		}
	}
	return copied
}

func annotated(annotations map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: "ns", Name: "app", Annotations: annotations, Labels: map[string]string{"app": "web"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{}}`)}},
	}
}

func TestTrimKeepsReadAnnotations(t *testing.T) {
	t.Parallel()
	all := map[string]string{
		lastApplied: "{}", "example.com/note": "x", "plain": "x", "notkuberik.com/a": "x",
		"kuberik.com/a": "1", "rollout.kuberik.com/force-deploy": "1.0.0", "reconcile.fluxcd.io/requestedAt": "now",
	}
	read := []string{"kuberik.com/a", "kuberik.com/trimmed", "reconcile.fluxcd.io/requestedAt", "rollout.kuberik.com/force-deploy"}
	unfiltered := slices.Sorted(maps.Keys(all))
	withoutLastApplied := slices.DeleteFunc(slices.Clone(unfiltered), func(key string) bool { return key == lastApplied })
	withoutLastApplied = slices.Sorted(slices.Values(append(withoutLastApplied, "kuberik.com/trimmed")))
	for name, c := range map[string]struct {
		object client.Object
		want   []string
	}{
		"a Rollout":       {&v1alpha1.Rollout{ObjectMeta: annotated(all)}, read},
		"a Namespace":     {&corev1.Namespace{ObjectMeta: annotated(all)}, read},
		"a HealthCheck":   {&v1alpha1.HealthCheck{ObjectMeta: annotated(all)}, unfiltered},
		"metadata":        {&metav1.PartialObjectMetadata{ObjectMeta: annotated(all)}, withoutLastApplied},
		"nothing to trim": {&v1alpha1.Rollout{ObjectMeta: annotated(map[string]string{"kuberik.com/a": "1"})}, []string{"kuberik.com/a"}},
		"no annotations":  {&v1alpha1.Rollout{ObjectMeta: annotated(nil)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := trimmed(t, c.object)
			if keys := slices.Sorted(maps.Keys(got.GetAnnotations())); !slices.Equal(keys, c.want) {
				t.Errorf("annotations %v, want %v", keys, c.want)
			}
			if got.GetManagedFields() != nil || got.GetLabels()["app"] != "web" {
				t.Errorf("managed fields %v, labels %v", got.GetManagedFields(), got.GetLabels())
			}
		})
	}
	if tombstone, err := kube.Trim(toolscache.DeletedFinalStateUnknown{Key: "ns/app"}); err != nil || tombstone == nil {
		t.Errorf("tombstone %v, %v", tombstone, err)
	}
}

// TestTrimLimitsAnnotations: the API server accepts about 250 KiB of annotations, whose keys may be any.
func TestTrimLimitsAnnotations(t *testing.T) {
	t.Parallel()
	for _, domain := range []string{"example.com", "rollout.kuberik.com"} {
		for _, length := range []int{1 << 10, 25 << 10, 250 << 10} {
			all := map[string]string{"rollout.kuberik.com/force-deploy": "1.0.0"}
			for i := range 250 << 10 / length {
				all[fmt.Sprint(domain, "/", i)] = strings.Repeat("x", length)
			}
			for _, o := range []client.Object{
				&v1alpha1.Rollout{ObjectMeta: annotated(all)}, &v1alpha1.HealthCheck{ObjectMeta: annotated(all)},
			} {
				got := trimmed(t, o)
				data, err := json.Marshal(got.GetAnnotations())
				if err != nil || len(data) > 26<<10 {
					t.Errorf("%T with %d annotations of %d bytes keeps %d bytes, %v", o, len(all), length, len(data), err)
				}
				if got.GetAnnotations()["rollout.kuberik.com/force-deploy"] != "1.0.0" {
					t.Errorf("%T lost a small annotation for a large one", o)
				}
			}
		}
	}
}

// TestPatchOfTrimmedObjectKeepsOtherAnnotations: a patch against a trimmed object leaves the trimmed annotations
// alone.
func TestPatchOfTrimmedObjectKeepsOtherAnnotations(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	others := map[string]string{"example.com/note": "x", lastApplied: `{"kind":"RolloutGate"}`}
	for name, c := range map[string]struct {
		stored, want map[string]string
		edit         func(*v1alpha1.RolloutGate)
	}{
		"one is added": {nil, map[string]string{v1alpha1.AnnotationGateReason: "closed"}, func(g *v1alpha1.RolloutGate) {
			g.Annotations[v1alpha1.AnnotationGateReason] = "closed"
		}},
		"the last one is removed": {map[string]string{v1alpha1.AnnotationGateReason: "closed"}, nil, func(g *v1alpha1.RolloutGate) {
			delete(g.Annotations, v1alpha1.AnnotationGateReason)
		}},
		"the spec is changed": {nil, nil, func(g *v1alpha1.RolloutGate) { g.Spec.Passing = new(true) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stored := maps.Clone(others)
			maps.Copy(stored, c.stored)
			server := fake.NewClientBuilder().WithScheme(scheme).
				WithObjects(&v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "app", Annotations: stored}}).Build()
			var g v1alpha1.RolloutGate
			key := client.ObjectKey{Namespace: "ns", Name: "app"}
			if err := server.Get(t.Context(), key, &g); err != nil {
				t.Fatal(err)
			}
			cached := trimmed(t, &g)
			next := cached.DeepCopy()
			c.edit(next)
			if err := server.Patch(t.Context(), next, client.MergeFrom(cached)); err != nil {
				t.Fatal(err)
			}
			if err := server.Get(t.Context(), key, &g); err != nil {
				t.Fatal(err)
			}
			want := maps.Clone(others)
			maps.Copy(want, c.want)
			if !maps.Equal(g.Annotations, want) {
				t.Errorf("annotations %v, want %v", g.Annotations, want)
			}
		})
	}
}

// TestPatchOfTrimmedObjectKeepsOtherOwners: a patch against an object with trimmed owners leaves all owners alone, even if
// it would adopt the object.
func TestPatchOfTrimmedObjectKeepsOtherOwners(t *testing.T) {
	t.Parallel()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	schedule := &v1alpha1.RolloutSchedule{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "hours", UID: "1"}}
	controller := *metav1.NewControllerRef(schedule, v1alpha1.GroupVersion.WithKind("RolloutSchedule"))
	var others []metav1.OwnerReference
	for i := range 100 {
		others = append(others, metav1.OwnerReference{
			APIVersion: "v1", Kind: "ConfigMap", Name: strings.Repeat("a", 100), UID: types.UID(fmt.Sprint("uid-", i)),
		})
	}
	stale, large := controller, controller
	stale.UID, large.Kind, large.Name = "2", "Other", strings.Repeat("a", 9<<10)
	few := others[:1]
	for name, c := range map[string]struct{ stored, want []metav1.OwnerReference }{
		"few owners, which it adopts":    {few, append(slices.Clone(few), controller)},
		"many owners":                    {others, others},
		"many owners and the controller": {append(slices.Clone(others), controller), append(slices.Clone(others), controller)},
		"a controller of another UID":    {append(slices.Clone(others), stale), append(slices.Clone(others), stale)},
		"another controller":             {[]metav1.OwnerReference{large}, []metav1.OwnerReference{large}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "app", OwnerReferences: c.stored}}
			server := fake.NewClientBuilder().WithScheme(scheme).WithObjects(&g).Build()
			if err := server.Get(t.Context(), client.ObjectKeyFromObject(&g), &g); err != nil {
				t.Fatal(err)
			}
			cached := trimmed(t, &g)
			next := cached.DeepCopy()
			next.Spec.Passing = new(true)
			if err := controllerutil.SetControllerReference(schedule, next, scheme); err != nil {
				t.Fatal(err)
			}
			kube.RetainTrimmedOwners(cached, next)
			if err := server.Patch(t.Context(), next, client.MergeFrom(cached)); err != nil {
				t.Fatal(err)
			}
			if err := server.Get(t.Context(), client.ObjectKeyFromObject(&g), &g); err != nil {
				t.Fatal(err)
			}
			if !equality.Semantic.DeepEqual(g.OwnerReferences, c.want) || g.Spec.Passing == nil {
				t.Errorf("there are %d owners, want %d", len(g.OwnerReferences), len(c.want))
			}
			if g.Annotations[kube.AnnotationTrimmed] != "" {
				t.Error("the mark of the cache was written")
			}
		})
	}
}

func TestTrimBoundsWhatElseMetadataHolds(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 100<<10)
	controller := metav1.OwnerReference{Kind: "RolloutSchedule", Name: "hours", UID: "1", Controller: new(true)}
	another := metav1.OwnerReference{Kind: "ConfigMap", Name: "a", UID: "2"}
	for name, c := range map[string]struct{ owners, want []metav1.OwnerReference }{
		"few owners":                 {[]metav1.OwnerReference{another, controller}, []metav1.OwnerReference{another, controller}},
		"a large owner":              {[]metav1.OwnerReference{{Name: large}, controller}, []metav1.OwnerReference{controller}},
		"many owners":                {slices.Concat(slices.Repeat([]metav1.OwnerReference{another}, 1000), []metav1.OwnerReference{controller}), []metav1.OwnerReference{controller}},
		"a large controller":         {[]metav1.OwnerReference{{Name: large, Controller: new(true)}, another}, nil},
		"a large owner, and no more": {[]metav1.OwnerReference{{Name: large}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Name: "a", OwnerReferences: c.owners, Finalizers: []string{large}}}
			got := trimmed(t, o)
			if !equality.Semantic.DeepEqual(got.OwnerReferences, c.want) || got.Finalizers != nil {
				t.Errorf("%d owners, %d finalizers", len(got.OwnerReferences), len(got.Finalizers))
			}
		})
	}
}

// Labels of a DatadogMonitor are kept up to a bound. Those of what is selected by its labels are all kept, since an object would leave a
// selection otherwise.
func TestTrimBoundsLabelsOfWhatIsNotSelected(t *testing.T) {
	t.Parallel()
	labels := map[string]string{"a": "b"}
	for i := range 5000 {
		labels[fmt.Sprintf("example.com/%050d", i)] = strings.Repeat("x", 60)
	}
	monitor := trimmed(t, &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Labels: labels}})
	if len(monitor.Labels) > 100 || monitor.Labels["a"] != "b" {
		t.Errorf("%d labels are kept", len(monitor.Labels))
	}
	if ro := trimmed(t, &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Labels: labels}}); len(ro.Labels) != len(labels) {
		t.Errorf("%d labels of a Rollout are kept", len(ro.Labels))
	}
}

// TestTrimBoundsSpecs: an object that was stored before the schema had bounds does not fill the cache, and what is kept of it is refused.
func TestTrimBoundsSpecs(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 1<<20)
	selector := func() *v1alpha1.LabelSelector {
		return &v1alpha1.LabelSelector{MatchExpressions: []v1alpha1.LabelSelectorRequirement{{Key: "app", Operator: "NotIn", Values: []string{large}}}}
	}
	ref := corev1.LocalObjectReference{Name: large}
	request := v1alpha1.HTTPRequest{Headers: map[string]string{"A": large}}
	refused := func(s *v1alpha1.LabelSelector) bool {
		_, err := s.Parse()
		return err != nil
	}
	long := func(name string) bool { return len(name) > 253 }
	for name, c := range map[string]struct {
		object client.Object
		// refused reports whether what is kept of the object is refused.
		refused func(client.Object) bool
	}{
		"a Rollout": {
			&v1alpha1.Rollout{Spec: v1alpha1.RolloutSpec{
				ReleasesImagePolicy: ref, HealthCheckSelector: &v1alpha1.HealthCheckSelector{Selector: selector(), NamespaceSelector: selector()},
			}},
			func(o client.Object) bool {
				s := o.(*v1alpha1.Rollout).Spec
				return long(s.ReleasesImagePolicy.Name) && refused(s.HealthCheckSelector.Selector) && refused(s.HealthCheckSelector.NamespaceSelector)
			},
		},
		"a RolloutSchedule": {
			&v1alpha1.RolloutSchedule{Spec: v1alpha1.ScheduleSpec{RolloutSelector: *selector(), Exempt: selector()}},
			func(o client.Object) bool {
				s := o.(*v1alpha1.RolloutSchedule).Spec
				return refused(&s.RolloutSelector) && refused(s.Exempt)
			},
		},
		"a ClusterRolloutSchedule": {
			&v1alpha1.ClusterRolloutSchedule{Spec: v1alpha1.ClusterScheduleSpec{
				ScheduleSpec: v1alpha1.ScheduleSpec{RolloutSelector: *selector(), Exempt: selector()}, NamespaceSelector: selector(),
			}},
			func(o client.Object) bool {
				s := o.(*v1alpha1.ClusterRolloutSchedule).Spec
				return refused(&s.RolloutSelector) && refused(s.Exempt) && refused(s.NamespaceSelector)
			},
		},
		"a RolloutGate": {
			&v1alpha1.RolloutGate{Spec: v1alpha1.RolloutGateSpec{RolloutRef: ref, HTTP: &v1alpha1.HTTPGate{HTTPRequest: request, Query: map[string]string{large: ""}}}},
			func(o client.Object) bool {
				s := o.(*v1alpha1.RolloutGate).Spec
				return long(s.RolloutRef.Name) && s.HTTP.HeadersTooLarge() && s.HTTP.QueryTooLarge()
			},
		},
		"a HealthCheck": {
			&v1alpha1.HealthCheck{Spec: v1alpha1.HealthCheckSpec{
				HTTP: &v1alpha1.HTTPCheck{HTTPRequest: request}, Datadog: &v1alpha1.DatadogCheck{MonitorRef: &ref, SecretRef: ref.DeepCopy()},
			}},
			func(o client.Object) bool {
				s := o.(*v1alpha1.HealthCheck).Spec
				return s.HTTP.HeadersTooLarge() && long(s.Datadog.MonitorRef.Name) && long(s.Datadog.SecretRef.Name)
			},
		},
		"an Environment": {
			&environments.Environment{Spec: environments.EnvironmentSpec{RolloutRef: ref, Backend: &environments.Backend{SecretRef: &ref}}},
			func(o client.Object) bool {
				s := o.(*environments.Environment).Spec
				return long(s.RolloutRef.Name) && long(s.Backend.SecretRef.Name)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := trimmed(t, c.object)
			if data, err := json.Marshal(got); err != nil || len(data) > 4<<10 {
				t.Errorf("%d bytes are kept, %v", len(data), err)
			}
			if !c.refused(c.object) || !c.refused(got) {
				t.Errorf("it is refused: %t, and trimmed: %t", c.refused(c.object), c.refused(got))
			}
		})
	}
}
