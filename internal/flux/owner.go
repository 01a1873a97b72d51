package flux

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/version"
)

const (
	// fluxManager is the field manager of kustomize-controller.
	fluxManager = "kustomize-controller"
	// annotationApply sets how kustomize-controller applies an object.
	annotationApply = "kustomize.toolkit.fluxcd.io/ssa"
	// fieldTag and fieldDigest are the fields below refPath that a Rollout writes.
	fieldTag, fieldDigest = "tag", "digest"
)

var (
	// substitutePath leads to the variables of a Kustomization, and refPath to the tag and digest of an OCIRepository.
	substitutePath = []string{"spec", "postBuild", "substitute"}
	refPath        = []string{"spec", "ref"}
	// updatingControllers restore their own value even if they do not use server-side apply.
	updatingControllers = []string{fluxManager, "helm-controller", "argocd-controller", "argocd-application-controller"}
	// ownManagers are the field managers of Kuberik, including the published controller that it replaces.
	ownManagers = []string{string(kube.FieldOwner), "rollout-controller"}
)

// competingManagers returns, by field name, the field managers that restore their own value of a field below a path: a
// controller that owns the field, or any manager that applies it.
//
// Kuberik writes a field with an update, which removes the ownership of every manager that set another value. So a
// manager that owns the field alone either had it before Kuberik or has taken it back. If both own it, they agree on
// the value, and nothing shows yet that the manager will restore its own. Kuberik does not write while there is a
// competing manager, so the result is stable across reconciles.
func competingManagers(o client.Object, path ...string) map[string]string {
	managers, restores := map[string]string{}, restoringOwners(o)
	for field, owners := range kube.Owners(o, path...) {
		if slices.ContainsFunc(owners, isOwn) {
			continue
		}
		if i := slices.IndexFunc(owners, restores); i >= 0 {
			managers[field] = owners[i].Manager
		}
	}
	return managers
}

func isOwn(w kube.Owner) bool { return slices.Contains(ownManagers, w.Manager) }

// restoringOwners returns a function that reports whether an owner of a field of an object restores its own value.
func restoringOwners(o client.Object) func(kube.Owner) bool {
	skipped := isSkippedByFlux(o)
	return func(w kube.Owner) bool {
		switch {
		case isOwn(w), w.Manager == fluxManager && skipped:
			return false
		case w.Operation == metav1.ManagedFieldsOperationApply:
			return true
		}
		return slices.Contains(updatingControllers, w.Manager) // other managers updated it once, such as kubectl
	}
}

// isSkippedByFlux reports whether kustomize-controller skips an object that is among the manifests it applies. It
// reads "ssa: Ignore" and "reconcile: disabled" from the object too, but "ssa: IfNotPresent" only from the manifest,
// so that value counts only if kustomize-controller applied it. "ssa: Merge" does not skip fields that the manifest
// contains.
func isSkippedByFlux(o client.Object) bool {
	const ifNotPresent = "IfNotPresent"
	if SkipMarker(o) != "" {
		return true
	}
	applier := kube.Owner{Manager: fluxManager, Operation: metav1.ManagedFieldsOperationApply}
	for path, value := range map[string]string{
		"annotations": o.GetAnnotations()[annotationApply], "labels": o.GetLabels()[annotationApply],
	} {
		applied := slices.Contains(kube.Owners(o, "metadata", path)[annotationApply], applier)
		if applied && strings.EqualFold(value, ifNotPresent) {
			return true
		}
	}
	return false
}

// relevantOwners returns a function that reports whether the cache keeps an owner of a field: Kuberik, and the first
// competing manager of each written field. Anyone who may write the object can add as many as the API server accepts.
func relevantOwners(o client.Object, isWritten func(field string) bool) func(string, kube.Owner) bool {
	restores, found := restoringOwners(o), map[string]bool{}
	return func(field string, w kube.Owner) bool {
		switch {
		case !isWritten(field):
			return false
		case isOwn(w):
			return true
		case !restores(w) || found[field]:
			return false
		}
		found[field] = true
		return true
	}
}

// fromAnnotation returns the annotation that names the Rollout of a variable.
func fromAnnotation(variable string) string {
	return v1alpha1.AnnotationSubstitutePrefix + variable + v1alpha1.AnnotationSubstituteSuffix
}

// conflictMessage says who else writes a field of an object, and how to resolve that.
func conflictMessage(o client.Object, manager string, path ...string) string {
	field, where := strings.Join(path, "."), "what it applies"
	who := version.Clean(manager, 64)
	switch labels := o.GetLabels(); {
	case manager == fluxManager && labels[labelName] != "":
		who, where = "Kustomization "+labels[labelNamespace]+"/"+labels[labelName], "the manifest in Git"
	case manager == fluxManager:
		where = "the manifest in Git"
	case manager == "helm-controller":
		where = "the chart"
	}
	return who + " also writes " + version.Clean(field, 96) + " and restores its own value: " +
		"remove the field from " + where
}
