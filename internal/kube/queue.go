package kube

import (
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kuberik/kuberik/internal/fair"
)

// FairOptions returns the options of a controller that shares its workers fairly between namespaces: a namespace
// occupies at most share of them, and namespaces with pending requests take turns.
func FairOptions(workers, share int) controller.Options {
	return controller.Options{MaxConcurrentReconciles: workers, NewQueue: fairQueue(share)}
}

type (
	limiter = workqueue.TypedRateLimiter[reconcile.Request]
	queue   = workqueue.TypedRateLimitingInterface[reconcile.Request]
)

// fairQueue returns a constructor of work queues, which have the usual metrics.
func fairQueue(share int) func(string, limiter) queue {
	return func(name string, l limiter) queue {
		lanes := fair.New(share, func(r reconcile.Request) string { return r.Namespace })
		inner := workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[reconcile.Request]{Name: name, Queue: lanes})
		delaying := workqueue.NewTypedDelayingQueueWithConfig(
			workqueue.TypedDelayingQueueConfig[reconcile.Request]{Name: name, Queue: inner})
		config := workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{Name: name, DelayingQueue: delaying}
		return sharedQueue{workqueue.NewTypedRateLimitingQueueWithConfig(l, config), lanes}
	}
}

// sharedQueue releases a slot of the namespace when a request is done. It wakes no other worker, because the worker
// that is done takes the next request, and one slot allows at most one more.
type sharedQueue struct {
	queue
	lanes *fair.Lanes[reconcile.Request]
}

// Done implements workqueue.TypedInterface.
func (q sharedQueue) Done(item reconcile.Request) {
	q.queue.Done(item)
	q.lanes.Done(item)
}
