package datadog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/version"
)

// mostNamed is how many monitors, groups or series a message names.
const mostNamed = 3

// finding is what one monitor amounts to.
type finding struct {
	state   v1alpha1.HealthState
	message string
}

// judge says what the state of a monitor means. Only an alert is a failure, and only OK is health: everything else is no verdict.
func judge(monitor, state string) finding {
	switch state {
	case "OK":
		return finding{v1alpha1.HealthHealthy, monitor + " is OK"}
	case "Alert":
		return finding{v1alpha1.HealthUnhealthy, monitor + " is in alert"}
	case "Warn":
		return finding{v1alpha1.HealthPending, monitor + " warns"}
	case "No Data":
		return finding{health.NoData, monitor + " has no data"}
	case "Skipped", "Ignored", "Unknown":
		return finding{v1alpha1.HealthPending, monitor + " has no verdict: its state is " + state}
	case "":
		return finding{v1alpha1.HealthPending, monitor + " has no state yet"}
	}
	return finding{v1alpha1.HealthPending, fmt.Sprintf("%s is in a state that is not known: %q", monitor, version.Clean(state, 32))}
}

// worst of several findings decides, and is named. Where the check takes no data for failure it weighs more than no verdict.
func worst(findings []finding, noData v1alpha1.NoData) health.Report {
	order := []v1alpha1.HealthState{v1alpha1.HealthUnhealthy, v1alpha1.HealthPending, health.NoData}
	if noData == v1alpha1.NoDataFail {
		order = []v1alpha1.HealthState{v1alpha1.HealthUnhealthy, health.NoData, v1alpha1.HealthPending}
	}
	for _, state := range order {
		var messages []string
		for _, f := range findings {
			if f.state == state {
				messages = append(messages, f.message)
			}
		}
		if len(messages) > 0 {
			return health.Report{State: state, Message: few(messages, "; ")}
		}
	}
	if len(findings) == 1 {
		return health.Report{State: findings[0].state, Message: findings[0].message}
	}
	return health.Report{State: v1alpha1.HealthHealthy, Message: fmt.Sprintf("all %d monitors are OK", len(findings))}
}

// few names the first of a list, in an order that does not depend on that of the answer.
func few(list []string, separator string) string {
	list = slices.Sorted(slices.Values(list))
	if extra := len(list) - mostNamed; extra > 0 {
		list = append(list[:mostNamed], fmt.Sprintf("and %d more", extra))
	}
	return strings.Join(list, separator)
}
