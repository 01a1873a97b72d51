package memory_test

import (
	"testing"

	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/environmenttest"
	"github.com/kuberik/kuberik/internal/environment/memory"
)

func open(*testing.T) environmenttest.Service {
	clock := environmenttest.NewClock()
	s := memory.NewService(clock)
	var faults environmenttest.FaultInjector
	s.Interrupt(func(e memory.Effect) memory.Interruption {
		before, after := faults.Next(e != memory.Read)
		return memory.Interruption{Before: before, After: after}
	})
	service := environmenttest.NewService(clock, &faults)
	service.Reject, service.Writes, service.Deployments = s.Reject, s.Writes, s.Deployments
	service.Backend = func(_ *testing.T, actor string, trusted ...string) environment.Backend {
		return s.Backend(actor, trusted...)
	}
	return service
}

func TestContract(t *testing.T) {
	environmenttest.Run(t, environmenttest.Harness{Open: open})
}
