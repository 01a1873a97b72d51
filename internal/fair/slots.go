package fair

import (
	"context"
	"sync"
)

// Slots bounds how many pieces of work of one namespace are done at the same time. It may be used by many at once. A
// nil Slots has no bound.
type Slots struct {
	mu   sync.Mutex
	each int
	list map[string]*slots
}

type slots struct {
	taken chan struct{}
	// users counts those who hold a slot or wait for one.
	users int
}

// NewSlots returns Slots with so many of them for each namespace.
func NewSlots(each int) *Slots { return &Slots{each: max(each, 1), list: map[string]*slots{}} }

// Take waits for a slot of a namespace, and returns what gives it back. The error is that of the context.
func (s *Slots) Take(ctx context.Context, namespace string) (done func(), err error) {
	if s == nil {
		return func() {}, ctx.Err()
	}
	own := s.enter(namespace)
	select {
	case own.taken <- struct{}{}:
		return func() {
			<-own.taken
			s.leave(namespace)
		}, nil
	case <-ctx.Done():
		s.leave(namespace)
		return nil, ctx.Err()
	}
}

func (s *Slots) enter(namespace string) *slots {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.list[namespace]
	if own == nil {
		own = &slots{taken: make(chan struct{}, s.each)}
		s.list[namespace] = own
	}
	own.users++
	return own
}

func (s *Slots) leave(namespace string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.list[namespace].users--; s.list[namespace].users == 0 {
		delete(s.list, namespace)
	}
}
