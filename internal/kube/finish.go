package kube

import (
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
)

// minRequeue is the shortest RequeueAfter. Zero would mean never.
const minRequeue = time.Millisecond

// Sooner returns the shorter of two waits. Zero or less means never.
func Sooner(a, b time.Duration) time.Duration {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}

// Finish converts the outcome of a reconcile into its result. A conflict requeues without an error, because another
// client wrote first. A NotFound error ends the reconcile. A wait of zero or less does not requeue.
func Finish(wait time.Duration, err error) (ctrl.Result, error) {
	switch {
	case apierrors.IsConflict(err):
		return ctrl.Result{RequeueAfter: 5 * time.Millisecond}, nil
	case apierrors.IsNotFound(err):
		return ctrl.Result{}, nil
	case err != nil:
		return ctrl.Result{}, err
	case wait > 0:
		return ctrl.Result{RequeueAfter: max(wait, minRequeue)}, nil
	}
	return ctrl.Result{}, nil
}
