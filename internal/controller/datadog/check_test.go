package datadog

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

func monitor(name, uid string, labels, annotations map[string]string) *metav1.PartialObjectMetadata {
	m := blank()
	m.ObjectMeta = metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(uid), Labels: labels, Annotations: annotations}
	return m
}

func ownedBy(kind, name, uid string) []metav1.OwnerReference {
	yes := true
	return []metav1.OwnerReference{{
		APIVersion: "datadoghq.com/v1alpha1", Kind: kind, Name: name, UID: types.UID(uid), Controller: &yes,
	}}
}

func TestMayCopy(t *testing.T) {
	cases := map[string]struct {
		reason string
		want   bool
	}{
		"team":                                {"a label of one's own", true},
		"app.kubernetes.io/name":              {"people select by it", true},
		"app.kubernetes.io/instance":          {"people select by it", true},
		"kuberik.com/display-name":            {"is for whoever looks at the check", true},
		"healthcheck.kuberik.com/x":           {"is for the check", true},
		"notfluxcd.io/x":                      {"only looks like another's", true},
		"app.kubernetes.io/managed-by":        {"the check is managed by its monitor", false},
		"kustomize.toolkit.fluxcd.io/name":    {"Flux would take it for its own", false},
		"helm.toolkit.fluxcd.io/namespace":    {"Flux would take it for its own", false},
		"reconcile.fluxcd.io/requestedAt":     {"is not about the check", false},
		"argocd.argoproj.io/instance":         {"Argo CD would take it for its own", false},
		"argocd.argoproj.io/tracking-id":      {"Argo CD would take it for its own", false},
		"applyset.kubernetes.io/part-of":      {"kubectl would prune it", false},
		"meta.helm.sh/release-name":           {"Helm would take it for its own", false},
		"kapp.k14s.io/app":                    {"kapp would delete it", false},
		"config.k8s.io/owning-inventory":      {"cli-utils would prune it", false},
		"objectset.rio.cattle.io/hash":        {"Fleet would prune it", false},
		"kuberik.com/health-check":            {"is for the monitor", false},
		corev1.LastAppliedConfigAnnotation:    {"is the monitor's own manifest", false},
		"config.kubernetes.io/origin":         {"is where the monitor came from", false},
		"internal.config.kubernetes.io/index": {"is where the monitor came from", false},
	}
	for key, tc := range cases {
		if got := mayCopy(key); got != tc.want {
			t.Errorf("%s: %s: got %v, want %v", key, tc.reason, got, tc.want)
		}
	}
}

func TestName(t *testing.T) {
	if got := name("errors"); got != "datadog-check-errors" {
		t.Errorf("got %q, want the name that the public controller gave", got)
	}
	long, other := strings.Repeat("a", 252)+"b", strings.Repeat("a", 252)+"c"
	if name(long) == name(other) {
		t.Errorf("two monitors have one check: %s", name(long))
	}
	for _, n := range []string{name(long), name(strings.Repeat("a.", 126) + "b")} {
		if errs := validation.IsDNS1123Subdomain(n); len(errs) > 0 {
			t.Errorf("%s: %v", n, errs)
		}
	}
}

