package expr

import (
	"context"
	"time"

	"github.com/kuberik/kuberik/internal/fair"
)

// Cache caches compiled conditions by namespace. It is safe for concurrent use.
type Cache struct {
	entries *fair.Cache[source, compiled]
}

// NewCache returns a Cache of a total size in bytes, of which each namespace has at most a share.
func NewCache(total, share int) *Cache {
	return &Cache{entries: fair.NewCache[source, compiled](total, share, nil)}
}

const (
	// minSize is about how much memory a compiled condition takes at least, in bytes, and sizePerByte how much it takes
	// for each byte of its text. The largest were measured with 260 bytes.
	minSize, sizePerByte = 24 << 10, 256
	// errorSize is about how much memory an error takes.
	errorSize = 512
)

type source struct{ vars, text string }

type compiled struct {
	program *Program
	err     error
}

func (c compiled) size(text string) int {
	if c.err != nil {
		return errorSize + len(text)
	}
	return minSize + sizePerByte*len(text)
}

// Compile returns the compiled condition, like the function Compile. It caches errors too, since they are requested as
// often. Compiling takes a thousand times as long as most evaluations and is charged to the fair.Meter of the context.
func (c *Cache) Compile(ctx context.Context, namespace, text string, v Vars) (*Program, error) {
	return c.compile(ctx, namespace, source{v.name, text}, func() (*Program, error) { return Compile(text, v) })
}

// CompileValue compiles an expression over release that produces text. An error says what its author has to change.
func (c *Cache) CompileValue(ctx context.Context, namespace, text string) (*Value, error) {
	program, err := c.compile(ctx, namespace, source{"value", text}, func() (*Program, error) {
		return compile(text, releaseOnly, isValue)
	})
	if err != nil {
		return nil, valueError{err}
	}
	return &Value{program}, nil
}

func (c *Cache) compile(
	ctx context.Context, namespace string, key source, compile func() (*Program, error),
) (*Program, error) {
	if len(key.text) > MaxLength {
		return compile() // fails quickly, without using space in the cache
	}
	if found, ok := c.entries.Get(namespace, key); ok {
		return found.program, found.err
	}
	start := time.Now()
	var made compiled
	made.program, made.err = compile()
	fair.Charge(ctx, time.Since(start))
	c.entries.Add(namespace, key, made, made.size(key.text))
	return made.program, made.err
}
