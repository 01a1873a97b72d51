package datadog

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
)

func object(status map[string]any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"status": status}}
	u.SetGroupVersionKind(MonitorKind)
	u.SetNamespace("shop")
	u.SetName("errors")
	return u
}

func TestObject(t *testing.T) {
	at := func(ago time.Duration) string { return now.Add(-ago).Format(time.RFC3339) }
	state := func(s string) map[string]any { return map[string]any{"monitorState": s} }
	deleted := object(state("OK"))
	deleted.SetDeletionTimestamp(&metav1.Time{Time: now})
	const label = "DatadogMonitor errors "
	cases := map[string]struct {
		reason string
		object *unstructured.Unstructured
		want   health.Report
	}{
		"OK":       {"OK is health", object(state("OK")), health.Report{State: "Healthy", Message: label + "is OK"}},
		"Alert":    {"an alert is failure", object(state("Alert")), health.Report{State: "Unhealthy", Message: label + "is in alert"}},
		"Warn":     {"no verdict", object(state("Warn")), health.Report{State: "Pending", Message: label + "warns"}},
		"NoData":   {"no data", object(state("No Data")), health.Report{State: "NoData", Message: label + "has no data"}},
		"Skipped":  {"no verdict", object(state("Skipped")), health.Report{State: "Pending", Message: label + "has no verdict: its state is Skipped"}},
		"Ignored":  {"no verdict", object(state("Ignored")), health.Report{State: "Pending", Message: label + "has no verdict: its state is Ignored"}},
		"Other":    {"no verdict", object(state("Melting")), health.Report{State: "Pending", Message: label + `is in a state that is not known: "Melting"`}},
		"New":      {"the operator has not read it yet", object(nil), health.Report{State: "Pending", Message: label + "has no state yet"}},
		"Odd":      {"a status that is none", object(map[string]any{"monitorState": int64(1)}), health.Report{State: "Pending", Message: label + "has no state yet"}},
		"Deleting": {"it is about to go", deleted, health.Report{State: "Pending", Message: label + "is being deleted"}},
		"Fresh": {
			"the operator has just read it",
			object(map[string]any{"monitorState": "OK", "monitorStateSyncStatus": "OK", "monitorStateLastUpdateTime": at(time.Minute)}),
			health.Report{State: "Healthy", Message: label + "is OK"},
		},
		"Stale": {
			"the operator is gone, and its last word is not believed for ever",
			object(map[string]any{"monitorState": "OK", "monitorStateLastUpdateTime": at(16 * time.Minute)}),
			health.Report{State: "Pending", Message: label + "is not up to date: the Datadog operator has not read it since 2025-11-22T09:44:00Z"},
		},
		"Before": {
			"its state is of what ran before",
			object(map[string]any{"monitorState": "Alert", "monitorStateLastUpdateTime": at(6 * time.Minute)}),
			health.Report{State: "Pending", Message: label + "has not been read by the Datadog operator since the deployment"},
		},
		"Unsynced": {
			"the operator could not read it",
			object(map[string]any{"monitorState": "OK", "monitorStateSyncStatus": "error getting monitor"}),
			health.Report{State: "Pending", Message: label + "is not up to date: error getting monitor"},
		},
		"Muted": {
			"a muted monitor is not healthy",
			object(map[string]any{"monitorState": "OK", "downtimeStatus": map[string]any{"isDowntimed": true, "downtimeID": int64(7)}}),
			health.Report{State: "Pending", Message: label + "is muted"},
		},
		"Groups": {
			"the groups in alert are named, in one order",
			object(map[string]any{"monitorState": "Alert", "triggeredState": []any{
				map[string]any{"monitorGroup": "env:b", "state": "Alert"}, map[string]any{"monitorGroup": "env:a", "state": "Alert"},
				map[string]any{"monitorGroup": "env:c", "state": "Warn"}, "odd",
			}}),
			health.Report{State: "Unhealthy", Message: label + "is in alert: env:a, env:b"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.objects["shop/errors"] = tc.object
			s := subject(v1alpha1.DatadogCheck{MonitorRef: &corev1.LocalObjectReference{Name: "errors"}})
			s.Release.DeployedAt = now.Add(-5 * time.Minute)
			got, err := f.check(s)
			if diff := cmp.Diff(tc.want, got); err != nil || diff != "" {
				t.Errorf("%s: %v: -want +got:\n%s", tc.reason, err, diff)
			}
			if f.requests() != 0 {
				t.Error("Datadog was asked")
			}
		})
	}
}

func TestObjectThatCannotBeRead(t *testing.T) {
	cases := map[string]struct {
		reason string
		err    error
		want   string
	}{
		"Missing":      {"nobody made it", nil, "DatadogMonitor errors does not exist"},
		"NotInstalled": {"there is no operator", &apimeta.NoKindMatchError{GroupKind: MonitorKind.GroupKind()}, "the kind DatadogMonitor is not installed: install the Datadog operator"},
		"Other":        {"the API server is away", errors.New("away"), `reading DatadogMonitor "errors": away`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.objErr = tc.err
			got, err := f.check(subject(v1alpha1.DatadogCheck{MonitorRef: &corev1.LocalObjectReference{Name: "errors"}}))
			if err == nil || err.Error() != tc.want {
				t.Errorf("%s: got %v, %v, want %s", tc.reason, got, err, tc.want)
			}
		})
	}
}
