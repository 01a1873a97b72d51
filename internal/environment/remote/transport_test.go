package remote

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kuberik/kuberik/internal/environment"
)

// responder returns the same response to each request, and counts them.
type responder struct {
	status int
	header http.Header
	last   *http.Request
	count  int
}

// RoundTrip implements http.RoundTripper.
func (r *responder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.last, r.count = req, r.count+1
	return &http.Response{StatusCode: r.status, Header: r.header, Body: io.NopCloser(strings.NewReader("{}"))}, nil
}

type bench struct {
	responder
	*Transport
	clock *clocktesting.FakePassiveClock
}

func newBench(t *testing.T) *bench {
	t.Helper()
	s := &Service{
		Name: "Hub", MaxObject: 1 << 20, Writes: func(budget int) []Limit { return []Limit{{budget / 2, time.Hour}} },
		RateLimit: func(resp *http.Response, _ []byte) RateLimit {
			return RateLimit{
				Reached: resp.StatusCode == http.StatusTooManyRequests, Remaining: -1, Reset: resp.Header.Get("Reset"),
			}
		},
	}
	b := &bench{
		responder: responder{status: http.StatusOK, header: http.Header{}},
		clock:     clocktesting.NewFakePassiveClock(time.Unix(1e9, 0)),
	}
	o := Options{URL: "https://hub.example.com/api", Token: "secret", HTTPClient: &http.Client{Transport: &b.responder}}
	var err error
	if b.Transport, err = NewTransport(s, o, "account", PoolOptions{Budget: 10, Clock: b.clock}.Complete()); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) do(t *testing.T, method, url string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := b.Transport.RoundTrip(req)
	if err == nil {
		resp.Body.Close()
	}
	return err
}

const home, elsewhere = "https://hub.example.com/api/things", "https://hub.example.com:8443/api/things"

// TestRequestsGoOnlyToTheHostOfTheAPI: neither the token nor a request is sent to another host.
func TestRequestsGoOnlyToTheHostOfTheAPI(t *testing.T) {
	b := newBench(t)
	if err := b.do(t, http.MethodGet, home); err != nil || b.last.Header.Get("Authorization") != "Bearer secret" {
		t.Errorf("got %v with %v", err, b.last.Header)
	}
	var refused *environment.RefusedError
	for _, url := range []string{elsewhere, "https://other.example.com/api/things", "https://hub.example.com.evil/api"} {
		if err := b.do(t, http.MethodGet, url); !errors.As(err, &refused) || strings.Contains(err.Error(), "secret") ||
			b.count != 1 {
			t.Errorf("%s: got %v after %d requests", url, err, b.count)
		}
	}
}

// TestNoRequestsDuringAPause: consecutive pauses without a length get longer.
func TestNoRequestsDuringAPause(t *testing.T) {
	b := newBench(t)
	b.status = http.StatusTooManyRequests
	for i, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
		for range 2 {
			var wait *environment.WaitError
			if err := b.do(t, http.MethodGet, home); !errors.As(err, &wait) || !wait.Until.Equal(b.clock.Now().Add(want)) ||
				b.count != i+1 {
				t.Fatalf("got %v after %d requests, want a pause of %s", err, b.count, want)
			}
		}
		b.clock.SetTime(b.clock.Now().Add(want))
	}
	for name, tc := range map[string]struct {
		header http.Header
		want   time.Duration
	}{
		"length":            {http.Header{"Retry-After": {"90"}}, 90 * time.Second},
		"zero":              {http.Header{"Retry-After": {"0"}}, time.Second},
		"too long":          {http.Header{"Retry-After": {"99999999"}}, time.Hour},
		"time":              {http.Header{"Reset": {"120"}, "Date": {"Thu, 01 Jan 1970 00:01:00 GMT"}}, time.Minute},
		"time in the past":  {http.Header{"Reset": {"120"}, "Date": {"Thu, 01 Jan 1970 00:03:00 GMT"}}, time.Second},
		"time too far away": {http.Header{"Reset": {"9999999999"}}, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.status, b.header = http.StatusTooManyRequests, tc.header
			var wait *environment.WaitError
			if err := b.do(t, http.MethodGet, home); !errors.As(err, &wait) || !wait.Until.Equal(b.clock.Now().Add(tc.want)) {
				t.Errorf("got %v, want a pause of %s", err, tc.want)
			}
		})
	}
}

func TestRefusedWritesDoNotSpendTheBudgetOfReads(t *testing.T) {
	b := newBench(t)
	failed := map[string]int{}
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		for range 8 {
			if b.do(t, method, home) != nil {
				failed[method]++
			}
		}
	}
	if failed[http.MethodPost] != 3 || failed[http.MethodGet] != 3 || b.count != 10 {
		t.Errorf("%v failed after %d requests", failed, b.count)
	}
}
