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

// LabelGroup is the label of namespaces whose Environments meet: those in all namespaces with the same value. Without the label, only the
// Environments in one namespace meet. Whoever may label a namespace decides.
const LabelGroup = "environments.kuberik.com/group"

// Backend is the view of the cluster by one namespace.
type Backend struct {
	// Client reads the cache, with the Indexes.
	Client client.Reader
	// Namespace that reads.
	Namespace string
	// Clock tells the time.
	Clock clock.PassiveClock
}

var _ environment.Backend = Backend{}

// Indexes returns the indexes that a Backend needs.
func Indexes() []kube.Index {
	return []kube.Index{
		kube.IndexOf(&environments.Environment{}, kube.ByApplication, func(e *environments.Environment) []string {
			return []string{environment.Application(e.Spec.Name)}
		}),
	}
}

// Publish implements environment.Backend. The status of the Rollout is all that is published.
func (b Backend) Publish(ctx context.Context, _ environment.State) error { return ctx.Err() }

// Read implements environment.Backend. Two Environments with the same name are no evidence: it is not clear which one is meant.
func (b Backend) Read(ctx context.Context, application string) (environment.Snapshot, error) {
	group, err := b.group(ctx, b.Namespace)
	if err != nil {
		return environment.Snapshot{}, err
	}
	near, err := b.neighbours(ctx, application, group)
	if err != nil {
		return environment.Snapshot{}, err
	}
	states := map[string]environment.State{}
	for _, e := range near {
		if !e.DeletionTimestamp.IsZero() || e.Spec.Environment == "" {
			continue
		}
		s, err := b.state(ctx, e)
		if err != nil {
			return environment.Snapshot{}, err
		}
		if other, taken := states[s.Environment]; taken {
			s = ambiguous(other, s)
		}
		states[s.Environment] = s
	}
	snapshot := environment.Snapshot{At: b.Clock.Now(), Unknown: b.unknown(group)}
	for _, s := range states {
		snapshot.Environments = append(snapshot.Environments, s)
	}
	slices.SortFunc(snapshot.Environments, func(x, y environment.State) int { return cmp.Compare(x.Environment, y.Environment) })
	return snapshot, nil
}

// unknown says why an environment may be missing: the label of the namespaces is what people forget.
func (b Backend) unknown(group string) string {
	if group == "" {
		return fmt.Sprintf("namespace %s has no label %s, so it meets no other namespace. Give it and the namespace of that environment the same "+
			"value (kubectl label namespace %s <the other namespace> %s=<name>), or correct the name in the Environment", b.Namespace, LabelGroup, b.Namespace, LabelGroup)
	}
	return fmt.Sprintf("no namespace with the label %s=%s has it. Label its namespace (kubectl label namespace <the other namespace> %s=%s), "+
		"or correct the name in the Environment", LabelGroup, group, LabelGroup, group)
}

// Neighbours returns the Environments of an application that the namespace may read. They belong to the cache: do not change them.
func (b Backend) Neighbours(ctx context.Context, application string) ([]*environments.Environment, error) {
	group, err := b.group(ctx, b.Namespace)
	if err != nil {
		return nil, err
	}
	return b.neighbours(ctx, application, group)
}

func (b Backend) neighbours(ctx context.Context, application, group string) ([]*environments.Environment, error) {
	var list environments.EnvironmentList
	if err := b.Client.List(ctx, &list, client.MatchingFields{kube.ByApplication: application}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing Environments: %w", err)
	}
	var near []*environments.Environment
	for i := range list.Items {
		meets, err := b.meets(ctx, &list.Items[i], group)
		if err != nil {
			return nil, err
		}
		if meets {
			near = append(near, &list.Items[i])
		}
	}
	return near, nil
}

// meets reports whether the namespace may read an Environment: its own, or one of its group.
func (b Backend) meets(ctx context.Context, e *environments.Environment, group string) (bool, error) {
	if e.Spec.Backend != nil && e.Spec.Backend.Type != environments.BackendCluster {
		return false, nil
	}
	if e.Namespace == b.Namespace {
		return true, nil
	}
	if group == "" {
		return false, nil
	}
	other, err := b.group(ctx, e.Namespace)
	return other == group, err
}

// group returns the group of a namespace, or "" if the namespace does not exist: a deleted one must not be an error for the others.
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
		return environment.State{}, fmt.Errorf("reading the Rollout of Environment %q: %w", client.ObjectKeyFromObject(e), err)
	}
	return environment.Of(e, &ro), nil
}

// ambiguous returns the state of two Environments with the same name.
func ambiguous(a, b environment.State) environment.State {
	a.Deployments = append(slices.Clone(a.Deployments), b.Deployments...)
	for i := range a.Deployments {
		if a.Deployments[i].Quarantine != "" {
			continue // it counts whichever of the two is meant
		}
		a.Deployments[i].UntrustedReason = "two Environments of this application are called " + a.Environment
	}
	return a
}
