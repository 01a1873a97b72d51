package datadog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/version"
)

// maxListed is the number of monitors, groups or series in a message.
const maxListed = 3

// monitorReport is the state of one monitor.
type monitorReport struct {
	state   v1alpha1.HealthState
	message string
}

// reportState returns the report for the state of a monitor. Only Alert is Unhealthy and only OK is Healthy.
func reportState(monitor, state string) monitorReport {
	switch state {
	case "OK":
		return monitorReport{v1alpha1.HealthHealthy, monitor + " is OK"}
	case "Alert":
		return monitorReport{v1alpha1.HealthUnhealthy, monitor + " is in alert"}
	case "Warn":
		return monitorReport{v1alpha1.HealthPending, monitor + " is in state Warn"}
	case "No Data":
		return monitorReport{health.NoData, monitor + " has no data"}
	case "Skipped", "Ignored", "Unknown":
		return monitorReport{v1alpha1.HealthPending, monitor + " is neither healthy nor in alert: its state is " + state}
	case "":
		return monitorReport{v1alpha1.HealthPending, monitor + " has no state yet"}
	}
	return monitorReport{
		v1alpha1.HealthPending, fmt.Sprintf("%s has the unknown state %q", monitor, version.Clean(state, 32)),
	}
}

// combine returns the report for the worst of several monitors. If spec.noData is Fail, NoData is worse than Pending.
func combine(reports []monitorReport, noData v1alpha1.NoData) health.Report {
	order := []v1alpha1.HealthState{v1alpha1.HealthUnhealthy, v1alpha1.HealthPending, health.NoData}
	if noData == v1alpha1.NoDataFail {
		order = []v1alpha1.HealthState{v1alpha1.HealthUnhealthy, health.NoData, v1alpha1.HealthPending}
	}
	for _, state := range order {
		var messages []string
		for _, f := range reports {
			if f.state == state {
				messages = append(messages, f.message)
			}
		}
		if len(messages) > 0 {
			return health.Report{State: state, Message: joinFirst(messages, "; ")}
		}
	}
	if len(reports) == 1 {
		return health.Report{State: reports[0].state, Message: reports[0].message}
	}
	return health.Report{State: v1alpha1.HealthHealthy, Message: fmt.Sprintf("all %d monitors are OK", len(reports))}
}

// joinFirst joins the first of a sorted list, so that the text does not depend on the order of the response.
func joinFirst(list []string, separator string) string {
	list = slices.Sorted(slices.Values(list))
	if extra := len(list) - maxListed; extra > 0 {
		list = append(list[:maxListed], fmt.Sprintf("and %d more", extra))
	}
	return strings.Join(list, separator)
}
