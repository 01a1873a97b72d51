package fair

import (
	"slices"
	"sync"
)

// lateEvery is how many items are taken for each late one while urgent ones wait, so that no item waits for ever.
const lateEvery = 8

// Lanes holds items that wait for a worker, in one lane for each namespace. Urgent items are taken before late ones. It
// may be used by many at once.
type Lanes[T comparable] struct {
	mu    sync.Mutex
	share int
	of    func(T) string
	lanes map[string]*lane[T]
	// turns are the lanes from which an item may be taken now, in the order of their turns.
	turns []*lane[T]
	// passed counts the urgent items that were taken since the last late one.
	passed int
}

type lane[T comparable] struct {
	urgent, late []T
	// taken counts the items that were taken and are not done.
	taken int
	// listed is whether the lane is in turns.
	listed bool
}

func (l *lane[T]) waiting() int { return len(l.urgent) + len(l.late) }

// New makes Lanes where at most share items of a namespace are taken and not done at any time. The function of names
// the namespace of an item.
func New[T comparable](share int, of func(T) string) *Lanes[T] {
	return &Lanes[T]{share: max(share, 1), of: of, lanes: map[string]*lane[T]{}}
}

// Push adds an urgent item at the end of its lane.
func (l *Lanes[T]) Push(item T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.lane(item)
	at.urgent = append(at.urgent, item)
	l.list(at)
}

// PushLate adds a late item at the end of its lane.
func (l *Lanes[T]) PushLate(item T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.lane(item)
	at.late = append(at.late, item)
	l.list(at)
}

// Hurry makes a late item urgent. It does nothing if the item is not late.
func (l *Lanes[T]) Hurry(item T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.lanes[l.of(item)]
	if at == nil {
		return
	}
	if i := slices.Index(at.late, item); i >= 0 {
		at.late, at.urgent = slices.Delete(at.late, i, i+1), append(at.urgent, item)
	}
}

func (l *Lanes[T]) lane(item T) *lane[T] {
	name := l.of(item)
	if l.lanes[name] == nil {
		l.lanes[name] = &lane[T]{}
	}
	return l.lanes[name]
}

// Len is how many lanes an item may be taken from. It is 0 while every item that waits is of a namespace that uses its
// whole share.
func (l *Lanes[T]) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.turns)
}

// Waiting is how many items of the namespace of an item wait.
func (l *Lanes[T]) Waiting(item T) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at := l.lanes[l.of(item)]; at != nil {
		return at.waiting()
	}
	return 0
}

// Urgent is how many urgent items wait for a worker. Those of a namespace that uses its whole share wait for its own
// items, so they do not count.
func (l *Lanes[T]) Urgent() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, at := range l.turns {
		n += len(at.urgent)
	}
	return n
}

// Pop takes an item, and puts its lane at the end of the turns. It is the first urgent item of the first lane that has
// one, or the first late item of the first lane if no urgent item may be taken, or if many were taken since the last
// late one. Len must not be 0.
func (l *Lanes[T]) Pop() (item T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, urgent := l.choose()
	at := l.turns[i]
	l.turns, at.listed = slices.Delete(l.turns, i, i+1), false
	if urgent {
		item, at.urgent = shift(at.urgent)
		l.passed++
	} else {
		item, at.late = shift(at.late)
		l.passed = 0
	}
	at.taken++
	l.list(at)
	return item
}

// choose returns the position of the lane whose turn it is, and whether its urgent item is taken.
func (l *Lanes[T]) choose() (at int, urgent bool) {
	first := slices.IndexFunc(l.turns, func(at *lane[T]) bool { return len(at.urgent) > 0 })
	if first >= 0 && l.passed < lateEvery {
		return first, true
	}
	if late := slices.IndexFunc(l.turns, func(at *lane[T]) bool { return len(at.late) > 0 }); late >= 0 {
		return late, false
	}
	return first, true
}

func shift[T any](list []T) (T, []T) {
	var none T
	first := list[0]
	list[0] = none
	return first, list[1:]
}

// Touch is called when an item that waits is pushed again. It keeps its place.
func (l *Lanes[T]) Touch(T) {}

// Done gives back the share that an item has used since it was taken.
func (l *Lanes[T]) Done(item T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := l.of(item)
	at := l.lanes[name]
	if at == nil || at.taken == 0 {
		return
	}
	at.taken--
	if at.taken == 0 && at.waiting() == 0 {
		delete(l.lanes, name)
		return
	}
	l.list(at)
}

// list puts a lane at the end of the turns, if an item may be taken from it and it is not there yet.
func (l *Lanes[T]) list(at *lane[T]) {
	if !at.listed && at.waiting() > 0 && at.taken < l.share {
		l.turns, at.listed = append(l.turns, at), true
	}
}
