package health

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// A report that does not refer to what is deployed now is neither healthy nor unhealthy.
func TestReport(t *testing.T) {
	type verdict struct{ Good, Bad bool }
	cases := map[string]struct {
		reason  string
		state   v1alpha1.HealthState
		current bool
		want    verdict
	}{
		"healthy":              {"passes", v1alpha1.HealthHealthy, true, verdict{Good: true}},
		"healthy before":       {"speaks of the old version", v1alpha1.HealthHealthy, false, verdict{}},
		"unhealthy":            {"fails", v1alpha1.HealthUnhealthy, true, verdict{Bad: true}},
		"unhealthy before":     {"speaks of the old version", v1alpha1.HealthUnhealthy, false, verdict{}},
		"pending":              {"neither passes nor fails", v1alpha1.HealthPending, true, verdict{}},
		"unknown":              {"what could not be read neither passes nor fails", v1alpha1.HealthUnknown, true, verdict{}},
		"nothing was reported": {"neither passes nor fails", "", true, verdict{}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := Report{State: tc.state, Current: tc.current}
			if diff := cmp.Diff(tc.want, verdict{r.Good(), r.Bad()}); diff != "" {
				t.Errorf("%s: %s", tc.reason, diff)
			}
		})
	}
}

func TestFailedSince(t *testing.T) {
	at := time.Unix(100, 0)
	for name, tc := range map[string]struct {
		last time.Time
		want bool
	}{
		"never": {time.Time{}, false}, "before": {at.Add(-1), false}, "then": {at, true}, "after": {at.Add(1), true},
	} {
		if got := (Report{LastError: tc.last}).FailedSince(at); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestNormal(t *testing.T) {
	for in, want := range map[v1alpha1.HealthState]v1alpha1.HealthState{
		"Healthy": "Healthy", "Unhealthy": "Unhealthy", "Pending": "Pending", "": "Pending", "healthy": v1alpha1.HealthUnknown, "OK": v1alpha1.HealthUnknown,
	} {
		if got := Normal(in); got != want {
			t.Errorf("Normal(%q) = %q", in, got)
		}
	}
}
