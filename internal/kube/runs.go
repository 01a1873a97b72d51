package kube

import (
	"context"
	"errors"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// ErrOutdated is why a reconcile was cancelled whose object was deleted, or whose spec was changed.
var ErrOutdated = errors.New("the object was deleted or its spec was changed")

// Runs knows the reconciles of one controller that are under way. As a handler of events it enqueues nothing: it cancels those whose
// object is deleted or has another spec now. The zero value is ready to use.
type Runs struct {
	mu   sync.Mutex
	list map[types.NamespacedName]*run
}

type run struct {
	uid        types.UID
	generation int64
	cancel     context.CancelCauseFunc
}

var _ handler.EventHandler = (*Runs)(nil)

// Begin returns the context of a reconcile of an object, and what ends it.
func (r *Runs) Begin(ctx context.Context, o client.Object) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	key := client.ObjectKeyFromObject(o)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.list == nil {
		r.list = map[types.NamespacedName]*run{}
	}
	mine := &run{o.GetUID(), o.GetGeneration(), cancel}
	r.list[key] = mine
	return ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.list[key] == mine {
			delete(r.list, key)
		}
		cancel(nil)
	}
}

// Create implements handler.EventHandler. A new object may have the name of one that was deleted.
func (r *Runs) Create(_ context.Context, e event.CreateEvent, _ workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	r.check(e.Object, false)
}

// Update implements handler.EventHandler.
func (r *Runs) Update(_ context.Context, e event.UpdateEvent, _ workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	r.check(e.ObjectNew, false)
}

// Delete implements handler.EventHandler.
func (r *Runs) Delete(_ context.Context, e event.DeleteEvent, _ workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	r.check(e.Object, true)
}

// Generic implements handler.EventHandler.
func (*Runs) Generic(context.Context, event.GenericEvent, workqueue.TypedRateLimitingInterface[reconcile.Request]) {
}

func (r *Runs) check(o client.Object, deleted bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	under, ok := r.list[client.ObjectKeyFromObject(o)]
	if !ok {
		return
	}
	same := under.uid == o.GetUID()
	if deleted && same || !deleted && (!same || under.generation < o.GetGeneration()) {
		under.cancel(ErrOutdated)
	}
}
