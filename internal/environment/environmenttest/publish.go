package environmenttest

import (
	"fmt"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
)

func nothing(t *testing.T, w *world) {
	t.Helper()
	b := w.Backend(t, us)
	publish(t, b, state(staging))
	if n := w.Writes(); n != 0 {
		t.Errorf("a state without deployments was %d writes", n)
	}
	if snapshot := w.read(t, b); snapshot.At.IsZero() || len(snapshot.Environments) > 1 {
		t.Errorf("an empty place tells %+v", snapshot)
	}
}

func roundTrip(t *testing.T, w *world) {
	t.Helper()
	s := state(production, w.deployment(2, v1alpha1.BakeInProgress), w.deployment(1, v1alpha1.BakeSucceeded))
	s.After, s.Parallel, s.URL = []string{staging, "qa"}, true, "https://kuberik.example.com/shop"
	s.Deployments[0].StateMessage = "2 of 3 checks passed: waiting"
	s.Deployments[1].StateMessage = "all well"
	publish(t, w.Backend(t, us), s)
	w.tells(t, w.Backend(t, us), s)
}

func idempotence(t *testing.T, w *world) {
	t.Helper()
	b := w.Backend(t, us)
	s := state(staging, w.deployment(2, v1alpha1.BakeFailed), w.deployment(1, v1alpha1.BakeSucceeded))
	publish(t, b, s)
	before := w.Writes()
	publish(t, b, s)
	publish(t, w.Backend(t, us), s)
	w.Step(2 * time.Hour)
	publish(t, b, s)
	w.tells(t, b, s)
	publish(t, b, s)
	if n := w.Writes() - before; n != 0 {
		t.Errorf("the same state again was %d writes", n)
	}
	// What is no longer named stays.
	publish(t, b, state(staging, s.Deployments[0]))
	w.tells(t, b, s)
}

func everyState(t *testing.T, w *world) {
	t.Helper()
	b := w.Backend(t, us)
	var all []environment.Deployment
	for i, s := range []v1alpha1.BakeStatus{
		v1alpha1.BakeDeploying, v1alpha1.BakeInProgress, v1alpha1.BakeSucceeded, v1alpha1.BakeFailed, v1alpha1.BakeCancelled,
	} {
		plain, explained := w.deployment(int64(2*i+1), s), w.deployment(int64(2*i+2), s)
		explained.StateMessage = "because: of something"
		all = append([]environment.Deployment{explained, plain}, all...)
	}
	publish(t, b, state(staging, all...))
	w.tells(t, w.Backend(t, us), state(staging, all...))
}

func progress(t *testing.T, w *world) {
	t.Helper()
	b, other := w.Backend(t, us), w.Backend(t, us)
	for i, s := range []v1alpha1.BakeStatus{v1alpha1.BakeDeploying, v1alpha1.BakeInProgress, v1alpha1.BakeSucceeded} {
		d := w.deployment(1, s)
		d.At = d.At.Truncate(time.Hour)
		d.StateMessage = fmt.Sprintf("step %d", i)
		publish(t, b, state(staging, d))
		w.tells(t, other, state(staging, d))
		w.tells(t, b, state(staging, d))
	}
	if n := w.Deployments("uid-1/1"); n != 1 {
		t.Errorf("there are %d deployments of it", n)
	}
}

// retryIsChange: the states of the second attempt are exactly those of the first.
func retryIsChange(t *testing.T, w *world) {
	t.Helper()
	b, other := w.Backend(t, us), w.Backend(t, us)
	d := w.deployment(1, v1alpha1.BakeDeploying)
	for attempt := range 3 {
		for _, s := range []v1alpha1.BakeStatus{v1alpha1.BakeDeploying, v1alpha1.BakeFailed} {
			d.State = s
			publish(t, b, state(staging, d))
			w.tells(t, other, state(staging, d))
		}
		d.Attempt = d.At.Add(time.Duration(attempt+1) * time.Hour)
	}
	// Failed, run again, and failed before anybody could say so.
	before := w.Writes()
	publish(t, b, state(staging, d))
	if w.Writes() == before {
		t.Error("the same state after a retry was not published")
	}
	w.tells(t, other, state(staging, d))
}

func quarantine(t *testing.T, w *world) {
	t.Helper()
	b, other := w.Backend(t, us), w.Backend(t, us)
	for _, s := range []v1alpha1.BakeStatus{v1alpha1.BakeSucceeded, v1alpha1.BakeFailed} {
		d := w.deployment(1, s)
		d.At = d.At.Truncate(24 * time.Hour)
		publish(t, b, state(staging, d))
		w.tells(t, other, state(staging, d))
		d.Quarantine = "loses orders: see the incident"
		publish(t, b, state(staging, d))
		w.tells(t, other, state(staging, d))
		d.Quarantine = "" // lifted
		publish(t, b, state(staging, d))
		w.tells(t, other, state(staging, d))
	}
}

