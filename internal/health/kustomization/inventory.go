package kustomization

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/flux"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/kube"
)

const (
	parallelReads = 8
	// Reads is how many objects of the inventories of one namespace are in memory at the same time.
	Reads    = 8
	maxNamed = 3
	// maxObjects is how many objects an inventory may have.
	maxObjects = 5000
)

// objectHealth is the health of one object of the inventory.
type objectHealth struct {
	state   v1alpha1.HealthState
	message string
}

// inventory evaluates every object that Flux applied, and reports the worst.
func (c Checker) inventory(
	ctx context.Context, k *flux.KustomizationState, expressions *flux.Evaluator,
) (health.Report, error) {
	findings, err := c.checkObjects(ctx, k, k.Inventory, expressions)
	if err != nil {
		return health.Report{}, err
	}
	for _, state := range []v1alpha1.HealthState{v1alpha1.HealthUnhealthy, v1alpha1.HealthUnknown,
		v1alpha1.HealthPending} {
		if message := joinMessages(findings, state); message != "" {
			if state == v1alpha1.HealthUnknown {
				state = v1alpha1.HealthPending
			}
			return health.Report{State: state, Message: message}, nil
		}
	}
	return health.Report{
		State: v1alpha1.HealthHealthy, Message: fmt.Sprintf("all %d objects of Kustomization %s are healthy", len(findings),
			k.Name),
	}, nil
}

// joinMessages returns the messages of the first objects in a state, in a stable order.
func joinMessages(findings []objectHealth, state v1alpha1.HealthState) string {
	var messages []string
	for _, f := range findings {
		if f.state == state {
			messages = append(messages, f.message)
		}
	}
	slices.Sort(messages)
	if extra := len(messages) - maxNamed; extra > 0 {
		messages = append(messages[:maxNamed:maxNamed], fmt.Sprintf("and %d more", extra))
	}
	return strings.Join(messages, "; ")
}

// healthyObject is the health of an object that blocks nothing.
var healthyObject = objectHealth{state: v1alpha1.HealthHealthy}

// isExcluded reports whether objects of a kind are not evaluated. A Secret has no state and is not read. An object of
// Kuberik may itself wait for this check.
func isExcluded(o flux.Object) bool {
	return o.Group == "" && o.Kind == "Secret" || o.Group == v1alpha1.GroupVersion.Group ||
		strings.HasSuffix(o.Group, "."+v1alpha1.GroupVersion.Group)
}

// checkObject evaluates one object.
func (c Checker) checkObject(
	ctx context.Context, k *flux.KustomizationState, o flux.Object, expressions *flux.Evaluator,
) (objectHealth, error) {
	if isExcluded(o) {
		return healthyObject, nil
	}
	done, err := c.Reads.Take(ctx, k.Namespace)
	if err != nil {
		return objectHealth{}, err
	}
	defer done()
	label := o.String()
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(o.GroupVersionKind)
	err = c.Live.Get(ctx, o.NamespacedName, obj)
	var large *kube.TooManyValuesError
	switch {
	case err == nil && k.Owns(obj):
		return present(ctx, label, o, obj, expressions)
	case errors.As(err, &large):
		return tooLarge(k, o, large), nil
	case err == nil || apierrors.IsNotFound(err):
		return absent(k, o, err == nil), nil
	case apierrors.IsForbidden(err):
		return objectHealth{v1alpha1.HealthUnknown, label + " cannot be read: grant get on its kind in a ClusterRole " +
			"labelled " + AggregationLabel + ": \"true\""}, nil
	case apimeta.IsNoMatchError(err):
		return objectHealth{v1alpha1.HealthUnknown, label + ": its kind is not installed"}, nil
	}
	return objectHealth{}, fmt.Errorf("reading %s: %w", label, err)
}

// tooLarge returns the health of an object that is too large to be read. In another namespace it may belong to another
// Kustomization.
func tooLarge(k *flux.KustomizationState, o flux.Object, why error) objectHealth {
	if o.Namespace != k.Namespace {
		return absent(k, o, true)
	}
	return objectHealth{v1alpha1.HealthUnknown, o.String() + " cannot be evaluated: " + why.Error()}
}

