package schedule

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// Reconcile looks once at a schedule of a namespace.
func (c *Controller) Reconcile(ctx context.Context, s *v1alpha1.RolloutSchedule) (ctrl.Result, error) {
	return c.reconcile(ctx, namespaced(s))
}
