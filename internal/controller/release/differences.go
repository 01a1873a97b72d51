package release

import (
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// manyDifferences is how many differences are remembered before those of Releases that are gone are dropped.
	manyDifferences = 1024
	// oldest is the age at which a difference belongs to a Release that is gone.
	oldest = time.Minute
)

// differences holds since when the status of Releases differs from the record.
type differences struct {
	mu    sync.Mutex
	since map[types.UID]time.Time
}

// first returns when a difference was first seen, which may be now.
func (d *differences) first(uid types.UID, now time.Time) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if at, known := d.since[uid]; known && !at.After(now) {
		return at
	}
	if len(d.since) >= manyDifferences {
		maps.DeleteFunc(d.since, func(_ types.UID, at time.Time) bool { return now.Sub(at) > oldest })
	}
	d.since[uid] = now
	return now
}

// forget drops a difference that does not exist any more.
func (d *differences) forget(uid types.UID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.since, uid)
}
