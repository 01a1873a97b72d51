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
	m := newMonitorMetadata()
	m.ObjectMeta = metav1.ObjectMeta{
		Namespace: "shop", Name: name, UID: types.UID(uid), Labels: labels, Annotations: annotations,
	}
	return m
}

func ownedBy(kind, name, uid string) []metav1.OwnerReference {
	yes := true
	return []metav1.OwnerReference{{
		APIVersion: "datadoghq.com/v1alpha1", Kind: kind, Name: name, UID: types.UID(uid), Controller: &yes,
	}}
}

func TestIsCopied(t *testing.T) {
	cases := map[string]struct {
		reason string
		want   bool
	}{
		"team":                                {"a label of a user", true},
		"app.kubernetes.io/name":              {"selectors use it", true},
		"app.kubernetes.io/instance":          {"selectors use it", true},
		"kuberik.com/display-name":            {"describes the check", true},
		"healthcheck.kuberik.com/x":           {"configures the check", true},
		"notfluxcd.io/x":                      {"only has a similar domain", true},
		"app.kubernetes.io/managed-by":        {"another controller manages the check", false},
		"kustomize.toolkit.fluxcd.io/name":    {"Flux would own the check", false},
		"helm.toolkit.fluxcd.io/namespace":    {"Flux would own the check", false},
		"reconcile.fluxcd.io/requestedAt":     {"is a request for the monitor", false},
		"argocd.argoproj.io/instance":         {"Argo CD would own the check", false},
		"argocd.argoproj.io/tracking-id":      {"Argo CD would own the check", false},
		"applyset.kubernetes.io/part-of":      {"kubectl would prune it", false},
		"meta.helm.sh/release-name":           {"Helm would own the check", false},
		"kapp.k14s.io/app":                    {"kapp would delete it", false},
		"config.k8s.io/owning-inventory":      {"cli-utils would prune it", false},
		"objectset.rio.cattle.io/hash":        {"Fleet would prune it", false},
		"kuberik.com/health-check":            {"configures the monitor", false},
		corev1.LastAppliedConfigAnnotation:    {"is the manifest of the monitor", false},
		"config.kubernetes.io/origin":         {"is the origin of the monitor", false},
		"internal.config.kubernetes.io/index": {"is the origin of the monitor", false},
	}
	for key, tc := range cases {
		if got := isCopied(key); got != tc.want {
			t.Errorf("%s: %s: got %v, want %v", key, tc.reason, got, tc.want)
		}
	}
}

func TestCheckName(t *testing.T) {
	if got := checkName("errors"); got != "datadog-check-errors" {
		t.Errorf("got %q, want the name that the published controller uses", got)
	}
	long, other := strings.Repeat("a", 252)+"b", strings.Repeat("a", 252)+"c"
	if checkName(long) == checkName(other) {
		t.Errorf("two monitors have the same check: %s", checkName(long))
	}
	for _, n := range []string{checkName(long), checkName(strings.Repeat("a.", 126) + "b")} {
		if errs := validation.IsDNS1123Subdomain(n); len(errs) > 0 {
			t.Errorf("%s: %v", n, errs)
		}
	}
}

