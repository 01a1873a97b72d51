package flux

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

// annotationDeployment on a Flux object is the deployment it was last asked for; for a Kustomization with the variable after a
// dot. It tells a target that carries the right value by chance, or from before, from one that was asked for this deployment.
const annotationDeployment = "rollout.kuberik.com/deployment"

// variablePattern is what Flux accepts as the name of a variable.
var variablePattern = regexp.MustCompile(`^[_[:alpha:]][_[:alpha:][:digit:]]*$`)

// World is the part of a namespace that a Rollout hands its version to.
type World struct {
	// Kustomizations with a variable from the Rollout, or made from one of the Repositories.
	Kustomizations []kustomizev1.Kustomization
	// Repositories whose tag the Rollout writes.
	Repositories []sourcev1.OCIRepository
}

// Want is what the targets should carry.
type Want struct {
	// Rollout that writes it.
	Rollout string
	// Version to carry; its tag is empty if nothing was deployed yet.
	Version v1alpha1.VersionInfo
	// Token of the deployment.
	Token string
	// Image that the digest of Version belongs to.
	Image string
	// Recorded are the targets as the Rollout's status has them, of the same deployment.
	Recorded []v1alpha1.TargetStatus
}

// recorded reports whether it is on record that Flux has applied the version to a target.
func (w Want) recorded(t *release.Target) bool {
	return slices.ContainsFunc(w.Recorded, func(r v1alpha1.TargetStatus) bool {
		return r.Applied && r.Kind == t.Kind && r.Name == t.Name && r.Variable == t.Variable
	})
}

// Rollouts names the Rollouts whose version an object asks for.
func Rollouts(obj client.Object) []string {
	var names []string
	for key, value := range obj.GetAnnotations() {
		if value != "" && (key == v1alpha1.AnnotationRollout || variable(key) != "") && !slices.Contains(names, value) {
			names = append(names, value)
		}
	}
	return names
}

// Source is the key of the OCIRepository of a Kustomization, as namespace/name, or "".
func Source(k *kustomizev1.Kustomization) string {
	ref := k.Spec.SourceRef
	if ref.Kind != sourcev1.OCIRepositoryKind {
		return ""
	}
	return cmp.Or(ref.Namespace, k.Namespace) + "/" + ref.Name
}

// variable is the variable that an annotation names, or "".
func variable(annotation string) string {
	name, ok := strings.CutPrefix(annotation, v1alpha1.AnnotationSubstitutePrefix)
	if !ok {
		return ""
	}
	name, ok = strings.CutSuffix(name, v1alpha1.AnnotationSubstituteSuffix)
	if !ok || strings.Contains(name, ".") {
		return ""
	}
	return name
}

// variables lists the variables of a Kustomization that a Rollout writes, in order.
func variables(k *kustomizev1.Kustomization, rollout string) []string {
	var names []string
	for key, value := range k.Annotations {
		if v := variable(key); v != "" && value == rollout {
			names = append(names, v)
		}
	}
	slices.Sort(names)
	return names
}

// Targets says what every target of a Rollout carries, and how far Flux has got.
func Targets(w World, want Want) []release.Target {
	var targets []release.Target
	for i := range w.Repositories {
		if repo := &w.Repositories[i]; repo.Annotations[v1alpha1.AnnotationRollout] == want.Rollout {
			targets = append(targets, repository(repo, w.Kustomizations, want))
		}
	}
	for i := range w.Kustomizations {
		k := &w.Kustomizations[i]
		others := rivals(k, substitutePath...)
		for _, v := range variables(k, want.Rollout) {
			targets = append(targets, substitution(k, v, others[v], want))
		}
	}
	slices.SortStableFunc(targets, func(a, b release.Target) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Variable, b.Variable))
	})
	return targets
}

