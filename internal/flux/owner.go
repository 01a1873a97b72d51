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
	// fieldManager of kustomize-controller, which applies what a Kustomization holds.
	fieldManager = "kustomize-controller"
	// annotationApply on an object says how kustomize-controller applies it.
	annotationApply = "kustomize.toolkit.fluxcd.io/ssa"
	// fieldTag and fieldDigest are what a Rollout writes below refPath.
	fieldTag, fieldDigest = "tag", "digest"
)

var (
	// substitutePath and refPath lead to the fields that a Rollout writes: those of a Kustomization, and those of an OCIRepository.
	substitutePath = []string{"spec", "postBuild", "substitute"}
	refPath        = []string{"spec", "ref"}
	// updaters are controllers that put their own value back also where they do not use server-side apply.
	updaters = []string{fieldManager, "helm-controller", "argocd-controller", "argocd-application-controller"}
	// ours are the field managers of Kuberik, and of the published controller that it takes over from.
	ours = []string{string(kube.FieldOwner), "rollout-controller"}
)

// rivals returns the field managers that put their own value back into fields below a path, by the name of the field: a controller that owns
// the field, or anybody who applies it.
//
// Kuberik writes a field by an update, which takes it away from everybody who has set it to another value. So another one that owns it alone
// had it first, or has taken it back. Where both own it, they agree on the value: the other one keeps it until the next version is written,
// and nothing shows yet that it will take it back. Because nothing is written while there is a rival, the answer does not change with
// each reconcile of it.
func rivals(o client.Object, path ...string) map[string]string {
	list, restores := map[string]string{}, restorer(o)
	for field, owners := range kube.Owners(o, path...) {
		if slices.ContainsFunc(owners, isOurs) {
			continue
		}
		if i := slices.IndexFunc(owners, restores); i >= 0 {
			list[field] = owners[i].Manager
		}
	}
	return list
}

func isOurs(w kube.Owner) bool { return slices.Contains(ours, w.Manager) }

// restorer says of the owners of fields of an object whether they put their own value back.
func restorer(o client.Object) func(kube.Owner) bool {
	left := leftAlone(o)
	return func(w kube.Owner) bool {
		switch {
		case isOurs(w), w.Manager == fieldManager && left:
			return false
		case w.Operation == metav1.ManagedFieldsOperationApply:
			return true
		}
		return slices.Contains(updaters, w.Manager) // anybody else changed it once
	}
}

// leftAlone reports whether kustomize-controller leaves an object as it is, though the object is in what it applies. It looks for Ignore and
// for reconcile: disabled on the object too, but for IfNotPresent only in the manifest. So that counts where it has applied it. Merge makes no
// difference: it keeps fields that the manifest does not have.
func leftAlone(o client.Object) bool {
	const ifNotPresent = "IfNotPresent"
	if Skipped(o) != "" {
		return true
	}
	for path, value := range map[string]string{"annotations": o.GetAnnotations()[annotationApply], "labels": o.GetLabels()[annotationApply]} {
		applied := slices.Contains(kube.Owners(o, "metadata", path)[annotationApply], kube.Owner{Manager: fieldManager, Operation: metav1.ManagedFieldsOperationApply})
		if applied && strings.EqualFold(value, ifNotPresent) {
			return true
		}
	}
	return false
}

// keeper says which owners of fields are read of an object: Kuberik, and the first rival of each field. Whoever may write the object can make
// up as many as the API server takes.
func keeper(o client.Object, written func(field string) bool) func(string, kube.Owner) bool {
	restores, found := restorer(o), map[string]bool{}
	return func(field string, w kube.Owner) bool {
		switch {
		case !written(field):
			return false
		case isOurs(w):
			return true
		case !restores(w) || found[field]:
			return false
		}
		found[field] = true
		return true
	}
}

// fromAnnotation names the Rollout of a variable.
func fromAnnotation(variable string) string {
	return v1alpha1.AnnotationSubstitutePrefix + variable + v1alpha1.AnnotationSubstituteSuffix
}

// contested says who else writes a field of an object, and what to do.
func contested(o client.Object, rival string, path ...string) string {
	field, where := strings.Join(path, "."), "what it applies"
	who := version.Clean(rival, 64)
	switch labels := o.GetLabels(); {
	case rival == fieldManager && labels[labelName] != "":
		who, where = "Kustomization "+labels[labelNamespace]+"/"+labels[labelName], "the manifest in Git"
	case rival == fieldManager:
		where = "the manifest in Git"
	case rival == "helm-controller":
		where = "the chart"
	}
	return who + " also writes " + version.Clean(field, 96) + " and puts its own value back: remove the field from " + where
}
