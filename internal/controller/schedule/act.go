package schedule

import (
	"context"
	"errors"
	"fmt"

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

// writes is how many gates of a schedule are written at once: a freeze must not reach the last of a thousand Rollouts late.
const writes = 16

// outcome is what came of a plan.
type outcome struct {
	// managed are the gates that exist, rollouts how many there should be.
	managed  []string
	rollouts int
	// failed says for each Rollout whose gate is not as it should be what went wrong, in the order of the Rollouts.
	failed []string
	// conflict is an error that goes away by looking again.
	conflict error
}

// carryOut writes and deletes gates. What fails for one Rollout does not keep the others from theirs.
func (c *Controller) carryOut(ctx context.Context, s *subject, p plan, said schedule.Evaluation) outcome {
	names, errs := make([]string, len(p.rollouts)), make([]error, len(p.rollouts)+len(p.gone))
	var group errgroup.Group
	group.SetLimit(writes)
	for i, ro := range p.rollouts {
		group.Go(func() error {
			names[i], errs[i] = c.write(ctx, s, ro, p.gates[i], said)
			return nil
		})
	}
	for i, g := range p.gone {
		group.Go(func() error {
			errs[len(p.rollouts)+i] = c.remove(ctx, g)
			return nil
		})
	}
	err := group.Wait()
	out := outcome{rollouts: len(p.rollouts), conflict: err}
	for i, err := range errs {
		if i < len(names) && names[i] != "" {
			out.managed = append(out.managed, s.place(p.rollouts[i].Namespace, names[i]))
		}
		switch {
		case err == nil:
		case apierrors.IsConflict(err):
			out.conflict = err
		case i < len(names):
			out.failed = append(out.failed, fmt.Sprintf("Rollout %s: %s", s.place(p.rollouts[i].Namespace, p.rollouts[i].Name), err))
		default:
			out.failed = append(out.failed, err.Error())
		}
	}
	if len(out.failed) > 0 {
		log.FromContext(ctx).Info("gates could not be written", "gates", len(out.failed), "first", out.failed[0])
	}
	return out
}

// write makes the gate of a Rollout what it has to be, and returns its name if it exists afterwards.
func (c *Controller) write(ctx context.Context, s *subject, ro types.NamespacedName, g *v1alpha1.RolloutGate, said schedule.Evaluation) (string, error) {
	if g != nil {
		return g.Name, c.repair(ctx, s, ro, g, said)
	}
	g = &v1alpha1.RolloutGate{}
	g.Namespace, g.Name = ro.Namespace, gateName(s, ro)
	s.shape(g, ro, said)
	if err := controllerutil.SetControllerReference(s.object, g, c.client.Scheme()); err != nil {
		return "", err
	}
	err := c.client.Create(ctx, g, kube.FieldOwner)
	switch {
	case err == nil:
		log.FromContext(ctx).Info("created a gate", "gate", client.ObjectKeyFromObject(g), "open", said.Open)
		return g.Name, nil
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return "", nil
	case !apierrors.IsAlreadyExists(err):
		return "", fmt.Errorf("creating its gate: %w", err)
	}
	// It exists and does not say whose it is: somebody took that away, or the cache does not know it yet.
	if err := c.client.Get(ctx, client.ObjectKeyFromObject(g), g); err != nil {
		return g.Name, behind(g, err)
	}
	return g.Name, c.repair(ctx, s, ro, g, said)
}

// repair puts back what was changed. A gate that belongs to somebody else is left alone.
func (c *Controller) repair(ctx context.Context, s *subject, ro types.NamespacedName, g *v1alpha1.RolloutGate, said schedule.Evaluation) error {
	next := g.DeepCopy()
	s.shape(next, ro, said)
	if err := controllerutil.SetControllerReference(s.object, next, c.client.Scheme()); err != nil {
		return fmt.Errorf("taking over the gate %q: %w", g.Name, err)
	}
	if equality.Semantic.DeepEqual(g, next) {
		return nil
	}
	if err := c.client.Patch(ctx, next, client.MergeFrom(g), kube.FieldOwner); err != nil {
		return behind(g, fmt.Errorf("writing its gate %q: %w", g.Name, err))
	}
	log.FromContext(ctx).Info("updated a gate", "gate", client.ObjectKeyFromObject(g), "open", said.Open)
	return nil
}

func (c *Controller) remove(ctx context.Context, g *v1alpha1.RolloutGate) error {
	err := c.client.Delete(ctx, g.DeepCopy(), client.Preconditions{UID: &g.UID})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting the gate %q: %w", client.ObjectKeyFromObject(g), err)
	}
	return nil
}

// behind turns the news that a gate does not exist into a conflict: the cache says otherwise, and will soon say so too.
func behind(g *v1alpha1.RolloutGate, err error) error {
	if !apierrors.IsNotFound(err) {
		return err
	}
	return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("rolloutgates").GroupResource(), g.Name, errors.New("the cache lags behind"))
}
