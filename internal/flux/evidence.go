package flux

import (
	"fmt"
	"slices"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/version"
)

// Revision names what a Kustomization has come to: its name, its generation, the reconcile request that was handled, and the revision that
// was applied. A verdict about a Kustomization is for one of these and for no other.
func Revision(k *kustomizev1.Kustomization) string {
	return fmt.Sprintf("%s/%d/%s/%s", k.Name, k.Generation, k.Status.GetLastHandledReconcileRequest(), k.Status.LastAppliedRevision)
}

// Progress is how far Flux has got with a Kustomization: its present generation, for the last reconcile request.
type Progress int

const (
	// Working: Flux has not finished a reconcile.
	Working Progress = iota
	// Suspended: Flux does nothing until somebody resumes it.
	Suspended
	// Waiting: Flux has not begun, because a dependency or the source is not ready.
	Waiting
	// Broken: the build failed, health checks of Flux failed, or Flux gave up.
	Broken
	// Hindered: Flux tried and failed, and may succeed when it tries again.
	Hindered
	// Repeating: Flux is reconciling again what it has applied before. Its status does not tell whether the reconcile before that
	// one succeeded: a failed reconcile leaves lastAppliedRevision as it is.
	Repeating
	// Done: applied.
	Done
)

// Tried reports whether Flux has finished a reconcile, successful or not.
func (p Progress) Tried() bool { return p >= Broken }

// notBegun are the reasons of a Ready condition that kustomize-controller sets before it builds anything.
var notBegun = []string{meta.DependencyNotReadyReason, meta.ArtifactFailedReason}

// Judge returns how far Flux has got with a Kustomization, and the message of Flux or, if it has none, one of our own.
func Judge(k *kustomizev1.Kustomization) (Progress, string) {
	if k.Spec.Suspend {
		return Suspended, "it is suspended: flux resume kustomization " + k.Name + " --namespace " + k.Namespace
	}
	// A suspended kustomize-controller writes observedGeneration and lastHandledReconcileAt too. Only what it does when it
	// reconciles sets Ready, and with it the observedGeneration of that condition.
	ready := apimeta.FindStatusCondition(k.Status.Conditions, meta.ReadyCondition)
	if ready == nil || ready.ObservedGeneration != k.Generation || !handled(k, k.Status.ReconcileRequestStatus) {
		return Working, "Flux has not applied it yet"
	}
	if ready.Status == metav1.ConditionFalse {
		return failed(k, ready), notReady(k.Status.Conditions)
	}
	switch {
	case !settled(k):
		return Working, "Flux has not applied it yet"
	case ready.Status == metav1.ConditionTrue:
		return Done, ""
	}
	return Repeating, "Flux is reconciling it again"
}

// failed returns how far a reconcile that failed has got.
func failed(k *kustomizev1.Kustomization, ready *metav1.Condition) Progress {
	switch {
	case stalled(k), ready.Reason == meta.HealthCheckFailedReason, ready.Reason == meta.BuildFailedReason:
		return Broken
	case slices.Contains(notBegun, ready.Reason):
		return Waiting
	}
	return Hindered
}

// setup returns why a reconcile that failed says nothing about the version, as one of the ReasonTarget constants. Empty: it did not fail, or
// the version may be why. Where the source of the Kustomization is the release itself, what is wrong with the manifests is the fault of the
// release. Otherwise the version comes in with the variables, after the build, and reaches the cluster when the objects are applied. So
// manifests that Flux has never applied, with whatever version, are not the fault of the version.
func setup(k *kustomizev1.Kustomization, own bool) string {
	if progress, _ := Judge(k); progress != Waiting && progress != Broken && progress != Hindered {
		return ""
	}
	ready := apimeta.FindStatusCondition(k.Status.Conditions, meta.ReadyCondition)
	switch {
	case stalled(k):
		return v1alpha1.ReasonTargetMisconfigured
	case ready.Reason == meta.DependencyNotReadyReason, ready.Reason == sourcev1.DirCreationFailedReason, ready.Reason == meta.ArtifactFailedReason && !own:
		return v1alpha1.ReasonTargetNotReady
	case own || !slices.Contains(ofManifests, ready.Reason):
		return ""
	case k.Status.LastAttemptedRevision != k.Status.LastAppliedRevision, ready.Reason == meta.BuildFailedReason && !substituting(ready.Message):
		return v1alpha1.ReasonTargetMisconfigured
	}
	return ""
}

// ofManifests are the reasons of a Ready condition that kustomize-controller sets when it cannot build or apply what the source holds.
var ofManifests = []string{meta.BuildFailedReason, meta.ReconciliationFailedReason, meta.PruneFailedReason}

// substituting reports whether a build failed in the step that puts the variables in, and not because other variables could not be read.
func substituting(message string) bool {
	return strings.Contains(message, "post build failed") && !strings.Contains(message, "substitute from")
}

