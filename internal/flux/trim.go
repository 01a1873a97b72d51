package flux

import (
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/kuberik/kuberik/internal/kube"
)

// Trim removes fields that Kuberik does not read from a Kustomization or OCIRepository before it is cached. Patches of
// these objects list the fields that they write, so they do not remove the trimmed ones from the API server. Of the
// managed fields, Trim keeps the owners of the fields that a Rollout writes. It ignores other kinds.
func Trim(o any) {
	switch o := o.(type) {
	case *kustomizev1.Kustomization:
		isWritten := func(field string) bool { return o.Annotations[fromAnnotation(field)] != "" }
		kube.KeepOwners(o, relevantOwners(o, isWritten), substitutePath...)
		trimKustomization(o)
	case *sourcev1.OCIRepository:
		isWritten := func(field string) bool { return field == fieldTag || field == fieldDigest }
		kube.KeepOwners(o, relevantOwners(o, isWritten), refPath...)
	}
}

func trimKustomization(k *kustomizev1.Kustomization) {
	k.Spec.CommonMetadata, k.Spec.DependsOn, k.Spec.Decryption = nil, nil, nil
	k.Spec.Patches, k.Spec.Images, k.Spec.Components, k.Spec.Ignore = nil, nil, nil, nil
	if k.Spec.PostBuild == nil {
		return
	}
	k.Spec.PostBuild.SubstituteFrom = nil
	written := map[string]string{}
	for key := range k.Annotations {
		if value, set := k.Spec.PostBuild.Substitute[variableOf(key)]; set {
			written[variableOf(key)] = value
		}
	}
	k.Spec.PostBuild.Substitute = written
}
