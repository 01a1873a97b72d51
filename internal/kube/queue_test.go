package kube_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/kube"
)

func request(namespace string, n int) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: fmt.Sprint(n)}}
}

// workerPool is a queue with workers. A worker takes the given time for a request.
type workerPool struct {
	queue   workqueue.TypedRateLimitingInterface[reconcile.Request]
	workers sync.WaitGroup
	mu      sync.Mutex
	// busy counts the running requests of each namespace, maxBusy is the maximum of one namespace, and done is when
	// the last request of each was done.
	busy    map[string]int
	maxBusy int
	done    map[string]time.Duration
}

func newWorkerPool(workers, share int, takes func(reconcile.Request) time.Duration) *workerPool {
	options := kube.FairOptions(workers, share)
	p := &workerPool{busy: map[string]int{}, done: map[string]time.Duration{}}
	p.queue = options.NewQueue("", workqueue.DefaultTypedItemBasedRateLimiter[reconcile.Request]())
	start := time.Now()
	for range options.MaxConcurrentReconciles {
		p.workers.Go(func() {
			for {
				item, ended := p.queue.Get()
				if ended {
					return
				}
				p.count(item.Namespace, 1)
				time.Sleep(takes(item))
				p.count(item.Namespace, -1)
				p.mu.Lock()
				p.done[item.Namespace] = time.Since(start)
				p.mu.Unlock()
				p.queue.Done(item)
			}
		})
	}
	return p
}

func (p *workerPool) count(namespace string, change int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy[namespace] += change
	p.maxBusy = max(p.maxBusy, p.busy[namespace])
}

func (p *workerPool) stop() {
	p.queue.ShutDown()
	p.workers.Wait()
}

// TestNamespaceOccupiesOnlyItsShare: one namespace has 600 requests of half a minute each, and another has fast ones.
func TestNamespaceOccupiesOnlyItsShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newWorkerPool(256, 32, func(r reconcile.Request) time.Duration {
			if r.Namespace == "slow" {
				return 30 * time.Second
			}
			return 10 * time.Millisecond
		})
		for i := range 600 {
			p.queue.Add(request("slow", i))
		}
		synctest.Wait()
		for i := range 100 {
			p.queue.Add(request("other", i))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if p.done["other"] == 0 || p.done["other"] > 40*time.Millisecond {
			t.Errorf("100 requests of 10ms each took %s", p.done["other"])
		}
		if p.maxBusy != 32 {
			t.Errorf("a namespace occupied %d workers, want 32", p.maxBusy)
		}
		p.stop()
	})
}

// TestWorkersAreNotIdle: a finished request frees a slot, and a running request that is added again is repeated.
func TestWorkersAreNotIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newWorkerPool(4, 2, func(reconcile.Request) time.Duration { return time.Second })
		for i := range 10 {
			p.queue.Add(request("a", i))
		}
		synctest.Wait()
		p.queue.Add(request("a", 0)) // it is running
		p.queue.AddAfter(request("b", 0), 2500*time.Millisecond)
		time.Sleep(time.Minute)
		synctest.Wait()
		if p.done["a"] != 6*time.Second {
			t.Errorf("two workers did 11 requests of a second each in %s", p.done["a"])
		}
		if p.done["b"] != 3500*time.Millisecond {
			t.Errorf("a delayed request was done after %s", p.done["b"])
		}
		p.stop()
	})
}

func newCheck(uid types.UID, generation int64) *v1alpha1.HealthCheck {
	return &v1alpha1.HealthCheck{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "a", UID: uid, Generation: generation}}
}

func TestReconcileIsCancelledWhenItsObjectChanges(t *testing.T) {
	t.Parallel()
	created := func(r *kube.ActiveReconciles, o client.Object) {
		r.Create(context.Background(), event.CreateEvent{Object: o}, nil)
	}
	updated := func(r *kube.ActiveReconciles, o client.Object) {
		r.Update(context.Background(), event.UpdateEvent{ObjectOld: o, ObjectNew: o}, nil)
	}
	deleted := func(r *kube.ActiveReconciles, o client.Object) {
		r.Delete(context.Background(), event.DeleteEvent{Object: o}, nil)
	}
	other := newCheck("1", 9)
	other.Name = "b"
	for name, c := range map[string]struct {
		event  func(*kube.ActiveReconciles, client.Object)
		object *v1alpha1.HealthCheck
		want   bool
	}{
		"status changed":                  {updated, newCheck("1", 2), false},
		"older event":                     {updated, newCheck("1", 1), false},
		"spec changed":                    {updated, newCheck("1", 3), true},
		"deleted":                         {deleted, newCheck("1", 2), true},
		"object with another UID deleted": {deleted, newCheck("0", 2), false},
		"recreated":                       {created, newCheck("2", 1), true},
		"another object updated":          {updated, other, false},
		"another object deleted":          {deleted, other, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var active kube.ActiveReconciles
			c.event(&active, c.object) // no reconcile is running
			ctx, end := active.Begin(t.Context(), newCheck("1", 2))
			c.event(&active, c.object)
			if cancelled := errors.Is(context.Cause(ctx), kube.ErrOutdated); cancelled != c.want {
				t.Errorf("cancelled: %v", cancelled)
			}
			end()
			c.event(&active, c.object)
			if ctx.Err() == nil {
				t.Error("the context is not cancelled at the end")
			}
		})
	}
}

