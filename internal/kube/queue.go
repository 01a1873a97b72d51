package kube

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kuberik/kuberik/internal/fair"
)

// Bookkeeping is the priority of requests that wait for nothing but a write to a status. They come after all others.
const Bookkeeping = -1

// FairOptions returns the options of a controller that shares its workers fairly between namespaces: a namespace
// occupies at most share of them, and namespaces with pending requests take turns. Requests with a negative priority
// are taken after the others.
func FairOptions(workers, share int) controller.Options {
	return FairOptionsWithPressure(workers, share, nil)
}

// FairOptionsWithPressure is FairOptions for a controller whose requests precede those of others.
func FairOptionsWithPressure(workers, share int, p *Pressure) controller.Options {
	return controller.Options{MaxConcurrentReconciles: workers, NewQueue: fairQueue(share, p)}
}

// Pressure tells controllers that only do bookkeeping whether requests of another controller wait for a worker. The
// zero value has no pressure.
type Pressure struct {
	waiting atomic.Pointer[func() int]
	// passing is the number of reconciles that go on in spite of the pressure.
	passing atomic.Int32
}

// High reports whether requests wait that are no bookkeeping.
func (p *Pressure) High() bool {
	waiting := p.waiting.Load()
	return waiting != nil && (*waiting)() > 0
}

// Enter reports whether a reconcile may go on, and returns a function to call at its end. Under pressure, only one
// reconcile at a time may, so that bookkeeping goes on slowly.
func (p *Pressure) Enter() (leave func(), ok bool) {
	leave = func() { p.passing.Add(-1) }
	if p.passing.Add(1) > 1 && p.High() {
		leave()
		return nil, false
	}
	return leave, true
}

type (
	limiter  = workqueue.TypedRateLimiter[reconcile.Request]
	queue    = workqueue.TypedRateLimitingInterface[reconcile.Request]
	delaying = workqueue.TypedDelayingInterface[reconcile.Request]
)

// fairQueue returns a constructor of work queues, which have the usual metrics.
func fairQueue(share int, p *Pressure) func(string, limiter) queue {
	return func(name string, l limiter) queue {
		order := &order{
			Lanes:  fair.New(share, func(r reconcile.Request) string { return r.Namespace }),
			urgent: map[reconcile.Request]bool{},
		}
		if p != nil {
			waiting := order.Urgent
			p.waiting.Store(&waiting)
		}
		inner := workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[reconcile.Request]{Name: name, Queue: order})
		soon := workqueue.NewTypedDelayingQueueWithConfig(
			workqueue.TypedDelayingQueueConfig[reconcile.Request]{Name: name, Queue: urgentQueue{inner, order}})
		late := workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[reconcile.Request]{Queue: inner})
		config := workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{Name: name, DelayingQueue: soon}
		return sharedQueue{workqueue.NewTypedRateLimitingQueueWithConfig(l, config), order, late, l}
	}
}

// order is the order in which requests are taken. It implements workqueue.Queue.
type order struct {
	*fair.Lanes[reconcile.Request]
	mu sync.Mutex
	// urgent holds the requests that were added as urgent since they were last taken.
	urgent map[reconcile.Request]bool
}

func (o *order) isUrgent(r reconcile.Request) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.urgent[r]
}

func (o *order) mark(r reconcile.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.urgent[r] = true
}

// Push implements workqueue.Queue.
func (o *order) Push(r reconcile.Request) {
	if o.isUrgent(r) {
		o.Lanes.Push(r)
	} else {
		o.PushLate(r)
	}
}

// Touch implements workqueue.Queue.
func (o *order) Touch(r reconcile.Request) {
	if o.isUrgent(r) {
		o.Hurry(r)
	}
}

// Pop implements workqueue.Queue.
func (o *order) Pop() reconcile.Request {
	r := o.Lanes.Pop()
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.urgent, r)
	return r
}

// urgentQueue adds requests as urgent.
type urgentQueue struct {
	workqueue.TypedInterface[reconcile.Request]
	order *order
}

// Add implements workqueue.TypedInterface.
func (q urgentQueue) Add(r reconcile.Request) {
	q.order.mark(r)
	q.TypedInterface.Add(r)
}

// sharedQueue releases a slot of the namespace when a request is done. It wakes no other worker, because the worker
// that is done takes the next request, and one slot allows at most one more.
type sharedQueue struct {
	queue
	order *order
	// late delays requests with a negative priority.
	late    delaying
	limiter limiter
}

