package script

import (
	"cmp"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
)

// maxAttempts is how many Jobs are created in a row if each is interrupted.
const maxAttempts = 3

// observedRuns are the runs of an evaluation.
type observedRuns struct {
	// runs of the evaluation, in any order, including deleted ones.
	runs []run
	// others are Jobs of earlier deployments or scripts.
	others []*batchv1.Job
	// superseded is set if there is a Job for a later deployment.
	superseded bool
}

// plan is the report and what to do.
type plan struct {
	report health.Report
	// start is the run to start, if its number is not 0.
	start run
	// remove are Jobs that are not needed any more.
	remove []*batchv1.Job
	// mayBeStale is set if the cache may lag.
	mayBeStale bool
}

// plan returns the report and what to do.
func (q evaluation) plan(w observedRuns) plan {
	slices.SortFunc(w.runs, func(a, b run) int { return cmp.Compare(a.number, b.number) })
	switch {
	case w.superseded:
		return plan{report: pending("a later deployment has begun")}
	case len(w.runs) == 0 && !q.Release.InFlight:
		return plan{report: pending(waitsForDeployment)}
	case len(w.runs) == 0:
		return plan{report: pending("starting"), start: run{number: 1, attempt: 1}, remove: w.others}
	}
	for i := range w.runs {
		w.runs[i].limitInterruptions()
	}
	last, lastDecided := &w.runs[len(w.runs)-1], decided(w.runs)
	p := plan{report: last.report, start: q.next(last), mayBeStale: last.deleted}
	switch {
	case last.phase == passed || last.phase == failed:
	case lastDecided != nil:
		p.report = lastDecided.report
	case p.start.number > 0:
		p.report = pending("starting again: " + last.report.Message)
	}
	if q.Release.InFlight {
		p.remove = slices.Concat(w.others, obsoleteJobs(w.runs, last, lastDecided))
	}
	return p
}

// limitInterruptions makes the last of too many interruptions a failure.
func (r *run) limitInterruptions() {
	if r.phase == interrupted && r.attempt >= maxAttempts {
		r.phase = failed
		r.report.State = v1alpha1.HealthUnhealthy
		r.report.Message = fmt.Sprintf("interrupted %d times in a row, the last time: %s", r.attempt, r.report.Message)
	}
}

// next returns the run after the last, if one is due.
func (q evaluation) next(last *run) run {
	switch {
	case !q.Release.InFlight || last.phase == running:
		return run{}
	case last.phase == interrupted:
		return run{number: last.number + 1, attempt: last.attempt + 1}
	case q.runInterval == 0 || q.Now.Before(last.at.Add(q.runInterval)):
		return run{}
	}
	return run{number: last.number + 1, attempt: 1}
}

// decided returns the last run that passed or failed; nil if there is none.
func decided(runs []run) *run {
	for i := len(runs) - 1; i >= 0; i-- {
		if r := &runs[i]; r.phase == passed || r.phase == failed {
			return r
		}
	}
	return nil
}

// obsoleteJobs returns the Jobs of runs that are neither the last nor the decided one.
func obsoleteJobs(runs []run, last, lastDecided *run) []*batchv1.Job {
	var jobs []*batchv1.Job
	for i := range runs {
		r := &runs[i]
		if r.job != nil && r != last && r != lastDecided && r.job.DeletionTimestamp.IsZero() {
			jobs = append(jobs, r.job)
		}
	}
	return jobs
}

const waitsForDeployment = "waits for a deployment"

func pending(message string) health.Report {
	return health.Report{State: v1alpha1.HealthPending, Message: message}
}
