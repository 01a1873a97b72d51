package fair

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestSlotsBoundANamespaceAndNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewSlots(3)
		var now, most atomic.Int64
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				done, err := s.Take(t.Context(), "crowded")
				if err != nil {
					t.Error(err)
					return
				}
				defer done()
				if n := now.Add(1); n > most.Load() {
					most.Store(n)
				}
				time.Sleep(time.Second)
				now.Add(-1)
			})
		}
		synctest.Wait()
		done, err := s.Take(t.Context(), "other")
		if err != nil {
			t.Fatal(err)
		}
		done()
		group.Wait()
		if most.Load() != 3 {
			t.Errorf("%d were taken at once", most.Load())
		}
		if len(s.list) != 0 {
			t.Errorf("%d namespaces are remembered", len(s.list))
		}
	})
}

func TestSlotsAreNotWaitedForLongerThanTheContext(t *testing.T) {
	t.Parallel()
	s := NewSlots(1)
	done, err := s.Take(t.Context(), "ns")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Take(ctx, "ns"); !errors.Is(err, context.Canceled) {
		t.Errorf("it waits: %v", err)
	}
	done()
	if done, err = s.Take(t.Context(), "ns"); err != nil {
		t.Fatal(err)
	}
	done()
	if len(s.list) != 0 {
		t.Errorf("%d namespaces are remembered", len(s.list))
	}
}

func TestWithoutSlotsThereIsNoBound(t *testing.T) {
	t.Parallel()
	var s *Slots
	for range 3 {
		if _, err := s.Take(t.Context(), "ns"); err != nil {
			t.Error(err)
		}
	}
}
