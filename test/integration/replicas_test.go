package integration

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/test/env"
)

// manyApps is how many Rollouts the replicas work on: enough that a leader is at work whenever it is paused.
const manyApps = 40

// TestOnlyOneReplicaWrites: the leader is paused in the middle of its work, another replica takes over, and the old leader wakes up. It must
// not write any more.
func TestOnlyOneReplicaWrites(t *testing.T) {
	t.Parallel()
	w := env.NewInOwnCluster(t)
	w.SimulateFlux()
	var ros []*v1alpha1.Rollout
	for i := range manyApps {
		name := fmt.Sprintf("app%d", i)
		w.Kustomization(name, map[string]string{"VERSION": name})
		w.Policy(name, "1.0.0")
		ros = append(ros, w.Rollout(name))
	}
	first := w.RunReplica("replica-a")
	awaitAll(w, ros, "1.0.0")
	second := w.RunReplica("replica-b")
	awaitRequests(w, "replica-b", "get leases.coordination.k8s.io")

	selectAll(w, "1.1.0")
	w.AwaitPhase(ros[0], v1alpha1.PhaseAvailable, "1.1.0")
	first.Pause()
	paused := time.Now()
	awaitAll(w, ros, "1.1.0")
	selectAll(w, "1.2.0")
	awaitAll(w, ros, "1.2.0")
	first.Continue()
	if code := first.AwaitEnd(); code == 0 {
		t.Error("a replica that lost the lease ends as if it had been asked to")
	}
	requests, err := w.Requests()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range requests {
		reads := r.Verb == "get" || r.Verb == "list" || r.Verb == "watch"
		if strings.HasPrefix(r.Agent, "replica-a/") && r.At.After(paused.Add(time.Second)) && !reads && r.Resource != "leases" {
			t.Errorf("after it was paused, the old leader made the request %s, which was answered with %d", r.Permission, r.Code)
		}
	}

	t.Run("a replica that is stopped gives the lease back", func(t *testing.T) {
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "kuberik-system", Name: "kuberik-controller"}}
		w.Get(lease)
		leader := ptr.Deref(lease.Spec.HolderIdentity, "")
		w.RunReplica("replica-c")
		awaitRequests(w, "replica-c", "get leases.coordination.k8s.io")
		second.Terminate()
		w.Get(lease)
		if holder := ptr.Deref(lease.Spec.HolderIdentity, ""); leader == "" || holder == leader {
			t.Errorf("the lease is held by %q after its holder %q was stopped", holder, leader)
		}
		selectAll(w, "1.3.0")
		awaitAll(w, ros, "1.3.0")
	})
}

func selectAll(w *env.World, tag string) {
	w.T.Helper()
	for i := range manyApps {
		w.Select(fmt.Sprintf("app%d", i), tag, env.Digest(tag))
	}
}

func awaitAll(w *env.World, ros []*v1alpha1.Rollout, tag string) {
	w.T.Helper()
	for _, ro := range ros {
		w.AwaitPhase(ro, v1alpha1.PhaseAvailable, tag)
	}
}

// awaitRequests waits until a program has made a request.
func awaitRequests(w *env.World, agent, request string) {
	w.T.Helper()
	w.Eventually(agent+" makes the request "+request, func() error {
		requests, err := w.Requests()
		if err != nil {
			return err
		}
		for _, r := range requests {
			if strings.HasPrefix(r.Agent, agent+"/") && r.String() == request {
				return nil
			}
		}
		return errors.New("it has not")
	})
}
