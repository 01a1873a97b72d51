package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/kube"
)

// LabelGroup is the label of namespaces whose Environments read each other's state: those of all namespaces with the
// same value. Without the label, Environments read only those of their own namespace.
const LabelGroup = "environments.kuberik.com/group"

// MaxEnvironments bounds the Environments of one application that read each other's state. Each of them reads all
// others.
const MaxEnvironments = 100

// Backend reads the Environments that are visible to one namespace.
type Backend struct {
	// Client of a cache with the Indexes.
	Client client.Reader
	// Namespace of the reader.
	Namespace string
	// Clock tells the time.
	Clock clock.PassiveClock
}

var _ environment.Backend = Backend{}

// Indexes returns the indexes that a Backend needs.
func Indexes() []kube.Index {
	return []kube.Index{
		kube.IndexOf(&environments.Environment{}, kube.ByApplication, func(e *environments.Environment) []string {
			if e.Spec.Backend != nil && e.Spec.Backend.Type != environments.BackendCluster {
				return nil
			}
			return []string{environment.Application(e.Spec.Name)}
		}),
		kube.IndexOf(&corev1.Namespace{}, kube.ByGroup, func(ns *corev1.Namespace) []string {
			return []string{ns.Labels[LabelGroup]}
		}),
	}
}

// Publish implements environment.Backend. The status of the Rollout is public already.
func (b Backend) Publish(ctx context.Context, _ environment.State) error { return ctx.Err() }

// Read implements environment.Backend. Environments with the same name are no evidence, since it is not clear which one
// is meant.
func (b Backend) Read(ctx context.Context, application string) (environment.Snapshot, error) {
	group, err := b.group(ctx, b.Namespace)
	if err != nil {
		return environment.Snapshot{}, err
	}
	neighbours, err := b.neighbours(ctx, application, group)
	if err != nil {
		return environment.Snapshot{}, err
	}
	states := map[string]environment.State{}
	for _, e := range neighbours {
		if !e.DeletionTimestamp.IsZero() || e.Spec.Environment == "" {
			continue
		}
		s, err := b.state(ctx, e)
		if err != nil {
			return environment.Snapshot{}, err
		}
		if other, ok := states[s.Environment]; ok {
			s = ambiguous(other, s)
		}
		states[s.Environment] = s
	}
	snapshot := environment.Snapshot{At: b.Clock.Now(), Unknown: b.unknown(group)}
	for _, s := range states {
		snapshot.Environments = append(snapshot.Environments, s)
	}
	slices.SortFunc(
		snapshot.Environments, func(x, y environment.State) int { return cmp.Compare(x.Environment, y.Environment) },
	)
	return snapshot, nil
}

// unknown returns why an environment may be missing: usually, the label of a namespace is missing.
func (b Backend) unknown(group string) string {
	if group == "" {
		return fmt.Sprintf(
			"namespace %s has no label %s, so its Environments see no other namespace. "+
				"Give it and the namespace of that environment the same "+
				"value (kubectl label namespace %s <the other namespace> %s=<name>), or correct the name in the Environment",
			b.Namespace,
			LabelGroup,
			b.Namespace,
			LabelGroup,
		)
	}
	return fmt.Sprintf(
		"no namespace with the label %s=%s has an Environment of that name. "+
			"Label its namespace (kubectl label namespace <the other namespace> %s=%s), "+
			"or correct the name in the Environment",
		LabelGroup,
		group,
		LabelGroup,
		group,
	)
}

// Neighbours returns the Environments of an application that the namespace may read. They belong to the cache: do not
// change them. If there are more than MaxEnvironments, it returns some more than that and an *environment.RefusedError.
func (b Backend) Neighbours(ctx context.Context, application string) ([]*environments.Environment, error) {
	group, err := b.group(ctx, b.Namespace)
	if err != nil {
		return nil, err
	}
	return b.neighbours(ctx, application, group)
}

func (b Backend) neighbours(ctx context.Context, application, group string) ([]*environments.Environment, error) {
	namespaces, err := b.namespaces(ctx, group)
	if err != nil {
		return nil, err
	}
	var visible []*environments.Environment
	for _, namespace := range namespaces {
		var list environments.EnvironmentList
		// The index is read for one namespace at a time, so that the Environments of other tenants cost nothing.
		err := b.Client.List(ctx, &list, client.InNamespace(namespace),
			client.MatchingFields{kube.ByApplication: application}, client.Limit(MaxEnvironments+1),
			client.UnsafeDisableDeepCopy)
		if err != nil {
			return nil, fmt.Errorf("listing Environments: %w", err)
		}
		for i := range list.Items {
			visible = append(visible, &list.Items[i])
		}
		if len(visible) > MaxEnvironments {
			return visible, &environment.RefusedError{Err: fmt.Errorf(
				"more than %d Environments of the application %s read each other's state: delete those that are not needed",
				MaxEnvironments, application)}
		}
	}
	return visible, nil
}

// namespaces returns the namespaces whose Environments the namespace may read: its own, and those of its group.
func (b Backend) namespaces(ctx context.Context, group string) ([]string, error) {
	names := []string{b.Namespace}
	if group == "" {
		return names, nil
	}
	var list corev1.NamespaceList
	err := b.Client.List(ctx, &list, client.MatchingFields{kube.ByGroup: group}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("listing namespaces: %w", err)
	}
	for i := range list.Items {
		if name := list.Items[i].Name; name != b.Namespace {
			names = append(names, name)
		}
	}
	return names, nil
}

// group returns the group of a namespace, or "" if the namespace does not exist, since a deleted one must not block the
// others.
func (b Backend) group(ctx context.Context, namespace string) (string, error) {
	var ns corev1.Namespace
	if err := b.Client.Get(ctx, client.ObjectKey{Name: namespace}, &ns); client.IgnoreNotFound(err) != nil {
		return "", fmt.Errorf("reading namespace %q: %w", namespace, err)
	}
	return ns.Labels[LabelGroup], nil
}

// state returns the state of an Environment. Without its Rollout, the state has no deployments.
func (b Backend) state(ctx context.Context, e *environments.Environment) (environment.State, error) {
	var ro v1alpha1.Rollout
	err := b.Client.Get(ctx, client.ObjectKey{Namespace: e.Namespace, Name: e.Spec.RolloutRef.Name}, &ro)
	if client.IgnoreNotFound(err) != nil {
		return environment.State{}, fmt.Errorf(
			"reading the Rollout of Environment %q: %w", client.ObjectKeyFromObject(e), err,
		)
	}
	return environment.StateOf(e, &ro), nil
}

// ambiguous returns the state of two Environments with the same name.
func ambiguous(a, b environment.State) environment.State {
	a.Deployments = append(slices.Clone(a.Deployments), b.Deployments...)
	for i := range a.Deployments {
		if a.Deployments[i].Quarantine != "" {
			continue // a quarantine counts whichever of the two is meant
		}
		a.Deployments[i].UntrustedReason = "two Environments of this application are called " + a.Environment
	}
	return a
}