var _ priorityqueue.PriorityQueue[reconcile.Request] = sharedQueue{}

// Done implements workqueue.TypedInterface.
func (q sharedQueue) Done(item reconcile.Request) {
	q.queue.Done(item)
	q.order.Done(item)
}

// AddWithOpts implements priorityqueue.PriorityQueue.
func (q sharedQueue) AddWithOpts(o priorityqueue.AddOpts, items ...reconcile.Request) {
	to := delaying(q.queue)
	if o.Priority != nil && *o.Priority < 0 {
		to = q.late
	}
	for _, item := range items {
		after := o.After
		if o.RateLimited {
			after = max(after, q.limiter.When(item))
		}
		if after > 0 {
			to.AddAfter(item, after)
		} else {
			to.Add(item)
		}
	}
}

// GetWithPriority implements priorityqueue.PriorityQueue. What is requeued by a reconcile is urgent unless its result
// says otherwise.
func (q sharedQueue) GetWithPriority() (reconcile.Request, int, bool) {
	item, shutdown := q.Get()
	return item, 0, shutdown
}

// ShutDown implements workqueue.TypedInterface.
func (q sharedQueue) ShutDown() {
	q.late.ShutDown()
	q.queue.ShutDown()
}

// ShutDownWithDrain implements workqueue.TypedInterface.
func (q sharedQueue) ShutDownWithDrain() {
	q.queue.ShutDownWithDrain()
	q.late.ShutDown()
}

// delayedQueue adds requests as bookkeeping, after a delay.
type delayedQueue struct {
	priorityqueue.PriorityQueue[reconcile.Request]
	after time.Duration
}

// Add implements workqueue.TypedInterface.
func (q delayedQueue) Add(item reconcile.Request) { q.AddWithOpts(priorityqueue.AddOpts{}, item) }

// AddWithOpts implements priorityqueue.PriorityQueue.
func (q delayedQueue) AddWithOpts(o priorityqueue.AddOpts, items ...reconcile.Request) {
	priority := Bookkeeping
	o.Priority, o.After = &priority, max(o.After, q.after)
	q.PriorityQueue.AddWithOpts(o, items...)
}

// Late returns an event handler that enqueues the same requests as another. Those for updates that are late become
// bookkeeping, and are enqueued only after a delay, so that several changes in a row cost one reconcile.
func Late(inner handler.EventHandler, after time.Duration, late func(event.UpdateEvent) bool) handler.EventHandler {
	return lateHandler{inner, after, late}
}

// LateAlways is Late for the creation and every update of an object.
func LateAlways(inner handler.EventHandler, after time.Duration) handler.EventHandler {
	return lateFromStart{lateHandler{inner, after, func(event.UpdateEvent) bool { return true }}}
}

type lateHandler struct {
	handler.EventHandler
	after time.Duration
	late  func(event.UpdateEvent) bool
}

// Update implements handler.EventHandler.
func (h lateHandler) Update(ctx context.Context, e event.UpdateEvent, q queue) {
	if h.late(e) {
		q = delayed(q, h.after)
	}
	h.EventHandler.Update(ctx, e, q)
}

type lateFromStart struct{ lateHandler }

// Create implements handler.EventHandler.
func (h lateFromStart) Create(ctx context.Context, e event.CreateEvent, q queue) {
	h.EventHandler.Create(ctx, e, delayed(q, h.after))
}

// delayed returns a queue that adds requests to another as bookkeeping, after a delay.
func delayed(q queue, after time.Duration) queue {
	if fair, ok := q.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		return delayedQueue{fair, after}
	}
	return q
}

// OnlyStatus reports whether an update changed nothing that a user writes: neither the spec nor labels or annotations.
func OnlyStatus(e event.UpdateEvent) bool {
	return e.ObjectOld.GetGeneration() == e.ObjectNew.GetGeneration() && sameMetadata(e.ObjectOld, e.ObjectNew)
}

func sameMetadata(a, b client.Object) bool {
	return maps.Equal(a.GetAnnotations(), b.GetAnnotations()) && maps.Equal(a.GetLabels(), b.GetLabels()) &&
		a.GetDeletionTimestamp().IsZero() == b.GetDeletionTimestamp().IsZero() && a.GetUID() == b.GetUID()
}
