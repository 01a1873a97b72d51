package memory

import (
	"slices"
	"sync"

	"k8s.io/utils/clock"

	"github.com/kuberik/kuberik/internal/environment"
)

// Effect is a request of a backend to a Place.
type Effect string

const (
	// Read everything about an application.
	Read Effect = "read"
	// Create a deployment.
	Create Effect = "create"
	// Report the state of a deployment.
	Report Effect = "report"
)

// Interruption is an error before an effect, which then does not happen, or after it.
type Interruption struct {
	// Before the effect.
	Before error
	// After the effect.
	After error
}

// Place is the service where the backends of several clusters meet. It is safe for concurrent use.
type Place struct {
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

// NewPlace returns an empty Place with that clock.
func NewPlace(c clock.PassiveClock) *Place {
	return &Place{clock: c, rejected: map[string]bool{}}
}

// Interrupt calls the function before each effect from now on; nil stops that.
func (p *Place) Interrupt(interrupt func(Effect) Interruption) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.interrupt = interrupt
}

// Reject makes the Place reject deployments of a revision.
func (p *Place) Reject(revision string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rejected[revision] = true
}

// Writes returns the number of effects that changed something.
func (p *Place) Writes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.writes
}

// Deployments returns the number of deployments with a key.
func (p *Place) Deployments(key string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, r := range p.records {
		if r.deployment.Key == key {
			n++
		}
	}
	return n
}

// effect applies an effect unless it is interrupted. The lock is held.
func (p *Place) effect(e Effect, apply func()) error {
	var i Interruption
	if p.interrupt != nil {
		i = p.interrupt(e)
	}
	if i.Before != nil {
		return i.Before
	}
	apply()
	if e != Read {
		p.writes++
	}
	return i.After
}

// find returns the oldest deployment with a key by one of the creators, or nil.
func (p *Place) find(s environment.State, key string, creators []string) *record {
	i := slices.IndexFunc(p.records, func(r *record) bool {
		return r.application == s.Application && r.environment == s.Environment && r.deployment.Key == key && slices.Contains(creators, r.creator)
	})
	if i < 0 {
		return nil
	}
	return p.records[i]
}
