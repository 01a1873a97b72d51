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
	// maxText is the most bytes that are kept of a text in a Flux object.
	maxText = 1 << 10
	// maxPattern is the limit for the pattern of an ImagePolicy.
	maxPattern = 4 << 10
	// maxVariable is the limit for a variable. A tag with a digest has at most 200 bytes.
	maxVariable = 256
)

// conditionTypes are the conditions that Kuberik reads.
var conditionTypes = []string{meta.ReadyCondition, meta.StalledCondition, sourcev1.ArtifactInStorageCondition}

// Trim removes the fields of a Flux object that Kuberik does not read, and bounds the others, before the object is
// cached: users who may write Flux objects may write a megabyte into every field. The inventory and the
// healthCheckExprs of a Kustomization are read from the API server when they are needed. Versions are written with
// patches, so that trimmed fields are not lost. Of the managed fields, Trim keeps the owners of the fields that a
// Rollout writes. Trim does not change objects of other kinds.
func Trim(o any) {
	object, ok := o.(client.Object)
	if !ok {
		return
	}
	switch o := o.(type) {
	case *kustomizev1.Kustomization:
		kube.KeepOwners(o, relevantOwners(o, func(field string) bool { return o.Annotations[fromAnnotation(field)] != "" }),
			substitutePath...)
		o.Spec, o.Status = trimmedSpec(o), trimmedStatus(&o.Status)
	case *sourcev1.OCIRepository:
		kube.KeepOwners(o, relevantOwners(o, func(field string) bool { return field == fieldTag || field == fieldDigest }),
			refPath...)
		trimRepository(o)
	case *imagev1.ImagePolicy:
		trimPolicy(o)
	case *imagev1.ImageRepository:
		o.Spec = imagev1.ImageRepositorySpec{
			Image: truncate(o.Spec.Image, maxText), Insecure: o.Spec.Insecure, SecretRef: trimmedRef(o.Spec.SecretRef),
		}
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
			APIVersion: truncate(ref.APIVersion, maxText), Kind: truncate(ref.Kind, maxText), Name: truncate(ref.Name, maxText),
			Namespace: truncate(ref.Namespace, maxText),
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
			kept.PostBuild.Substitute[strings.Clone(variableOf(key))] = truncate(value, maxVariable)
		}
	}
	return kept
}

func trimmedStatus(s *kustomizev1.KustomizationStatus) kustomizev1.KustomizationStatus {
	return kustomizev1.KustomizationStatus{
		ReconcileRequestStatus: trimmedRequest(s.ReconcileRequestStatus), ObservedGeneration: s.ObservedGeneration,
		Conditions: trimmedConditions(s.Conditions), LastAppliedRevision: truncate(s.LastAppliedRevision, maxText),
		LastAttemptedRevision: truncate(s.LastAttemptedRevision, maxText),
	}
}

func trimRepository(repo *sourcev1.OCIRepository) {
	spec := sourcev1.OCIRepositorySpec{URL: truncate(repo.Spec.URL, maxText), Suspend: repo.Spec.Suspend}
	if ref := repo.Spec.Reference; ref != nil {
		spec.Reference = &sourcev1.OCIRepositoryRef{
			Tag: truncate(ref.Tag, maxText), Digest: truncate(ref.Digest, maxText), SemVer: truncate(ref.SemVer, maxText),
		}
	}
	status := sourcev1.OCIRepositoryStatus{
		ReconcileRequestStatus: trimmedRequest(repo.Status.ReconcileRequestStatus),
		ObservedGeneration:     repo.Status.ObservedGeneration,
		Conditions:             trimmedConditions(repo.Status.Conditions),
	}
	if artifact := repo.Status.Artifact; artifact != nil {
		status.Artifact = &meta.Artifact{Revision: truncate(artifact.Revision, maxText)}
	}
	repo.Spec, repo.Status = spec, status
}

func trimPolicy(p *imagev1.ImagePolicy) {
	spec := imagev1.ImagePolicySpec{Policy: p.Spec.Policy}
	spec.ImageRepositoryRef.Namespace, spec.ImageRepositoryRef.Name = truncate(p.Spec.ImageRepositoryRef.Namespace,
		maxText), truncate(p.Spec.ImageRepositoryRef.Name, maxText)
	if p.Spec.Policy.SemVer != nil {
		spec.Policy.SemVer = &imagev1.SemVerPolicy{Range: truncate(p.Spec.Policy.SemVer.Range, maxText)}
	}
	if f := p.Spec.FilterTags; f != nil {
		spec.FilterTags = &imagev1.TagFilter{
			Pattern: truncate(f.Pattern, maxPattern), Extract: truncate(f.Extract, maxPattern),
		}
	}
	status := imagev1.ImagePolicyStatus{
		Conditions: trimmedConditions(p.Status.Conditions), LatestRef: p.Status.LatestRef.DeepCopy(),
	}
	if ref := status.LatestRef; ref != nil {
		ref.Name, ref.Tag, ref.Digest = truncate(ref.Name, maxText), truncate(ref.Tag, maxText), truncate(ref.Digest, maxText)
	}
	p.Spec, p.Status = spec, status
}

func trimmedRef(ref *meta.LocalObjectReference) *meta.LocalObjectReference {
	if ref == nil {
		return nil
	}
	return &meta.LocalObjectReference{Name: truncate(ref.Name, maxText)}
}

func trimmedRequest(s meta.ReconcileRequestStatus) meta.ReconcileRequestStatus {
	return meta.ReconcileRequestStatus{LastHandledReconcileAt: truncate(s.LastHandledReconcileAt, maxText)}
}

// trimmedConditions keeps the first condition of each type that is read.
func trimmedConditions(all []metav1.Condition) []metav1.Condition {
	var kept []metav1.Condition
	for _, kind := range conditionTypes {
		for i := range all {
			if all[i].Type != kind {
				continue
			}
			c := all[i]
			c.Type, c.Reason, c.Message = kind, truncate(c.Reason, maxText), truncate(c.Message, maxText)
			kept = append(kept, c)
			break
		}
	}
	return kept
}

// truncate returns a copy of a text that is at most limit bytes long. A hash keeps different texts different. A
// truncated text does not change again.
func truncate(text string, limit int) string {
	if len(text) <= limit {
		return strings.Clone(text)
	}
	sum := sha256.Sum256([]byte(text))
	end := "… (" + hex.EncodeToString(sum[:]) + ")"
	return strings.ToValidUTF8(text[:limit-len(end)], "") + end
}
