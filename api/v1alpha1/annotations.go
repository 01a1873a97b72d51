package v1alpha1

// Annotations that people set on a Rollout. Each is used once: the status write that acts on it also records that it
// was handled, and then it is removed.
const (
	// AnnotationForceDeploy holds the tag of a known release. The controller deploys it at once and skips gates and
	// health.
	AnnotationForceDeploy = "rollout.kuberik.com/force-deploy"
	// AnnotationBypassGates holds the tag of a candidate. Gates do not hold that candidate.
	AnnotationBypassGates = "rollout.kuberik.com/bypass-gates"
	// AnnotationUnblockFailed set to "true" allows the next candidate after a failed release.
	AnnotationUnblockFailed = "rollout.kuberik.com/unblock-failed"
	// AnnotationRetry runs the failed or paused release again. Its value is the reason, which may be empty.
	AnnotationRetry = "rollout.kuberik.com/retry"
	// AnnotationDeployMessage holds the message of the next manual deployment.
	AnnotationDeployMessage = "rollout.kuberik.com/deploy-message"
	// AnnotationDeployUser holds the name to which the next manual deployment is attributed. The client supplies it, and
	// nothing verifies it.
	AnnotationDeployUser = "rollout.kuberik.com/deploy-user"
	// AnnotationQuarantine holds the tag of a known release and, after a space, the reason why it must not be deployed
	// automatically.
	AnnotationQuarantine = "rollout.kuberik.com/quarantine"
	// AnnotationLiftQuarantine holds the tag of a quarantined release and, after a space, the reason why it may be
	// deployed again.
	AnnotationLiftQuarantine = "rollout.kuberik.com/lift-quarantine"
)

// OneShotAnnotations returns every annotation of a Rollout that is used once and then removed.
func OneShotAnnotations() []string {
	return []string{
		AnnotationForceDeploy, AnnotationBypassGates, AnnotationUnblockFailed, AnnotationRetry,
		AnnotationDeployMessage, AnnotationDeployUser, AnnotationQuarantine, AnnotationLiftQuarantine,
	}
}

// Annotations that people set on Flux objects and health checks.
const (
	// AnnotationSubstitutePrefix and AnnotationSubstituteSuffix enclose the name of a variable of a Kustomization. The
	// value of the annotation is the name of the Rollout that sets the variable.
	AnnotationSubstitutePrefix = "rollout.kuberik.com/substitute."
	// AnnotationSubstituteSuffix ends the annotation that AnnotationSubstitutePrefix starts.
	AnnotationSubstituteSuffix = ".from"
	// AnnotationSubstituteValueSuffix ends a second annotation of the same variable, which defines what the variable
	// carries: tag, digest or tag@digest. Defaults to tag.
	AnnotationSubstituteValueSuffix = ".value"
	// AnnotationRollout on an OCIRepository holds the name of the Rollout that sets its tag.
	AnnotationRollout = "rollout.kuberik.com/rollout"
	// AnnotationRef on an OCIRepository defines what the Rollout writes to spec.ref: tag or digest. With digest the
	// Rollout writes the tag too, and Flux fetches by the digest. The OCIRepository must be of the image that the
	// ImagePolicy selects from. Defaults to tag.
	AnnotationRef = "rollout.kuberik.com/ref"
	// AnnotationKustomization on a HealthCheck of class kustomization names the Kustomization that it watches, as name
	// or namespace/name.
	// The field spec.kustomization does the same and is preferred.
	AnnotationKustomization = "healthcheck.kuberik.com/kustomization"
	// AnnotationRequeueInterval on a HealthCheck is the interval between evaluations of sources that send no events,
	// such as "1m". Defaults to 30s. The minimum is 5s.
	AnnotationRequeueInterval = "healthcheck.kuberik.com/requeue-interval"
)

// LabelRollout on a Release is the name of its Rollout. A name that is too long for a label is shortened and ends in
// a hash.
const LabelRollout = "kuberik.com/rollout"