// absent evaluates an object that does not exist, or that Flux has not applied for this Kustomization. In other
// namespaces both have the same message, because users who can write an inventory could otherwise find out what exists
// there.
func absent(k *flux.KustomizationState, o flux.Object, exists bool) objectHealth {
	label := o.String()
	switch {
	case o.Group == "batch" && o.Kind == "Job" && (!exists || o.Namespace != k.Namespace):
		return healthyObject // it has finished, and its ttlSecondsAfterFinished has passed: Flux accepts that too
	case o.Namespace != k.Namespace:
		return objectHealth{
			v1alpha1.HealthUnknown, label + " does not exist, or lacks the labels by which Flux marks the objects of " +
				"Kustomization " + k.Name,
		}
	case exists && !flux.IsWorkload(o.GroupKind()):
		// Flux has found it and left it as it is, as kustomize.toolkit.fluxcd.io/ssa: IfNotPresent in its manifest asks
		return healthyObject
	case exists:
		return objectHealth{v1alpha1.HealthUnknown, label + " lacks the labels by which Flux marks the objects of " +
			"Kustomization " + k.Name +
			": flux reconcile kustomization " + k.Name + " --namespace " + k.Namespace}
	}
	return objectHealth{v1alpha1.HealthUnhealthy, label + " does not exist"}
}

// present evaluates an object that Flux has applied.
func present(
	ctx context.Context, label string, o flux.Object, obj *unstructured.Unstructured, expressions *flux.Evaluator,
) (objectHealth, error) {
	switch skipped := flux.SkipMarker(obj); {
	case skipped != "" && flux.IsWorkload(o.GroupKind()):
		return objectHealth{v1alpha1.HealthPending, label + " is left as it is by Flux and does not get the version: " +
			"remove " + skipped}, nil
	case skipped != "":
		return healthyObject, nil // Flux does not wait for it either
	case obj.GetDeletionTimestamp() != nil:
		return objectHealth{v1alpha1.HealthPending, label + " is being deleted" + finalizers(obj)}, nil
	case expressions.Handles(o.GroupKind()):
		return evaluateExpressions(ctx, label, obj, expressions)
	}
	return evaluateStatus(label, obj), nil
}

// finalizers returns what a deletion waits for, for a message.
func finalizers(obj *unstructured.Unstructured) string {
	if list := obj.GetFinalizers(); len(list) > 0 {
		return ", and waits for " + strings.Join(list[:min(len(list), maxNamed)], ", ")
	}
	return ""
}

// evaluateExpressions evaluates an object with the healthCheckExprs of the Kustomization.
func evaluateExpressions(
	ctx context.Context, label string, obj *unstructured.Unstructured, expressions *flux.Evaluator,
) (objectHealth, error) {
	result, err := expressions.Evaluate(ctx, obj)
	switch {
	case ctx.Err() != nil:
		return objectHealth{}, ctx.Err()
	case err != nil:
		return objectHealth{v1alpha1.HealthUnknown, label + ": " + err.Error()}, nil //nolint:nilerr // the error is the result
	case result == status.CurrentStatus:
		return objectHealth{state: v1alpha1.HealthHealthy}, nil
	case result == status.FailedStatus:
		return objectHealth{v1alpha1.HealthUnhealthy, label + " has failed, by the healthCheckExprs of the Kustomization" +
			readyMessage(obj)}, nil
	}
	return objectHealth{v1alpha1.HealthPending, label + " is in progress, by the healthCheckExprs of the Kustomization" +
		readyMessage(obj)}, nil
}

// AggregationLabel on a ClusterRole grants its rules to the controller, for reading the health of objects.
const AggregationLabel = "rbac.kuberik.com/aggregate-to-health-reader"

// evaluateStatus evaluates an object with kstatus, as Flux does.
func evaluateStatus(label string, obj *unstructured.Unstructured) objectHealth {
	result, err := status.Compute(obj)
	if err != nil {
		return objectHealth{v1alpha1.HealthUnknown, label + ": " + err.Error()}
	}
	switch result.Status {
	case status.CurrentStatus:
		return objectHealth{state: v1alpha1.HealthHealthy}
	case status.FailedStatus:
		if stalled := condition(obj, "Stalled"); stalled != nil && stalled["status"] == "True" {
			return objectHealth{v1alpha1.HealthUnhealthy, label + " is stalled: " + result.Message}
		}
		return objectHealth{v1alpha1.HealthUnhealthy, label + ": " + result.Message}
	}
	return objectHealth{v1alpha1.HealthPending, label + ": " + result.Message}
}

// readyMessage returns the message of the condition Ready of an object; empty if there is none.
func readyMessage(obj *unstructured.Unstructured) string {
	if message, ok := condition(obj, "Ready")["message"].(string); ok && message != "" {
		return ": " + message
	}
	return ""
}

func condition(obj *unstructured.Unstructured, kind string) map[string]any {
	list, _, err := unstructured.NestedSlice(obj.Object, "status", "conditions")
	if err != nil {
		return nil
	}
	for _, c := range list {
		if c, ok := c.(map[string]any); ok && c["type"] == kind {
			return c
		}
	}
	return nil
}
