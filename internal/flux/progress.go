package flux

import (
	"fmt"
	"slices"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/version"
)

// Revision identifies the state of a Kustomization: its name, generation, last handled reconcile request and last
// applied revision. A health report about a Kustomization is valid for one Revision only.
func Revision(k *kustomizev1.Kustomization) string {
	request, revision := truncate(k.Status.GetLastHandledReconcileRequest(), maxText),
		truncate(k.Status.LastAppliedRevision, maxText)
	return fmt.Sprintf("%s/%d/%s/%s", k.Name, k.Generation, request, revision)
}

// Progress is how far Flux has reconciled the current generation of a Kustomization for the last reconcile request.
type Progress int

const (
	// Reconciling: Flux has not finished a reconcile.
	Reconciling Progress = iota
	// Suspended: Flux does nothing until the Kustomization is resumed.
	Suspended
	// Blocked: Flux has not started, because a dependency or the source is not ready.
	Blocked
	// Failed: the build or the health checks of Flux failed, or Flux stalled.
	Failed
	// Retrying: the last attempt failed, and a later one may succeed.
	Retrying
	// Reapplying: Flux is reconciling the revision that it applied last. The status does not show whether the previous
	// reconcile succeeded, because a failed one leaves lastAppliedRevision as it is.
	Reapplying
	// Succeeded: Flux has applied it.
	Succeeded
)

// Attempted reports whether Flux has finished a reconcile, successful or not.
func (p Progress) Attempted() bool { return p >= Failed }

// blockedReasons are the reasons of a Ready condition that kustomize-controller sets before it builds anything.
var blockedReasons = []string{meta.DependencyNotReadyReason, meta.ArtifactFailedReason}

// progressOf returns how far Flux has reconciled a Kustomization, and the message of Flux or one that explains why
// there is none.
func progressOf(k *kustomizev1.Kustomization) (Progress, string) {
	if k.Spec.Suspend {
		return Suspended, "it is suspended: flux resume kustomization " + k.Name + " --namespace " + k.Namespace
	}
	// A suspended kustomize-controller also writes observedGeneration and lastHandledReconcileAt. Only a reconcile
	// sets Ready and the observedGeneration of that condition.
	ready := apimeta.FindStatusCondition(k.Status.Conditions, meta.ReadyCondition)
	if ready == nil || ready.ObservedGeneration != k.Generation || !requestHandled(k, k.Status.ReconcileRequestStatus) {
		return Reconciling, "Flux has not applied it yet"
	}
	if ready.Status == metav1.ConditionFalse {
		return failureProgress(k, ready), notReadyMessage(k.Status.Conditions)
	}
	switch {
	case !lastAttemptApplied(k):
		return Reconciling, "Flux has not applied it yet"
	case ready.Status == metav1.ConditionTrue:
		return Succeeded, ""
	}
	return Reapplying, "Flux is reconciling it again"
}

// failureProgress returns how far a failed reconcile got.
func failureProgress(k *kustomizev1.Kustomization, ready *metav1.Condition) Progress {
	switch {
	case isStalled(k), ready.Reason == meta.HealthCheckFailedReason, ready.Reason == meta.BuildFailedReason:
		return Failed
	case slices.Contains(blockedReasons, ready.Reason):
		return Blocked
	}
	return Retrying
}

// setupProblem returns why a failed reconcile does not count against the version, as a ReasonTarget constant. It
// returns "" if the reconcile did not fail or the version may be the cause.
//
// If the source of the Kustomization is the release itself, faulty manifests are the fault of the release. Otherwise
// the version enters through a variable after the build, and reaches the cluster when the objects are applied. So a
// failure of manifests that Flux has never applied, with any version, is not the fault of the version.
func setupProblem(k *kustomizev1.Kustomization, sourceIsRelease bool) string {
	if progress, _ := progressOf(k); progress != Blocked && progress != Failed && progress != Retrying {
		return ""
	}
	ready := apimeta.FindStatusCondition(k.Status.Conditions, meta.ReadyCondition)
	switch {
	case isStalled(k):
		return v1alpha1.ReasonTargetMisconfigured
	case ready.Reason == meta.DependencyNotReadyReason, ready.Reason == sourcev1.DirCreationFailedReason,
		ready.Reason == meta.ArtifactFailedReason && !sourceIsRelease:
		return v1alpha1.ReasonTargetNotReady
	case sourceIsRelease || !slices.Contains(manifestReasons, ready.Reason):
		return ""
	case k.Status.LastAttemptedRevision != k.Status.LastAppliedRevision,
		ready.Reason == meta.BuildFailedReason && !isSubstitutionFailure(ready.Message):
		return v1alpha1.ReasonTargetMisconfigured
	}
	return ""
}

// manifestReasons are the reasons of a Ready condition that kustomize-controller sets when it cannot build or apply
// the manifests in the source.
var manifestReasons = []string{meta.BuildFailedReason, meta.ReconciliationFailedReason, meta.PruneFailedReason}

// isSubstitutionFailure reports whether a build failed while substituting variables, other than because substituteFrom
// could not be read.
func isSubstitutionFailure(message string) bool {
	return strings.Contains(message, "post build failed") && !strings.Contains(message, "substitute from")
}

// repositorySetupProblem returns why source-controller cannot query the registry of an OCIRepository, as a
// ReasonTarget constant, or "".
func repositorySetupProblem(repo *sourcev1.OCIRepository) string {
	ready := apimeta.FindStatusCondition(repo.Status.Conditions, meta.ReadyCondition)
	if ready != nil && ready.Status == metav1.ConditionFalse && ready.ObservedGeneration == repo.Generation &&
		(ready.Reason == sourcev1.AuthenticationFailedReason || ready.Reason == sourcev1.URLInvalidReason) {
		return v1alpha1.ReasonTargetMisconfigured
	}
	return ""
}

// isStalled reports whether Flux has stopped retrying the current generation of a Kustomization.
func isStalled(k *kustomizev1.Kustomization) bool {
	c := apimeta.FindStatusCondition(k.Status.Conditions, meta.StalledCondition)
	return c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == k.Generation
}

// lastAttemptApplied reports whether the last revision that Flux attempted is the one it applied.
func lastAttemptApplied(k *kustomizev1.Kustomization) bool {
	return k.Status.ObservedGeneration == k.Generation && k.Status.LastAppliedRevision != "" &&
		k.Status.LastAppliedRevision == k.Status.LastAttemptedRevision
}

// requestHandled reports whether Flux has handled the last reconcile request.
func requestHandled(obj client.Object, status meta.ReconcileRequestStatus) bool {
	requested, ok := meta.ReconcileAnnotationValue(obj.GetAnnotations())
	return !ok || requested == status.GetLastHandledReconcileRequest()
}

// notReadyMessage returns the reason and message of a Ready condition that is False, or "".
func notReadyMessage(conditions []metav1.Condition) string {
	c := apimeta.FindStatusCondition(conditions, meta.ReadyCondition)
	if c == nil || c.Status != metav1.ConditionFalse {
		return ""
	}
	return version.Clean(c.Reason+": "+c.Message, 256)
}
