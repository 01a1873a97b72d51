package gitlab

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"strings"
	"sync"
	"time"
)

// unused is after what time what nobody asks for any more is forgotten: a rotated token, a deleted Environment.
const unused = 24 * time.Hour

// Pool shares what Backends read, and their budget. It is safe for use by several at once.
type Pool struct {
	o PoolOptions

	mu       sync.Mutex
	accounts map[string]*account
	places   map[string]*place
}

// NewPool makes a Pool.
func NewPool(o PoolOptions) *Pool {
	return &Pool{o: o.complete(), accounts: map[string]*account{}, places: map[string]*place{}}
}

// New makes a Backend on its own. A controller makes its Backends from one Pool.
func New(o Options, p PoolOptions) (*Backend, error) { return NewPool(p).Backend(o) }

// Backend makes a Backend that shares requests with the others for the same URL, project and token. It costs nothing, so that a controller
// asks for it whenever it needs one; what nobody asks for in a day is forgotten. An error says what is wrong with the options.
func (p *Pool) Backend(o Options) (*Backend, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget()
	who := digest(o.BaseURL, o.Token)
	a := p.accounts[who]
	if a == nil {
		if a, err = newAccount(who, o, p.o); err != nil {
			return nil, err
		}
		p.accounts[who] = a
	}
	where := who + " " + strings.ToLower(o.Project)
	in := p.places[where]
	if in == nil {
		in = newPlace(a, o.Project)
		p.places[where] = in
	}
	a.used = p.o.Clock.Now()
	in.used = a.used
	return &Backend{place: in, o: o}, nil
}

// forget drops what has not been asked for lately. Backends that still exist go on with what they have.
func (p *Pool) forget() {
	old := p.o.Clock.Now().Add(-unused)
	maps.DeleteFunc(p.places, func(_ string, in *place) bool { return in.used.Before(old) })
	maps.DeleteFunc(p.accounts, func(_ string, a *account) bool { return a.used.Before(old) })
}

// digest tells secrets apart without telling them.
func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])
}
