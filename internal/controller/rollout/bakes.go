package rollout

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// bakes remembers when this process first saw each bake. Times that one process takes carry a monotonic reading, so a wall clock
// that jumps neither shortens a bake nor prolongs it.
type bakes struct {
	mu   sync.Mutex
	seen map[types.UID]sighting
}

type sighting struct {
	start time.Time
	// ran is how long the bake had run, by the wall clock, when it was first seen.
	ran time.Duration
	at  time.Time
}

func newBakes() *bakes { return &bakes{seen: map[types.UID]sighting{}} }

// elapsed is how long the bake of a Rollout has run; nil if none runs.
func (b *bakes) elapsed(ro *v1alpha1.Rollout, now time.Time) *time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(ro.Status.History) == 0 || ro.Status.History[0].BakeStartTime == nil || ro.Status.History[0].BakeEndTime != nil {
		delete(b.seen, ro.UID)
		return nil
	}
	start := ro.Status.History[0].BakeStartTime.Time
	s, ok := b.seen[ro.UID]
	if !ok || !s.start.Equal(start) {
		// A start that is rounded up to the second lies a little ahead of now.
		s = sighting{start: start, ran: unseen(ro, max(now.Sub(start), -time.Second)), at: now}
		b.seen[ro.UID] = s
	}
	ran := s.ran + now.Sub(s.at)
	return &ran
}

const (
	// atOnce is how soon a bake is seen by the process that starts it.
	atOnce = 2 * time.Second
	// lookAgain is how long a bake goes on at the least after a restart: long enough for checks to be probed anew, since what their
	// statuses say may be from before. It is never more than a part of the bake, so that restarts in a row cannot hold it for ever.
	lookAgain     = 45 * time.Second
	lookAgainPart = 10
)

// unseen is what counts of a bake that nobody in this process has watched so far.
func unseen(ro *v1alpha1.Rollout, ran time.Duration) time.Duration {
	if ran <= atOnce || ro.Spec.BakeTime == nil {
		return ran
	}
	whole, err := ro.Spec.BakeTime.Parse()
	if err != nil {
		return 0
	}
	return min(ran, whole-min(lookAgain, whole/lookAgainPart))
}

func (b *bakes) forget(uid types.UID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.seen, uid)
}
