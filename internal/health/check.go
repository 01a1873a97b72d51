package health

import "github.com/kuberik/kuberik/api/v1alpha1"

// Class of a check; empty if it names none.
func Class(check *v1alpha1.HealthCheck) string {
	if check.Spec.Class == nil {
		return ""
	}
	return *check.Spec.Class
}

// Deployment names a deployment of a Rollout as the status of a check does. Who writes that status and who reads it have to agree.
func Deployment(check *v1alpha1.HealthCheck, namespace, rollout, token string) v1alpha1.CheckedDeployment {
	if namespace != check.Namespace {
		rollout = namespace + "/" + rollout
	}
	return v1alpha1.CheckedDeployment{Rollout: rollout, Token: token}
}