// substitution is one variable of a Kustomization. The rival is the field manager that puts its own value back there, or "".
func substitution(k *kustomizev1.Kustomization, variable, rival string, want Want) release.Target {
	t := release.Target{
		Kind: kustomizev1.KustomizationKind, Name: k.Name, Variable: variable,
	}
	if k.Spec.PostBuild != nil {
		t.Value = k.Spec.PostBuild.Substitute[variable]
	}
	annotation := v1alpha1.AnnotationSubstitutePrefix + variable + v1alpha1.AnnotationSubstituteValueSuffix
	form, err := version.ParseForm(k.Annotations[annotation], version.FormTag, version.FormDigest, version.FormTagDigest)
	t.Form = form
	switch {
	case !variablePattern.MatchString(variable):
		t.Problem = "Flux does not accept " + version.Clean(variable, 63) + " as the name of a variable: use letters, digits and '_'"
	case err != nil:
		t.Problem = "annotation " + annotation + ": " + err.Error()
	case rival != "":
		t.Problem = contested(k, rival, append(slices.Clone(substitutePath), variable)...)
	}
	t.Asked = k.Annotations[annotationDeployment+"."+variable] == want.Token
	t.Reached = t.Asked && t.Carries(want.Version) && t.Problem == ""
	t.Applied = t.Reached
	if t.Reached {
		follow(&t, k, want)
	}
	suspended(&t, k)
	return t
}

// repository is the tag of an OCIRepository, with the Kustomizations that are made from it.
func repository(repo *sourcev1.OCIRepository, all []kustomizev1.Kustomization, want Want) release.Target {
	t := release.Target{
		Kind: sourcev1.OCIRepositoryKind, Name: repo.Name, Suspended: repo.Spec.Suspend,
		Message: notReady(repo.Status.Conditions), Verified: serves(repo, want),
	}
	if repo.Spec.Suspend {
		t.Message = "it is suspended: flux resume source oci " + repo.Name + " --namespace " + repo.Namespace
	}
	t.Form, t.Problem = referenced(repo, want)
	t.Setup = unreachable(repo)
	if ref := repo.Spec.Reference; ref != nil {
		t.Value = map[bool]string{true: ref.Digest, false: ref.Tag}[t.Form.HasDigest()]
	}
	t.Asked = repo.Annotations[annotationDeployment] == want.Token
	artifact, message := fetched(repo, want)
	t.Reached = t.Asked && t.Carries(want.Version) && t.Problem == "" && artifact != ""
	t.Applied = t.Reached
	t.Message = cmp.Or(t.Message, message)
	handedOver := t.Reached
	for i := range all {
		k := &all[i]
		if Source(k) != repo.Namespace+"/"+repo.Name {
			continue
		}
		if handedOver {
			t.Reached = t.Reached && k.Status.LastAttemptedRevision == artifact
			t.Applied = t.Applied && k.Status.LastAppliedRevision == artifact
			follow(&t, k, want)
		}
		suspended(&t, k)
	}
	return t
}

// follow takes into account how far Flux has got with a Kustomization that was handed the version.
func follow(t *release.Target, k *kustomizev1.Kustomization, want Want) {
	progress, message := Judge(k)
	t.Setup = cmp.Or(t.Setup, setup(k, t.Kind == sourcev1.OCIRepositoryKind))
	t.Reached = t.Reached && progress.Tried() && t.Setup == ""
	t.Applied = t.Applied && (progress == Done || progress == Repeating && want.recorded(t))
	// What Flux says of a reconcile before is about an earlier version, and what it says during one changes all the time.
	if progress == Waiting || (t.Reached || t.Setup != "") && progress != Repeating {
		t.Message = cmp.Or(t.Message, message)
	}
}

// suspended takes into account whether a Kustomization that the version reaches is suspended.
func suspended(t *release.Target, k *kustomizev1.Kustomization) {
	progress, message := Judge(k)
	if progress != Suspended {
		return
	}
	if t.Kind != kustomizev1.KustomizationKind {
		message = "Kustomization " + k.Name + ": " + message
	}
	t.Suspended, t.Message = true, cmp.Or(t.Message, message)
}

