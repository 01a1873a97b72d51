package v1alpha1

// Annotations that people put on a Rollout. Each is one-shot: it counts as used by the same status write that acts on it,
// and is then removed.
const (
	// AnnotationForceDeploy names the tag of a known release that is deployed now, past gates and health.
	AnnotationForceDeploy = "rollout.kuberik.com/force-deploy"
	// AnnotationBypassGates names the tag of a candidate that no gate holds.
	AnnotationBypassGates = "rollout.kuberik.com/bypass-gates"
	// AnnotationUnblockFailed set to "true" lets the next candidate through after a failed release.
	AnnotationUnblockFailed = "rollout.kuberik.com/unblock-failed"
	// AnnotationRetry runs the failed or paused release once more; its value is of no matter.
	AnnotationRetry = "rollout.kuberik.com/retry"
	// AnnotationDeployMessage is the message of the next deployment by hand.
	AnnotationDeployMessage = "rollout.kuberik.com/deploy-message"
	// AnnotationDeployUser is who the next deployment by hand is attributed to. It is what the client says; nobody proves it.
	AnnotationDeployUser = "rollout.kuberik.com/deploy-user"
	// AnnotationLiftQuarantine holds the tag of a quarantined release and, after a blank, the reason why it may be deployed
	// again.
	AnnotationLiftQuarantine = "rollout.kuberik.com/lift-quarantine"
)

// OneShotAnnotations lists every annotation of a Rollout that is used once and then removed.
func OneShotAnnotations() []string {
	return []string{
		AnnotationForceDeploy, AnnotationBypassGates, AnnotationUnblockFailed, AnnotationRetry,
		AnnotationDeployMessage, AnnotationDeployUser, AnnotationLiftQuarantine,
	}
}

// Annotations that people put on Flux objects and health checks.
const (
	// AnnotationSubstitutePrefix and AnnotationSubstituteSuffix enclose the name of a variable of a Kustomization; the value
	// of the annotation is the name of the Rollout that writes it.
	AnnotationSubstitutePrefix = "rollout.kuberik.com/substitute."
	// AnnotationSubstituteSuffix ends the annotation that AnnotationSubstitutePrefix begins.
	AnnotationSubstituteSuffix = ".from"
	// AnnotationSubstituteValueSuffix ends the annotation, beside the one that names the Rollout of a variable, that says what
	// the variable carries: tag (default), digest, or tag@digest.
	AnnotationSubstituteValueSuffix = ".value"
	// AnnotationRollout on an OCIRepository names the Rollout that writes its tag.
	AnnotationRollout = "rollout.kuberik.com/rollout"
	// AnnotationRef on an OCIRepository says what the Rollout writes to spec.ref: tag (default), or digest. With digest the tag is
	// written too, and Flux fetches by the digest. The OCIRepository has to be of the image that the ImagePolicy selects from.
	AnnotationRef = "rollout.kuberik.com/ref"
	// AnnotationKustomization on a HealthCheck of class kustomization is the Kustomization it watches, as name or
	// namespace/name.
	AnnotationKustomization = "healthcheck.kuberik.com/kustomization"
	// AnnotationRequeueInterval on a HealthCheck is how often it looks again at what has no events. Default 30s, at least 5s.
	AnnotationRequeueInterval = "healthcheck.kuberik.com/requeue-interval"
)

// Annotations of an image that say something about the release.
const (
	// ImageAnnotationRollbackFloor is the oldest version that may be rolled back to once this release has been deployed.
	ImageAnnotationRollbackFloor = "com.kuberik.rollback-floor"
)

// LabelRollout on a Release is the name of its Rollout, shortened if it is too long for a label.
const LabelRollout = "kuberik.com/rollout"