func TestSetDesired(t *testing.T) {
	class := v1alpha1.HealthClassDatadog
	spec := v1alpha1.HealthCheckSpec{
		Class: &class, Datadog: &v1alpha1.DatadogCheck{MonitorRef: &corev1.LocalObjectReference{Name: "errors"}},
	}
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
			reason: "a new check has the labels and annotations of the published controller and of the monitor, without those of tools",
			want: metav1.ObjectMeta{
				Labels: labels, Annotations: annotations, OwnerReferences: ownedBy("DatadogMonitor", "errors", "1"),
			},
			wantsSpec: spec,
		},
		"Published": {
			reason: "a check of the published controller gets a class and loses the labels and annotations of tools",
			have: v1alpha1.HealthCheck{ObjectMeta: metav1.ObjectMeta{
				Labels: map[string]string{
					"team": "shop", "kustomize.toolkit.fluxcd.io/name": "apps", LabelMonitor: "errors", LabelManagedBy: "datadog-controller", "mine": "yes",
				},
				Annotations: map[string]string{
					corev1.LastAppliedConfigAnnotation: "{}", AnnotationMonitorName: "errors", AnnotationMonitorUID: "1",
				},
				OwnerReferences: ownedBy("DatadogMonitor", "errors", "1"),
			}},
			want: metav1.ObjectMeta{
				Labels: with(labels, "mine", "yes"), Annotations: annotations, OwnerReferences: ownedBy(
					"DatadogMonitor", "errors", "1",
				),
			},
			wantsSpec: spec,
		},
		"Edited": {
			reason: "changes by users are kept, removed keys are removed, and the monitor is the source again",
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
		"InvalidCopiedKeys": {
			reason: "an invalid annotation removes nothing",
			have: v1alpha1.HealthCheck{
				ObjectMeta: metav1.ObjectMeta{
					Labels: with(labels, "mine", "yes"), Annotations: with(annotations, AnnotationCopied, "{"),
				},
			},
			want: metav1.ObjectMeta{
				Labels: with(labels, "mine", "yes"), Annotations: annotations, OwnerReferences: ownedBy(
					"DatadogMonitor", "errors", "1",
				),
			},
			wantsSpec: spec,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := tc.have.DeepCopy()
			if err := setDesired(got, m); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(v1alpha1.HealthCheck{ObjectMeta: tc.want, Spec: tc.wantsSpec}, *got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
			again := got.DeepCopy()
			if err := setDesired(again, m); err != nil || !cmp.Equal(got, again) {
				t.Errorf("a second call changes the check: %v\n%s", err, cmp.Diff(got, again))
			}
		})
	}
}

func TestLongNamesAreValidLabels(t *testing.T) {
	check := &v1alpha1.HealthCheck{}
	long := strings.Repeat("monitor.", 20) + "x"
	if err := setDesired(check, monitor(long, "1", nil, nil)); err != nil {
		t.Fatal(err)
	}
	if errs := validation.IsValidLabelValue(check.Labels[LabelMonitor]); len(errs) > 0 || check.Annotations[AnnotationMonitorName] != long {
		t.Errorf("label %q: %v; annotation %q", check.Labels[LabelMonitor], errs, check.Annotations[AnnotationMonitorName])
	}
}

func TestIsCheckOf(t *testing.T) {
	marks := metav1.ObjectMeta{
		Labels:      map[string]string{LabelManagedBy: ManagedBy},
		Annotations: map[string]string{AnnotationMonitorName: "errors"},
	}
	owned := func(m metav1.ObjectMeta, refs []metav1.OwnerReference) metav1.ObjectMeta {
		m.OwnerReferences = refs
		return m
	}
	cases := map[string]struct {
		reason string
		have   metav1.ObjectMeta
		want   bool
	}{
		"Owned": {"the monitor owns it", owned(metav1.ObjectMeta{}, ownedBy("DatadogMonitor", "errors", "1")), true},
		"Earlier": {
			"a deleted monitor with the same name owns it", owned(marks, ownedBy("DatadogMonitor", "errors", "0")), false,
		},
		"Foreign":  {"another object owns it", owned(marks, ownedBy("Other", "errors", "2")), false},
		"Restored": {"it has no owner but the label and annotation of the monitor", marks, true},
		"ByHand":   {"a user created it", metav1.ObjectMeta{}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := isCheckOf(&v1alpha1.HealthCheck{ObjectMeta: tc.have}, monitor("errors", "1", nil, nil)); got != tc.want {
				t.Errorf("%s: got %v, want %v", tc.reason, got, tc.want)
			}
		})
	}
}

func TestRequestsForCheck(t *testing.T) {
	cases := map[string]struct {
		reason string
		have   metav1.ObjectMeta
		want   string
	}{
		"Owned": {
			"the owner is the monitor", metav1.ObjectMeta{OwnerReferences: ownedBy("DatadogMonitor", "errors", "1")}, "errors",
		},
		"Stripped": {
			"the annotation names the monitor",
			metav1.ObjectMeta{
				Labels:      map[string]string{LabelManagedBy: ManagedBy},
				Annotations: map[string]string{AnnotationMonitorName: "errors"},
			},
			"errors",
		},
		"Other": {
			"it belongs to another kind", metav1.ObjectMeta{OwnerReferences: ownedBy("Deployment", "errors", "1")}, "",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := ""
			for _, r := range requestsForCheck(t.Context(), &v1alpha1.HealthCheck{ObjectMeta: tc.have}) {
				got = r.Name
			}
			if got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}
