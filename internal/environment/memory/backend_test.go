package memory_test

import (
	"testing"

	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/environmenttest"
	"github.com/kuberik/kuberik/internal/environment/memory"
)

// open makes a place that a test can break.
func open(*testing.T) environmenttest.Place {
	clock := environmenttest.NewClock()
	p := memory.NewPlace(clock)
	var a environmenttest.Accidents
	p.Interrupt(func(e memory.Effect) memory.Interruption {
		before, after := a.Next(e != memory.Read)
		return memory.Interruption{Before: before, After: after}
	})
	place := environmenttest.NewPlace(clock, &a)
	place.Reject, place.Writes, place.Deployments = p.Reject, p.Writes, p.Deployments
	place.Backend = func(_ *testing.T, actor string, trusted ...string) environment.Backend {
		return p.Backend(actor, trusted...)
	}
	return place
}

func TestContract(t *testing.T) {
	environmenttest.Run(t, environmenttest.Harness{Open: open})
}
