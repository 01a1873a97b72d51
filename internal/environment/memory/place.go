package memory

import (
	"slices"
	"sync"

	"k8s.io/utils/clock"

	"github.com/kuberik/kuberik/internal/environment"
)

// Effect is what a backend does to a Place.
type Effect string

const (
	// Read everything about an application.
	Read Effect = "read"
	// Create a deployment.
	Create Effect = "create"
	// Say what the state of a deployment is.
	Say Effect = "say"
)

// Interruption is an error before an effect, which then does not happen, or after it, when it has.
type Interruption struct {
	// Before the effect.
	Before error
	// After the effect.
	After error
}

// Place is where the backends of several clusters meet. It is safe for use by several at once.
type Place struct {
	clock clock.PassiveClock

	mu        sync.Mutex
	interrupt func(Effect) Interruption
	rejected  map[string]bool
	records   []*record
	writes    int
}

// record is one deployment, and what was said of it since.
type record struct {
	application, environment string
	maker                    string
	deployment               environment.Deployment
	after                    []string
	parallel                 bool
	said                     []word
}

// word is what somebody said of a deployment.
type word struct {
	speaker    string
	url        string
	deployment environment.Deployment
}

// NewPlace makes an empty place with that time.
func NewPlace(c clock.PassiveClock) *Place {
	return &Place{clock: c, rejected: map[string]bool{}}
}

// Interrupt asks the function about each effect from now on; nil asks nobody.
func (p *Place) Interrupt(ask func(Effect) Interruption) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.interrupt = ask
}

// Reject makes the place refuse deployments of a revision.
func (p *Place) Reject(revision string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rejected[revision] = true
}

// Writes counts the effects that changed something.
func (p *Place) Writes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.writes
}

// Deployments counts those of a key, whoever made them.
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

// effect lets something happen, or not. The lock is held.
func (p *Place) effect(e Effect, happen func()) error {
	var i Interruption
	if p.interrupt != nil {
		i = p.interrupt(e)
	}
	if i.Before != nil {
		return i.Before
	}
	happen()
	if e != Read {
		p.writes++
	}
	return i.After
}

// find returns the oldest deployment of a key that one of the makers made.
func (p *Place) find(s environment.State, key string, makers []string) *record {
	i := slices.IndexFunc(p.records, func(r *record) bool {
		return r.application == s.Application && r.environment == s.Environment && r.deployment.Key == key && slices.Contains(makers, r.maker)
	})
	if i < 0 {
		return nil
	}
	return p.records[i]
}
