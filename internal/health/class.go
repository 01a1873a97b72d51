package health

import "github.com/kuberik/kuberik/api/v1alpha1"

// Binding says how a report of a class is bound to a deployment.
type Binding int

const (
	// ByTime binds a report to the deployment if its state changed after the deployment. It is for classes of other
	// controllers, whose reports carry nothing else.
	ByTime Binding = iota
	// ByRevision binds a report to the revision that it names.
	ByRevision
	// ByDeployment binds a report to the deployments that the status of the check lists.
	ByDeployment
)

// Traits are the traits of a class of health checks.
type Traits struct {
	// Binding of its reports.
	Binding Binding
	// External is true if a check calls anything but the API server of the cluster.
	External bool
	// PerDeployment is true if a check runs once for each deployment, so that thresholds do not apply.
	PerDeployment bool
}

// traits lists the classes that Kuberik implements.
var traits = map[string]Traits{
	v1alpha1.HealthClassKustomization: {Binding: ByRevision},
	v1alpha1.HealthClassHTTP:          {Binding: ByDeployment, External: true},
	v1alpha1.HealthClassPrometheus:    {Binding: ByDeployment, External: true},
	v1alpha1.HealthClassDatadog:       {Binding: ByDeployment, External: true},
	v1alpha1.HealthClassScript:        {Binding: ByDeployment, PerDeployment: true},
}

// TraitsOf returns the traits of the class of a check. Ok is false if another controller implements the class.
func TraitsOf(check *v1alpha1.HealthCheck) (t Traits, ok bool) {
	t, ok = traits[Class(check)]
	return t, ok
}