func interrupted(t *testing.T, w *world) {
	t.Helper()
	accidents(t, w, false)
}

func answerLost(t *testing.T, w *world) {
	t.Helper()
	accidents(t, w, true)
}

// accidents publishes with an accident at each write in turn, once by the same backend and once by one that knows nothing of it.
func accidents(t *testing.T, w *world, after bool) {
	t.Helper()
	for write := range 5 {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("at %d, restart %t", write, restart), func(t *testing.T) {
				t.Helper()
				accident(t, &world{Place: w.Open(t), Harness: w.Harness}, Fault{Write: write, After: after}, restart)
			})
		}
	}
}

func accident(t *testing.T, w *world, f Fault, restart bool) {
	t.Helper()
	b := w.Backend(t, us)
	s := state(staging, w.deployment(2, v1alpha1.BakeInProgress), w.deployment(1, v1alpha1.BakeSucceeded))
	w.Break(f)
	for range 3 {
		if b.Publish(t.Context(), s) == nil {
			break
		}
		w.Step(w.Interval)
		if restart {
			b = w.Backend(t, us)
		}
	}
	before := w.Writes()
	publish(t, b, s)
	if n := w.Writes() - before; n != 0 {
		t.Errorf("%d writes too many", n)
	}
	for _, d := range s.Deployments {
		if n := w.Deployments(d.Key); n != 1 {
			t.Errorf("there are %d deployments of %s", n, d.Key)
		}
	}
	w.tells(t, w.Backend(t, us), s)
}

func poison(t *testing.T, w *world) {
	t.Helper()
	b := w.Backend(t, us)
	s := state(staging, w.deployment(3, v1alpha1.BakeInProgress), w.deployment(2, v1alpha1.BakeFailed), w.deployment(1, v1alpha1.BakeSucceeded))
	w.Reject(*s.Deployments[1].Version.Revision)
	for range 2 {
		if ids, rest := refusals(b.Publish(t.Context(), s)); !gocmp.Equal(ids, []int64{2}) || rest {
			t.Errorf("refused were %v, and something else: %t; want 2 alone", ids, rest)
		}
	}
	w.tells(t, w.Backend(t, us), state(staging, s.Deployments[0], s.Deployments[2]))
}

// noRevision: whether a backend needs a revision is its own affair, but it has to say so for that deployment alone.
func noRevision(t *testing.T, w *world) {
	t.Helper()
	b := w.Backend(t, us)
	s := state(staging, w.deployment(2, v1alpha1.BakeInProgress), w.deployment(1, v1alpha1.BakeSucceeded))
	s.Deployments[0].Version.Revision = nil
	ids, rest := refusals(b.Publish(t.Context(), s))
	if rest || len(ids) > 1 || len(ids) == 1 && ids[0] != 2 {
		t.Errorf("refused were %v, and something else: %t", ids, rest)
	}
	w.tells(t, b, state(staging, s.Deployments[len(ids):]...))
}

func noKey(t *testing.T, w *world) {
	t.Helper()
	b := w.Backend(t, us)
	s := state(staging, w.deployment(2, v1alpha1.BakeInProgress), w.deployment(1, v1alpha1.BakeSucceeded))
	s.Deployments[0].Key = ""
	if ids, rest := refusals(b.Publish(t.Context(), s)); !gocmp.Equal(ids, []int64{2}) || rest {
		t.Errorf("refused were %v, and something else: %t; want 2 alone", ids, rest)
	}
	w.tells(t, b, state(staging, s.Deployments[1]))
}

// madeAnew: a Rollout that was deleted and made again counts from one again.
func madeAnew(t *testing.T, w *world) {
	t.Helper()
	old := w.deployment(1, v1alpha1.BakeSucceeded)
	publish(t, w.Backend(t, us), state(staging, old))
	w.Step(time.Hour)
	b := w.Backend(t, us)
	anew := w.deployment(1, v1alpha1.BakeDeploying)
	anew.Key = "uid-2/1"
	publish(t, b, state(staging, anew))
	w.tells(t, b, state(staging, anew, old))
	anew.State = v1alpha1.BakeFailed
	publish(t, b, state(staging, anew))
	w.tells(t, w.Backend(t, us), state(staging, anew, old))
}
