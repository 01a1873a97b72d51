package act

import (
	"context"
	"encoding/json"
	"time"

	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/internal/cli/session"
	"github.com/kuberik/kuberik/internal/view"
)

// NewReconcile returns the verb reconcile.
func NewReconcile(p *session.Process) *cobra.Command {
	var withSource bool
	c := session.Command(p, &cobra.Command{
		Use:   "reconcile ROLLOUT",
		Short: "Look at a Rollout now, and with --with-source for new tags",
		Long: `Sets the annotation reconcile.fluxcd.io/requestedAt, so that the controller looks at the Rollout now. It reacts to changes by
itself; what takes time is Flux's scan of the registry. --with-source sets the annotation on the ImageRepository too, so
that Flux looks for new tags now.`,
		Example: `  kuberik reconcile checkout -n shop --with-source`,
		Args:    cobra.ExactArgs(1),
	}, session.Options{Target: true, Acts: true}, func(ctx context.Context, s *session.Session, args []string) error {
		at, err := lookAtRollout(ctx, s, args[0])
		if err != nil {
			return err
		}
		if err := at.mayPatch(ctx); err != nil {
			return err
		}
		return at.reconcile(ctx, withSource)
	})
	c.Flags().BoolVar(&withSource, "with-source", false, "let Flux scan the ImageRepository for new tags first")
	return c
}

func (at *scene) reconcile(ctx context.Context, withSource bool) error {
	requested := map[string]string{meta.ReconcileRequestAnnotation: at.Now().UTC().Format(time.RFC3339Nano)}
	ch := change{
		plan: at.suspended(), question: "Reconcile " + at.name() + "?", did: "annotated",
		next: "the controller looks at it now.", apply: at.annotate(requested),
	}
	if !withSource {
		return at.do(ctx, ch)
	}
	source, err := at.source(ctx)
	if err != nil {
		return err
	}
	err = at.Require(ctx, view.Right{
		Verb: "patch", Group: imagev1.GroupVersion.Group, Resource: "imagerepositories", Namespace: source.Namespace,
		Name: source.Name,
	})
	if err != nil {
		return err
	}
	patchRollout := ch.apply
	ch.next = "Flux scans ImageRepository " + source.Namespace + "/" + source.Name +
		" now, and the controller looks at the Rollout."
	ch.apply = func(ctx context.Context, c client.Client) (client.Object, error) {
		data, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": requested}})
		if err != nil {
			return nil, err
		}
		if err := c.Patch(ctx, source, client.RawPatch("application/merge-patch+json", data)); err != nil {
			return nil, err
		}
		return patchRollout(ctx, c)
	}
	return at.do(ctx, ch)
}

// source returns the ImageRepository that the tags of the Rollout come from.
func (at *scene) source(ctx context.Context) (*imagev1.ImageRepository, error) {
	c, err := at.Client()
	if err != nil {
		return nil, err
	}
	policy := &imagev1.ImagePolicy{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: at.Rollout.Namespace, Name: at.Rollout.Spec.ReleasesImagePolicy.Name},
		policy); err != nil {
		return nil, err
	}
	source := &imagev1.ImageRepository{}
	source.Namespace, source.Name = at.Rollout.Namespace, policy.Spec.ImageRepositoryRef.Name
	if ns := policy.Spec.ImageRepositoryRef.Namespace; ns != "" {
		source.Namespace = ns
	}
	return source, nil
}
