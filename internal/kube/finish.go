package kube

import (
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
)

// shortest is the least time after which a reconcile is asked for; zero would mean never.
const shortest = time.Millisecond

// Finish turns the end of a reconcile into what the queue understands. A conflict means that somebody else wrote first: the
// object is looked at again, silently. An object that is gone needs nothing more.
func Finish(wait time.Duration, err error) (ctrl.Result, error) {
	switch {
	case apierrors.IsConflict(err):
		return ctrl.Result{RequeueAfter: 5 * time.Millisecond}, nil
	case apierrors.IsNotFound(err):
		return ctrl.Result{}, nil
	case err != nil:
		return ctrl.Result{}, err
	case wait > 0:
		return ctrl.Result{RequeueAfter: max(wait, shortest)}, nil
	}
	return ctrl.Result{}, nil
}
