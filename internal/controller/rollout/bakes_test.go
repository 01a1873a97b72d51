package rollout

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// noon has no monotonic reading, as times have that were stored.
var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

func baking(uid types.UID, start time.Time) *v1alpha1.Rollout {
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{UID: uid}}
	ro.Status.History = []v1alpha1.DeploymentHistoryEntry{{BakeStartTime: &metav1.Time{Time: start}}}
	return ro
}

func TestElapsed(t *testing.T) {
	t.Parallel()
	type look struct {
		start, now time.Duration // after noon
		want       time.Duration
	}
	for name, looks := range map[string][]look{
		"runs from its start":                       {{0, 0, 0}, {0, time.Minute, time.Minute}, {0, time.Hour, time.Hour}},
		"rounded up, it starts in the future":       {{time.Second, 400 * time.Millisecond, -600 * time.Millisecond}, {time.Second, time.Second, 0}},
		"first seen in the middle, after a restart": {{0, time.Minute, time.Minute}, {0, 2 * time.Minute, 2 * time.Minute}},
		"first seen by a clock that is far behind":  {{0, -time.Hour, -time.Second}, {0, -time.Hour + time.Minute, time.Minute - time.Second}},
		"a bake that starts anew":                   {{0, time.Minute, time.Minute}, {time.Minute, time.Minute, 0}, {time.Minute, 90 * time.Second, 30 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBakes()
			for i, l := range looks {
				got := b.elapsed(baking("u", noon.Add(l.start)), noon.Add(l.now))
				if got == nil || *got != l.want {
					t.Fatalf("look %d: %v, want %s", i, got, l.want)
				}
			}
		})
	}
}

// TestClockThatJumps: the readings of one process carry a monotonic clock, and what the wall clock does in between is of no matter.
func TestWallClockThatJumpsDoesNotChangeABake(t *testing.T) {
	t.Parallel()
	b, first := newBakes(), time.Now()
	ro := baking("u", first.Round(0))
	b.elapsed(ro, first)
	for _, d := range []time.Duration{time.Second, time.Minute, time.Hour} {
		if got := b.elapsed(ro, first.Add(d)); *got != d {
			t.Errorf("after %s it has run %s", d, *got)
		}
	}
	// Without a monotonic reading the jump would count: that is what the wall clock says.
	if got := b.elapsed(ro, first.Add(time.Hour).Round(0)); *got != time.Hour {
		t.Errorf("by the wall clock it has run %s", *got)
	}
}

func TestElapsedOfWhatDoesNotBake(t *testing.T) {
	t.Parallel()
	b := newBakes()
	end := baking("u", noon)
	b.elapsed(end, noon)
	end.Status.History[0].BakeEndTime = &metav1.Time{Time: noon}
	waiting := baking("u", noon)
	waiting.Status.History[0].BakeStartTime = nil
	for name, ro := range map[string]*v1alpha1.Rollout{"ended": end, "not begun": waiting, "nothing deployed": {}} {
		if got := b.elapsed(ro, noon); got != nil {
			t.Errorf("%s: %s", name, *got)
		}
	}
	if len(b.seen) != 0 {
		t.Errorf("it remembers %v", b.seen)
	}
	b.elapsed(baking("u", noon), noon)
	b.forget("u")
	if len(b.seen) != 0 {
		t.Errorf("it remembers %v", b.seen)
	}
}

// TestABakeIsWatchedAfterARestart: a bake whose end passed while no controller ran does not end on what checks said before.
func TestABakeIsWatchedAfterARestart(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		bakeTime  v1alpha1.Duration
		ran, want time.Duration
	}{
		"seen at once":            {"10m", time.Second, time.Second},
		"in the middle":           {"10m", 5 * time.Minute, 5 * time.Minute},
		"shortly before its end":  {"10m", 595 * time.Second, 555 * time.Second},
		"long after its end":      {"10m", time.Hour, 555 * time.Second},
		"shorter than that watch": {"10s", time.Hour, 9 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			ro := baking("u", noon)
			ro.Spec.BakeTime = &c.bakeTime
			if got := newBakes().elapsed(ro, noon.Add(c.ran)); *got != c.want {
				t.Errorf("%s of the bake count, want %s", *got, c.want)
			}
		})
	}
}
