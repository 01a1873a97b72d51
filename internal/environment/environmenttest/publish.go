package environmenttest

import (
	"fmt"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
)

func noDeployments(t *testing.T, c *contract) {
	t.Helper()
	b := c.Backend(t, self)
	publish(t, b, state(staging))
	if n := c.Writes(); n != 0 {
		t.Errorf("a state without deployments made %d writes", n)
	}
	if snapshot := c.read(t, b); snapshot.At.IsZero() || len(snapshot.Environments) > 1 {
		t.Errorf("an empty service returned %+v", snapshot)
	}
}

func roundTrip(t *testing.T, c *contract) {
	t.Helper()
	s := state(production, c.deployment(2, v1alpha1.BakeInProgress), c.deployment(1, v1alpha1.BakeSucceeded))
	s.After, s.Parallel, s.URL = []string{staging, "qa"}, true, "https://kuberik.example.com/shop"
	s.Deployments[0].StateMessage = "2 of 3 checks passed: waiting"
	s.Deployments[1].StateMessage = "all well"
	publish(t, c.Backend(t, self), s)
	c.expect(t, c.Backend(t, self), s)
}

func idempotence(t *testing.T, c *contract) {
	t.Helper()
	b := c.Backend(t, self)
	s := state(staging, c.deployment(2, v1alpha1.BakeFailed), c.deployment(1, v1alpha1.BakeSucceeded))
	publish(t, b, s)
	before := c.Writes()
	publish(t, b, s)
	publish(t, c.Backend(t, self), s)
	c.Step(2 * time.Hour)
	publish(t, b, s)
	c.expect(t, b, s)
	publish(t, b, s)
	if n := c.Writes() - before; n != 0 {
		t.Errorf("the same state made %d writes", n)
	}
	// Deployments that the state no longer contains stay.
	publish(t, b, state(staging, s.Deployments[0]))
	c.expect(t, b, s)
}

func everyState(t *testing.T, c *contract) {
	t.Helper()
	b := c.Backend(t, self)
	var all []environment.Deployment
	for i, s := range []v1alpha1.BakeStatus{
		v1alpha1.BakeDeploying, v1alpha1.BakeInProgress, v1alpha1.BakeSucceeded, v1alpha1.BakeFailed, v1alpha1.BakeCancelled,
	} {
		plain, explained := c.deployment(int64(2*i+1), s), c.deployment(int64(2*i+2), s)
		explained.StateMessage = "because: of something"
		all = append([]environment.Deployment{explained, plain}, all...)
	}
	publish(t, b, state(staging, all...))
	c.expect(t, c.Backend(t, self), state(staging, all...))
}

func progress(t *testing.T, c *contract) {
	t.Helper()
	b, other := c.Backend(t, self), c.Backend(t, self)
	for i, s := range []v1alpha1.BakeStatus{v1alpha1.BakeDeploying, v1alpha1.BakeInProgress, v1alpha1.BakeSucceeded} {
		d := c.deployment(1, s)
		d.At = d.At.Truncate(time.Hour)
		d.StateMessage = fmt.Sprintf("step %d", i)
		publish(t, b, state(staging, d))
		c.expect(t, other, state(staging, d))
		c.expect(t, b, state(staging, d))
	}
	if n := c.Deployments("uid-1/1"); n != 1 {
		t.Errorf("there are %d deployments of it", n)
	}
}

// retry: the states of the second attempt are those of the first.
func retry(t *testing.T, c *contract) {
	t.Helper()
	b, other := c.Backend(t, self), c.Backend(t, self)
	d := c.deployment(1, v1alpha1.BakeDeploying)
	for attempt := range 3 {
		for _, s := range []v1alpha1.BakeStatus{v1alpha1.BakeDeploying, v1alpha1.BakeFailed} {
			d.State = s
			publish(t, b, state(staging, d))
			c.expect(t, other, state(staging, d))
		}
		d.Attempt = d.At.Add(time.Duration(attempt+1) * time.Hour)
	}
	// The deployment was retried and failed before its state was published.
	before := c.Writes()
	publish(t, b, state(staging, d))
	if c.Writes() == before {
		t.Error("the same state after a retry was not published")
	}
	c.expect(t, other, state(staging, d))
}

func quarantine(t *testing.T, c *contract) {
	t.Helper()
	b, other := c.Backend(t, self), c.Backend(t, self)
	for _, s := range []v1alpha1.BakeStatus{v1alpha1.BakeSucceeded, v1alpha1.BakeFailed} {
		d := c.deployment(1, s)
		d.At = d.At.Truncate(24 * time.Hour)
		publish(t, b, state(staging, d))
		c.expect(t, other, state(staging, d))
		d.Quarantine = "loses orders: see the incident"
		publish(t, b, state(staging, d))
		c.expect(t, other, state(staging, d))
		d.Quarantine = "" // lifted
		publish(t, b, state(staging, d))
		c.expect(t, other, state(staging, d))
	}
}

