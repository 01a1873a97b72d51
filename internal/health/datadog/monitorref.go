package datadog

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/version"
)

// maxStatusAge is the age after which the status of a DatadogMonitor is outdated. The operator updates a monitor
// about once a minute. With hundreds of monitors it takes several minutes.
const maxStatusAge = 15 * time.Minute

// MonitorKind is the kind of the monitors of the Datadog operator.
var MonitorKind = schema.GroupVersionKind{Group: "datadoghq.com", Version: "v1alpha1", Kind: "DatadogMonitor"}

// monitorRef reads the status of a DatadogMonitor.
func (c *Checker) monitorRef(ctx context.Context, s health.CheckInput, name string) (health.Report, error) {
	monitor := &unstructured.Unstructured{}
	monitor.SetGroupVersionKind(MonitorKind)
	err := c.objects.Get(ctx, types.NamespacedName{Namespace: s.Check.Namespace, Name: name}, monitor)
	switch {
	case apierrors.IsNotFound(err):
		return health.Report{}, fmt.Errorf("DatadogMonitor %s does not exist", name)
	case apimeta.IsNoMatchError(err):
		return health.Report{}, fmt.Errorf("the kind DatadogMonitor is not installed: install the Datadog operator")
	case err != nil:
		return health.Report{}, fmt.Errorf("reading DatadogMonitor %q: %w", name, err)
	}
	f := statusReport(monitor, s)
	return health.Report{State: f.state, Message: f.message}, nil
}

// statusReport returns the report for the status of a DatadogMonitor.
func statusReport(monitor *unstructured.Unstructured, s health.CheckInput) monitorReport {
	name := "DatadogMonitor " + monitor.GetName()
	status, _, _ := unstructured.NestedMap(monitor.Object, "status") //nolint:errcheck // an invalid field is ignored
	updated, ok := timeField(status, "monitorStateLastUpdateTime")
	switch sync := stringField(status, "monitorStateSyncStatus"); {
	case monitor.GetDeletionTimestamp() != nil:
		return monitorReport{v1alpha1.HealthPending, name + " is being deleted"}
	case sync != "" && sync != "OK":
		return monitorReport{v1alpha1.HealthPending, name + " is not up to date: " + version.Clean(sync, 100)}
	case ok && s.Now.Sub(updated) > maxStatusAge:
		return monitorReport{
			v1alpha1.HealthPending,
			name + " is not up to date: the Datadog operator has not updated it since " + formatTime(updated),
		}
	case ok && updated.Before(s.Release.DeployedAt):
		return monitorReport{
			v1alpha1.HealthPending, name + " has not been updated by the Datadog operator since the deployment",
		}
	}
	muted, _, _ := unstructured.NestedBool(status, "downtimeStatus", "isDowntimed") //nolint:errcheck // as above
	if muted {
		return monitorReport{v1alpha1.HealthPending, name + " is muted"}
	}
	f := reportState(name, stringField(status, "monitorState"))
	if groups := triggeredGroups(status); f.state == v1alpha1.HealthUnhealthy && len(groups) > 0 {
		f.message += ": " + joinFirst(groups, ", ")
	}
	return f
}

// triggeredGroups returns the groups of a monitor that are in alert.
func triggeredGroups(status map[string]any) []string {
	groups, _, _ := unstructured.NestedSlice(status, "triggeredState") //nolint:errcheck // an invalid field is ignored
	var list []string
	for _, g := range groups {
		group, ok := g.(map[string]any)
		if ok && stringField(group, "state") == "Alert" && stringField(group, "monitorGroup") != "" {
			list = append(list, version.Clean(stringField(group, "monitorGroup"), 100))
		}
	}
	return list
}

func stringField(of map[string]any, key string) string {
	s, _ := of[key].(string)
	return s
}

// timeField returns the time in a field, or false if it has no valid time.
func timeField(of map[string]any, key string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, stringField(of, key))
	return t, err == nil
}

// formatTime formats a time for messages.
func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