func TestShape(t *testing.T) {
	class := v1alpha1.HealthClassDatadog
	spec := v1alpha1.HealthCheckSpec{Class: &class, Datadog: &v1alpha1.DatadogCheck{MonitorRef: &corev1.LocalObjectReference{Name: "errors"}}}
	m := monitor("errors", "1",
		map[string]string{"team": "shop", "kustomize.toolkit.fluxcd.io/name": "apps", "kuberik.com/managed-by": "me"},
		map[string]string{
			AnnotationHealthCheck: "true", "healthcheck.kuberik.com/requeue-interval": "1m", corev1.LastAppliedConfigAnnotation: "{}",
		})
	labels := map[string]string{"team": "shop", LabelMonitor: "errors", LabelManagedBy: "datadog-controller"}
	annotations := map[string]string{
		"healthcheck.kuberik.com/requeue-interval": "1m", AnnotationMonitorName: "errors", AnnotationMonitorUID: "1",
		AnnotationCopied: `{"labels":["kuberik.com/managed-by","team"],"annotations":["healthcheck.kuberik.com/requeue-interval"]}`,
	}
	with := func(m map[string]string, more ...string) map[string]string {
		next := merge(m, nil, nil)
		for i := 0; i < len(more); i += 2 {
			next[more[i]] = more[i+1]
		}
		return next
	}
	cases := map[string]struct {
		reason    string
		have      v1alpha1.HealthCheck
		want      metav1.ObjectMeta
		wantsSpec v1alpha1.HealthCheckSpec
	}{
		"New": {
			reason:    "a new check has the marks that the public controller gave, and what the monitor has but for others' marks",
			want:      metav1.ObjectMeta{Labels: labels, Annotations: annotations, OwnerReferences: ownedBy("DatadogMonitor", "errors", "1")},
			wantsSpec: spec,
		},
		"Public": {
			reason: "a check that the public controller made gets a class, and loses the marks by which other tools would own it",
			have: v1alpha1.HealthCheck{ObjectMeta: metav1.ObjectMeta{
				Labels: map[string]string{
					"team": "shop", "kustomize.toolkit.fluxcd.io/name": "apps", LabelMonitor: "errors", LabelManagedBy: "datadog-controller", "mine": "yes",
				},
				Annotations:     map[string]string{corev1.LastAppliedConfigAnnotation: "{}", AnnotationMonitorName: "errors", AnnotationMonitorUID: "1"},
				OwnerReferences: ownedBy("DatadogMonitor", "errors", "1"),
			}},
			want: metav1.ObjectMeta{
				Labels: with(labels, "mine", "yes"), Annotations: annotations, OwnerReferences: ownedBy("DatadogMonitor", "errors", "1"),
			},
			wantsSpec: spec,
		},
		"Edited": {
			reason: "what people set stays, what the monitor lost goes, and the source is the monitor again",
			have: v1alpha1.HealthCheck{
				ObjectMeta: metav1.ObjectMeta{
					Labels: with(labels, "gone", "1", "team", "other", "mine", "yes"),
					Annotations: with(annotations, AnnotationCopied, `{"labels":["gone","team"]}`, "note", "by hand",
						corev1.LastAppliedConfigAnnotation, "by hand"),
					OwnerReferences: ownedBy("DatadogMonitor", "errors", "1"),
				},
				Spec: v1alpha1.HealthCheckSpec{
					NoData: v1alpha1.NoDataPass, Mode: v1alpha1.ModeObserve, FailureThreshold: 3,
					Datadog: &v1alpha1.DatadogCheck{Query: "avg:x{*}", Site: "datadoghq.eu"}, HTTP: &v1alpha1.HTTPCheck{},
				},
			},
			want: metav1.ObjectMeta{
				Labels: with(labels, "mine", "yes"), OwnerReferences: ownedBy("DatadogMonitor", "errors", "1"),
				Annotations: with(annotations, "note", "by hand", corev1.LastAppliedConfigAnnotation, "by hand"),
			},
			wantsSpec: v1alpha1.HealthCheckSpec{
				Class: &class, NoData: v1alpha1.NoDataPass, Mode: v1alpha1.ModeObserve, FailureThreshold: 3,
				Datadog: &v1alpha1.DatadogCheck{MonitorRef: &corev1.LocalObjectReference{Name: "errors"}, Site: "datadoghq.eu"},
			},
		},
		"BrokenRecord": {
			reason: "nothing is taken away on the word of a record that cannot be read",
			have:   v1alpha1.HealthCheck{ObjectMeta: metav1.ObjectMeta{Labels: with(labels, "mine", "yes"), Annotations: with(annotations, AnnotationCopied, "{")}},
			want: metav1.ObjectMeta{
				Labels: with(labels, "mine", "yes"), Annotations: annotations, OwnerReferences: ownedBy("DatadogMonitor", "errors", "1"),
			},
			wantsSpec: spec,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := tc.have.DeepCopy()
			if err := shape(got, m); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(v1alpha1.HealthCheck{ObjectMeta: tc.want, Spec: tc.wantsSpec}, *got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
			again := got.DeepCopy()
			if err := shape(again, m); err != nil || !cmp.Equal(got, again) {
				t.Errorf("shaping it again changes it: %v\n%s", err, cmp.Diff(got, again))
			}
		})
	}
}

func TestLongNamesAreLabels(t *testing.T) {
	check := &v1alpha1.HealthCheck{}
	long := strings.Repeat("monitor.", 20) + "x"
	if err := shape(check, monitor(long, "1", nil, nil)); err != nil {
		t.Fatal(err)
	}
	if errs := validation.IsValidLabelValue(check.Labels[LabelMonitor]); len(errs) > 0 || check.Annotations[AnnotationMonitorName] != long {
		t.Errorf("label %q: %v; annotation %q", check.Labels[LabelMonitor], errs, check.Annotations[AnnotationMonitorName])
	}
}

func TestBelongs(t *testing.T) {
	marks := metav1.ObjectMeta{Labels: map[string]string{LabelManagedBy: ManagedBy}, Annotations: map[string]string{AnnotationMonitorName: "errors"}}
	owned := func(m metav1.ObjectMeta, refs []metav1.OwnerReference) metav1.ObjectMeta {
		m.OwnerReferences = refs
		return m
	}
	cases := map[string]struct {
		reason string
		have   metav1.ObjectMeta
		want   bool
	}{
		"Owned":    {"it is owned by this very monitor", owned(metav1.ObjectMeta{}, ownedBy("DatadogMonitor", "errors", "1")), true},
		"Earlier":  {"it is owned by an earlier monitor of the same name", owned(marks, ownedBy("DatadogMonitor", "errors", "0")), false},
		"Foreign":  {"something else owns it", owned(marks, ownedBy("Other", "errors", "2")), false},
		"Restored": {"it has no owner and says that it was made of the monitor", marks, true},
		"ByHand":   {"somebody made it", metav1.ObjectMeta{}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := belongs(&v1alpha1.HealthCheck{ObjectMeta: tc.have}, monitor("errors", "1", nil, nil)); got != tc.want {
				t.Errorf("%s: got %v, want %v", tc.reason, got, tc.want)
			}
		})
	}
}

func TestOfCheck(t *testing.T) {
	cases := map[string]struct {
		reason string
		have   metav1.ObjectMeta
		want   string
	}{
		"Owned":    {"the owner says", metav1.ObjectMeta{OwnerReferences: ownedBy("DatadogMonitor", "errors", "1")}, "errors"},
		"Stripped": {"without its owner the annotation says", metav1.ObjectMeta{Labels: map[string]string{LabelManagedBy: ManagedBy}, Annotations: map[string]string{AnnotationMonitorName: "errors"}}, "errors"},
		"Other":    {"a check of something else is not looked at", metav1.ObjectMeta{OwnerReferences: ownedBy("Deployment", "errors", "1")}, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := ""
			for _, r := range ofCheck(t.Context(), &v1alpha1.HealthCheck{ObjectMeta: tc.have}) {
				got = r.Name
			}
			if got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}
