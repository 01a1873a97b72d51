package remote

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"
)

// idleTTL is how long an unused entry stays in a Pool: that of a rotated token, or of a deleted Environment.
const idleTTL = 24 * time.Hour

// Pool holds what Backends share, by key. The zero value is empty. It is safe for concurrent use.
type Pool[T any] struct {
	mu      sync.Mutex
	entries map[string]*pooled[T]
}

type pooled[T any] struct {
	value T
	used  time.Time
}

// Get returns the entry of a key, and creates it if there is none. It drops entries that nobody asked for in the last 24 hours; whoever
// holds one can go on using it.
func (p *Pool[T]) Get(now time.Time, key string, create func() (T, error)) (T, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.entries, func(_ string, e *pooled[T]) bool { return e.used.Before(now.Add(-idleTTL)) })
	e := p.entries[key]
	if e == nil {
		value, err := create()
		if err != nil {
			return value, err
		}
		if p.entries == nil {
			p.entries = map[string]*pooled[T]{}
		}
		e = &pooled[T]{value: value}
		p.entries[key] = e
	}
	e.used = now
	return e.value, nil
}

// AccountKey identifies the credentials of the options without revealing them.
func (o Options) AccountKey(secret string) string { return digest(o.URL, secret) }

// ProjectKey identifies what Backends with the same account and project share.
func (o Options) ProjectKey(account string) string { return account + " " + strings.ToLower(o.Project) }

// ViewKey identifies Backends that tell the same about a project.
func (o Options) ViewKey(project string) string {
	return project + " " + digest(fmt.Sprintf("%q %q %q %s", o.TrustedActors, o.UnsignedActors, o.SignatureKey, o.Interval))
}

func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])
}
