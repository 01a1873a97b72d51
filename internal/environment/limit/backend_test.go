package limit_test

import (
	"errors"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/environmenttest"
	"github.com/kuberik/kuberik/internal/environment/limit"
	"github.com/kuberik/kuberik/internal/environment/memory"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestLimit(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(start)
	b := limit.New(memory.NewPlace(clock).Backend("kuberik"), 2, time.Hour, clock)
	if err := b.Publish(t.Context(), environment.State{Application: "shop", Environment: "staging"}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Read(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	clock.SetTime(start.Add(time.Minute))
	var wait *environment.WaitError
	if err := b.Publish(t.Context(), environment.State{}); !errors.As(err, &wait) || !wait.Until.Equal(start.Add(time.Hour)) {
		t.Errorf("got %v, want to wait until the first question is an hour old", err)
	}
	news, err := b.Read(t.Context(), "shop")
	if !errors.As(err, &wait) || !news.At.Equal(start) {
		t.Errorf("got %+v and %v, want what was known before, and to wait", news, err)
	}
	clock.SetTime(start.Add(time.Hour))
	if news, err = b.Read(t.Context(), "shop"); err != nil || !news.At.Equal(clock.Now()) {
		t.Errorf("an hour later: got %+v and %v", news, err)
	}
}

func TestContract(t *testing.T) {
	environmenttest.Run(t, environmenttest.Harness{Open: func(*testing.T) environmenttest.Place {
		clock := clocktesting.NewFakePassiveClock(start)
		p := memory.NewPlace(clock)
		var a environmenttest.Accidents
		p.Interrupt(func(e memory.Effect) (i memory.Interruption) {
			i.Before, i.After = a.Next(e != memory.Read)
			return i
		})
		return environmenttest.Place{
			Backend: func(_ *testing.T, actor string, trusted ...string) environment.Backend {
				return limit.New(p.Backend(actor, trusted...), 1000, time.Hour, clock)
			},
			Now: clock.Now, Step: func(d time.Duration) { clock.SetTime(clock.Now().Add(d)) },
			Reject: p.Reject, Writes: p.Writes, Deployments: p.Deployments,
			Break: a.Break, Down: a.Down,
		}
	}})
}
