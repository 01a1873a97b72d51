package script

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/fair"
	"github.com/kuberik/kuberik/internal/health"
)

// maxRecords is the total size of the records in memory, and maxRecordsOfNamespace the share of one namespace. A record has the
// size 1, and 1 more for each of its Jobs.
const maxRecords, maxRecordsOfNamespace = 16384, 2048

// memory knows what the Jobs do not say any more: that there was one, how it ended, and why one that ended late had not begun. It
// may be lost.
type memory struct {
	mu      sync.Mutex
	records *fair.Cache[string, record]
}

func newMemory() *memory {
	return &memory{records: fair.NewCache[string, record](maxRecords, maxRecordsOfNamespace, nil)}
}

// record is about the runs of one question, for one check and one Rollout.
type record struct {
	id string
	// last run that was seen, without its Job, and when.
	last run
	seen time.Time
	// ended holds what ended Jobs amount to.
	ended map[types.UID]outcome
	// trouble is what kept a Job from starting.
	trouble map[types.UID]string
}

func (m *memory) recall(q question) record {
	r, _ := m.records.Get(q.Check.Namespace, q.key())
	if r.id != q.id() {
		return record{id: q.id()}
	}
	return r
}

// keep replaces what is known of a question.
func (m *memory) keep(q question, runs []run, trouble map[types.UID]string) {
	next := record{id: q.id(), seen: q.Now, ended: map[types.UID]outcome{}, trouble: trouble}
	for _, r := range runs {
		if r.job != nil && r.phase != going {
			next.ended[r.job.UID] = r.outcome
		}
		if r.number >= next.last.number {
			next.last = r
			next.last.job = nil
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if before, _ := m.records.Get(q.Check.Namespace, q.key()); before.id == next.id && before.last.number > next.last.number {
		next.last, next.seen = before.last, before.seen
	}
	m.add(q, next)
}

func (m *memory) add(q question, r record) {
	m.records.Add(q.Check.Namespace, q.key(), r, 1+len(r.ended)+len(r.trouble))
}

// began notes a run that was just started.
func (m *memory) began(q question, r run) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, _ := m.records.Get(q.Check.Namespace, q.key())
	if known.id != q.id() {
		known = record{id: q.id()}
	}
	known.last, known.seen = r, q.Now
	m.add(q, known)
}

// missing is the last run that was seen, if its Job is gone.
func (r record) missing(runs []run) (run, bool) {
	for _, there := range runs {
		if there.number >= r.last.number {
			return run{}, false
		}
	}
	last := r.last
	if last.number > 0 && last.phase == going {
		last.gone, last.outcome = true, outcome{phase: interrupted, report: pending("its Job was deleted"), at: r.seen}
	}
	return last, last.number > 0
}

// told is the verdict that the status of a check has kept, where it is for nothing but the deployment.
func (q question) told() (run, bool) {
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
