package memory_test

import (
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/environmenttest"
	"github.com/kuberik/kuberik/internal/environment/memory"
)

// open makes a place that a test can break.
func open(*testing.T) environmenttest.Place {
	clock := clocktesting.NewFakePassiveClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	p := memory.NewPlace(clock)
	var a environmenttest.Accidents
	p.Interrupt(func(e memory.Effect) (i memory.Interruption) {
		i.Before, i.After = a.Next(e != memory.Read)
		return i
	})
	return environmenttest.Place{
		Backend: func(_ *testing.T, actor string, trusted ...string) environment.Backend {
			return p.Backend(actor, trusted...)
		},
		Now:    clock.Now,
		Step:   func(d time.Duration) { clock.SetTime(clock.Now().Add(d)) },
		Reject: p.Reject,
		Writes: p.Writes, Deployments: p.Deployments,
		Break: a.Break, Down: a.Down,
	}
}

func TestContract(t *testing.T) {
	environmenttest.Run(t, environmenttest.Harness{Open: open})
}
