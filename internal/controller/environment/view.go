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

// view is how an Environment stands.
type view struct {
	environment *environments.Environment
	rollout     v1alpha1.Rollout
	now         time.Time
	upstreams   []environment.Upstream
	// interval after which an outside backend is asked again.
	interval time.Duration
	own      environment.State
	snapshot environment.Snapshot

	// reason and problem say what somebody has to change; the Environment is stalled.
	reason  string
	problem error
	// failure is to be tried again.
	failure error
	// until the backend wants to be left alone.
	until time.Time
	// refused are deployments that cannot be published.
	refused []error
	// again is when the first verdict may change by itself.
	again time.Time
}

// read understands a spec, or says what cannot be understood.
func (v *view) read(spec environments.EnvironmentSpec) (err error) {
	if v.interval, err = environment.Interval(spec); err != nil && outside(v.environment) {
		return fmt.Errorf("spec.requeueInterval: %w", err)
	}
	v.upstreams, err = environment.Upstreams(spec)
	return err
}

// wrong notes what somebody has to change.
func (v *view) wrong(reason string, problem error) {
	if v.reason == "" {
		v.reason, v.problem = reason, problem
	}
}

// cycle notes environments that wait for each other.
func (v *view) cycle(path []string) {
	v.wrong(environment.ReasonCycle, fmt.Errorf("the environments wait for each other: %s; remove one of these from spec.dependsOn or spec.relationship", strings.Join(path, " after ")))
}

// published notes what came of publishing. What one deployment cannot be published for is no failure of the rest.
func (v *view) published(err error) {
	if err == nil {
		return
	}
	var rest []error
	for _, e := range flatten(err) {
		var one *environment.DeploymentError
		if errors.As(e, &one) {
			v.refused = append(v.refused, fmt.Errorf("deployment %d: %w", one.ID, one.Err))
			continue
		}
		rest = append(rest, e)
	}
	v.heard(errors.Join(rest...))
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

// heard notes what a backend answers in place of what it was asked.
func (v *view) heard(err error) {
	var refused *environment.RefusedError
	var wait *environment.WaitError
	switch {
	case err == nil:
	case errors.As(err, &refused):
		v.wrong("BackendRefuses", err)
	case errors.As(err, &wait):
		if wait.Until.After(v.until) {
			v.until, v.failure = wait.Until, nil
		}
	case v.failure == nil && v.until.IsZero():
		v.failure = err
	}
}

// patience is how old a snapshot may be for something to be promoted on it; 0 in this cluster, where none is old.
func (v *view) patience() time.Duration {
	if !outside(v.environment) {
		return 0
	}
	return max(leastPatience, patience*v.interval)
}

// wait is after what time to look again; 0 if something will tell.
func (v *view) wait() time.Duration {
	var wait time.Duration
	sooner := func(d time.Duration) {
		if d = max(d, time.Millisecond); wait == 0 || d < wait {
			wait = d
		}
	}
	if outside(v.environment) {
		sooner(max(v.interval, v.until.Sub(v.now)))
	} else if !v.until.IsZero() {
		sooner(v.until.Sub(v.now))
	}
	if v.reason == reasonTaken { // who has the gate lets go of it without a word to us
		sooner(usualLook)
	}
	if v.again.After(v.now) {
		sooner(v.again.Sub(v.now))
	}
	return wait
}

// standing is what the verdicts follow from.
func (v *view) standing() environment.Standing {
	return environment.Standing{
		Rollout: &v.rollout, Upstreams: v.upstreams, Snapshot: v.snapshot, Patience: v.patience(), Now: v.now, Reason: v.reason, Problem: v.problem, Failure: v.failure,
	}
}

// condition says how it stands, for a person.
func (v *view) condition() metav1.Condition {
	ready := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Synced", ObservedGeneration: v.environment.Generation}
	switch {
	case v.problem != nil:
		ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, v.reason, v.problem.Error()
	case v.failure != nil:
		ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, "BackendFails", v.failure.Error()
	case !v.until.IsZero():
		ready.Status, ready.Reason = metav1.ConditionFalse, "BackendWaits"
		ready.Message = "the backend is not called until " + v.until.UTC().Format(time.RFC3339) + ": its rate limit, or the share of it that Kuberik uses, is reached"
	case len(v.refused) > 0:
		ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, "DeploymentRefused", errors.Join(v.refused...).Error()
	default:
		ready.Message = v.summary()
		if n := v.snapshot.Untrusted; n > 0 {
			ready.Message += fmt.Sprintf("; deployments by untrusted logins, which do not count: %d", n)
		}
	}
	ready.Message = version.Clean(ready.Message, 1024)
	return ready
}

// summary says what comes before the environment.
func (v *view) summary() string {
	if len(v.upstreams) == 0 {
		return "takes every release: it comes after no other environment"
	}
	var names []string
	for _, u := range v.upstreams {
		names = append(names, u.Environment)
	}
	return "takes releases after " + strings.Join(names, " and ")
}
