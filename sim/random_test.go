package sim

import (
	"flag"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kuberik/kuberik/internal/release"
)

var (
	seeds = flag.Int("seeds", 0, "how many seeds to run; 0: the default of the test")
	seed  = flag.Int64("seed", -1, "run only this seed, and show what happens")
)

const (
	shortSeeds = 400
	longSeeds  = 16000
	chaosSteps = 250
)

// TestRandomFaults runs simulations with random faults and checks every invariant.
func TestRandomFaults(t *testing.T) {
	t.Parallel()
	if *seed >= 0 {
		out := run(uint64(*seed), options{chain: release.Rules(), trace: 4000, chaos: chaosSteps})
		t.Log("\n" + strings.Join(out.Trace, "\n"))
		if out.Violation != "" {
			t.Fatal(out.Violation)
		}
		return
	}
	n := *seeds
	switch {
	case n > 0:
	case testing.Short():
		n = shortSeeds
	default:
		n = longSeeds
	}
	begin := time.Now()
	total, violation := runMany(t, n)
	took := time.Since(begin)
	t.Logf("%d runs: %d steps, %d passes, %d decisions, %d crashes, %d conflicts, %d releases, %d deployments, %d writes to Flux, "+
		"%d Available, %d Failed in %s (%.0f steps/s)", n, total.Steps, total.Passes, total.Decisions, total.Crashes, total.Conflicts,
		total.Releases, total.Deployments, total.HandOvers, total.Available, total.Failed, took.Round(time.Millisecond),
		float64(total.Steps)/took.Seconds())
	if violation != "" {
		t.Fatal(violation)
	}
}

// runMany runs n seeds on two threads, and every hundredth seed twice.
func runMany(t *testing.T, n int) (total Counts, violation string) {
	t.Helper()
	var next atomic.Uint64
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				s := next.Add(1) - 1
				if s >= uint64(n) || t.Context().Err() != nil {
					return
				}
				out := run(s, options{chain: release.Rules(), chaos: chaosSteps})
				if s%100 == 0 && out.Violation == "" && run(s, options{chain: release.Rules(), chaos: chaosSteps}).Digest != out.Digest {
					out.Violation = "the same seed gave another result"
				}
				mu.Lock()
				total.add(out.Counts)
				if out.Violation != "" && violation == "" {
					violation = run(s, options{chain: release.Rules(), chaos: chaosSteps, trace: 60}).String()
					next.Store(uint64(n))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return total, violation
}
