package retry_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/environmenttest"
	"github.com/kuberik/kuberik/internal/environment/memory"
	"github.com/kuberik/kuberik/internal/environment/retry"
)

var (
	start   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	errDown = errors.New("down")
)

// impatient is a clock whose timers are over at once. It remembers how long they should have been.
type impatient struct {
	*clocktesting.FakeClock
	pauses []time.Duration
}

func (c *impatient) NewTimer(d time.Duration) clock.Timer {
	c.pauses = append(c.pauses, d)
	timer := c.FakeClock.NewTimer(d)
	c.Step(d)
	return timer
}

// answers is a backend that gives one answer after the other, and the last for ever.
type answers struct {
	errs  []error
	asked int
}

func (a *answers) next() error {
	err := a.errs[min(a.asked, len(a.errs)-1)]
	a.asked++
	return err
}

func (a *answers) Publish(context.Context, environment.State) error { return a.next() }

func (a *answers) Read(context.Context, string) (environment.News, error) {
	return environment.News{At: start}, a.next()
}

func TestRetry(t *testing.T) {
	one := &environment.DeploymentError{ID: 1, Err: errors.New("unknown revision")}
	for name, tc := range map[string]struct {
		answers []error
		asked   int
		pauses  []time.Duration
	}{
		"well":             {[]error{nil}, 1, nil},
		"once":             {[]error{errDown, nil}, 2, []time.Duration{time.Second}},
		"for ever":         {[]error{errDown}, 5, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second}},
		"refused":          {[]error{&environment.RefusedError{Err: errDown}}, 1, nil},
		"wait":             {[]error{&environment.WaitError{Err: errDown}}, 1, nil},
		"deployment":       {[]error{errors.Join(one, one)}, 1, nil},
		"deployment alone": {[]error{one}, 1, nil},
		"also":             {[]error{errors.Join(one, errDown), one}, 2, []time.Duration{time.Second}},
		"wait too":         {[]error{errors.Join(one, errDown, &environment.WaitError{Err: errDown})}, 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			for _, ask := range []func(environment.Backend) error{
				func(b environment.Backend) error { return b.Publish(t.Context(), environment.State{}) },
				func(b environment.Backend) error {
					news, err := b.Read(t.Context(), "shop")
					if !news.At.Equal(start) {
						t.Error("what it knows of old is lost")
					}
					return err
				},
			} {
				next, c := &answers{errs: tc.answers}, &impatient{FakeClock: clocktesting.NewFakeClock(start)}
				err := ask(retry.New(next, retry.Options{Attempts: 5, Longest: 5 * time.Second, Clock: c}))
				if want := tc.answers[len(tc.answers)-1]; !errors.Is(err, want) || next.asked != tc.asked || !cmp.Equal(c.pauses, tc.pauses) {
					t.Errorf("got %v after asking %d times with pauses of %s", err, next.asked, c.pauses)
				}
			}
		})
	}
}

func TestGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	next, c := &answers{errs: []error{errDown}}, clocktesting.NewFakeClock(start)
	done := make(chan error)
	go func() { done <- retry.New(next, retry.Options{Clock: c}).Publish(ctx, environment.State{}) }()
	cancel()
	if err := <-done; !errors.Is(err, errDown) || next.asked != 1 {
		t.Errorf("got %v after asking %d times", err, next.asked)
	}
}

func TestContract(t *testing.T) {
	environmenttest.Run(t, environmenttest.Harness{Open: func(*testing.T) environmenttest.Place {
		c := &impatient{FakeClock: clocktesting.NewFakeClock(start)}
		p := memory.NewPlace(c)
		var a environmenttest.Accidents
		p.Interrupt(func(e memory.Effect) (i memory.Interruption) {
			i.Before, i.After = a.Next(e != memory.Read)
			return i
		})
		return environmenttest.Place{
			Backend: func(_ *testing.T, actor string, trusted ...string) environment.Backend {
				return retry.New(p.Backend(actor, trusted...), retry.Options{Clock: c})
			},
			Now: c.Now, Step: c.Step, Reject: p.Reject, Writes: p.Writes, Deployments: p.Deployments,
			Break: a.Break, Down: a.Down,
		}
	}})
}
