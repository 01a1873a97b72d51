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

func newMonitorObject(status map[string]any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"status": status}}
	u.SetGroupVersionKind(MonitorKind)
	u.SetNamespace("shop")
	u.SetName("errors")
	return u
}

func TestDatadogMonitors(t *testing.T) {
	at := func(ago time.Duration) string { return now.Add(-ago).Format(time.RFC3339) }
	state := func(s string) map[string]any { return map[string]any{"monitorState": s} }
	deleted := newMonitorObject(state("OK"))
	deleted.SetDeletionTimestamp(&metav1.Time{Time: now})
	const label = "DatadogMonitor errors "
	cases := map[string]struct {
		reason string
		object *unstructured.Unstructured
		want   health.Report
	}{
		"OK": {
			"OK is Healthy", newMonitorObject(state("OK")), health.Report{State: "Healthy", Message: label + "is OK"},
		},
		"Alert": {
			"an alert is Unhealthy", newMonitorObject(state("Alert")),
			health.Report{State: "Unhealthy", Message: label + "is in alert"},
		},
		"Warn": {
			"the state is inconclusive", newMonitorObject(state("Warn")),
			health.Report{State: "Pending", Message: label + "is in state Warn"},
		},
		"NoData": {
			"no data is NoData", newMonitorObject(state("No Data")),
			health.Report{State: "NoData", Message: label + "has no data"},
		},
		"Skipped": {
			"the state is inconclusive", newMonitorObject(state("Skipped")),
			health.Report{State: "Pending", Message: label + "is neither healthy nor in alert: its state is Skipped"},
		},
		"Ignored": {
			"the state is inconclusive", newMonitorObject(state("Ignored")),
			health.Report{State: "Pending", Message: label + "is neither healthy nor in alert: its state is Ignored"},
		},
		"Other": {
			"the state is inconclusive", newMonitorObject(state("Melting")),
			health.Report{State: "Pending", Message: label + `has the unknown state "Melting"`},
		},
		"New": {
			"the operator has not read it yet", newMonitorObject(nil),
			health.Report{State: "Pending", Message: label + "has no state yet"},
		},
		"Odd": {
			"an invalid status", newMonitorObject(map[string]any{"monitorState": int64(1)}),
			health.Report{State: "Pending", Message: label + "has no state yet"},
		},
		"Deleting": {"it is being deleted", deleted, health.Report{State: "Pending", Message: label + "is being deleted"}},
		"Fresh": {
			"the operator has just read it",
			newMonitorObject(map[string]any{
				"monitorState": "OK", "monitorStateSyncStatus": "OK", "monitorStateLastUpdateTime": at(time.Minute),
			}),
			health.Report{State: "Healthy", Message: label + "is OK"},
		},
		"Stale": {
			"the operator no longer runs",
			newMonitorObject(map[string]any{"monitorState": "OK", "monitorStateLastUpdateTime": at(16 * time.Minute)}),
			health.Report{
				State:   "Pending",
				Message: label + "is not up to date: the Datadog operator has not updated it since 2025-11-22T09:44:00Z",
			},
		},
		"Before": {
			"the state is from before the deployment",
			newMonitorObject(map[string]any{"monitorState": "Alert", "monitorStateLastUpdateTime": at(6 * time.Minute)}),
			health.Report{
				State: "Pending", Message: label + "has not been updated by the Datadog operator since the deployment",
			},
		},
		"Unsynced": {
			"the operator could not read it",
			newMonitorObject(map[string]any{"monitorState": "OK", "monitorStateSyncStatus": "error getting monitor"}),
			health.Report{State: "Pending", Message: label + "is not up to date: error getting monitor"},
		},
		"Muted": {
			"a muted monitor is not healthy",
			newMonitorObject(map[string]any{
				"monitorState": "OK", "downtimeStatus": map[string]any{"isDowntimed": true, "downtimeID": int64(7)},
			}),
			health.Report{State: "Pending", Message: label + "is muted"},
		},
		"Groups": {
			"the groups in alert are listed in sorted order",
			newMonitorObject(map[string]any{"monitorState": "Alert", "triggeredState": []any{
				map[string]any{"monitorGroup": "env:b", "state": "Alert"}, map[string]any{
					"monitorGroup": "env:a", "state": "Alert",
				},
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
				t.Error("a request was sent to Datadog")
			}
		})
	}
}

func TestErrorsOfDatadogMonitors(t *testing.T) {
	cases := map[string]struct {
		reason string
		err    error
		want   string
	}{
		"Missing": {"it does not exist", nil, "DatadogMonitor errors does not exist"},
		"NotInstalled": {
			"the kind does not exist", &apimeta.NoKindMatchError{GroupKind: MonitorKind.GroupKind()},
			"the kind DatadogMonitor is not installed: install the Datadog operator",
		},
		"Other": {
			"the API server is unavailable", errors.New("unavailable"), `reading DatadogMonitor "errors": unavailable`,
		},
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
