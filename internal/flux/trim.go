package flux

import (
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/kuberik/kuberik/internal/kube"
)

// Trim takes out of a Kustomization or OCIRepository what nobody reads of it and may be large, before it is cached. Versions are handed over
// in patches that name the fields they write, so that nothing of this is lost. Of the managed fields it keeps who owns what a Rollout writes.
// What is of another kind stays as it is.
func Trim(o any) {
	switch o := o.(type) {
	case *kustomizev1.Kustomization:
		kube.KeepOwners(o, keeper(o, func(field string) bool { return o.Annotations[fromAnnotation(field)] != "" }), substitutePath...)
		trim(o)
	case *sourcev1.OCIRepository:
		kube.KeepOwners(o, keeper(o, func(field string) bool { return field == fieldTag || field == fieldDigest }), refPath...)
	}
}

func trim(k *kustomizev1.Kustomization) {
	k.Spec.CommonMetadata, k.Spec.DependsOn, k.Spec.Decryption = nil, nil, nil
	k.Spec.Patches, k.Spec.Images, k.Spec.Components, k.Spec.Ignore = nil, nil, nil, nil
	if k.Spec.PostBuild == nil {
		return
	}
	k.Spec.PostBuild.SubstituteFrom = nil
	ours := map[string]string{}
	for key := range k.Annotations {
		if value, set := k.Spec.PostBuild.Substitute[variable(key)]; set {
			ours[variable(key)] = value
		}
	}
	k.Spec.PostBuild.Substitute = ours
}
