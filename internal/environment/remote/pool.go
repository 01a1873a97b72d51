package remote

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/kuberik/kuberik/internal/fair"
)

const (
	// DefaultMemory is how much memory the projects of a Pool may take in total, in bytes.
	DefaultMemory = 64 << 20
	// DefaultMemoryOfNamespace is how much of it those may take that one namespace uses.
	DefaultMemoryOfNamespace = 24 << 20
	// minMemory is what a project takes at least.
	minMemory = 32 << 10
	// maxAccounts is the number of accounts in a Pool, and maxAccountsOfNamespace the number of those that one namespace
	// uses. An account takes up to 30 KB.
	maxAccounts, maxAccountsOfNamespace = 1024, 64
	// idleTTL is how long an unused account or project stays in a Pool: that of a rotated token, or of a deleted
	// Environment.
	idleTTL = 2 * time.Hour
)

// Pool holds the accounts and the projects that Backends share. It is safe for concurrent use.
//
// The memory that a namespace can take is limited, so that changing the credentials or the options again and again does
// not fill it. A namespace that needs more loses the project that it has not used for the longest time, and reads it
// again when it needs it. It cannot displace those of a namespace that takes less.
type Pool[Account, Project any] struct {
	// Options of the Pool.
	Options PoolOptions

	accounts *shared[Account]
	projects *shared[Project]
}

// NewPool returns a Pool.
func NewPool[Account, Project any](o PoolOptions) *Pool[Account, Project] {
	o = o.Complete()
	return &Pool[Account, Project]{
		Options: o, accounts: newShared[Account](maxAccounts, maxAccountsOfNamespace),
		projects: newShared[Project](o.Memory, o.MemoryOfNamespace),
	}
}

// Project returns the project of the options. Backends with the same API URL and credentials share an account, and
// those with the same path as well share a project. The key of an account does not reveal the credentials. A project
// calls charge whenever its memory has changed.
func (p *Pool[Account, Project]) Project(
	o Options, credentials string, newAccount func(key string) (Account, error),
	newProject func(a Account, charge func(bytes int)) (Project, error),
) (Project, error) {
	now, accountKey := p.Options.Clock.Now(), digest(o.URL, credentials)
	a, err := p.accounts.get(now, o.Namespace, accountKey,
		func(func(int)) (Account, error) { return newAccount(accountKey) })
	if err != nil {
		var none Project
		return none, err
	}
	return p.projects.get(now, o.Namespace, accountKey+" "+strings.ToLower(o.Project),
		func(charge func(int)) (Project, error) { return newProject(a, charge) })
}

// ViewKey returns the key of the Backends of a project that return the same snapshots.
func (o Options) ViewKey() string {
	return digest(fmt.Sprintf("%q %q %q %s", o.TrustedActors, o.UnsignedActors, o.SignatureKey, o.Interval))
}

func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])
}

// shared holds values by key. The size of a value counts for each namespace that uses it, and each of them has a share
// of the total. A value is dropped when no namespace uses it any more.
type shared[T any] struct {
	mu      sync.Mutex
	entries map[string]*entry[T]
	uses    *fair.Cache[string, *entry[T]]
}

type entry[T any] struct {
	value      T
	size       int
	used       time.Time
	namespaces map[string]bool
}

func newShared[T any](total, share int) *shared[T] {
	s := &shared[T]{entries: map[string]*entry[T]{}}
	s.uses = fair.NewCache(total, share, s.release)
	return s
}

// release is called when a namespace does not use a value any more. The lock is held.
func (s *shared[T]) release(namespace, key string, e *entry[T]) {
	delete(e.namespaces, namespace)
	if len(e.namespaces) == 0 {
		delete(s.entries, key)
	}
}

// get returns the value of a key for a namespace, and creates it if there is none. The value calls charge when its size
// has changed.
func (s *shared[T]) get(
	now time.Time, namespace, key string, create func(charge func(size int)) (T, error),
) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	e := s.entries[key]
	if e == nil {
		e = &entry[T]{namespaces: map[string]bool{}}
		value, err := create(func(size int) { s.charge(key, e, size) })
		if err != nil {
			return value, err
		}
		e.value, s.entries[key] = value, e
	}
	e.used, e.namespaces[namespace] = now, true
	s.uses.Add(namespace, key, e, e.size)
	return e.value, nil
}

// charge sets the size of a value, unless it was dropped.
func (s *shared[T]) charge(key string, e *entry[T], size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries[key] != e {
		return
	}
	e.size = size
	for namespace := range e.namespaces {
		s.uses.Add(namespace, key, e, size)
	}
}

// expire drops the values that were not used for idleTTL.
func (s *shared[T]) expire(now time.Time) {
	for key, e := range s.entries {
		if !e.used.Before(now.Add(-idleTTL)) {
			continue
		}
		for namespace := range e.namespaces {
			s.uses.Remove(namespace, key)
		}
	}
}
