package flux

import (
	"fmt"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// Revision names what a Kustomization has come to: its name, its generation, the reconcile request that was handled, and the revision that
// was applied. A verdict about a Kustomization is for one of these and for no other.
func Revision(k *kustomizev1.Kustomization) string {
	return fmt.Sprintf("%s/%d/%s/%s", k.Name, k.Generation, k.Status.GetLastHandledReconcileRequest(), k.Status.LastAppliedRevision)
}

// Progress is how far Flux has got with a Kustomization as it is now.
type Progress int

const (
	// Working: Flux has not finished with it.
	Working Progress = iota
	// Broken: Flux tried and gave up, or health checks of its own failed.
	Broken
	// Hindered: Flux tried and could not, for a reason that may pass.
	Hindered
	// Done: applied.
	Done
)

// Judge says how far Flux has got with a Kustomization, and what it says itself.
func Judge(k *kustomizev1.Kustomization) (Progress, string) {
	ready := apimeta.FindStatusCondition(k.Status.Conditions, meta.ReadyCondition)
	switch {
	case apimeta.IsStatusConditionTrue(k.Status.Conditions, meta.StalledCondition):
		return Broken, notReady(k.Status.Conditions)
	case succeeded(k):
		return Done, ""
	case ready == nil || !tried(k) || ready.Status != metav1.ConditionFalse:
		return Working, "Flux has not applied it yet"
	case ready.Reason == meta.HealthCheckFailedReason || ready.Reason == meta.BuildFailedReason:
		return Broken, notReady(k.Status.Conditions)
	}
	return Hindered, notReady(k.Status.Conditions)
}

// Applied is what a Kustomization has come to.
type Applied struct {
	// Name of the Kustomization.
	Name string
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

// String names the object for people.
func (o Object) String() string { return o.Kind + " " + o.NamespacedName.String() }

func applied(k *kustomizev1.Kustomization) *Applied {
	a := &Applied{
		Name: k.Name, Revision: Revision(k), Deleting: !k.DeletionTimestamp.IsZero(), Remote: k.Spec.KubeConfig != nil,
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
