package expr

import (
	"context"
	"time"

	"k8s.io/utils/lru"

	"github.com/kuberik/kuberik/internal/fair"
)

// Cache remembers conditions, so that they are compiled once and not for each probe. It may be used by many at once.
type Cache struct{ entries *lru.Cache }

// NewCache makes a Cache of a size.
func NewCache(size int) *Cache { return &Cache{entries: lru.New(size)} }

type source struct{ vars, text string }

type compiled struct {
	program *Program
	err     error
}

// Compile is the function Compile, with a memory. It remembers errors too: they are asked for as often. Compiling takes a thousand times as
// long as most evaluations, and is charged to whoever the context is for: with thousands of conditions, none is remembered for long.
func (c *Cache) Compile(ctx context.Context, text string, v Vars) (*Program, error) {
	return c.compile(ctx, source{v.name, text}, func() (*Program, error) { return Compile(text, v) })
}

// CompileValue is the function CompileValue, with the same memory.
func (c *Cache) CompileValue(ctx context.Context, text string) (*Value, error) {
	program, err := c.compile(ctx, source{"value", text}, func() (*Program, error) { return compile(text, releaseAlone, isValue) })
	if err != nil {
		return nil, worded{err}
	}
	return &Value{program}, nil
}

func (c *Cache) compile(ctx context.Context, key source, anew func() (*Program, error)) (*Program, error) {
	if len(key.text) > MaxLength {
		return anew() // which refuses it; there is no need to keep it
	}
	if found, ok := c.entries.Get(key); ok {
		if entry, ok := found.(compiled); ok {
			return entry.program, entry.err
		}
	}
	start := time.Now()
	program, err := anew()
	fair.Charge(ctx, time.Since(start))
	c.entries.Add(key, compiled{program, err})
	return program, err
}
