package expr

import "k8s.io/utils/lru"

// Cache remembers conditions, so that they are compiled once and not for each probe. It may be used by many at once.
type Cache struct{ entries *lru.Cache }

// NewCache makes a Cache of a size.
func NewCache(size int) *Cache { return &Cache{entries: lru.New(size)} }

type source struct{ vars, text string }

type compiled struct {
	program *Program
	err     error
}

// Compile is the function Compile, with a memory. It remembers errors too: they are asked for as often.
func (c *Cache) Compile(text string, v Vars) (*Program, error) {
	key := source{v.name, text}
	if len(text) > MaxLength {
		return Compile(text, v) // which refuses it; there is no need to keep it
	}
	if found, ok := c.entries.Get(key); ok {
		if entry, ok := found.(compiled); ok {
			return entry.program, entry.err
		}
	}
	program, err := Compile(text, v)
	c.entries.Add(key, compiled{program, err})
	return program, err
}
