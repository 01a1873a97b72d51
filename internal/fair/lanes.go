package fair

import "sync"

// Lanes holds items that wait for a worker, in one lane for each namespace. It may be used by many at once.
type Lanes[T any] struct {
	mu    sync.Mutex
	share int
	of    func(T) string
	lanes map[string]*lane[T]
	// turns are the lanes from which an item may be taken now, in the order of their turns.
	turns []*lane[T]
}

type lane[T any] struct {
	waiting []T
	// taken counts the items that were taken and are not done.
	taken int
	// listed is whether the lane is in turns.
	listed bool
}

// New makes Lanes where at most share items of a namespace are taken and not done at any time. The function of names the namespace of
// an item.
func New[T any](share int, of func(T) string) *Lanes[T] {
	return &Lanes[T]{share: max(share, 1), of: of, lanes: map[string]*lane[T]{}}
}

// Push adds an item at the end of its lane.
func (l *Lanes[T]) Push(item T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := l.of(item)
	if l.lanes[name] == nil {
		l.lanes[name] = &lane[T]{}
	}
	l.lanes[name].waiting = append(l.lanes[name].waiting, item)
	l.list(l.lanes[name])
}

// Len is how many lanes an item may be taken from. It is 0 while every item that waits is of a namespace that uses its whole share.
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
		return len(at.waiting)
	}
	return 0
}

// Pop takes the first item of the lane whose turn it is, and puts that lane at the end of the turns. Len must not be 0.
func (l *Lanes[T]) Pop() (item T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.turns[0]
	l.turns[0], l.turns, at.listed = nil, l.turns[1:], false
	item, at.waiting[0] = at.waiting[0], item
	at.waiting = at.waiting[1:]
	at.taken++
	l.list(at)
	return item
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
	if at.taken == 0 && len(at.waiting) == 0 {
		delete(l.lanes, name)
		return
	}
	l.list(at)
}

// list puts a lane at the end of the turns, if an item may be taken from it and it is not there yet.
func (l *Lanes[T]) list(at *lane[T]) {
	if !at.listed && len(at.waiting) > 0 && at.taken < l.share {
		l.turns, at.listed = append(l.turns, at), true
	}
}
