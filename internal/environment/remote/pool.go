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

// idleTTL is how long an unused entry stays in a Cache: that of a rotated token, or of a deleted Environment.
const idleTTL = 24 * time.Hour

// Cache holds values by key. It drops those that were not used for 24 hours. The zero value is empty. It is safe for
// concurrent use.
type Cache[T any] struct {
	mu      sync.Mutex
	entries map[string]*cached[T]
}

type cached[T any] struct {
	value T
	used  time.Time
}

// Get returns the value of a key, and creates it if there is none.
func (c *Cache[T]) Get(now time.Time, key string, create func() (T, error)) (T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.entries, func(_ string, e *cached[T]) bool { return e.used.Before(now.Add(-idleTTL)) })
	e := c.entries[key]
	if e == nil {
		value, err := create()
		if err != nil {
			return value, err
		}
		if c.entries == nil {
			c.entries = map[string]*cached[T]{}
		}
		e = &cached[T]{value: value}
		c.entries[key] = e
	}
	e.used = now
	return e.value, nil
}

// Pool holds the accounts and the projects that Backends share. It is safe for concurrent use.
type Pool[Account, Project any] struct {
	// Options of the Pool.
	Options PoolOptions

	accounts Cache[Account]
	projects Cache[Project]
}

// Project returns the project of the options, and its key. Backends with the same API URL and credentials share an
// account, and those with the same path as well share a project. The key of an account does not reveal the credentials.
func (p *Pool[Account, Project]) Project(
	o Options, credentials string, newAccount func(key string) (Account, error), newProject func(Account) Project,
) (Project, string, error) {
	now, accountKey := p.Options.Clock.Now(), digest(o.URL, credentials)
	projectKey := accountKey + " " + strings.ToLower(o.Project)
	a, err := p.accounts.Get(now, accountKey, func() (Account, error) { return newAccount(accountKey) })
	if err != nil {
		var none Project
		return none, "", err
	}
	project, err := p.projects.Get(now, projectKey, func() (Project, error) { return newProject(a), nil })
	return project, projectKey, err
}

// ViewKey returns the key of the Backends that return the same snapshots of a project.
func (o Options) ViewKey(projectKey string) string {
	return projectKey + " " +
		digest(fmt.Sprintf("%q %q %q %s", o.TrustedActors, o.UnsignedActors, o.SignatureKey, o.Interval))
}

func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])
}
