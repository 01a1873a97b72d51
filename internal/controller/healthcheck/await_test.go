package healthcheck

import (
	"strings"
	"testing"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// TestNobodyReports: a check that no controller has reported on says whom it waits for, and only until somebody reports.
func TestNobodyReports(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		class, want string
	}{
		"no class":        {"", "the HealthCheck names no class, and no controller has reported on it; Kuberik itself answers for the classes http, odd"},
		"a foreign class": {"alert", "no controller of class alert has reported on it; Kuberik itself answers for the classes http, odd"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			check := aCheck(tc.class, func(check *v1alpha1.HealthCheck) { check.UID = "1" })
			check, _, err := w.reconcile(t.Context(), check)
			if err != nil {
				t.Fatal(err)
			}
			if st := check.Status; st.Status != v1alpha1.HealthPending || st.Message == nil || !strings.HasPrefix(*st.Message, tc.want) {
				t.Fatalf("it is %+v", st)
			}
			before := w.store.writes.Load()
			reported := "up"
			check.Status.Status, check.Status.Message = v1alpha1.HealthHealthy, &reported
			if check, _, err = w.reconcile(t.Context(), check); err != nil || *check.Status.Message != reported || w.store.writes.Load() != before {
				t.Errorf("what was reported is changed: %+v %v", check.Status, err)
			}
		})
	}
}
