package flux

import (
	"cmp"
	"fmt"
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

// annotationDeployment on a Flux object holds the token of the deployment that was last written to it. On a
// Kustomization, a dot and the variable follow. It tells a target that was written for this deployment from one that
// has the same value by chance or from an earlier deployment.
const annotationDeployment = "rollout.kuberik.com/deployment"

// variablePattern matches the variable names that Flux accepts.
var variablePattern = regexp.MustCompile(`^[_[:alpha:]][_[:alpha:][:digit:]]*$`)

// TargetObjects holds the Flux objects of a namespace that a Rollout writes its version to, and the Kustomizations
// whose source is one of them.
type TargetObjects struct {
	// Kustomizations with a variable that the Rollout writes, or whose source is one of the Repositories.
	Kustomizations []kustomizev1.Kustomization
	// Repositories whose tag the Rollout writes.
	Repositories []sourcev1.OCIRepository
}

// mostObjects is how many Flux objects may take their version from one Rollout.
const mostObjects = 500

// large reports whether more objects take their version from the Rollout than may.
func (o TargetObjects) large() bool { return len(o.Kustomizations)+len(o.Repositories) > mostObjects }

// Desired is what the targets of a Rollout should carry.
type Desired struct {
	// Rollout that writes it.
	Rollout string
	// Version to carry. Its tag is empty before the first deployment.
	Version v1alpha1.VersionInfo
	// Token of the deployment.
	Token string
	// Image that the digest of Version belongs to.
	Image string
	// Previous holds the targets from the status of the Rollout, for the same deployment.
	Previous []v1alpha1.TargetStatus
}

// wasApplied reports whether the status of the Rollout says that Flux applied the version to a target.
func (d Desired) wasApplied(t *release.Target) bool {
	return slices.ContainsFunc(d.Previous, func(p v1alpha1.TargetStatus) bool {
		return p.Applied && p.Kind == t.Kind && p.Name == t.Name && p.Variable == t.Variable
	})
}

// Rollouts returns the names of the Rollouts whose version the annotations of an object select.
func Rollouts(obj client.Object) []string {
	var names []string
	for key, value := range obj.GetAnnotations() {
		isRef := key == v1alpha1.AnnotationRollout || variableOf(key) != ""
		if value != "" && isRef && !slices.Contains(names, value) {
			names = append(names, value)
		}
	}
	return names
}

// Source returns the OCIRepository that a Kustomization applies, as namespace/name, or "".
func Source(k *kustomizev1.Kustomization) string {
	ref := k.Spec.SourceRef
	if ref.Kind != sourcev1.OCIRepositoryKind {
		return ""
	}
	return cmp.Or(ref.Namespace, k.Namespace) + "/" + ref.Name
}

// variableOf returns the variable in the key of an annotation, or "".
func variableOf(annotation string) string {
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

// variables returns the variables of a Kustomization that a Rollout writes, sorted.
func variables(k *kustomizev1.Kustomization, rollout string) []string {
	var names []string
	for key, value := range k.Annotations {
		if v := variableOf(key); v != "" && value == rollout {
			names = append(names, v)
		}
	}
	slices.Sort(names)
	return names
}

// Targets returns what every target of a Rollout carries, and how far Flux has reconciled it.
func Targets(objects TargetObjects, desired Desired) []release.Target {
	var targets []release.Target
	for i := range objects.Repositories {
		if repo := &objects.Repositories[i]; repo.Annotations[v1alpha1.AnnotationRollout] == desired.Rollout {
			targets = append(targets, repositoryTarget(repo, objects.Kustomizations, desired))
		}
	}
	for i := range objects.Kustomizations {
		k := &objects.Kustomizations[i]
		managers := competingManagers(k, substitutePath...)
		for _, v := range variables(k, desired.Rollout) {
			targets = append(targets, variableTarget(k, v, managers[v], desired))
		}
	}
	for i := range targets {
		if objects.large() {
			targets[i].Problem = fmt.Sprintf("more than %d Flux objects take their version from Rollout %s: use more than "+
				"one Rollout", mostObjects, desired.Rollout)
			targets[i].Reached, targets[i].Applied = false, false
		}
	}
	slices.SortStableFunc(targets, func(a, b release.Target) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Variable, b.Variable))
	})
	return targets
}

