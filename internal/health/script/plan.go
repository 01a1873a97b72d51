package script

import (
	"cmp"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
)

// mostAttempts is how many Jobs are made in a row for one run that is interrupted each time.
const mostAttempts = 3

// world is what there is of the runs of a question.
type world struct {
	// runs that answer it, in any order; those that are gone among them.
	runs []run
	// others are Jobs of earlier deployments or scripts.
	others []*batchv1.Job
	// overtaken is whether there is a Job for a later deployment.
	overtaken bool
}

// plan is what follows from a world.
type plan struct {
	report health.Report
	// start is the run to start, if its number is not 0.
	start run
	// remove lists Jobs that are of no more use.
	remove []*batchv1.Job
	// unsure is whether what was found may be the lag of a cache.
	unsure bool
}

// plan says what to report and what to do.
func (q question) plan(w world) plan {
	slices.SortFunc(w.runs, func(a, b run) int { return cmp.Compare(a.number, b.number) })
	switch {
	case w.overtaken:
		return plan{report: pending("a later deployment has begun")}
	case len(w.runs) == 0 && !q.Release.InFlight:
		return plan{report: pending(waits)}
	case len(w.runs) == 0:
		return plan{report: pending("starting"), start: run{number: 1, attempt: 1}, remove: w.others}
	}
	for i := range w.runs {
		w.runs[i].wear()
	}
	last, stands := &w.runs[len(w.runs)-1], verdict(w.runs)
	p := plan{report: last.report, start: q.next(last), unsure: last.gone}
	switch {
	case last.phase == passed || last.phase == failed:
	case stands != nil:
		p.report = stands.report
	case p.start.number > 0:
		p.report = pending("starting again: " + last.report.Message)
	}
	if q.Release.InFlight {
		p.remove = slices.Concat(w.others, spent(w.runs, last, stands))
	}
	return p
}

// wear makes the last of too many interruptions a failure.
func (r *run) wear() {
	if r.phase == interrupted && r.attempt >= mostAttempts {
		r.phase = failed
		r.report.State = v1alpha1.HealthUnhealthy
		r.report.Message = fmt.Sprintf("interrupted %d times in a row, the last time: %s", r.attempt, r.report.Message)
	}
}

// next is the run that follows the last, if it is time for one.
func (q question) next(last *run) run {
	switch {
	case !q.Release.InFlight || last.phase == going:
		return run{}
	case last.phase == interrupted:
		return run{number: last.number + 1, attempt: last.attempt + 1}
	case q.every == 0 || q.Now.Before(last.at.Add(q.every)):
		return run{}
	}
	return run{number: last.number + 1, attempt: 1}
}

// verdict is the last run that has one.
func verdict(runs []run) *run {
	for i := len(runs) - 1; i >= 0; i-- {
		if r := &runs[i]; r.phase == passed || r.phase == failed {
			return r
		}
	}
	return nil
}

// spent lists the Jobs of runs that neither go on nor have the verdict that stands.
func spent(runs []run, last, stands *run) []*batchv1.Job {
	var jobs []*batchv1.Job
	for i := range runs {
		r := &runs[i]
		if r.job != nil && r != last && r != stands && r.job.DeletionTimestamp.IsZero() {
			jobs = append(jobs, r.job)
		}
	}
	return jobs
}

const waits = "waits for a deployment"

func pending(message string) health.Report {
	return health.Report{State: v1alpha1.HealthPending, Message: message}
}
