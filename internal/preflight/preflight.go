package preflight

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/version"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// State is the result of a rule.
type State string

const (
	// OK means that the cluster has what it needs.
	OK State = "ok"
	// Warning means that something works differently than expected.
	Warning State = "warning"
	// Failed means that something does not work.
	Failed State = "failed"
	// Unknown means that the user may not read what the rule is about, or that it is not in this cluster.
	Unknown State = "unknown"
)

// Result is the result of a rule.
type Result struct {
	// ID of the rule, such as KC01.
	ID    string `json:"id"`
	State State  `json:"state"`
	// Message says what was found.
	Message string `json:"message"`
	// Mend says what to do. Empty if nothing is wrong.
	Mend string `json:"mend,omitempty"`
}

// oldest is the oldest minor version of Kubernetes that works.
const oldest = "1.31.0"

// Where the shipped manifests put the controller.
const (
	controllerNamespace = "kuberik-system"
	controllerName      = "kuberik-controller"
)

// Checker checks a cluster.
type Checker struct {
	// Reader reads the cluster with the rights of the user.
	Reader client.Reader
	// ServerVersion is the version of the API server, such as v1.36.2.
	ServerVersion string
	// Version of this program. The version "dev" is not compared.
	Version string
}

// Run checks everything that does not depend on the rights of the user. Other errors than missing rights end it.
func (c Checker) Run(ctx context.Context) ([]Result, error) {
	results := []Result{c.kubernetes()}
	for _, check := range []func(context.Context) (Result, error){c.crds, c.flux, c.policies} {
		result, err := check(ctx)
		if err != nil {
			return nil, err
		}
		results = append(results, result)
	}
	controller, err := c.controller(ctx)
	return append(results, controller...), err
}

// NewResult returns a result. It has the mend of the rule if something is wrong.
func NewResult(id string, state State, format string, args ...any) Result {
	r := Result{ID: id, State: state, Message: fmt.Sprintf(format, args...)}
	for _, rule := range Rules {
		if rule.ID == id && (state == Failed || state == Warning) {
			r.Mend = strings.ReplaceAll(rule.Mend, "`", "")
		}
	}
	return r
}

// unread returns the result of a rule if the user may not read what it is about, or the error.
func unread(id, what string, err error) (Result, error) {
	if apierrors.IsForbidden(err) {
		return NewResult(id, Unknown, "you may not read %s", what), nil
	}
	return Result{}, err
}

func (c Checker) kubernetes() Result {
	running, err := version.ParseGeneric(c.ServerVersion)
	switch {
	case err != nil:
		return NewResult(Kubernetes, Unknown, "the version %q of Kubernetes cannot be compared", c.ServerVersion)
	case running.LessThan(version.MustParseGeneric(oldest)):
		return NewResult(Kubernetes, Failed, "Kubernetes %s is too old: 1.31 is needed", running)
	}
	return NewResult(Kubernetes, OK, "Kubernetes %s (needs 1.31)", running)
}

// controller checks whether the controller runs, and which version.
func (c Checker) controller(ctx context.Context) ([]Result, error) {
	var d appsv1.Deployment
	err := c.Reader.Get(ctx, client.ObjectKey{Namespace: controllerNamespace, Name: controllerName}, &d)
	switch {
	case apierrors.IsNotFound(err):
		return []Result{NewResult(Controller, Unknown, "there is no Deployment %s in %s: the controller runs elsewhere, "+
			"or not at all",
			controllerName, controllerNamespace)}, nil
	case err != nil:
		result, err := unread(Controller, "Deployments in "+controllerNamespace, err)
		return []Result{result}, err
	case d.Status.AvailableReplicas == 0:
		return []Result{NewResult(Controller, Failed, "no pod of Deployment %s in %s is available", controllerName,
			controllerNamespace)}, nil
	}
	results := []Result{NewResult(Controller, OK, "the controller runs: %d of %d pods are available",
		d.Status.AvailableReplicas, d.Status.Replicas)}
	return append(results, c.compare(d)...), nil
}

// compare compares the version of the controller with that of this program, if both are known.
func (c Checker) compare(d appsv1.Deployment) []Result {
	image := ""
	for i := range d.Spec.Template.Spec.Containers {
		if container := &d.Spec.Template.Spec.Containers[i]; container.Name == "controller" {
			image = container.Image
		}
	}
	image, _, _ = strings.Cut(image, "@")
	tag := image[strings.LastIndex(image, "/")+1:]
	_, tag, _ = strings.Cut(tag, ":")
	theirs, err := version.ParseSemantic(tag)
	ours, other := version.ParseSemantic(c.Version)
	switch {
	case err != nil || other != nil:
		return []Result{NewResult(Version, Unknown, "the controller is %q and this program is %q, which cannot be "+
			"compared", tag, c.Version)}
	case theirs.EqualTo(ours):
		return []Result{NewResult(Version, OK, "the controller and this program are %s", ours)}
	}
	return []Result{NewResult(Version, Warning, "the controller is %s and this program is %s", theirs, ours)}
}
