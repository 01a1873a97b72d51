package environment

import (
	"errors"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/version"
)

// observation is what one reconcile knows about an Environment.
type observation struct {
	environment *environments.Environment
	rollout     v1alpha1.Rollout
	now         time.Time
	upstreams   []environment.Upstream
	// interval between two reads of an outside backend.
	interval time.Duration
	own      environment.State
	snapshot environment.Snapshot

	// problem is what somebody has to change, and reason its reason: the Environment is stalled.
	reason  string
	problem error
	// failure is an error that is retried.
	failure error
	// waitUntil is when the backend may be called again.
	waitUntil time.Time
	// rejected are the errors of the deployments that cannot be published.
	rejected []error
	// nextChange is the earliest time at which a verdict may change by itself.
	nextChange time.Time
}

// parseSpec reads the interval and the upstream environments. An error names the field that is not valid.
func (o *observation) parseSpec(spec environments.EnvironmentSpec) (err error) {
	if o.interval, err = environment.Interval(spec); err != nil && hasOutsideBackend(o.environment) {
		return err
	}
	o.upstreams, err = environment.Upstreams(spec)
	return err
}

// setProblem sets the problem, unless there is one.
func (o *observation) setProblem(reason string, problem error) {
	if o.reason == "" {
		o.reason, o.problem = reason, problem
	}
}

// setCycle sets the problem of environments that depend on each other.
func (o *observation) setCycle(path []string) {
	o.setProblem(environment.ReasonCycle, fmt.Errorf("the environments wait for each other: %s; "+
		"remove one of these from spec.dependsOn or spec.relationship", strings.Join(path, " after ")))
}

// addPublishError adds the error of Publish. The errors of single deployments are not a failure of the backend.
func (o *observation) addPublishError(err error) {
	if err == nil {
		return
	}
	var others []error
	for _, e := range flatten(err) {
		var rejected *environment.DeploymentError
		if errors.As(e, &rejected) {
			o.rejected = append(o.rejected, fmt.Errorf("deployment %d: %w", rejected.ID, rejected.Err))
			continue
		}
		others = append(others, e)
	}
	o.addBackendError(errors.Join(others...))
}

func flatten(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, flatten(e)...)
		}
		return all
	}
	return []error{err}
}

// addBackendError adds an error of the backend. A pause takes precedence over a failure.
func (o *observation) addBackendError(err error) {
	var refused *environment.RefusedError
	var wait *environment.WaitError
	switch {
	case err == nil:
	case errors.As(err, &refused):
		o.setProblem(environments.ReasonBackendRefuses, err)
	case errors.As(err, &wait):
		if wait.Until.After(o.waitUntil) {
			o.waitUntil, o.failure = wait.Until, nil
		}
	case o.failure == nil && o.waitUntil.IsZero():
		o.failure = err
	}
}

// maxAge returns how old a snapshot may be to promote a release; 0 is no limit, since the cluster is always current.
func (o *observation) maxAge() time.Duration {
	if !hasOutsideBackend(o.environment) {
		return 0
	}
	return max(minMaxAge, maxAgeIntervals*o.interval)
}

// requeueAfter returns when to reconcile again; 0 if an event of a watch will trigger it.
func (o *observation) requeueAfter() time.Duration {
	var wait time.Duration
	sooner := func(d time.Duration) {
		if d = max(d, time.Millisecond); wait == 0 || d < wait {
			wait = d
		}
	}
	if hasOutsideBackend(o.environment) {
		sooner(max(o.interval, o.waitUntil.Sub(o.now)))
	} else if !o.waitUntil.IsZero() {
		sooner(o.waitUntil.Sub(o.now))
	}
	if o.reason == reasonGateTaken { // the gates of other owners are not watched
		sooner(takenInterval)
	}
	if o.nextChange.After(o.now) {
		sooner(o.nextChange.Sub(o.now))
	}
	return wait
}

// evaluation returns the input of the verdicts.
func (o *observation) evaluation() environment.Evaluation {
	return environment.Evaluation{
		Rollout: &o.rollout, Upstreams: o.upstreams, Snapshot: o.snapshot, MaxAge: o.maxAge(), Now: o.now,
		Reason: o.reason, Problem: o.problem, Failure: o.failure,
	}
}

// readyCondition returns the condition Ready.
func (o *observation) readyCondition() metav1.Condition {
	ready := metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: environments.ReasonSynced,
		ObservedGeneration: o.environment.Generation,
	}
	switch {
	case o.problem != nil:
		ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, o.reason, o.problem.Error()
	case o.failure != nil:
		ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, environments.ReasonBackendFails, o.failure.Error()
	case !o.waitUntil.IsZero():
		ready.Status, ready.Reason = metav1.ConditionFalse, environments.ReasonBackendWaits
		ready.Message = "the backend is not called until " + o.waitUntil.UTC().Format(time.RFC3339) +
			": its rate limit, or the share of it that Kuberik uses, is reached"
	case len(o.rejected) > 0:
		ready.Status, ready.Reason = metav1.ConditionFalse, environments.ReasonDeploymentRefused
		ready.Message = errors.Join(o.rejected...).Error()
	default:
		ready.Message = o.summary()
		if n := o.snapshot.Untrusted; n > 0 {
			ready.Message += fmt.Sprintf("; deployments by untrusted logins, which do not count: %d", n)
		}
	}
	ready.Message = version.Clean(ready.Message, 1024)
	return ready
}

// summary describes the upstream environments.
func (o *observation) summary() string {
	if len(o.upstreams) == 0 {
		return "takes every release: it comes after no other environment"
	}
	var names []string
	for _, u := range o.upstreams {
		names = append(names, u.Environment)
	}
	return "takes releases after " + strings.Join(names, " and ")
}