// variableTarget returns the target for a variable of a Kustomization. The manager is the competing manager of the
// variable, or "".
func variableTarget(k *kustomizev1.Kustomization, variable, manager string, desired Desired) release.Target {
	t := release.Target{
		Kind: kustomizev1.KustomizationKind, Name: k.Name, Variable: variable,
	}
	if k.Spec.PostBuild != nil {
		t.Value = k.Spec.PostBuild.Substitute[variable]
	}
	annotation := v1alpha1.AnnotationSubstitutePrefix + variable + v1alpha1.AnnotationSubstituteValueSuffix
	form, err := version.ParseForm(
		k.Annotations[annotation], version.FormTag, version.FormDigest, version.FormTagDigest)
	t.Form = form
	switch {
	case !variablePattern.MatchString(variable):
		t.Problem = "Flux does not accept " + version.Clean(variable, 63) +
			" as the name of a variable: use letters, digits and '_'"
	case err != nil:
		t.Problem = "annotation " + annotation + ": " + err.Error()
	case manager != "":
		t.Problem = conflictMessage(k, manager, append(slices.Clone(substitutePath), variable)...)
	}
	t.Asked = k.Annotations[annotationDeployment+"."+variable] == desired.Token
	t.Reached = t.Asked && t.Carries(desired.Version) && t.Problem == ""
	t.Applied = t.Reached
	if t.Reached {
		addProgress(&t, k, desired)
	}
	addSuspension(&t, k)
	return t
}

// repositoryTarget returns the target for the tag of an OCIRepository. It takes the Kustomizations into account whose
// source is that repository.
func repositoryTarget(
	repo *sourcev1.OCIRepository, kustomizations []kustomizev1.Kustomization, desired Desired,
) release.Target {
	t := release.Target{
		Kind: sourcev1.OCIRepositoryKind, Name: repo.Name, Suspended: repo.Spec.Suspend,
		Message: notReadyMessage(repo.Status.Conditions), Verified: isReleaseImage(repo, desired),
	}
	if repo.Spec.Suspend {
		t.Message = "it is suspended: flux resume source oci " + repo.Name + " --namespace " + repo.Namespace
	}
	t.Form, t.Problem = refForm(repo, desired)
	t.Setup = repositorySetupProblem(repo)
	if ref := repo.Spec.Reference; ref != nil {
		t.Value = map[bool]string{true: ref.Digest, false: ref.Tag}[t.Form.HasDigest()]
	}
	t.Asked = repo.Annotations[annotationDeployment] == desired.Token
	revision, message := fetchedRevision(repo, desired)
	t.Reached = t.Asked && t.Carries(desired.Version) && t.Problem == "" && revision != ""
	t.Applied = t.Reached
	t.Message = cmp.Or(t.Message, message)
	fetched := t.Reached
	for i := range kustomizations {
		k := &kustomizations[i]
		if Source(k) != repo.Namespace+"/"+repo.Name {
			continue
		}
		if fetched {
			t.Reached = t.Reached && k.Status.LastAttemptedRevision == revision
			t.Applied = t.Applied && k.Status.LastAppliedRevision == revision
			addProgress(&t, k, desired)
		}
		addSuspension(&t, k)
	}
	return t
}

// addProgress adds to a target how far Flux has reconciled a Kustomization that has the version.
func addProgress(t *release.Target, k *kustomizev1.Kustomization, desired Desired) {
	progress, message := progressOf(k)
	t.Setup = cmp.Or(t.Setup, setupProblem(k, t.Kind == sourcev1.OCIRepositoryKind))
	t.Reached = t.Reached && progress.Attempted() && t.Setup == ""
	t.Applied = t.Applied && (progress == Succeeded || progress == Reapplying && desired.wasApplied(t))
	// Before the first attempt, the message of Flux refers to an earlier version. During a reconcile it keeps
	// changing.
	if progress == Blocked || (t.Reached || t.Setup != "") && progress != Reapplying {
		t.Message = cmp.Or(t.Message, message)
	}
}

// addSuspension adds to a target whether a Kustomization that applies it is suspended.
func addSuspension(t *release.Target, k *kustomizev1.Kustomization) {
	progress, message := progressOf(k)
	if progress != Suspended {
		return
	}
	if t.Kind != kustomizev1.KustomizationKind {
		message = "Kustomization " + k.Name + ": " + message
	}
	t.Suspended, t.Message = true, cmp.Or(t.Message, message)
}

