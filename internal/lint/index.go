package lint

import (
	"encoding/json"

	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
)

// typed is an object with its typed value.
type typed[T any] struct {
	*object
	value *T
}

// index holds the objects of all files by kind. Objects that do not parse are in none of the lists.
type index struct {
	namespaces   map[string]map[string]string // labels by name
	rollouts     []typed[v1alpha1.Rollout]
	gates        []typed[v1alpha1.RolloutGate]
	checks       []typed[v1alpha1.HealthCheck]
	schedules    []typed[v1alpha1.RolloutSchedule]
	clusterwide  []typed[v1alpha1.ClusterRolloutSchedule]
	environments []typed[environments.Environment]
	policies     []typed[imagev1.ImagePolicy]
	flux         []typed[kustomizev1.Kustomization]
	repositories []typed[sourcev1.OCIRepository]
}

// index sorts objects by kind.
func (*run) index(all []*object) *index {
	x := &index{namespaces: map[string]map[string]string{}}
	for _, o := range all {
		x.addKuberik(o)
		x.addFlux(o)
	}
	return x
}

func (x *index) addKuberik(o *object) {
	switch o.group() + " " + o.kind {
	case "kuberik.com Rollout":
		add(&x.rollouts, o)
	case "kuberik.com RolloutGate":
		add(&x.gates, o)
	case "kuberik.com HealthCheck":
		add(&x.checks, o)
	case "kuberik.com RolloutSchedule":
		add(&x.schedules, o)
	case "kuberik.com ClusterRolloutSchedule":
		add(&x.clusterwide, o)
	case "environments.kuberik.com Environment":
		add(&x.environments, o)
	}
}

func (x *index) addFlux(o *object) {
	switch o.group() + " " + o.kind {
	case imagev1.GroupVersion.Group + " ImagePolicy":
		add(&x.policies, o)
	case kustomizev1.GroupVersion.Group + " Kustomization":
		add(&x.flux, o)
	case sourcev1.GroupVersion.Group + " OCIRepository":
		add(&x.repositories, o)
	case corev1.SchemeGroupVersion.Version + " Namespace":
		x.namespaces[o.name] = o.labels
	}
}

// add adds an object to the list of its kind, unless a field has another type than the kind says. Other rules report
// that.
func add[T any](list *[]typed[T], o *object) {
	value := new(T)
	if json.Unmarshal(o.text, value) == nil {
		*list = append(*list, typed[T]{o, value})
	}
}

// sameNamespace reports whether two objects may be in one namespace. kustomize and Flux set the namespace of objects
// without one.
func sameNamespace(a, b *object) bool {
	return a.namespace == "" || b.namespace == "" || a.namespace == b.namespace
}

// beside returns the names of the objects of a list that may be in the namespace of an object.
func beside[T any](o *object, list []typed[T]) (names []string) {
	for _, other := range list {
		if sameNamespace(o, other.object) {
			names = append(names, other.name)
		}
	}
	return names
}
