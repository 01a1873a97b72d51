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
		wait   time.Duration
		err    error
		again  time.Duration
		failed bool
	}{
		"nothing more":                        {},
		"a wait":                              {wait: time.Minute, again: time.Minute},
		"a wait that is nearly over":          {wait: time.Nanosecond, again: time.Millisecond},
		"a wait that was over":                {wait: -time.Second},
		"a conflict is silent":                {err: conflict, again: 5 * time.Millisecond},
		"a wrapped conflict":                  {err: fmt.Errorf("writing: %w", conflict), again: 5 * time.Millisecond},
		"gone is the end":                     {err: fmt.Errorf("writing: %w", gone)},
		"an error is retried with backoff":    {err: boom, failed: true},
		"an error beats a wait":               {wait: time.Minute, err: boom, failed: true},
		"a conflict beats a wait":             {wait: time.Minute, err: conflict, again: 5 * time.Millisecond},
		"a refusal is retried with backoff":   {err: apierrors.NewForbidden(gr, "a", boom), failed: true},
		"an overload is retried with backoff": {err: apierrors.NewTooManyRequestsError("slow down"), failed: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, err := kube.Finish(c.wait, c.err)
			if result.RequeueAfter != c.again || (err != nil) != c.failed {
				t.Errorf("again after %s, %v", result.RequeueAfter, err)
			}
		})
	}
}
