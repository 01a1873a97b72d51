package kustomization

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/fair"
	"github.com/kuberik/kuberik/internal/flux"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/outbound"
)

// Checker evaluates Kustomizations.
type Checker struct {
	// Live reads the Kustomization and the objects of its inventory from the API server, because no cache holds
	// inventories.
	Live client.Reader
	// Reads limits how many Kustomizations and objects of one namespace are in memory at the same time. Defaults to no
	// limit.
	Reads *fair.Slots
}

// KeyOf returns the key of the Kustomization of a check. It has to be in the namespace of the check, because not
// everybody may see the state of another namespace.
func KeyOf(check *v1alpha1.HealthCheck) (types.NamespacedName, error) {
	key, annotated := annotation(check)
	if ref := check.Spec.Kustomization; ref != nil {
		field := types.NamespacedName{Namespace: cmp.Or(ref.Namespace, check.Namespace), Name: ref.Name}
		if annotated && key != field {
			return types.NamespacedName{}, fmt.Errorf("spec.kustomization names %s and the annotation %s names %s: remove "+
				"the annotation",
				field, v1alpha1.AnnotationKustomization, key)
		}
		key = field
	}
	switch {
	case key.Name == "" || strings.Contains(key.Name, "/"):
		return types.NamespacedName{}, errors.New("name a Kustomization in spec.kustomization.name")
	case key.Namespace != check.Namespace:
		return types.NamespacedName{}, fmt.Errorf("the Kustomization %s is in another namespace: put the check beside it",
			key)
	}
	return key, nil
}

// annotation returns the Kustomization that the annotation of a check names, and whether the check has the annotation.
func annotation(check *v1alpha1.HealthCheck) (types.NamespacedName, bool) {
	value, ok := check.Annotations[v1alpha1.AnnotationKustomization]
	if namespace, name, qualified := strings.Cut(value, "/"); qualified {
		return types.NamespacedName{Namespace: namespace, Name: name}, ok
	}
	return types.NamespacedName{Namespace: check.Namespace, Name: value}, ok
}

// Check evaluates the Kustomization of a check.
func (c Checker) Check(ctx context.Context, s health.CheckInput) (health.Report, error) {
	key, err := KeyOf(s.Check)
	if err != nil {
		return pending(err.Error()), nil
	}
	timeout := outbound.Timeout(s.Check.Spec.Timeout)
	slow := fmt.Errorf("the API server took longer than %s to answer", timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, slow)
	defer cancel()
	report, err := c.evaluateKustomization(ctx, key, s.Check)
	if err != nil && errors.Is(context.Cause(ctx), slow) {
		return health.Report{}, slow
	}
	return report, err
}

func (c Checker) evaluateKustomization(
	ctx context.Context, key types.NamespacedName, check *v1alpha1.HealthCheck,
) (health.Report, error) {
	k, problem, err := c.read(ctx, key)
	switch {
	case err != nil:
		return health.Report{}, err
	case problem != "":
		return pending(problem), nil
	}
	report, err := c.evaluate(ctx, k)
	if k.Progress == flux.Reapplying && report.State == v1alpha1.HealthHealthy && !healthy(check, k.Revision) {
		// The reconcile before this one may have failed, so that the objects are those of an earlier version.
		report = pending("Kustomization " + k.Name + ": " + k.Message)
	}
	report.Revision, report.ByRevision = k.Revision, true
	return report, err
}

// read reads a Kustomization with its inventory, or returns why it cannot be evaluated.
func (c Checker) read(
	ctx context.Context, key types.NamespacedName,
) (k *flux.KustomizationState, problem string, err error) {
	done, err := c.Reads.Take(ctx, key.Namespace)
	if err != nil {
		return nil, "", err
	}
	defer done()
	k, err = flux.Reader{Reader: c.Live, Live: true}.Kustomization(ctx, key)
	var large *kube.TooManyValuesError
	switch {
	case errors.As(err, &large):
		return nil, "Kustomization " + key.Name + " cannot be evaluated: " + large.Error(), nil
	case err != nil:
		return nil, "", err
	case k == nil:
		return nil, "Kustomization " + key.Name + " does not exist", nil
	case len(k.Inventory) > maxObjects:
		return nil, fmt.Sprintf("Kustomization %s cannot be evaluated: its inventory has %d objects, and at most %d are "+
			"evaluated: split it",
			key.Name, len(k.Inventory), maxObjects), nil
	}
	return k, "", nil
}

// healthy reports whether a check has found a revision healthy before.
func healthy(check *v1alpha1.HealthCheck, revision string) bool {
	return check.Status.Status == v1alpha1.HealthHealthy && check.Status.ObservedRevision == revision
}

func (c Checker) evaluate(ctx context.Context, k *flux.KustomizationState) (health.Report, error) {
	switch {
	case k.Deleting:
		return pending("Kustomization " + k.Name + " is being deleted"), nil
	case k.Progress == flux.Failed:
		return health.Report{State: v1alpha1.HealthUnhealthy, Message: "Kustomization " + k.Name + ": " + k.Message}, nil
	case k.Progress != flux.Succeeded && k.Progress != flux.Reapplying:
		return pending("Kustomization " + k.Name + ": " + k.Message), nil
	case k.Remote:
		return remote(k), nil
	case len(k.Inventory) == 0:
		return health.Report{State: v1alpha1.HealthHealthy, Message: "Kustomization " + k.Name +
			" is ready and contains no objects"}, nil
	}
	expressions, err := k.Evaluator(ctx)
	if err != nil {
		return pending("Kustomization " + k.Name + ": " + err.Error()), nil //nolint:nilerr // the author of the Kustomization has to change it
	}
	return c.inventory(ctx, k, expressions)
}

// remote evaluates a Kustomization whose objects are in another cluster, which only Flux can read.
func remote(k *flux.KustomizationState) health.Report {
	if k.HealthChecked {
		return health.Report{State: v1alpha1.HealthHealthy, Message: "Kustomization " + k.Name + " is ready in its cluster"}
	}
	return pending("Kustomization " + k.Name + " is applied to another cluster: set spec.wait, so that Flux reports on it")
}

func pending(message string) health.Report {
	return health.Report{State: v1alpha1.HealthPending, Message: message}
}
