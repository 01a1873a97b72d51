package health

import (
	"testing"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// A class of Kuberik never binds by time: its reports do not change with each deployment.
func TestOwnClassesAreBoundToADeployment(t *testing.T) {
	t.Parallel()
	for name := range traits {
		got, own := TraitsOf(&v1alpha1.HealthCheck{Spec: v1alpha1.HealthCheckSpec{Class: &name}})
		if !own || got.Binding == ByTime {
			t.Errorf("%s: %+v, %t", name, got, own)
		}
	}
	foreign := "synthetics.example.com"
	if got, own := TraitsOf(&v1alpha1.HealthCheck{Spec: v1alpha1.HealthCheckSpec{Class: &foreign}}); own || got.Binding != ByTime {
		t.Errorf("a class of another controller: %+v, %t", got, own)
	}
}
