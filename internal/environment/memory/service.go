package memory

import (
	"slices"
	"sync"

	"k8s.io/utils/clock"

	"github.com/kuberik/kuberik/internal/environment"
)

// Effect is a request of a backend to a Service.
type Effect string

const (
	// Read everything about an application.
	Read Effect = "read"
	// Create a deployment.
	Create Effect = "create"
	// Report the state of a deployment.
	Report Effect = "report"
)

// Interruption is an error that is returned before an effect, which then does not happen, or after it.
type Interruption struct {
	// Before the effect.
	Before error
	// After the effect.
	After error
}

// Service is an outside service in memory, which the backends of several clusters use. It is safe for concurrent use.
type Service struct {
	clock clock.PassiveClock

	mu        sync.Mutex
	interrupt func(Effect) Interruption
	rejected  map[string]bool
	records   []*record
	writes    int
}

// record is one deployment and the reports about it.
type record struct {
	application, environment string
	creator                  string
	deployment               environment.Deployment
	after                    []string
	parallel                 bool
	reports                  []statusReport
}

// statusReport is what an actor reported about a deployment.
type statusReport struct {
	actor      string
	url        string
	deployment environment.Deployment
}

// NewService returns an empty Service with that clock.
func NewService(c clock.PassiveClock) *Service {
	return &Service{clock: c, rejected: map[string]bool{}}
}

// Interrupt calls the function before each effect from now on. Nil removes it.
func (s *Service) Interrupt(interrupt func(Effect) Interruption) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.interrupt = interrupt
}

// Reject makes the Service reject deployments of a revision.
func (s *Service) Reject(revision string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rejected[revision] = true
}

// Writes returns the number of effects that wrote something.
func (s *Service) Writes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

// Deployments returns the number of deployments with a key.
func (s *Service) Deployments(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range s.records {
		if r.deployment.Key == key {
			n++
		}
	}
	return n
}

// effect applies an effect unless it is interrupted. The lock is held.
func (s *Service) effect(e Effect, apply func()) error {
	var i Interruption
	if s.interrupt != nil {
		i = s.interrupt(e)
	}
	if i.Before != nil {
		return i.Before
	}
	apply()
	if e != Read {
		s.writes++
	}
	return i.After
}

// find returns the oldest deployment with a key by one of the creators, or nil.
func (s *Service) find(state environment.State, key string, creators []string) *record {
	i := slices.IndexFunc(s.records, func(r *record) bool {
		return r.application == state.Application && r.environment == state.Environment && r.deployment.Key == key &&
			slices.Contains(creators, r.creator)
	})
	if i < 0 {
		return nil
	}
	return s.records[i]
}
