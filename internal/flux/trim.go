package flux

import (
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
)

// Trim takes out of a Kustomization what nobody reads of it and may be large, before it is cached. Versions are handed over in patches
// that name the fields they write, so that nothing of this is lost. What is not a Kustomization stays as it is.
func Trim(o any) {
	k, ok := o.(*kustomizev1.Kustomization)
	if !ok {
		return
	}
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
