package lease_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kuberik/kuberik/internal/lease"
)

type answers int

func (a answers) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: int(a), Body: http.NoBody}, nil
}

func TestFenceRefusesWritesOfALeaderWhoseLeaseMayHaveExpired(t *testing.T) {
	t.Parallel()
	const own, object = "/apis/coordination.k8s.io/v1/namespaces/a/leases/b", "/apis/kuberik.com/v1alpha1/namespaces/a/rollouts/b/status"
	for name, c := range map[string]struct {
		renewed bool
		answer  answers
		pause   time.Duration
		method  string
		path    string
		refused bool
	}{
		"no lease at all":          {false, 200, time.Hour, http.MethodPatch, object, false},
		"in time":                  {true, 200, 8 * time.Second, http.MethodPatch, object, false},
		"too late":                 {true, 200, 9 * time.Second, http.MethodPatch, object, true},
		"a creation":               {true, 200, 9 * time.Second, http.MethodPost, object, true},
		"a read":                   {true, 200, 9 * time.Second, http.MethodGet, object, false},
		"the lease itself":         {true, 200, 9 * time.Second, http.MethodPut, own, false},
		"a renewal that failed":    {true, 409, 9 * time.Second, http.MethodPatch, object, false},
		"a deletion":               {true, 201, 9 * time.Second, http.MethodDelete, object, true},
		"right after the renewal":  {true, 200, 0, http.MethodPatch, object, false},
		"a lease that was created": {true, 201, 9 * time.Second, http.MethodPatch, object, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				transport := (&lease.Fence{Lifetime: 8 * time.Second}).Wrap(c.answer)
				send := func(method, path string) error {
					r, err := http.NewRequestWithContext(t.Context(), method, "https://api"+path, http.NoBody)
					if err != nil {
						t.Fatal(err)
					}
					resp, err := transport.RoundTrip(r)
					if err == nil {
						err = resp.Body.Close()
					}
					return err
				}
				if c.renewed {
					if err := send(http.MethodPut, own); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(c.pause)
				if err := send(c.method, c.path); errors.Is(err, lease.ErrExpired) != c.refused {
					t.Errorf("%s %s: %v", c.method, c.path, err)
				}
			})
		})
	}
}
