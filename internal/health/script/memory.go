package script

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/fair"
	"github.com/kuberik/kuberik/internal/health"
)

// maxRecords is the total size of the records in memory, and maxRecordsOfNamespace the share of one namespace. A record
// has the size 1, and 1 more for each of its Jobs.
const maxRecords, maxRecordsOfNamespace = 16384, 2048

// memory stores what the Jobs may not show any more: that there was a Job, its outcome, and why it did not start. It is
// lost with the process.
type memory struct {
	mu      sync.Mutex
	records *fair.Cache[string, memoryEntry]
}

func newMemory() *memory {
	return &memory{records: fair.NewCache[string, memoryEntry](maxRecords, maxRecordsOfNamespace, nil)}
}

// memoryEntry describes the runs of one evaluation, for one check and one Rollout.
type memoryEntry struct {
	id string
	// last is the last run that was seen, without its Job, and seen is when.
	last run
	seen time.Time
	// ended are the outcomes of Jobs that have ended.
	ended map[types.UID]outcome
	// problem holds the reasons why Jobs did not start, by UID.
	problem map[types.UID]string
}

func (m *memory) get(q evaluation) memoryEntry {
	r, _ := m.records.Get(q.Check.Namespace, q.key())
	if r.id != q.id() {
		return memoryEntry{id: q.id()}
	}
	return r
}

// update replaces the entry of an evaluation.
func (m *memory) update(q evaluation, runs []run, problem map[types.UID]string) {
	next := memoryEntry{id: q.id(), seen: q.Now, ended: map[types.UID]outcome{}, problem: problem}
	for _, r := range runs {
		if r.job != nil && r.phase != running {
			next.ended[r.job.UID] = r.outcome
		}
		if r.number >= next.last.number {
			next.last = r
			next.last.job = nil
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if before, _ := m.records.Get(q.Check.Namespace, q.key()); before.id == next.id &&
		before.last.number > next.last.number {
		next.last, next.seen = before.last, before.seen
	}
	m.add(q, next)
}

func (m *memory) add(q evaluation, r memoryEntry) {
	m.records.Add(q.Check.Namespace, q.key(), r, 1+len(r.ended)+len(r.problem))
}

// started adds a run that was just started.
func (m *memory) started(q evaluation, r run) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, _ := m.records.Get(q.Check.Namespace, q.key())
	if known.id != q.id() {
		known = memoryEntry{id: q.id()}
	}
	known.last, known.seen = r, q.Now
	m.add(q, known)
}

// missing returns the last run that was seen, if its Job was deleted.
func (r memoryEntry) missing(runs []run) (run, bool) {
	for _, there := range runs {
		if there.number >= r.last.number {
			return run{}, false
		}
	}
	last := r.last
	if last.number > 0 && last.phase == running {
		last.deleted, last.outcome = true, outcome{phase: interrupted, report: pending("its Job was deleted"), at: r.seen}
	}
	return last, last.number > 0
}

// fromStatus returns the result in the status of the check, if it is for this deployment only.
func (q evaluation) fromStatus() (run, bool) {
	st, name := q.Check.Status, q.Release.Rollout
	if q.Release.Namespace != q.Check.Namespace {
		name = q.rollout()
	}
	is := v1alpha1.CheckedDeployment{Rollout: name, Token: q.Release.Token}
	if len(st.Deployments) != 1 || st.Deployments[0] != is || st.ObservedGeneration != q.Check.Generation {
		return run{}, false
	}
	r := run{outcome: outcome{phase: passed, report: health.Report{State: st.Status}}}
	if st.Message != nil {
		r.report.Message = *st.Message
	}
	if st.Status == v1alpha1.HealthUnhealthy {
		r.phase = failed
	}
	return r, st.Status == v1alpha1.HealthHealthy || st.Status == v1alpha1.HealthUnhealthy
}
