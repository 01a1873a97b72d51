package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// FieldOwner is the field manager of everything that Kuberik writes.
const FieldOwner = client.FieldOwner("kuberik")

// PatchStatus writes the status of next if the object has not changed since before was read, and fails with a conflict
// otherwise. On success, next is the stored object.
func PatchStatus(ctx context.Context, c client.Client, before, next client.Object) error {
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := c.Status().Patch(ctx, next, patch, FieldOwner); err != nil {
		return fmt.Errorf("writing the status of %q: %w", client.ObjectKeyFromObject(before), err)
	}
	return nil
}

const (
	// MessageInterval is the average time between two writes of a status that change messages only, and messageBurst the
	// number of such writes that may follow each other at once.
	MessageInterval = 10 * time.Second
	messageBurst    = 5
	// sweepFrom is the number of objects from which on those that wrote nothing lately are forgotten.
	sweepFrom = 1024
)

// Messages limits how often the status of an object is written because of a change of messages only. A message may
// quote what a server answers, which may differ each time. The zero value is ready to use.
type Messages struct {
	mu sync.Mutex
	// paid is the time up to which the writes of an object have used its share.
	paid    map[types.UID]time.Time
	sweepAt int
}

// Hold returns how long a write of a status has to wait; 0 if it may be done now. Only a write that changes nothing but
// messages ever waits.
func (m *Messages) Hold(uid types.UID, before, next any, now time.Time) time.Duration {
	if !onlyMessages(before, next) {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.paid == nil {
		m.paid, m.sweepAt = map[types.UID]time.Time{}, sweepFrom
	}
	paid := m.paid[uid]
	if paid.Before(now) {
		paid = now
	}
	if wait := paid.Add(-(messageBurst - 1) * MessageInterval).Sub(now); wait > 0 {
		return wait
	}
	m.paid[uid] = paid.Add(MessageInterval)
	if len(m.paid) >= m.sweepAt {
		maps.DeleteFunc(m.paid, func(_ types.UID, paid time.Time) bool { return paid.Before(now) })
		m.sweepAt = max(sweepFrom, 2*len(m.paid))
	}
	return 0
}

// onlyMessages reports whether two statuses differ in messages only.
func onlyMessages(before, next any) bool {
	a, errA := withoutMessages(before)
	b, errB := withoutMessages(next)
	return errA == nil && errB == nil && reflect.DeepEqual(a, b)
}

func withoutMessages(status any) (any, error) {
	raw, err := json.Marshal(status)
	if err != nil {
		return nil, err
	}
	var decoded any
	if err := json.Unmarshal(raw, &decoded); err != nil {
		return nil, err
	}
	dropMessages(decoded)
	return decoded, nil
}

// dropMessages removes the fields that hold text for people.
func dropMessages(value any) {
	switch v := value.(type) {
	case map[string]any:
		for _, field := range []string{"message", "bakeStatusMessage", "waitsFor"} {
			delete(v, field)
		}
		for _, inner := range v {
			dropMessages(inner)
		}
	case []any:
		for _, inner := range v {
			dropMessages(inner)
		}
	}
}
