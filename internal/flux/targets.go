package flux

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
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
		for _, v := range variables(k, want.Rollout) {
			targets = append(targets, substitution(k, v, want))
		}
	}
	slices.SortStableFunc(targets, func(a, b release.Target) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Variable, b.Variable))
	})
	return targets
}

// substitution is one variable of a Kustomization.
func substitution(k *kustomizev1.Kustomization, variable string, want Want) release.Target {
	t := release.Target{
		Kind: kustomizev1.KustomizationKind, Name: k.Name, Variable: variable, Suspended: k.Spec.Suspend,
	}
	if k.Spec.PostBuild != nil {
		t.Value = k.Spec.PostBuild.Substitute[variable]
	}
	if !variablePattern.MatchString(variable) {
		t.Problem = "Flux does not accept " + version.Clean(variable, 63) + " as the name of a variable: use letters, digits and '_'"
	}
	t.Asked = k.Annotations[annotationDeployment+"."+variable] == want.Token
	t.Reached = t.Asked && t.Value == want.Version.Tag && t.Problem == "" && tried(k)
	t.Applied = t.Reached && succeeded(k)
	if t.Reached {
		t.Message = failure(k) // what Flux says of an earlier version is of no matter
	}
	return t
}

// repository is the tag of an OCIRepository, with the Kustomizations that are made from it.
func repository(repo *sourcev1.OCIRepository, all []kustomizev1.Kustomization, want Want) release.Target {
	t := release.Target{
		Kind: sourcev1.OCIRepositoryKind, Name: repo.Name, Suspended: repo.Spec.Suspend,
		Problem: overridden(repo.Spec.Reference), Message: notReady(repo.Status.Conditions),
	}
	if repo.Spec.Reference != nil {
		t.Value = repo.Spec.Reference.Tag
	}
	t.Asked = repo.Annotations[annotationDeployment] == want.Token
	artifact, message := fetched(repo, want)
	t.Reached = t.Asked && t.Value == want.Version.Tag && t.Problem == "" && artifact != ""
	t.Applied = t.Reached
	t.Message = cmp.Or(t.Message, message)
	for i := range all {
		if k := &all[i]; Source(k) == repo.Namespace+"/"+repo.Name {
			follow(&t, k, artifact)
		}
	}
	return t
}

// follow takes into account how far a Kustomization that is made from the repository has got with its artifact.
func follow(t *release.Target, k *kustomizev1.Kustomization, artifact string) {
	t.Suspended = t.Suspended || k.Spec.Suspend
	t.Reached = t.Reached && tried(k) && k.Status.LastAttemptedRevision == artifact
	t.Applied = t.Applied && t.Reached && succeeded(k) && k.Status.LastAppliedRevision == artifact
	if t.Reached {
		t.Message = cmp.Or(t.Message, failure(k))
	}
}

// overridden says which field wins over the tag, or "".
func overridden(ref *sourcev1.OCIRepositoryRef) string {
	switch {
	case ref == nil:
		return ""
	case ref.Digest != "":
		return "spec.ref.digest wins over the tag, so that no version can be handed to it: remove spec.ref.digest"
	case ref.SemVer != "":
		return "spec.ref.semver wins over the tag, so that no version can be handed to it: remove spec.ref.semver"
	}
	return ""
}

// fetched is the revision of the artifact, if source-controller has fetched it for the version that is wanted.
func fetched(repo *sourcev1.OCIRepository, want Want) (revision, message string) {
	a := repo.Status.Artifact
	if a == nil || repo.Status.ObservedGeneration != repo.Generation || !handled(repo, repo.Status.ReconcileRequestStatus) {
		return "", ""
	}
	tag, digest, _ := strings.Cut(a.Revision, "@")
	switch {
	case tag != want.Version.Tag:
		return "", ""
	case want.Version.Digest != "" && repo.Spec.URL == sourcev1.OCIRepositoryPrefix+want.Image && digest != want.Version.Digest:
		return "", "the registry serves " + digest + " as " + tag + ", but the release is " + want.Version.Digest
	}
	return a.Revision, ""
}

// tried says whether Flux has finished a try of the Kustomization as it is now, well or badly.
func tried(k *kustomizev1.Kustomization) bool {
	ready := apimeta.FindStatusCondition(k.Status.Conditions, meta.ReadyCondition)
	if ready == nil || !handled(k, k.Status.ReconcileRequestStatus) {
		return false
	}
	return ready.ObservedGeneration == k.Generation && ready.Status != metav1.ConditionUnknown || settled(k)
}

// succeeded says whether Flux has applied the Kustomization as it is now. While it looks at the same revision once more, as it
// does on every interval, that stays true.
func succeeded(k *kustomizev1.Kustomization) bool {
	return settled(k) && !apimeta.IsStatusConditionFalse(k.Status.Conditions, meta.ReadyCondition)
}

// settled says whether the last revision that Flux attempted of the present spec is the one it applied.
func settled(k *kustomizev1.Kustomization) bool {
	return k.Status.ObservedGeneration == k.Generation && k.Status.LastAppliedRevision != "" &&
		k.Status.LastAppliedRevision == k.Status.LastAttemptedRevision && handled(k, k.Status.ReconcileRequestStatus)
}

// handled says whether Flux has handled the last reconcile request.
func handled(obj client.Object, status meta.ReconcileRequestStatus) bool {
	asked, ok := meta.ReconcileAnnotationValue(obj.GetAnnotations())
	return !ok || asked == status.GetLastHandledReconcileRequest()
}

// failure is what Flux says of a Kustomization that is not ready, or "". What it says while it works is left out: it changes
// all the time.
func failure(k *kustomizev1.Kustomization) string { return notReady(k.Status.Conditions) }

func notReady(conditions []metav1.Condition) string {
	c := apimeta.FindStatusCondition(conditions, meta.ReadyCondition)
	if c == nil || c.Status != metav1.ConditionFalse {
		return ""
	}
	return version.Clean(c.Reason+": "+c.Message, 256)
}
