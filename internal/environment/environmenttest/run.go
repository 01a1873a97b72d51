package environmenttest

import (
	"cmp"
	"errors"
	"fmt"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
)

const (
	app        = "shop"
	staging    = "staging"
	production = "production"
	self       = "kuberik"
	mallory    = "mallory"
)

// Run checks that a backend fulfils the contract.
func Run(t *testing.T, h Harness) {
	t.Helper()
	h.Text = cmp.Or(h.Text, 100)
	h.Interval = cmp.Or(h.Interval, time.Minute)
	for name, check := range map[string]func(*testing.T, *contract){
		"no deployments": noDeployments, "round trip": roundTrip, "idempotence": idempotence,
		"every state": everyState, "progress": progress, "retry": retry,
		"quarantine": quarantine, "interrupted write": interruptedWrite, "lost response": lostResponse,
		"rejected deployment": rejectedDeployment, "no revision": noRevision, "no key": noKey,
		"recreated Rollout": recreatedRollout, "separation": separation, "order": order,
		"relations": relations, "time of snapshots": timeOfSnapshots, "unreachable": unreachable,
		"untrusted deployment": untrustedDeployment, "untrusted key": untrustedKey,
		"untrusted quarantine": untrustedQuarantine, "trusted logins": trustedLogins, "long texts": longTexts,
		"concurrency": concurrency, "cancelled context": cancelledContext,
	} {
		t.Run(name, func(t *testing.T) {
			check(t, &contract{Service: h.Open(t), Harness: h})
		})
	}
}

// contract is a Service and its Harness.
type contract struct {
	Service
	Harness
}

// deployment returns a deployment that every backend accepts. A higher ID is newer.
func (c *contract) deployment(id int64, state v1alpha1.BakeStatus) environment.Deployment {
	revision := fmt.Sprintf("%040x", id)
	version := fmt.Sprintf("1.%d.0", id)
	created := metav1.NewTime(time.Date(2026, 1, 1, 0, int(id), 0, 0, time.UTC))
	d := environment.Deployment{
		Key: fmt.Sprintf("uid-1/%d", id), ID: id, Message: fmt.Sprintf("Deployed number %d", id), State: state,
		At: c.Now().Add(time.Duration(id-100) * time.Minute),
		Version: v1alpha1.VersionInfo{
			Tag: "v" + version, Digest: fmt.Sprintf("sha256:%064x", id), Version: &version, Revision: &revision,
			Created: &created,
		},
	}
	if state == v1alpha1.BakeSucceeded {
		d.AvailableSince = d.At.Add(30 * time.Second)
	}
	return d
}

// state returns the state of an environment.
func state(name string, deployments ...environment.Deployment) environment.State {
	return environment.State{Application: app, Environment: name, Deployments: deployments}
}

func publish(t *testing.T, b environment.Backend, s environment.State) {
	t.Helper()
	if err := b.Publish(t.Context(), s); err != nil {
		t.Fatalf("publish %s: %v", s.Environment, err)
	}
}

// read advances the clock by the interval, and reads.
func (c *contract) read(t *testing.T, b environment.Backend) environment.Snapshot {
	t.Helper()
	c.Step(c.Interval)
	snapshot, err := b.Read(t.Context(), app)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return snapshot
}

// expect compares what a backend reads with the expected states.
func (c *contract) expect(t *testing.T, b environment.Backend, want ...environment.State) {
	t.Helper()
	got := c.read(t, b)
	if diff := gocmp.Diff(want, got.Environments, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("unexpected snapshot (-want +got):\n%s", diff)
	}
}

// only returns the one deployment of an environment.
func (c *contract) only(t *testing.T, b environment.Backend, name string) environment.Deployment {
	t.Helper()
	snapshot := c.read(t, b)
	s, ok := snapshot.Find(name)
	if !ok || len(s.Deployments) != 1 {
		t.Fatalf("want one deployment of %s, got %+v", name, snapshot)
	}
	return s.Deployments[0]
}

// rejections returns the IDs of the deployments that an error of Publish names, and whether it contains other errors.
func rejections(err error) (ids []int64, others bool) {
	if err == nil {
		return nil, false
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			more, other := rejections(e)
			ids, others = append(ids, more...), others || other
		}
		return ids, others
	}
	var rejected *environment.DeploymentError
	if errors.As(err, &rejected) {
		return []int64{rejected.ID}, false
	}
	return nil, true
}
