package expr

import (
	"context"
	"time"

	"k8s.io/utils/lru"

	"github.com/kuberik/kuberik/internal/fair"
)

// Cache caches compiled conditions. It is safe for concurrent use.
type Cache struct{ entries *lru.Cache }

// NewCache returns a Cache of at most size conditions.
func NewCache(size int) *Cache { return &Cache{entries: lru.New(size)} }

type source struct{ vars, text string }

type compiled struct {
	program *Program
	err     error
}

// Compile returns the compiled condition, like the function Compile. It caches errors too, since they are requested as
// often. Compiling takes a thousand times as long as most evaluations and is charged to the fair.Meter of the context.
func (c *Cache) Compile(ctx context.Context, text string, v Vars) (*Program, error) {
	return c.compile(ctx, source{v.name, text}, func() (*Program, error) { return Compile(text, v) })
}

// CompileValue compiles an expression over release that produces text. An error says what its author has to change.
func (c *Cache) CompileValue(ctx context.Context, text string) (*Value, error) {
	program, err := c.compile(ctx, source{"value", text}, func() (*Program, error) { return compile(text, releaseOnly, isValue) })
	if err != nil {
		return nil, valueError{err}
	}
	return &Value{program}, nil
}

func (c *Cache) compile(ctx context.Context, key source, compile func() (*Program, error)) (*Program, error) {
	if len(key.text) > MaxLength {
		return compile() // fails quickly, without using space in the cache
	}
	if found, ok := c.entries.Get(key); ok {
		if entry, ok := found.(compiled); ok {
			return entry.program, entry.err
		}
	}
	start := time.Now()
	program, err := compile()
	fair.Charge(ctx, time.Since(start))
	c.entries.Add(key, compiled{program, err})
	return program, err
}
