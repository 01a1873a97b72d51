package kustomization

import (
	"context"
	"errors"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/flux"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/health/healthtest"
)

// played is an API server that takes its time.
type played struct {
	client.Reader
	delay time.Duration
	err   error
}

func (p played) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	timer := time.NewTimer(p.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	if p.err != nil {
		return p.err
	}
	return p.Reader.Get(ctx, key, obj, opts...)
}

func TestContract(t *testing.T) {
	t.Parallel()
	const timeout = time.Second
	healthtest.Run(t, healthtest.Harness{
		Timeout: timeout, Revision: flux.Revision(applied([]string{web})),
		Cannot: map[healthtest.Situation]string{healthtest.NoData: "a Kustomization that is missing is waited for"},
		Play: func(t *testing.T, situation healthtest.Situation) (health.Checker, health.CheckInput) {
			t.Helper()
			k, p := applied([]string{web}), played{}
			switch situation {
			case healthtest.Unhealthy:
				failing(meta.HealthCheckFailedReason)(k)
			case healthtest.Pending:
				k.Status = kustomizev1.KustomizationStatus{LastAppliedRevision: k.Status.LastAppliedRevision}
			case healthtest.Silent:
				p.delay = time.Hour
			case healthtest.Slow:
				p.delay = timeout / 20 // it is asked twice
			case healthtest.Failing:
				p.err = errors.New("the server is currently unable to handle the request")
			}
			p.Reader = checker(t, []client.Object{k, deployment(func(*appsv1.Deployment) {})}, nil).Live
			asked := check("app")
			asked.Spec.Timeout = new(v1alpha1.Duration(timeout.String()))
			return Checker{Live: p}, health.CheckInput{Now: time.Now(), Check: asked, Release: health.Release{Rollout: "app", Token: "t"}}
		},
	})
}