// unreachable returns why source-controller does not even ask the registry for an OCIRepository, as a ReasonTarget constant, or "".
func unreachable(repo *sourcev1.OCIRepository) string {
	ready := apimeta.FindStatusCondition(repo.Status.Conditions, meta.ReadyCondition)
	if ready != nil && ready.Status == metav1.ConditionFalse && ready.ObservedGeneration == repo.Generation &&
		(ready.Reason == sourcev1.AuthenticationFailedReason || ready.Reason == sourcev1.URLInvalidReason) {
		return v1alpha1.ReasonTargetMisconfigured
	}
	return ""
}

// stalled reports whether Flux has given up on a Kustomization as it is now.
func stalled(k *kustomizev1.Kustomization) bool {
	c := apimeta.FindStatusCondition(k.Status.Conditions, meta.StalledCondition)
	return c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == k.Generation
}

// settled reports whether the last revision that Flux attempted is the one it applied.
func settled(k *kustomizev1.Kustomization) bool {
	return k.Status.ObservedGeneration == k.Generation && k.Status.LastAppliedRevision != "" &&
		k.Status.LastAppliedRevision == k.Status.LastAttemptedRevision
}

// handled reports whether Flux has handled the last reconcile request.
func handled(obj client.Object, status meta.ReconcileRequestStatus) bool {
	asked, ok := meta.ReconcileAnnotationValue(obj.GetAnnotations())
	return !ok || asked == status.GetLastHandledReconcileRequest()
}

func notReady(conditions []metav1.Condition) string {
	c := apimeta.FindStatusCondition(conditions, meta.ReadyCondition)
	if c == nil || c.Status != metav1.ConditionFalse {
		return ""
	}
	return version.Clean(c.Reason+": "+c.Message, 256)
}

// Applied is what a Kustomization has come to.
type Applied struct {
	// Namespace and Name of the Kustomization.
	Namespace, Name string
	// Revision that a verdict about it is for.
	Revision string
	// Progress of Flux with it, and the Message of Flux.
	Progress Progress
	Message  string
	// Deleting is whether it is being deleted.
	Deleting bool
	// Remote is whether its objects are in another cluster.
	Remote bool
	// Watched is whether Flux itself waits for the health of what it applies.
	Watched bool
	// Inventory lists what Flux applied.
	Inventory []Object
	// Expressions that judge some of it.
	Expressions []Expressions
}

// Object is one object that Flux applied.
type Object struct {
	schema.GroupVersionKind
	types.NamespacedName
}

// Labels by which kustomize-controller marks every object that it applies.
const (
	labelName      = "kustomize.toolkit.fluxcd.io/name"
	labelNamespace = "kustomize.toolkit.fluxcd.io/namespace"
)

// Owns reports whether Flux has applied an object for this Kustomization. The inventory alone does not say so: whoever may write the
// status of a Kustomization can list the objects of anybody there.
func (a *Applied) Owns(o client.Object) bool {
	labels := o.GetLabels()
	return labels[labelName] == a.Name && labels[labelNamespace] == a.Namespace
}

// Workload reports whether objects of a kind run pods of a version and roll out a new one.
func Workload(kind schema.GroupKind) bool {
	return kind.Group == "apps" && slices.Contains([]string{"Deployment", "StatefulSet", "DaemonSet"}, kind.Kind)
}

// Skipped returns the label or annotation by which Flux leaves an object as it is, or "". Flux lists it in the inventory all the same.
func Skipped(o client.Object) string {
	for key, value := range map[string]string{"kustomize.toolkit.fluxcd.io/reconcile": "disabled", "kustomize.toolkit.fluxcd.io/ssa": "Ignore"} {
		if strings.EqualFold(o.GetAnnotations()[key], value) || strings.EqualFold(o.GetLabels()[key], value) {
			return key + ": " + value
		}
	}
	return ""
}

// String names the object for people.
func (o Object) String() string { return o.Kind + " " + o.NamespacedName.String() }

func applied(k *kustomizev1.Kustomization) *Applied {
	a := &Applied{
		Namespace: k.Namespace, Name: k.Name, Revision: Revision(k), Deleting: !k.DeletionTimestamp.IsZero(), Remote: k.Spec.KubeConfig != nil,
		Watched: k.Spec.Wait || len(k.Spec.HealthChecks) > 0, Expressions: expressions(k),
	}
	a.Progress, a.Message = Judge(k)
	if k.Status.Inventory != nil {
		for _, e := range k.Status.Inventory.Entries {
			a.Inventory = append(a.Inventory, parseObject(e))
		}
	}
	return a
}

// parseObject reads an entry of an inventory: <namespace>_<name>_<group>_<kind>, where a colon in the name, as RBAC allows it, is
// written as two underscores.
func parseObject(e kustomizev1.ResourceRef) Object {
	parts := strings.Split(e.ID, "_")
	n := len(parts)
	if n < 4 {
		return Object{NamespacedName: types.NamespacedName{Name: e.ID}}
	}
	name := strings.ReplaceAll(strings.Join(parts[1:n-2], "_"), "__", ":")
	return Object{
		GroupVersionKind: schema.GroupVersionKind{Group: parts[n-2], Version: e.Version, Kind: parts[n-1]},
		NamespacedName:   types.NamespacedName{Namespace: parts[0], Name: name},
	}
}
