package health

import "github.com/kuberik/kuberik/api/v1alpha1"

// Binding is how a report of a class is bound to what was deployed.
type Binding int

const (
	// ByTime: the report is about the deployment if it changed after it. That is all that is known of classes of other controllers.
	ByTime Binding = iota
	// ByRevision: the report names the revision that it is about.
	ByRevision
	// ByDeployment: the status lists the deployments that the report is about.
	ByDeployment
)

// Traits of a class of health checks.
type Traits struct {
	// Binding of its reports.
	Binding Binding
	// Outside reports whether a probe calls what is not part of the cluster's API.
	Outside bool
	// One reports whether a probe is about one deployment only, and is itself what thresholds would count.
	One bool
}

// traits of the classes that Kuberik answers for.
var traits = map[string]Traits{
	v1alpha1.HealthClassKustomization: {Binding: ByRevision},
	v1alpha1.HealthClassHTTP:          {Binding: ByDeployment, Outside: true},
	v1alpha1.HealthClassPrometheus:    {Binding: ByDeployment, Outside: true},
	v1alpha1.HealthClassDatadog:       {Binding: ByDeployment, Outside: true},
	v1alpha1.HealthClassScript:        {Binding: ByDeployment, One: true},
}

// TraitsOf returns the traits of the class of a check, and whether Kuberik answers for that class.
func TraitsOf(check *v1alpha1.HealthCheck) (Traits, bool) {
	t, ours := traits[Class(check)]
	return t, ours
}
