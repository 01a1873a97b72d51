package kube

import (
	"context"
	"errors"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
)

// ErrOutdated is the cause of a cancelled reconcile whose object was deleted or has a new spec.
var ErrOutdated = errors.New("the object was deleted or its spec was changed")

// ActiveReconciles tracks the running reconciles of a controller. As an event handler it enqueues nothing, but cancels
// the reconcile of an object that is deleted or has a new spec. The zero value is ready to use.
type ActiveReconciles struct {
	mu     sync.Mutex
	active map[types.NamespacedName]*activeReconcile
}

type activeReconcile struct {
	uid        types.UID
	generation int64
	cancel     context.CancelCauseFunc
}

var _ handler.EventHandler = (*ActiveReconciles)(nil)

// Begin returns the context of a reconcile of an object, and a function that must be called at its end.
func (r *ActiveReconciles) Begin(ctx context.Context, o client.Object) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	key := client.ObjectKeyFromObject(o)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.active == nil {
		r.active = map[types.NamespacedName]*activeReconcile{}
	}
	current := &activeReconcile{o.GetUID(), o.GetGeneration(), cancel}
	r.active[key] = current
	return ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.active[key] == current {
			delete(r.active, key)
		}
		cancel(nil)
	}
}

// Create implements handler.EventHandler. A new object may have the name of a deleted one.
func (r *ActiveReconciles) Create(_ context.Context, e event.CreateEvent, _ queue) {
	r.cancelOutdated(e.Object, false)
}

// Update implements handler.EventHandler.
func (r *ActiveReconciles) Update(_ context.Context, e event.UpdateEvent, _ queue) {
	r.cancelOutdated(e.ObjectNew, false)
}

// Delete implements handler.EventHandler.
func (r *ActiveReconciles) Delete(_ context.Context, e event.DeleteEvent, _ queue) {
	r.cancelOutdated(e.Object, true)
}

// Generic implements handler.EventHandler.
func (*ActiveReconciles) Generic(context.Context, event.GenericEvent, queue) {
}

func (r *ActiveReconciles) cancelOutdated(o client.Object, deleted bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	current, ok := r.active[client.ObjectKeyFromObject(o)]
	if !ok {
		return
	}
	same := current.uid == o.GetUID()
	if deleted && same || !deleted && (!same || current.generation < o.GetGeneration()) {
		current.cancel(ErrOutdated)
	}
}
