package environmenttest

import (
	"errors"
	"sync"
)

// ErrAccident is the error of an accident.
var ErrAccident = errors.New("broken on purpose")

// Accidents decides which calls to a Place fail. It is safe for concurrent use.
type Accidents struct {
	mu     sync.Mutex
	down   bool
	armed  bool
	before int
	after  bool
}

// Down is Place.Down.
func (a *Accidents) Down(down bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = down
}

// Break is Place.Break.
func (a *Accidents) Break(f Fault) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.armed, a.before, a.after = true, f.Write, f.After
}

// Next returns the error of the next call: before it, so that it has no effect, or after it.
func (a *Accidents) Next(write bool) (before, after error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.down {
		return ErrAccident, nil
	}
	if !write || !a.armed {
		return nil, nil
	}
	a.before--
	if a.before >= 0 {
		return nil, nil
	}
	a.armed = false
	if a.after {
		return nil, ErrAccident
	}
	return ErrAccident, nil
}
