package kube

import (
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kuberik/kuberik/internal/fair"
)

// Shared are the options of a controller whose workers are shared fairly among namespaces: one namespace keeps at most share of them
// busy, and waiting namespaces take turns.
func Shared(workers, share int) controller.Options {
	return controller.Options{MaxConcurrentReconciles: workers, NewQueue: fairQueue(share)}
}

type (
	limiter = workqueue.TypedRateLimiter[reconcile.Request]
	queue   = workqueue.TypedRateLimitingInterface[reconcile.Request]
)

// fairQueue makes the queue of a controller, with the metrics that every queue has.
func fairQueue(share int) func(string, limiter) queue {
	return func(name string, l limiter) queue {
		lanes := fair.New(share, func(r reconcile.Request) string { return r.Namespace })
		inner := workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[reconcile.Request]{Name: name, Queue: lanes})
		delaying := workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[reconcile.Request]{Name: name, Queue: inner})
		config := workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{Name: name, DelayingQueue: delaying}
		return sharedQueue{workqueue.NewTypedRateLimitingQueueWithConfig(l, config), lanes}
	}
}

// sharedQueue gives back the share of what is done. Nobody has to be woken for that: the worker that is done is the one that asks next,
// and at most one more item can be taken than before.
type sharedQueue struct {
	queue
	lanes *fair.Lanes[reconcile.Request]
}

// Done implements workqueue.TypedInterface.
func (q sharedQueue) Done(item reconcile.Request) {
	q.queue.Done(item)
	q.lanes.Done(item)
}
