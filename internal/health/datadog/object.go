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

// silent is after how long a monitor that the operator has not read is not believed any more. The operator reads each about once
// a minute; one with hundreds of them takes minutes for a round.
const silent = 15 * time.Minute

// MonitorKind is the kind of the Datadog operator's monitors.
var MonitorKind = schema.GroupVersionKind{Group: "datadoghq.com", Version: "v1alpha1", Kind: "DatadogMonitor"}

// object judges a DatadogMonitor by what the operator last read of it.
func (c *Checker) object(ctx context.Context, s health.Subject, name string) (health.Report, error) {
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
	f := read(monitor, s)
	return health.Report{State: f.state, Message: f.message}, nil
}

// read says what the status of a DatadogMonitor amounts to.
func read(monitor *unstructured.Unstructured, s health.Subject) finding {
	name := "DatadogMonitor " + monitor.GetName()
	status, _, _ := unstructured.NestedMap(monitor.Object, "status") //nolint:errcheck // what is not as it should be is not there
	updated, dated := since(status, "monitorStateLastUpdateTime")
	switch sync := text(status, "monitorStateSyncStatus"); {
	case monitor.GetDeletionTimestamp() != nil:
		return finding{v1alpha1.HealthPending, name + " is being deleted"}
	case sync != "" && sync != "OK":
		return finding{v1alpha1.HealthPending, name + " is not up to date: " + version.Clean(sync, 100)}
	case dated && s.Now.Sub(updated) > silent:
		return finding{v1alpha1.HealthPending, name + " is not up to date: the Datadog operator has not read it since " + stamp(updated)}
	case dated && updated.Before(s.Release.DeployedAt):
		return finding{v1alpha1.HealthPending, name + " has not been read by the Datadog operator since the deployment"}
	}
	if muted, _, _ := unstructured.NestedBool(status, "downtimeStatus", "isDowntimed"); muted { //nolint:errcheck // as above
		return finding{v1alpha1.HealthPending, name + " is muted"}
	}
	f := judge(name, text(status, "monitorState"))
	if groups := alerting(status); f.state == v1alpha1.HealthUnhealthy && len(groups) > 0 {
		f.message += ": " + few(groups, ", ")
	}
	return f
}

// alerting lists the groups of a monitor that are in alert.
func alerting(status map[string]any) []string {
	groups, _, _ := unstructured.NestedSlice(status, "triggeredState") //nolint:errcheck // what is not as it should be is not there
	var list []string
	for _, g := range groups {
		group, ok := g.(map[string]any)
		if ok && text(group, "state") == "Alert" && text(group, "monitorGroup") != "" {
			list = append(list, version.Clean(text(group, "monitorGroup"), 100))
		}
	}
	return list
}

func text(of map[string]any, key string) string {
	s, _ := of[key].(string)
	return s
}

// since reads a time, if there is a sound one.
func since(of map[string]any, key string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, text(of, key))
	return t, err == nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
