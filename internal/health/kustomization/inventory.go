package kustomization

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/flux"
	"github.com/kuberik/kuberik/internal/health"
)

const (
	parallelReads = 8
	inventoryTime = 20 * time.Second
	mostNamed     = 3
)

// finding is what one object of the inventory amounts to.
type finding struct {
	state   v1alpha1.HealthState
	message string
}

// inventory judges every object that Flux applied. The worst of them decides.
func (c Checker) inventory(ctx context.Context, k *flux.Applied) (health.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, inventoryTime)
	defer cancel()
	findings := make([]finding, len(k.Inventory))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelReads)
	for i, entry := range k.Inventory {
		group.Go(func() (err error) {
			findings[i], err = c.find(ctx, entry)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return health.Report{}, fmt.Errorf("reading the inventory of Kustomization %q: %w", k.Name, err)
	}
	for _, state := range []v1alpha1.HealthState{v1alpha1.HealthUnhealthy, health.Unknown, v1alpha1.HealthPending} {
		if message := name(findings, state); message != "" {
			if state == health.Unknown {
				state = v1alpha1.HealthPending
			}
			return health.Report{State: state, Message: message}, nil
		}
	}
	return health.Report{
		State: v1alpha1.HealthHealthy, Message: fmt.Sprintf("all %d objects of Kustomization %s are healthy", len(findings), k.Name),
	}, nil
}

// name lists the first objects in a state, in a stable order.
func name(findings []finding, state v1alpha1.HealthState) string {
	var messages []string
	for _, f := range findings {
		if f.state == state {
			messages = append(messages, f.message)
		}
	}
	slices.Sort(messages)
	if extra := len(messages) - mostNamed; extra > 0 {
		messages = append(messages[:mostNamed:mostNamed], fmt.Sprintf("and %d more", extra))
	}
	return strings.Join(messages, "; ")
}

// find judges one object.
func (c Checker) find(ctx context.Context, o flux.Object) (finding, error) {
	if o.Group == "" && o.Kind == "Secret" {
		return finding{state: v1alpha1.HealthHealthy}, nil // a Secret has no state, and is not read
	}
	label := o.String()
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(o.GroupVersionKind)
	err := c.Live.Get(ctx, o.NamespacedName, obj)
	switch {
	case apierrors.IsNotFound(err):
		return finding{v1alpha1.HealthUnhealthy, label + " does not exist"}, nil
	case apierrors.IsForbidden(err):
		return finding{health.Unknown, label + " cannot be read: grant get on its kind in a ClusterRole labelled " + AggregationLabel + ": \"true\""}, nil
	case apimeta.IsNoMatchError(err):
		return finding{health.Unknown, label + ": its kind is not installed"}, nil
	case err != nil:
		return finding{}, fmt.Errorf("reading %s: %w", label, err)
	}
	return judge(label, obj)
}

// AggregationLabel on a ClusterRole adds its rules to what the controller may read to judge health.
const AggregationLabel = "rbac.kuberik.com/aggregate-to-health-reader"

// judge applies kstatus, the convention that Flux itself goes by.
func judge(label string, obj *unstructured.Unstructured) (finding, error) {
	result, err := status.Compute(obj)
	if err != nil {
		return finding{health.Unknown, label + ": " + err.Error()}, nil //nolint:nilerr // no verdict is the finding
	}
	switch result.Status {
	case status.CurrentStatus:
		return finding{state: v1alpha1.HealthHealthy}, nil
	case status.FailedStatus:
		return finding{v1alpha1.HealthUnhealthy, label + ": " + result.Message}, nil
	case status.TerminatingStatus:
		return finding{v1alpha1.HealthPending, label + " is being deleted"}, nil
	}
	return finding{v1alpha1.HealthPending, label + ": " + result.Message}, nil
}