// KustomizationsFor returns the states of the Kustomizations that apply a target.
func (o TargetObjects) KustomizationsFor(t release.Target) []*KustomizationState {
	var list []*KustomizationState
	for i := range o.Kustomizations {
		k := &o.Kustomizations[i]
		if t.Kind == kustomizev1.KustomizationKind && k.Name == t.Name ||
			t.Kind == sourcev1.OCIRepositoryKind && Source(k) == k.Namespace+"/"+t.Name {
			list = append(list, stateOf(k))
		}
	}
	return list
}

// refForm returns the form in which an OCIRepository takes a version, and why it cannot take it, or "".
func refForm(repo *sourcev1.OCIRepository, desired Desired) (version.Form, string) {
	form, err := version.ParseForm(repo.Annotations[v1alpha1.AnnotationRef], version.FormTag, version.FormDigest)
	field := map[bool]string{true: fieldDigest, false: fieldTag}[form.HasDigest()]
	manager := competingManagers(repo, refPath...)[field]
	switch {
	case err != nil:
		return form, "annotation " + v1alpha1.AnnotationRef + ": " + err.Error()
	case !form.HasDigest() && refOverride(repo.Spec.Reference) != "":
		return form, refOverride(repo.Spec.Reference)
	case manager != "":
		return form, conflictMessage(repo, manager, append(slices.Clone(refPath), field)...)
	case form.HasDigest() && desired.Image != "" && !isReleaseImage(repo, desired):
		return form, "annotation " + v1alpha1.AnnotationRef + ": the digest belongs to " + desired.Image +
			", but spec.url is " + version.Clean(repo.Spec.URL, 256) +
			": use tag, or select from that image in the ImagePolicy"
	}
	return form, ""
}

// refOverride returns which field takes precedence over the tag and how to remove it, or "".
func refOverride(ref *sourcev1.OCIRepositoryRef) string {
	switch {
	case ref == nil:
		return ""
	case ref.Digest != "":
		return "spec.ref.digest takes precedence over the tag: remove spec.ref.digest, or annotate " +
			v1alpha1.AnnotationRef + ": digest if it belongs to the image that the ImagePolicy selects from"
	case ref.SemVer != "":
		return "spec.ref.semver takes precedence over the tag: remove spec.ref.semver"
	}
	return ""
}

// isReleaseImage reports whether a repository serves the image that the digest of the version belongs to.
func isReleaseImage(repo *sourcev1.OCIRepository, desired Desired) bool {
	return desired.Image != "" && repo.Spec.URL == sourcev1.OCIRepositoryPrefix+desired.Image
}

// fetchedRevision returns the revision of the artifact if source-controller fetched it for the desired version. A
// revision is <tag>@<digest>, or the digest alone if spec.ref.digest is set.
func fetchedRevision(repo *sourcev1.OCIRepository, desired Desired) (revision, message string) {
	if !isArtifactCurrent(repo) {
		return "", ""
	}
	revision = repo.Status.Artifact.Revision
	tag, digest, tagged := strings.Cut(revision, "@")
	switch {
	case !tagged && revision == desired.Version.Digest:
		return revision, ""
	case tag != desired.Version.Tag:
		return "", ""
	case desired.Version.Digest != "" && isReleaseImage(repo, desired) && digest != desired.Version.Digest:
		return "", version.Clean(
			"the registry serves "+digest+" as "+tag+", but the release is "+desired.Version.Digest, 256)
	}
	return revision, ""
}

// isArtifactCurrent reports whether source-controller has compared the artifact with the registry for the current
// generation. A suspended source-controller also writes observedGeneration, lastHandledReconcileAt and Ready. It sets
// ArtifactInStorage only after a comparison.
func isArtifactCurrent(repo *sourcev1.OCIRepository) bool {
	stored := apimeta.FindStatusCondition(repo.Status.Conditions, sourcev1.ArtifactInStorageCondition)
	return repo.Status.Artifact != nil && !repo.Spec.Suspend &&
		stored != nil && stored.Status == metav1.ConditionTrue && stored.ObservedGeneration == repo.Generation &&
		repo.Status.ObservedGeneration == repo.Generation && requestHandled(repo, repo.Status.ReconcileRequestStatus)
}
