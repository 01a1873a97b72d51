package kube_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/kube"
)

func request(namespace string, n int) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: fmt.Sprint(n)}}
}

// crowd is a queue with its workers, each of which takes as long for an item as it is told.
type crowd struct {
	queue   workqueue.TypedRateLimitingInterface[reconcile.Request]
	workers sync.WaitGroup
	mu      sync.Mutex
	// busy counts the items of each namespace that are worked on, most how many there have been of one, done when the last item of each
	// was done.
	busy map[string]int
	most int
	done map[string]time.Duration
}

func newCrowd(workers, share int, takes func(reconcile.Request) time.Duration) *crowd {
	options := kube.Shared(workers, share)
	c := &crowd{busy: map[string]int{}, done: map[string]time.Duration{}}
	c.queue = options.NewQueue("", workqueue.DefaultTypedItemBasedRateLimiter[reconcile.Request]())
	start := time.Now()
	for range options.MaxConcurrentReconciles {
		c.workers.Go(func() {
			for {
				item, ended := c.queue.Get()
				if ended {
					return
				}
				c.note(item.Namespace, 1)
				time.Sleep(takes(item))
				c.note(item.Namespace, -1)
				c.mu.Lock()
				c.done[item.Namespace] = time.Since(start)
				c.mu.Unlock()
				c.queue.Done(item)
			}
		})
	}
	return c
}

func (c *crowd) note(namespace string, change int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy[namespace] += change
	c.most = max(c.most, c.busy[namespace])
}

func (c *crowd) end() {
	c.queue.ShutDown()
	c.workers.Wait()
}

// TestOneNamespaceLeavesWorkersToOthers: 600 items that take half a minute each, and then one of somebody else.
func TestOneNamespaceLeavesWorkersToOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(256, 32, func(r reconcile.Request) time.Duration {
			if r.Namespace == "tarpit" {
				return 30 * time.Second
			}
			return 10 * time.Millisecond
		})
		for i := range 600 {
			c.queue.Add(request("tarpit", i))
		}
		synctest.Wait()
		for i := range 100 {
			c.queue.Add(request("other", i))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if c.done["other"] == 0 || c.done["other"] > 40*time.Millisecond {
			t.Errorf("100 items of 10ms each were done after %s", c.done["other"])
		}
		if c.most != 32 {
			t.Errorf("a namespace kept %d workers busy, its share is 32", c.most)
		}
		c.end()
	})
}

// TestNoWorkerSleepsWhileThereIsWork: what is done makes place for the next, and what changes while it is worked on comes again.
func TestNoWorkerSleepsWhileThereIsWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(4, 2, func(reconcile.Request) time.Duration { return time.Second })
		for i := range 10 {
			c.queue.Add(request("a", i))
		}
		synctest.Wait()
		c.queue.Add(request("a", 0)) // it is being worked on
		c.queue.AddAfter(request("b", 0), 2500*time.Millisecond)
		time.Sleep(time.Minute)
		synctest.Wait()
		if c.done["a"] != 6*time.Second {
			t.Errorf("two workers did 11 items of a second each in %s", c.done["a"])
		}
		if c.done["b"] != 3500*time.Millisecond {
			t.Errorf("an item that was added for later was done after %s", c.done["b"])
		}
		c.end()
	})
}

func aCheck(uid types.UID, generation int64) *v1alpha1.HealthCheck {
	return &v1alpha1.HealthCheck{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "a", UID: uid, Generation: generation}}
}

func TestARunIsCancelledWhenItsObjectIsGoneOrChanged(t *testing.T) {
	t.Parallel()
	created := func(r *kube.Runs, o client.Object) { r.Create(context.Background(), event.CreateEvent{Object: o}, nil) }
	updated := func(r *kube.Runs, o client.Object) {
		r.Update(context.Background(), event.UpdateEvent{ObjectOld: o, ObjectNew: o}, nil)
	}
	deleted := func(r *kube.Runs, o client.Object) { r.Delete(context.Background(), event.DeleteEvent{Object: o}, nil) }
	other := aCheck("1", 9)
	other.Name = "b"
	for name, c := range map[string]struct {
		event func(*kube.Runs, client.Object)
		about *v1alpha1.HealthCheck
		want  bool
	}{
		"its status changed":       {updated, aCheck("1", 2), false},
		"an old event":             {updated, aCheck("1", 1), false},
		"its spec changed":         {updated, aCheck("1", 3), true},
		"it was deleted":           {deleted, aCheck("1", 2), true},
		"another was deleted":      {deleted, aCheck("0", 2), false},
		"it was made again":        {created, aCheck("2", 1), true},
		"another object":           {updated, other, false},
		"another object was ended": {deleted, other, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var runs kube.Runs
			c.event(&runs, c.about) // nothing is under way
			ctx, end := runs.Begin(t.Context(), aCheck("1", 2))
			c.event(&runs, c.about)
			if cancelled := errors.Is(context.Cause(ctx), kube.ErrOutdated); cancelled != c.want {
				t.Errorf("cancelled: %v", cancelled)
			}
			end()
			c.event(&runs, c.about)
			if ctx.Err() == nil {
				t.Error("its context outlives it")
			}
		})
	}
}

// TestTheEndOfARunLeavesTheNextAlone: two controllers share Runs, and an object moves from one to the other.
func TestTheEndOfARunLeavesTheNextAlone(t *testing.T) {
	t.Parallel()
	var runs kube.Runs
	_, end := runs.Begin(t.Context(), aCheck("1", 1))
	ctx, endNext := runs.Begin(t.Context(), aCheck("1", 2))
	defer endNext()
	end()
	if ctx.Err() != nil {
		t.Error("it was cancelled with the one before")
	}
	runs.Delete(t.Context(), event.DeleteEvent{Object: aCheck("1", 2)}, nil)
	if !errors.Is(context.Cause(ctx), kube.ErrOutdated) {
		t.Error("it is not known any more")
	}
}