func interruptedWrite(t *testing.T, c *contract) {
	t.Helper()
	interruptions(t, c, false)
}

func lostResponse(t *testing.T, c *contract) {
	t.Helper()
	interruptions(t, c, true)
}

// interruptions publishes with a fault at each write in turn, continued by the same backend or by one without its
// state.
func interruptions(t *testing.T, c *contract, after bool) {
	t.Helper()
	for write := range 5 {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("at %d, restart %t", write, restart), func(t *testing.T) {
				t.Helper()
				interruption(t, &contract{Service: c.Open(t), Harness: c.Harness}, Fault{Write: write, After: after}, restart)
			})
		}
	}
}

func interruption(t *testing.T, c *contract, f Fault, restart bool) {
	t.Helper()
	b := c.Backend(t, self)
	s := state(staging, c.deployment(2, v1alpha1.BakeInProgress), c.deployment(1, v1alpha1.BakeSucceeded))
	c.Break(f)
	for range 3 {
		if b.Publish(t.Context(), s) == nil {
			break
		}
		c.Step(c.Interval)
		if restart {
			b = c.Backend(t, self)
		}
	}
	before := c.Writes()
	publish(t, b, s)
	if n := c.Writes() - before; n != 0 {
		t.Errorf("%d unnecessary writes", n)
	}
	for _, d := range s.Deployments {
		if n := c.Deployments(d.Key); n != 1 {
			t.Errorf("there are %d deployments of %s", n, d.Key)
		}
	}
	c.expect(t, c.Backend(t, self), s)
}

func rejectedDeployment(t *testing.T, c *contract) {
	t.Helper()
	b := c.Backend(t, self)
	s := state(
		staging, c.deployment(3, v1alpha1.BakeInProgress), c.deployment(2, v1alpha1.BakeFailed),
		c.deployment(1, v1alpha1.BakeSucceeded),
	)
	c.Reject(*s.Deployments[1].Version.Revision)
	for range 2 {
		if ids, others := rejections(b.Publish(t.Context(), s)); !gocmp.Equal(ids, []int64{2}) || others {
			t.Errorf("rejected %v, other errors: %t; want only 2", ids, others)
		}
	}
	c.expect(t, c.Backend(t, self), state(staging, s.Deployments[0], s.Deployments[2]))
}

// noRevision: a backend may reject a deployment without a revision, but no other one.
func noRevision(t *testing.T, c *contract) {
	t.Helper()
	b := c.Backend(t, self)
	s := state(staging, c.deployment(2, v1alpha1.BakeInProgress), c.deployment(1, v1alpha1.BakeSucceeded))
	s.Deployments[0].Version.Revision = nil
	ids, others := rejections(b.Publish(t.Context(), s))
	if others || len(ids) > 1 || len(ids) == 1 && ids[0] != 2 {
		t.Errorf("rejected %v, other errors: %t", ids, others)
	}
	c.expect(t, b, state(staging, s.Deployments[len(ids):]...))
}

func noKey(t *testing.T, c *contract) {
	t.Helper()
	b := c.Backend(t, self)
	s := state(staging, c.deployment(2, v1alpha1.BakeInProgress), c.deployment(1, v1alpha1.BakeSucceeded))
	s.Deployments[0].Key = ""
	if ids, others := rejections(b.Publish(t.Context(), s)); !gocmp.Equal(ids, []int64{2}) || others {
		t.Errorf("rejected %v, other errors: %t; want only 2", ids, others)
	}
	c.expect(t, b, state(staging, s.Deployments[1]))
}

// recreatedRollout: the IDs of a Rollout that was deleted and created again begin at 1 again.
func recreatedRollout(t *testing.T, c *contract) {
	t.Helper()
	old := c.deployment(1, v1alpha1.BakeSucceeded)
	publish(t, c.Backend(t, self), state(staging, old))
	c.Step(time.Hour)
	b := c.Backend(t, self)
	recreated := c.deployment(1, v1alpha1.BakeDeploying)
	recreated.Key = "uid-2/1"
	publish(t, b, state(staging, recreated))
	c.expect(t, b, state(staging, recreated, old))
	recreated.State = v1alpha1.BakeFailed
	publish(t, b, state(staging, recreated))
	c.expect(t, c.Backend(t, self), state(staging, recreated, old))
}
