package health

import (
	"testing"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// A class that Kuberik answers for never goes by times: its reports would wait for a change that does not come.
func TestClassesOfOursAreBoundToADeployment(t *testing.T) {
	t.Parallel()
	for name := range traits {
		got, ours := TraitsOf(&v1alpha1.HealthCheck{Spec: v1alpha1.HealthCheckSpec{Class: &name}})
		if !ours || got.Binding == ByTime {
			t.Errorf("%s: %+v, %t", name, got, ours)
		}
	}
	foreign := "synthetics.example.com"
	if got, ours := TraitsOf(&v1alpha1.HealthCheck{Spec: v1alpha1.HealthCheckSpec{Class: &foreign}}); ours || got.Binding != ByTime {
		t.Errorf("a class of another controller: %+v, %t", got, ours)
	}
}
