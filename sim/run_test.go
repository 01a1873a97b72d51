package sim

import (
	"fmt"
	"strings"

	"github.com/kuberik/kuberik/internal/release"
)

// Outcome is the result of one seed.
type Outcome struct {
	Seed   uint64
	Counts Counts
	// Digest is a hash of everything that happened.
	Digest uint64
	// Violation is the first invariant that did not hold; empty if all did.
	Violation string
	// Trace is the end of the trace, if it was requested.
	Trace []string
}

// String describes a failed run, and how to repeat it.
func (o Outcome) String() string {
	return fmt.Sprintf("seed %d: %s\n%s\nrun it again: go test ./sim -run TestRandomFaults -seed=%d -v",
		o.Seed, o.Violation, strings.Join(o.Trace, "\n"), o.Seed)
}

// options are the options of a run.
type options struct {
	chain  release.Chain
	faulty string
	trace  int // how many lines to keep
	chaos  int // steps of chaos
}

// dump adds the final state to the trace.
func (w *Cluster) dump() {
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

// run runs one seed: steps with faults, then settle. A panic of the core is a violation.
func run(seed uint64, o options) (out Outcome) {
	w := newCluster(seed, o.chain)
	w.controller.faulty = o.faulty
	if o.trace > 0 {
		w.trace = &trace{keep: o.trace}
	}
	out.Seed = seed
	defer func() {
		if p := recover(); p != nil {
			out.Violation = fmt.Sprintf("panic: %v", p)
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
		if w.mon.violation != "" {
			break
		}
	}
	if w.mon.violation == "" {
		w.settle()
	}
	out.Violation = w.mon.violation
	return out
}
