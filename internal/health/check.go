package health

import "github.com/kuberik/kuberik/api/v1alpha1"

// Class returns the class of a check; empty if it has none.
func Class(check *v1alpha1.HealthCheck) string {
	if check.Spec.Class == nil {
		return ""
	}
	return *check.Spec.Class
}

// Deployment returns the entry of a deployment in the status of a check, for those who write that status and those who
// read it.
func Deployment(check *v1alpha1.HealthCheck, namespace, rollout, token string) v1alpha1.CheckedDeployment {
	if namespace != check.Namespace {
		rollout = namespace + "/" + rollout
	}
	return v1alpha1.CheckedDeployment{Rollout: rollout, Token: token}
}
