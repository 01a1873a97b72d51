package sim

import (
	"fmt"
	"strings"

	"github.com/kuberik/kuberik/internal/release"
)

// Outcome of the run of one seed.
type Outcome struct {
	Seed   uint64
	Counts Counts
	// Digest stands for everything that happened.
	Digest uint64
	// Broken is the invariant that did not hold; empty if all did.
	Broken string
	// Trace is the end of what happened, if it was asked for.
	Trace []string
}

// String says how a run failed, and how to see it again.
func (o Outcome) String() string {
	return fmt.Sprintf("seed %d: %s\n%s\nrun it again: go test ./sim -run TestRandomWorlds -seed=%d -v",
		o.Seed, o.Broken, strings.Join(o.Trace, "\n"), o.Seed)
}

// options of a run.
type options struct {
	chain  release.Chain
	faulty string
	trace  int // how many lines to keep
	chaos  int // steps of chaos
}

// dump shows how the world is left.
func (w *World) dump() {
	ro := w.rollout.live()
	for i := range ro.status.History {
		e := &ro.status.History[i]
		w.note("history", "%s %s %s paused %v interrupted %v", release.Token(rolloutUID, e), e.Version.Tag, *e.BakeStatus, e.PausedTime, e.InterruptedTime)
	}
	for _, t := range w.targets.live() {
		w.note("target", "%+v", t)
	}
	for _, c := range w.checks.live() {
		w.note("check", "%+v", c)
	}
	w.note("spec", "%+v", *ro.spec)
	w.note("waits", "%s: %+v", ro.status.Phase, ro.status.BlockedBy)
	w.note("known", "%v quarantined %v", ro.status.AvailableReleases, ro.status.Quarantined)
}

// run lets one seed happen: chaos, then quiet. A panic of the core counts as broken.
func run(seed uint64, o options) (out Outcome) {
	w := newWorld(seed, o.chain)
	w.shell.faulty = o.faulty
	if o.trace > 0 {
		w.trace = &trace{keep: o.trace}
	}
	out.Seed = seed
	defer func() {
		if p := recover(); p != nil {
			out.Broken = fmt.Sprintf("panic: %v", p)
			if o.trace > 0 && o.faulty == "" {
				panic(p)
			}
		}
		out.Counts, out.Digest = w.Counts, w.digest
		if w.trace != nil {
			w.dump()
			out.Trace = w.trace.lines
		}
	}()
	w.populate()
	for range o.chaos {
		w.step()
		if w.mon.broken != "" {
			break
		}
	}
	if w.mon.broken == "" {
		w.settle()
	}
	out.Broken = w.mon.broken
	return out
}
