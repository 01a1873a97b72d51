package fair

import (
	"container/list"
	"sync"
)

// Cache caches values by namespace and key. It is safe for concurrent use.
//
// The values of one namespace have at most a share of the total size. If those of all namespaces are too large
// together, the namespace with the largest values in total loses some. So no namespace can evict the values of another
// one that caches less. Within a namespace, the value that was not used for the longest time is evicted first.
type Cache[K comparable, V any] struct {
	mu           sync.Mutex
	total, share int
	size         int
	namespaces   map[string]*cached[K, V]
	evicted      func(namespace string, key K, value V)
}

// cached are the values of one namespace, the last used first.
type cached[K comparable, V any] struct {
	byKey  map[K]*list.Element
	recent *list.List
	size   int
}

type cacheItem[K comparable, V any] struct {
	namespace string
	key       K
	value     V
	size      int
}

// NewCache returns a Cache for a total size and a share of each namespace. The unit of sizes is that of Add. The
// function evicted is called for each value that is evicted or removed, but not for those that Add replaces. It may be
// nil.
func NewCache[K comparable, V any](total, share int, evicted func(namespace string, key K, value V)) *Cache[K, V] {
	if evicted == nil {
		evicted = func(string, K, V) {}
	}
	return &Cache[K, V]{total: total, share: share, namespaces: map[string]*cached[K, V]{}, evicted: evicted}
}

// Get returns a value. Ok is false if it is not cached.
func (c *Cache[K, V]) Get(namespace string, key K) (value V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	own := c.namespaces[namespace]
	if own == nil || own.byKey[key] == nil {
		return value, false
	}
	own.recent.MoveToFront(own.byKey[key])
	return itemOf[K, V](own.byKey[key]).value, true
}

// Size returns the total size of the values.
func (c *Cache[K, V]) Size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size
}

// Add adds or replaces a value. The size is at least 1. A value that is larger than the share is evicted at once.
func (c *Cache[K, V]) Add(namespace string, key K, value V, size int) {
	for _, i := range c.add(&cacheItem[K, V]{namespace, key, value, max(size, 1)}) {
		c.evicted(i.namespace, i.key, i.value)
	}
}

// Remove removes a value.
func (c *Cache[K, V]) Remove(namespace string, key K) {
	if i := c.remove(namespace, key); i != nil {
		c.evicted(i.namespace, i.key, i.value)
	}
}

// Clear removes all values.
func (c *Cache[K, V]) Clear() {
	for _, i := range c.clear() {
		c.evicted(i.namespace, i.key, i.value)
	}
}

// add returns the evicted items.
func (c *Cache[K, V]) add(i *cacheItem[K, V]) (evicted []*cacheItem[K, V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	own := c.namespaces[i.namespace]
	if own == nil {
		own = &cached[K, V]{byKey: map[K]*list.Element{}, recent: list.New()}
		c.namespaces[i.namespace] = own
	}
	if known := own.byKey[i.key]; known != nil {
		c.drop(own, known)
	}
	own.byKey[i.key] = own.recent.PushFront(i)
	own.size += i.size
	c.size += i.size
	for own.size > c.share {
		evicted = append(evicted, c.drop(own, own.recent.Back()))
	}
	for c.size > c.total {
		largest := c.largest(own)
		evicted = append(evicted, c.drop(largest, largest.recent.Back()))
	}
	for _, e := range append(evicted, i) {
		if n := c.namespaces[e.namespace]; n != nil && n.size == 0 {
			delete(c.namespaces, e.namespace)
		}
	}
	return evicted
}

// largest returns the namespace with the largest values in total, preferably the given one.
func (c *Cache[K, V]) largest(own *cached[K, V]) *cached[K, V] {
	for _, n := range c.namespaces {
		if n.size > own.size {
			own = n
		}
	}
	return own
}

func (c *Cache[K, V]) remove(namespace string, key K) *cacheItem[K, V] {
	c.mu.Lock()
	defer c.mu.Unlock()
	own := c.namespaces[namespace]
	if own == nil || own.byKey[key] == nil {
		return nil
	}
	i := c.drop(own, own.byKey[key])
	if own.size == 0 {
		delete(c.namespaces, namespace)
	}
	return i
}

func (c *Cache[K, V]) clear() (removed []*cacheItem[K, V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, own := range c.namespaces {
		for own.size > 0 {
			removed = append(removed, c.drop(own, own.recent.Back()))
		}
	}
	clear(c.namespaces)
	return removed
}

func (c *Cache[K, V]) drop(own *cached[K, V], e *list.Element) *cacheItem[K, V] {
	i := itemOf[K, V](e)
	own.recent.Remove(e)
	delete(own.byKey, i.key)
	own.size -= i.size
	c.size -= i.size
	return i
}

func itemOf[K comparable, V any](e *list.Element) *cacheItem[K, V] {
	return e.Value.(*cacheItem[K, V]) //nolint:forcetypeassert // the list holds nothing else
}
