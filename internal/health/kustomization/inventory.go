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
	// Reads is how many objects of the inventories of one namespace are in memory at the same time, whatever number of checks read them.
	Reads     = 8
	mostNamed = 3
	// mostObjects is how many objects of one inventory are judged.
	mostObjects = 5000
)

// finding is what one object of the inventory amounts to.
type finding struct {
	state   v1alpha1.HealthState
	message string
}

// inventory judges every object that Flux applied. The worst of them decides.
func (c Checker) inventory(ctx context.Context, k *flux.KustomizationState, expressions *flux.Evaluator) (health.Report, error) {
	findings, err := c.findAll(ctx, k, k.Inventory, expressions)
	if err != nil {
		return health.Report{}, err
	}
	for _, state := range []v1alpha1.HealthState{v1alpha1.HealthUnhealthy, v1alpha1.HealthUnknown, v1alpha1.HealthPending} {
		if message := name(findings, state); message != "" {
			if state == v1alpha1.HealthUnknown {
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

// fine is the finding of an object that holds nothing up.
var fine = finding{state: v1alpha1.HealthHealthy}

// leftOut reports whether objects of a kind are not judged. A Secret has no state, and is not read. An object of ours is about releases:
// it may be the one that waits for this very check.
func leftOut(o flux.Object) bool {
	return o.Group == "" && o.Kind == "Secret" || o.Group == v1alpha1.GroupVersion.Group || strings.HasSuffix(o.Group, "."+v1alpha1.GroupVersion.Group)
}

// find judges one object.
func (c Checker) find(ctx context.Context, k *flux.KustomizationState, o flux.Object, expressions *flux.Evaluator) (finding, error) {
	if leftOut(o) {
		return fine, nil
	}
	done, err := c.Reads.Take(ctx, k.Namespace)
	if err != nil {
		return finding{}, err
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
		return unjudged(k, o, large), nil
	case err == nil || apierrors.IsNotFound(err):
		return absent(k, o, err == nil), nil
	case apierrors.IsForbidden(err):
		return finding{v1alpha1.HealthUnknown, label + " cannot be read: grant get on its kind in a ClusterRole labelled " + AggregationLabel + ": \"true\""}, nil
	case apimeta.IsNoMatchError(err):
		return finding{v1alpha1.HealthUnknown, label + ": its kind is not installed"}, nil
	}
	return finding{}, fmt.Errorf("reading %s: %w", label, err)
}

// unjudged is the finding of an object that is too large to be read. Elsewhere it may be one of another Kustomization.
func unjudged(k *flux.KustomizationState, o flux.Object, why error) finding {
	if o.Namespace != k.Namespace {
		return absent(k, o, true)
	}
	return finding{v1alpha1.HealthUnknown, o.String() + " cannot be judged: " + why.Error()}
}

// absent judges an object that does not exist, or that Flux has not applied for this Kustomization. Outside the namespace of the
// Kustomization both look the same, since whoever writes an inventory could otherwise find out what exists elsewhere.
func absent(k *flux.KustomizationState, o flux.Object, exists bool) finding {
	label := o.String()
	switch {
	case o.Group == "batch" && o.Kind == "Job" && (!exists || o.Namespace != k.Namespace):
		return fine // it has finished, and its ttlSecondsAfterFinished has passed: Flux accepts that too
	case o.Namespace != k.Namespace:
		return finding{v1alpha1.HealthUnknown, label + " does not exist, or lacks the labels by which Flux marks the objects of Kustomization " + k.Name}
	case exists && !flux.IsWorkload(o.GroupKind()):
		return fine // Flux has found it and left it as it is, as kustomize.toolkit.fluxcd.io/ssa: IfNotPresent in its manifest asks
	case exists:
		return finding{v1alpha1.HealthUnknown, label + " lacks the labels by which Flux marks the objects of Kustomization " + k.Name +
			": flux reconcile kustomization " + k.Name + " --namespace " + k.Namespace}
	}
	return finding{v1alpha1.HealthUnhealthy, label + " does not exist"}
}

// present judges an object that Flux has applied.
func present(ctx context.Context, label string, o flux.Object, obj *unstructured.Unstructured, expressions *flux.Evaluator) (finding, error) {
	switch skipped := flux.SkipMarker(obj); {
	case skipped != "" && flux.IsWorkload(o.GroupKind()):
		return finding{v1alpha1.HealthPending, label + " is left as it is by Flux and does not get the version: remove " + skipped}, nil
	case skipped != "":
		return fine, nil // Flux does not wait for it either
	case obj.GetDeletionTimestamp() != nil:
		return finding{v1alpha1.HealthPending, label + " is being deleted" + finalizers(obj)}, nil
	case expressions.Handles(o.GroupKind()):
		return express(ctx, label, obj, expressions)
	}
	return judge(label, obj), nil
}

// finalizers says what a deletion waits for.
func finalizers(obj *unstructured.Unstructured) string {
	if list := obj.GetFinalizers(); len(list) > 0 {
		return ", and waits for " + strings.Join(list[:min(len(list), mostNamed)], ", ")
	}
	return ""
}

// express goes by the expressions that the Kustomization has for the kind of the object.
func express(ctx context.Context, label string, obj *unstructured.Unstructured, expressions *flux.Evaluator) (finding, error) {
	result, err := expressions.Evaluate(ctx, obj)
	switch {
	case ctx.Err() != nil:
		return finding{}, ctx.Err()
	case err != nil:
		return finding{v1alpha1.HealthUnknown, label + ": " + err.Error()}, nil //nolint:nilerr // no verdict is the finding
	case result == status.CurrentStatus:
		return finding{state: v1alpha1.HealthHealthy}, nil
	case result == status.FailedStatus:
		return finding{v1alpha1.HealthUnhealthy, label + " has failed, by the healthCheckExprs of the Kustomization" + said(obj)}, nil
	}
	return finding{v1alpha1.HealthPending, label + " is in progress, by the healthCheckExprs of the Kustomization" + said(obj)}, nil
}

// AggregationLabel on a ClusterRole adds its rules to what the controller may read to judge health.
const AggregationLabel = "rbac.kuberik.com/aggregate-to-health-reader"

// judge applies kstatus, the convention that Flux itself goes by.
func judge(label string, obj *unstructured.Unstructured) finding {
	result, err := status.Compute(obj)
	if err != nil {
		return finding{v1alpha1.HealthUnknown, label + ": " + err.Error()}
	}
	switch result.Status {
	case status.CurrentStatus:
		return finding{state: v1alpha1.HealthHealthy}
	case status.FailedStatus:
		if stalled := condition(obj, "Stalled"); stalled != nil && stalled["status"] == "True" {
			return finding{v1alpha1.HealthUnhealthy, label + " is stalled: " + result.Message}
		}
		return finding{v1alpha1.HealthUnhealthy, label + ": " + result.Message}
	}
	return finding{v1alpha1.HealthPending, label + ": " + result.Message}
}

// said is the message of the condition Ready of an object, if it has one.
func said(obj *unstructured.Unstructured) string {
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
