package kube_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kuberik/kuberik/internal/kube"
)

func TestFinish(t *testing.T) {
	t.Parallel()
	gr := schema.GroupResource{Resource: "rollouts"}
	conflict, gone, boom := apierrors.NewConflict(gr, "a", errors.New("x")), apierrors.NewNotFound(gr, "a"), errors.New("boom")
	for name, c := range map[string]struct {
		wait    time.Duration
		err     error
		requeue time.Duration
		failed  bool
	}{
		"no wait":                                     {},
		"a wait":                                      {wait: time.Minute, requeue: time.Minute},
		"a very short wait":                           {wait: time.Nanosecond, requeue: time.Millisecond},
		"a negative wait":                             {wait: -time.Second},
		"a conflict requeues":                         {err: conflict, requeue: 5 * time.Millisecond},
		"a wrapped conflict":                          {err: fmt.Errorf("writing: %w", conflict), requeue: 5 * time.Millisecond},
		"not found ends":                              {err: fmt.Errorf("writing: %w", gone)},
		"an error is retried with backoff":            {err: boom, failed: true},
		"an error ignores the wait":                   {wait: time.Minute, err: boom, failed: true},
		"a conflict ignores the wait":                 {wait: time.Minute, err: conflict, requeue: 5 * time.Millisecond},
		"a forbidden request is retried with backoff": {err: apierrors.NewForbidden(gr, "a", boom), failed: true},
		"an overload is retried with backoff":         {err: apierrors.NewTooManyRequestsError("slow down"), failed: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, err := kube.Finish(c.wait, c.err)
			if result.RequeueAfter != c.requeue || (err != nil) != c.failed {
				t.Errorf("requeue after %s, %v", result.RequeueAfter, err)
			}
		})
	}
}
