package flux

import (
	"slices"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// KustomizationState is the state of a Kustomization and the list of the objects that it applied.
type KustomizationState struct {
	// Namespace and Name of the Kustomization.
	Namespace, Name string
	// Revision that a health report about it is valid for.
	Revision string
	// Progress of Flux, with a message.
	Progress Progress
	Message  string
	// Deleting reports whether it is being deleted.
	Deleting bool
	// Remote reports whether it applies its objects to another cluster.
	Remote bool
	// HealthChecked reports whether Flux waits for the health of the objects.
	HealthChecked bool
	// Inventory lists the objects that Flux applied. It is empty if the Kustomization was read from a cache.
	Inventory []Object
	// Expressions are its custom health checks. They are empty if the Kustomization was read from a cache.
	Expressions []Expressions
}

// Object identifies an object that Flux applied.
type Object struct {
	schema.GroupVersionKind
	types.NamespacedName
}

// kustomize-controller sets these labels on every object that it applies.
const (
	labelName      = "kustomize.toolkit.fluxcd.io/name"
	labelNamespace = "kustomize.toolkit.fluxcd.io/namespace"
)

// Owns reports whether the labels of an object name this Kustomization. The inventory alone is no proof: anyone who
// may write the status of a Kustomization can list any object there.
func (s *KustomizationState) Owns(o client.Object) bool {
	labels := o.GetLabels()
	return labels[labelName] == s.Name && labels[labelNamespace] == s.Namespace
}

// IsWorkload reports whether objects of a kind run pods and roll out new versions of them.
func IsWorkload(kind schema.GroupKind) bool {
	return kind.Group == "apps" && slices.Contains([]string{"Deployment", "StatefulSet", "DaemonSet"}, kind.Kind)
}

// SkipMarker returns the label or annotation that makes Flux skip an object, as "key: value", or "". Flux lists
// skipped objects in the inventory too.
func SkipMarker(o client.Object) string {
	for key, value := range map[string]string{
		"kustomize.toolkit.fluxcd.io/reconcile": "disabled", annotationApply: "Ignore",
	} {
		if strings.EqualFold(o.GetAnnotations()[key], value) || strings.EqualFold(o.GetLabels()[key], value) {
			return key + ": " + value
		}
	}
	return ""
}

// String returns the kind, the namespace and the name.
func (o Object) String() string { return o.Kind + " " + o.NamespacedName.String() }

func stateOf(k *kustomizev1.Kustomization) *KustomizationState {
	s := &KustomizationState{
		Namespace: k.Namespace, Name: k.Name, Revision: Revision(k), Deleting: !k.DeletionTimestamp.IsZero(),
		Remote: k.Spec.KubeConfig != nil, HealthChecked: k.Spec.Wait || len(k.Spec.HealthChecks) > 0,
		Expressions: expressions(k),
	}
	s.Progress, s.Message = progressOf(k)
	if k.Status.Inventory != nil {
		for _, e := range k.Status.Inventory.Entries {
			s.Inventory = append(s.Inventory, inventoryObject(e))
		}
	}
	return s
}

// inventoryObject returns the object that an inventory entry refers to. The ID of an entry is
// <namespace>_<name>_<group>_<kind>, with two underscores for a colon in the name, which RBAC allows. A malformed
// entry has its whole ID as the name.
func inventoryObject(e kustomizev1.ResourceRef) Object {
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
