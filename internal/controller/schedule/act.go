package schedule

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/schedule"
)

// maxConcurrentWrites is the number of gates of a schedule that are written concurrently, so that a freeze reaches the
// last of a thousand Rollouts soon.
const maxConcurrentWrites = 16

const (
	// maxRemovals is the number of obsolete gates that one reconcile deletes, and maxRemovalsPerNamespace the number of
	// those in one namespace. Anyone who can create gates may create many that look like gates of the schedule: they must
	// not delay the gates of others.
	maxRemovals, maxRemovalsPerNamespace = 512, 64
	// removalInterval is the delay before the next obsolete gates are deleted.
	removalInterval = 200 * time.Millisecond
)

// result is the result of applying a plan.
type result struct {
	// managed are the names of the gates that exist.
	managed []string
	// rollouts is the number of Rollouts that should have a gate.
	rollouts int32
	// failed has a message for each gate that could not be written or deleted, in the order of the plan.
	failed []string
	// conflict is an error that a retry resolves.
	conflict error
	// more reports whether obsolete gates are left for the next reconcile.
	more bool
}

// apply creates and updates gates, and then deletes obsolete ones. An error for one Rollout does not affect the others.
func (c *Controller) apply(ctx context.Context, s *anySchedule, p plan, eval schedule.Evaluation) result {
	obsolete := nextRemovals(p.obsolete)
	names, errs := make([]string, len(p.rollouts)), make([]error, len(p.rollouts)+len(obsolete))
	concurrently(len(p.rollouts), func(i int) {
		names[i], errs[i] = c.write(ctx, s, p.rollouts[i], p.gates[i], eval)
	})
	concurrently(len(obsolete), func(i int) { errs[len(p.rollouts)+i] = c.remove(ctx, obsolete[i]) })
	res := result{rollouts: int32(len(p.rollouts)), more: len(obsolete) < len(p.obsolete)}
	for i, err := range errs {
		if i < len(names) && names[i] != "" {
			res.managed = append(res.managed, s.qualifiedName(p.rollouts[i].Namespace, names[i]))
		}
		switch {
		case err == nil:
		case apierrors.IsConflict(err):
			res.conflict = err
		case i < len(names):
			name := s.qualifiedName(p.rollouts[i].Namespace, p.rollouts[i].Name)
			res.failed = append(res.failed, fmt.Sprintf("Rollout %s: %s", name, err))
		default:
			res.failed = append(res.failed, err.Error())
		}
	}
	if len(res.failed) > 0 {
		log.FromContext(ctx).Info("could not write gates", "gates", len(res.failed), "first", res.failed[0])
	}
	return res
}

// concurrently calls do for each index below n, several at a time, and waits for all of them.
func concurrently(n int, do func(i int)) {
	var group errgroup.Group
	group.SetLimit(maxConcurrentWrites)
	for i := range n {
		group.Go(func() error {
			do(i)
			return nil
		})
	}
	group.Wait() //nolint:errcheck // no call returns an error
}

// nextRemovals returns the obsolete gates that one reconcile deletes.
func nextRemovals(obsolete []*v1alpha1.RolloutGate) []*v1alpha1.RolloutGate {
	perNamespace := map[string]int{}
	var next []*v1alpha1.RolloutGate
	for _, g := range obsolete {
		if perNamespace[g.Namespace]++; perNamespace[g.Namespace] <= maxRemovalsPerNamespace && len(next) < maxRemovals {
			next = append(next, g)
		}
	}
	return next
}

// write creates or updates the gate of a Rollout. It returns the name of the gate if it exists afterwards.
func (c *Controller) write(
	ctx context.Context, s *anySchedule, ro types.NamespacedName, g *v1alpha1.RolloutGate, eval schedule.Evaluation,
) (string, error) {
	if g != nil {
		return g.Name, c.update(ctx, s, ro, g, eval)
	}
	g = &v1alpha1.RolloutGate{}
	g.Namespace, g.Name = ro.Namespace, gateName(s, ro)
	s.setDesired(g, ro, eval)
	if err := controllerutil.SetControllerReference(s.object, g, c.client.Scheme()); err != nil {
		return "", err
	}
	err := c.client.Create(ctx, g, kube.FieldOwner)
	switch {
	case err == nil:
		log.FromContext(ctx).Info("created a gate", "gate", client.ObjectKeyFromObject(g), "open", eval.Open)
		return g.Name, nil
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return "", nil
	case !apierrors.IsAlreadyExists(err):
		return "", fmt.Errorf("creating the gate: %w", err)
	}
	// The gate exists but was not found by its owner or labels: they were removed, or the cache is stale.
	if err := c.client.Get(ctx, client.ObjectKeyFromObject(g), g); err != nil {
		return g.Name, conflictIfNotFound(g, err)
	}
	return g.Name, c.update(ctx, s, ro, g, eval)
}

// update writes the desired state of a gate if it differs. It returns an error if something else controls the gate.
func (c *Controller) update(
	ctx context.Context, s *anySchedule, ro types.NamespacedName, g *v1alpha1.RolloutGate, eval schedule.Evaluation,
) error {
	next := g.DeepCopy()
	s.setDesired(next, ro, eval)
	if err := controllerutil.SetControllerReference(s.object, next, c.client.Scheme()); err != nil {
		return fmt.Errorf("cannot adopt the gate %q: %w", g.Name, err)
	}
	if kube.RetainTrimmedOwners(g, next); equality.Semantic.DeepEqual(g, next) {
		return nil
	}
	if err := c.client.Patch(ctx, next, client.MergeFrom(g), kube.FieldOwner); err != nil {
		return conflictIfNotFound(g, fmt.Errorf("updating the gate %q: %w", g.Name, err))
	}
	log.FromContext(ctx).Info("updated a gate", "gate", client.ObjectKeyFromObject(g), "open", eval.Open)
	return nil
}

func (c *Controller) remove(ctx context.Context, g *v1alpha1.RolloutGate) error {
	err := c.client.Delete(ctx, g.DeepCopy(), client.Preconditions{UID: &g.UID})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting the gate %q: %w", client.ObjectKeyFromObject(g), err)
	}
	return nil
}

// conflictIfNotFound returns a conflict if a gate that is in the cache does not exist, so that the reconcile is retried
// with a current cache.
func conflictIfNotFound(g *v1alpha1.RolloutGate, err error) error {
	if !apierrors.IsNotFound(err) {
		return err
	}
	return apierrors.NewConflict(
		v1alpha1.GroupVersion.WithResource("rolloutgates").GroupResource(), g.Name, errors.New("the cache is stale"),
	)
}
