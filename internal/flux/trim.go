package flux

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/internal/kube"
)

const (
	// longest is how many bytes are kept of a text that Kuberik reads of a Flux object.
	longest = 1 << 10
	// longestPattern is the same for the pattern of an ImagePolicy.
	longestPattern = 4 << 10
	// longestValue is the same for a variable: a tag with a digest takes no more than 200 bytes.
	longestValue = 256
)

// read are the conditions that Kuberik reads.
var read = []string{meta.ReadyCondition, meta.StalledCondition, sourcev1.ArtifactInStorageCondition}

// Trim keeps of a Flux object what Kuberik reads, before it is cached, and bounds that: whoever may write Flux objects and their statuses may
// write a megabyte into every field. The inventory and the healthCheckExprs of a Kustomization are read from the API server when they are
// needed. Versions are handed over in patches that name the fields they write, so that nothing of this is lost. Of the managed fields it
// keeps who owns what a Rollout writes. What is of another kind stays as it is.
func Trim(o any) {
	object, ok := o.(client.Object)
	if !ok {
		return
	}
	switch o := o.(type) {
	case *kustomizev1.Kustomization:
		kube.KeepOwners(o, relevantOwners(o, func(field string) bool { return o.Annotations[fromAnnotation(field)] != "" }), substitutePath...)
		o.Spec, o.Status = trimmedSpec(o), trimmedStatus(&o.Status)
	case *sourcev1.OCIRepository:
		kube.KeepOwners(o, relevantOwners(o, func(field string) bool { return field == fieldTag || field == fieldDigest }), refPath...)
		trimRepository(o)
	case *imagev1.ImagePolicy:
		trimPolicy(o)
	case *imagev1.ImageRepository:
		o.Spec = imagev1.ImageRepositorySpec{Image: cut(o.Spec.Image, longest), Insecure: o.Spec.Insecure, SecretRef: trimmedRef(o.Spec.SecretRef)}
		o.Status = imagev1.ImageRepositoryStatus{}
	default:
		return
	}
	kube.TrimLabels(object)
}

func trimmedSpec(k *kustomizev1.Kustomization) kustomizev1.KustomizationSpec {
	ref := k.Spec.SourceRef
	kept := kustomizev1.KustomizationSpec{
		Suspend: k.Spec.Suspend, Wait: k.Spec.Wait || len(k.Spec.HealthChecks) > 0,
		SourceRef: kustomizev1.CrossNamespaceSourceReference{
			APIVersion: cut(ref.APIVersion, longest), Kind: cut(ref.Kind, longest), Name: cut(ref.Name, longest), Namespace: cut(ref.Namespace, longest),
		},
	}
	if k.Spec.KubeConfig != nil {
		kept.KubeConfig = &meta.KubeConfigReference{}
	}
	if k.Spec.PostBuild == nil {
		return kept
	}
	kept.PostBuild = &kustomizev1.PostBuild{Substitute: map[string]string{}}
	for key := range k.Annotations {
		if value, set := k.Spec.PostBuild.Substitute[variableOf(key)]; set {
			kept.PostBuild.Substitute[strings.Clone(variableOf(key))] = cut(value, longestValue)
		}
	}
	return kept
}

func trimmedStatus(s *kustomizev1.KustomizationStatus) kustomizev1.KustomizationStatus {
	return kustomizev1.KustomizationStatus{
		ReconcileRequestStatus: trimmedRequest(s.ReconcileRequestStatus), ObservedGeneration: s.ObservedGeneration,
		Conditions: trimmedConditions(s.Conditions), LastAppliedRevision: cut(s.LastAppliedRevision, longest),
		LastAttemptedRevision: cut(s.LastAttemptedRevision, longest),
	}
}

func trimRepository(repo *sourcev1.OCIRepository) {
	spec := sourcev1.OCIRepositorySpec{URL: cut(repo.Spec.URL, longest), Suspend: repo.Spec.Suspend}
	if ref := repo.Spec.Reference; ref != nil {
		spec.Reference = &sourcev1.OCIRepositoryRef{Tag: cut(ref.Tag, longest), Digest: cut(ref.Digest, longest), SemVer: cut(ref.SemVer, longest)}
	}
	status := sourcev1.OCIRepositoryStatus{
		ReconcileRequestStatus: trimmedRequest(repo.Status.ReconcileRequestStatus), ObservedGeneration: repo.Status.ObservedGeneration,
		Conditions: trimmedConditions(repo.Status.Conditions),
	}
	if artifact := repo.Status.Artifact; artifact != nil {
		status.Artifact = &meta.Artifact{Revision: cut(artifact.Revision, longest)}
	}
	repo.Spec, repo.Status = spec, status
}

func trimPolicy(p *imagev1.ImagePolicy) {
	spec := imagev1.ImagePolicySpec{Policy: p.Spec.Policy}
	spec.ImageRepositoryRef.Namespace, spec.ImageRepositoryRef.Name = cut(p.Spec.ImageRepositoryRef.Namespace, longest), cut(p.Spec.ImageRepositoryRef.Name, longest)
	if p.Spec.Policy.SemVer != nil {
		spec.Policy.SemVer = &imagev1.SemVerPolicy{Range: cut(p.Spec.Policy.SemVer.Range, longest)}
	}
	if f := p.Spec.FilterTags; f != nil {
		spec.FilterTags = &imagev1.TagFilter{Pattern: cut(f.Pattern, longestPattern), Extract: cut(f.Extract, longestPattern)}
	}
	status := imagev1.ImagePolicyStatus{Conditions: trimmedConditions(p.Status.Conditions), LatestRef: p.Status.LatestRef.DeepCopy()}
	if ref := status.LatestRef; ref != nil {
		ref.Name, ref.Tag, ref.Digest = cut(ref.Name, longest), cut(ref.Tag, longest), cut(ref.Digest, longest)
	}
	p.Spec, p.Status = spec, status
}

func trimmedRef(ref *meta.LocalObjectReference) *meta.LocalObjectReference {
	if ref == nil {
		return nil
	}
	return &meta.LocalObjectReference{Name: cut(ref.Name, longest)}
}

func trimmedRequest(s meta.ReconcileRequestStatus) meta.ReconcileRequestStatus {
	return meta.ReconcileRequestStatus{LastHandledReconcileAt: cut(s.LastHandledReconcileAt, longest)}
}

// trimmedConditions keeps the first condition of each type that is read.
func trimmedConditions(all []metav1.Condition) []metav1.Condition {
	var kept []metav1.Condition
	for _, kind := range read {
		for i := range all {
			if all[i].Type != kind {
				continue
			}
			c := all[i]
			c.Type, c.Reason, c.Message = kind, cut(c.Reason, longest), cut(c.Message, longest)
			kept = append(kept, c)
			break
		}
	}
	return kept
}

// cut returns a text of bounded length, in memory of its own. Texts that differ stay different, and a text that was cut stays the same.
func cut(text string, most int) string {
	if len(text) <= most {
		return strings.Clone(text)
	}
	sum := sha256.Sum256([]byte(text))
	end := "… (" + hex.EncodeToString(sum[:]) + ")"
	return strings.ToValidUTF8(text[:most-len(end)], "") + end
}
