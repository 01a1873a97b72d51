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

// LabelGroup on namespaces lets Environments of one application meet across them: those of all namespaces that have the same value.
// Whoever may label a namespace decides that for it; without the label it meets nobody else.
const LabelGroup = "environments.kuberik.com/group"

// Backend is the view that one namespace has of the cluster.
type Backend struct {
	// Client reads the cache, with the Indexes.
	Client client.Reader
	// Namespace whose view it is.
	Namespace string
	// Clock tells the time.
	Clock clock.PassiveClock
}

var _ environment.Backend = Backend{}

// Indexes that a Backend needs.
func Indexes() []kube.Index {
	return []kube.Index{
		kube.IndexOf(&environments.Environment{}, kube.ByApplication, func(e *environments.Environment) []string {
			return []string{environment.Application(e.Spec.Name)}
		}),
	}
}

// Publish implements environment.Backend. The record of the Rollout is all that is published.
func (b Backend) Publish(ctx context.Context, _ environment.State) error { return ctx.Err() }

// Read implements environment.Backend. Two Environments that have the same name are no evidence: nobody can tell which is meant.
func (b Backend) Read(ctx context.Context, application string) (environment.News, error) {
	near, err := b.Neighbours(ctx, application)
	if err != nil {
		return environment.News{}, err
	}
	states := map[string]environment.State{}
	for _, e := range near {
		if !e.DeletionTimestamp.IsZero() || e.Spec.Environment == "" {
			continue
		}
		s, err := b.state(ctx, e)
		if err != nil {
			return environment.News{}, err
		}
		if other, taken := states[s.Environment]; taken {
			s = ambiguous(other, s)
		}
		states[s.Environment] = s
	}
	news := environment.News{At: b.Clock.Now()}
	for _, s := range states {
		news.Environments = append(news.Environments, s)
	}
	slices.SortFunc(news.Environments, func(x, y environment.State) int { return cmp.Compare(x.Environment, y.Environment) })
	return news, nil
}

// Neighbours lists the Environments of an application that the namespace may look at. They belong to the cache: they are not to be changed.
func (b Backend) Neighbours(ctx context.Context, application string) ([]*environments.Environment, error) {
	var list environments.EnvironmentList
	if err := b.Client.List(ctx, &list, client.MatchingFields{kube.ByApplication: application}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing Environments: %w", err)
	}
	group, err := b.group(ctx, b.Namespace)
	if err != nil {
		return nil, err
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

// meets says whether an Environment is one that the namespace may look at: its own, or one of its group.
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

// group of a namespace; "" for one that is not there, or not any more: it must not keep others from meeting.
func (b Backend) group(ctx context.Context, namespace string) (string, error) {
	var ns corev1.Namespace
	if err := b.Client.Get(ctx, client.ObjectKey{Name: namespace}, &ns); client.IgnoreNotFound(err) != nil {
		return "", fmt.Errorf("reading namespace %q: %w", namespace, err)
	}
	return ns.Labels[LabelGroup], nil
}

// state is what an Environment says of itself. Without its Rollout it says that it is there.
func (b Backend) state(ctx context.Context, e *environments.Environment) (environment.State, error) {
	var ro v1alpha1.Rollout
	err := b.Client.Get(ctx, client.ObjectKey{Namespace: e.Namespace, Name: e.Spec.RolloutRef.Name}, &ro)
	if client.IgnoreNotFound(err) != nil {
		return environment.State{}, fmt.Errorf("reading the Rollout of Environment %q: %w", client.ObjectKeyFromObject(e), err)
	}
	return environment.Of(e, &ro), nil
}

// ambiguous is what is told of two Environments of the same name.
func ambiguous(a, b environment.State) environment.State {
	a.Deployments = append(slices.Clone(a.Deployments), b.Deployments...)
	for i := range a.Deployments {
		if a.Deployments[i].Quarantine != "" {
			continue // whichever it is, one of them says so
		}
		a.Deployments[i].Doubt = "two Environments of this application are called " + a.Environment
	}
	return a
}