// TestEndOfReconcileKeepsTheNextOne: two controllers share ActiveReconciles, and an object moves from one to the
// other.
func TestEndOfReconcileKeepsTheNextOne(t *testing.T) {
	t.Parallel()
	var active kube.ActiveReconciles
	_, end := active.Begin(t.Context(), newCheck("1", 1))
	ctx, endNext := active.Begin(t.Context(), newCheck("1", 2))
	defer endNext()
	end()
	if ctx.Err() != nil {
		t.Error("it was cancelled with the previous one")
	}
	active.Delete(t.Context(), event.DeleteEvent{Object: newCheck("1", 2)}, nil)
	if !errors.Is(context.Cause(ctx), kube.ErrOutdated) {
		t.Error("it is no longer tracked")
	}
}

// TestBookkeepingComesLast adds requests while nobody takes any.
func TestBookkeepingComesLast(t *testing.T) {
	t.Parallel()
	urgent, late, both := request("a", 1), request("a", 2), request("a", 3)
	bookkeeping := kube.Bookkeeping
	for name, c := range map[string]struct {
		add  func(priorityqueue.PriorityQueue[reconcile.Request])
		want []reconcile.Request
	}{
		"late, urgent": {func(q priorityqueue.PriorityQueue[reconcile.Request]) {
			q.AddWithOpts(priorityqueue.AddOpts{Priority: &bookkeeping}, late)
			q.Add(urgent)
		}, []reconcile.Request{urgent, late}},
		"what is added twice is urgent": {func(q priorityqueue.PriorityQueue[reconcile.Request]) {
			q.AddWithOpts(priorityqueue.AddOpts{Priority: &bookkeeping}, late, both)
			q.AddWithOpts(priorityqueue.AddOpts{}, both)
		}, []reconcile.Request{both, late}},
		"what is added twice stays urgent": {func(q priorityqueue.PriorityQueue[reconcile.Request]) {
			q.AddWithOpts(priorityqueue.AddOpts{Priority: &bookkeeping}, late)
			q.Add(both)
			q.AddWithOpts(priorityqueue.AddOpts{Priority: &bookkeeping}, both)
		}, []reconcile.Request{both, late}},
		"after a time": {func(q priorityqueue.PriorityQueue[reconcile.Request]) {
			q.AddWithOpts(priorityqueue.AddOpts{Priority: &bookkeeping, After: time.Second}, late)
			q.AddWithOpts(priorityqueue.AddOpts{After: 2 * time.Second}, urgent)
			q.AddWithOpts(priorityqueue.AddOpts{RateLimited: true, Priority: &bookkeeping}, both)
			time.Sleep(3 * time.Second)
		}, []reconcile.Request{urgent, both, late}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				options := kube.FairOptions(8, 8)
				q, ok := options.NewQueue("", workqueue.DefaultTypedItemBasedRateLimiter[reconcile.Request]()).(priorityqueue.PriorityQueue[reconcile.Request])
				if !ok {
					t.Fatal("the queue knows no priorities")
				}
				c.add(q)
				synctest.Wait()
				var got []reconcile.Request
				for range c.want {
					item, _, _ := q.GetWithPriority()
					got = append(got, item)
					q.Done(item)
				}
				q.ShutDown()
				if !slices.Equal(got, c.want) {
					t.Errorf("taken %v, want %v", got, c.want)
				}
			})
		})
	}
}

// TestPressureHoldsBookkeepingBack: while requests of one controller wait, others go on with one reconcile at a time.
func TestPressureHoldsBookkeepingBack(t *testing.T) {
	t.Parallel()
	var none kube.Pressure
	for range 2 {
		if _, ok := none.Enter(); !ok {
			t.Error("there is no pressure, but a reconcile has to wait")
		}
	}
	p := &kube.Pressure{}
	q := kube.FairOptionsWithPressure(8, 8, p).NewQueue("", workqueue.DefaultTypedItemBasedRateLimiter[reconcile.Request]())
	t.Cleanup(q.ShutDown)
	q.Add(request("a", 1))
	leave, ok := p.Enter()
	if !ok {
		t.Fatal("no reconcile goes on under pressure")
	}
	if _, ok := p.Enter(); ok {
		t.Error("two reconciles go on under pressure")
	}
	leave()
	if _, ok := p.Enter(); !ok {
		t.Error("no reconcile goes on after the one before has ended")
	}
	item, _ := q.Get()
	if _, ok := p.Enter(); !ok {
		t.Error("the pressure is over, but a reconcile has to wait")
	}
	q.Done(item)
}

// TestLateUpdates: an update that is late is enqueued once, after the delay.
func TestLateUpdates(t *testing.T) {
	t.Parallel()
	const delay = time.Second
	object := func(generation int64, annotation string) client.Object {
		return &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "1", Generation: generation, Annotations: map[string]string{"a": annotation}}}
	}
	for name, c := range map[string]struct {
		handle func(handler.EventHandler, workqueue.TypedRateLimitingInterface[reconcile.Request])
		late   bool
	}{
		"of the status":      {updates(object(1, "a"), object(1, "a")), true},
		"of the spec":        {updates(object(1, "a"), object(2, "a")), false},
		"of the annotations": {updates(object(1, "a"), object(1, "b")), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q := kube.FairOptions(8, 8).NewQueue("", workqueue.DefaultTypedItemBasedRateLimiter[reconcile.Request]())
				h := kube.Late(&handler.EnqueueRequestForObject{}, delay, kube.OnlyStatus)
				c.handle(h, q)
				c.handle(h, q)
				synctest.Wait()
				if got := q.Len() == 0; got != c.late {
					t.Errorf("it is late: %v, want %v", got, c.late)
				}
				time.Sleep(2 * delay)
				synctest.Wait()
				if q.Len() != 1 {
					t.Errorf("%d requests wait after the delay, want 1", q.Len())
				}
				q.ShutDown()
			})
		})
	}
}

func updates(before, after client.Object) func(handler.EventHandler, workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	return func(h handler.EventHandler, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		h.Update(context.Background(), event.UpdateEvent{ObjectOld: before, ObjectNew: after}, q)
	}
}