// Carriers returns what has become of the Kustomizations through which a target gets into the cluster.
func (w World) Carriers(t release.Target) []*Applied {
	var list []*Applied
	for i := range w.Kustomizations {
		k := &w.Kustomizations[i]
		if t.Kind == kustomizev1.KustomizationKind && k.Name == t.Name || t.Kind == sourcev1.OCIRepositoryKind && Source(k) == k.Namespace+"/"+t.Name {
			list = append(list, applied(k))
		}
	}
	return list
}

// referenced is the form in which an OCIRepository takes a version, and why it cannot; empty if it can.
func referenced(repo *sourcev1.OCIRepository, want Want) (version.Form, string) {
	form, err := version.ParseForm(repo.Annotations[v1alpha1.AnnotationRef], version.FormTag, version.FormDigest)
	field := map[bool]string{true: fieldDigest, false: fieldTag}[form.HasDigest()]
	switch {
	case err != nil:
		return form, "annotation " + v1alpha1.AnnotationRef + ": " + err.Error()
	case !form.HasDigest() && overridden(repo.Spec.Reference) != "":
		return form, overridden(repo.Spec.Reference)
	case rivals(repo, refPath...)[field] != "":
		return form, contested(repo, rivals(repo, refPath...)[field], append(slices.Clone(refPath), field)...)
	case form.HasDigest() && want.Image != "" && repo.Spec.URL != sourcev1.OCIRepositoryPrefix+want.Image:
		return form, "annotation " + v1alpha1.AnnotationRef + ": the digest is that of " + want.Image + ", and spec.url is " +
			version.Clean(repo.Spec.URL, 256) + ": use tag, or select from that image in the ImagePolicy"
	}
	return form, ""
}

// overridden says which field wins over the tag, or "".
func overridden(ref *sourcev1.OCIRepositoryRef) string {
	switch {
	case ref == nil:
		return ""
	case ref.Digest != "":
		return "spec.ref.digest wins over the tag, so that no version can be handed to it: remove spec.ref.digest, or annotate " +
			v1alpha1.AnnotationRef + ": digest if it is of the image that the ImagePolicy selects from"
	case ref.SemVer != "":
		return "spec.ref.semver wins over the tag, so that no version can be handed to it: remove spec.ref.semver"
	}
	return ""
}

// serves reports whether a repository is the one that the digest of the version belongs to.
func serves(repo *sourcev1.OCIRepository, want Want) bool {
	return want.Image != "" && repo.Spec.URL == sourcev1.OCIRepositoryPrefix+want.Image
}

// fetched is the revision of the artifact, if source-controller has fetched it for the version that is wanted. A revision is
// <tag>@<digest>, or the digest alone where spec.ref.digest is set.
func fetched(repo *sourcev1.OCIRepository, want Want) (revision, message string) {
	if !compared(repo) {
		return "", ""
	}
	revision = repo.Status.Artifact.Revision
	tag, digest, tagged := strings.Cut(revision, "@")
	switch {
	case !tagged && revision == want.Version.Digest:
		return revision, ""
	case tag != want.Version.Tag:
		return "", ""
	case want.Version.Digest != "" && serves(repo, want) && digest != want.Version.Digest:
		return "", version.Clean("the registry serves "+digest+" as "+tag+", but the release is "+want.Version.Digest, 256)
	}
	return revision, ""
}

// compared reports whether source-controller has compared the artifact with the registry for the repository as it is now. A suspended
// source-controller writes observedGeneration, lastHandledReconcileAt and Ready too. ArtifactInStorage is set only when it has compared them.
func compared(repo *sourcev1.OCIRepository) bool {
	stored := apimeta.FindStatusCondition(repo.Status.Conditions, sourcev1.ArtifactInStorageCondition)
	return repo.Status.Artifact != nil && stored != nil && stored.Status == metav1.ConditionTrue && stored.ObservedGeneration == repo.Generation &&
		!repo.Spec.Suspend && repo.Status.ObservedGeneration == repo.Generation && handled(repo, repo.Status.ReconcileRequestStatus)
}
