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
	us         = "kuberik"
	mallory    = "mallory"
)

// Run checks that a backend keeps the contract.
func Run(t *testing.T, h Harness) {
	t.Helper()
	h.Text = cmp.Or(h.Text, 100)
	h.Interval = cmp.Or(h.Interval, time.Minute)
	for name, check := range map[string]func(*testing.T, *world){
		"nothing":              nothing,
		"round trip":           roundTrip,
		"idempotence":          idempotence,
		"every state":          everyState,
		"progress":             progress,
		"retry is a change":    retryIsChange,
		"quarantine":           quarantine,
		"interrupted":          interrupted,
		"answer lost":          answerLost,
		"poison":               poison,
		"no revision":          noRevision,
		"no key":               noKey,
		"made anew":            madeAnew,
		"apart":                apart,
		"order":                order,
		"relations":            relations,
		"age of snapshots":     ageOfSnapshots,
		"unreachable":          unreachable,
		"untrusted deployment": untrustedDeployment,
		"untrusted key":        untrustedKey,
		"untrusted quarantine": untrustedQuarantine,
		"trusted logins":       trustedLogins,
		"long texts":           longTexts,
		"many at once":         manyAtOnce,
		"given up":             givenUp,
	} {
		t.Run(name, func(t *testing.T) {
			check(t, &world{Place: h.Open(t), Harness: h})
		})
	}
}

// world is a Place and its harness.
type world struct {
	Place
	Harness
}

// deployment returns one that every backend accepts. The higher its ID, the newer it is.
func (w *world) deployment(id int64, state v1alpha1.BakeStatus) environment.Deployment {
	revision := fmt.Sprintf("%040x", id)
	version := fmt.Sprintf("1.%d.0", id)
	created := metav1.NewTime(time.Date(2026, 1, 1, 0, int(id), 0, 0, time.UTC))
	d := environment.Deployment{
		Key: fmt.Sprintf("uid-1/%d", id), ID: id, Message: fmt.Sprintf("Deployed number %d", id), State: state,
		At: w.Now().Add(time.Duration(id-100) * time.Minute),
		Version: v1alpha1.VersionInfo{
			Tag: "v" + version, Digest: fmt.Sprintf("sha256:%064x", id), Version: &version, Revision: &revision, Created: &created,
		},
	}
	if state == v1alpha1.BakeSucceeded {
		d.AvailableSince = d.At.Add(30 * time.Second)
	}
	return d
}

// state makes the state of an environment.
func state(name string, deployments ...environment.Deployment) environment.State {
	return environment.State{Application: app, Environment: name, Deployments: deployments}
}

func publish(t *testing.T, b environment.Backend, s environment.State) {
	t.Helper()
	if err := b.Publish(t.Context(), s); err != nil {
		t.Fatalf("publish %s: %v", s.Environment, err)
	}
}

// read reads after the time that a backend may take to see what others wrote.
func (w *world) read(t *testing.T, b environment.Backend) environment.Snapshot {
	t.Helper()
	w.Step(w.Interval)
	snapshot, err := b.Read(t.Context(), app)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return snapshot
}

// tells compares what the backend reads with what it should.
func (w *world) tells(t *testing.T, b environment.Backend, want ...environment.State) {
	t.Helper()
	got := w.read(t, b)
	if diff := gocmp.Diff(want, got.Environments, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("it tells something else (-want +got):\n%s", diff)
	}
}

// only returns the one deployment of an environment.
func (w *world) only(t *testing.T, b environment.Backend, name string) environment.Deployment {
	t.Helper()
	snapshot := w.read(t, b)
	s, ok := snapshot.Find(name)
	if !ok || len(s.Deployments) != 1 {
		t.Fatalf("want one deployment of %s, got %+v", name, snapshot)
	}
	return s.Deployments[0]
}

// refusals returns the IDs of the deployments that an error of Publish names, and whether it contains another error.
func refusals(err error) (ids []int64, rest bool) {
	if err == nil {
		return nil, false
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			more, other := refusals(e)
			ids, rest = append(ids, more...), rest || other
		}
		return ids, rest
	}
	var one *environment.DeploymentError
	if errors.As(err, &one) {
		return []int64{one.ID}, false
	}
	return nil, true
}
