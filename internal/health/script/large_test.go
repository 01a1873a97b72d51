package script

import (
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
)

// TestALargeScriptIsNeitherCachedNorRun: an object may have a megabyte and a half, and whoever may write HealthChecks hundreds of them.
func TestALargeScriptIsNeitherCachedNorRun(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxScript)
	for name, c := range map[string]struct {
		script v1alpha1.ScriptCheck
		large  bool
	}{
		"a template":  {v1alpha1.ScriptCheck{JobTemplate: &runtime.RawExtension{Raw: []byte(`{"a":"` + long + `"}`)}}, true},
		"a variable":  {v1alpha1.ScriptCheck{Image: "a", Env: []corev1.EnvVar{{Name: "A", Value: long}}}, true},
		"an argument": {v1alpha1.ScriptCheck{Image: "a", Args: []string{long}}, true},
		"a short one": {v1alpha1.ScriptCheck{Image: "a", Script: "true"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check := &v1alpha1.HealthCheck{Spec: v1alpha1.HealthCheckSpec{Script: &c.script}}
			for _, cached := range []bool{false, true} {
				if cached {
					TrimCheck(check)
				}
				_, err := newEvaluation(health.CheckInput{Check: check})
				if refused := err != nil && strings.Contains(err.Error(), "spec.script is larger than 64 KiB"); refused != c.large {
					t.Errorf("cached %v: %v", cached, err)
				}
			}
			if data, err := json.Marshal(check.Spec.Script); err != nil || len(data) > 1<<10 {
				t.Errorf("it takes %d bytes in the cache: %v", len(data), err)
			}
		})
	}
	TrimCheck(&corev1.Pod{})
}
