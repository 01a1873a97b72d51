package script

import (
	"context"
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/outbound"
	"github.com/kuberik/kuberik/internal/version"
)

// Options of a Checker.
type Options struct {
	// Client creates, deletes and reads Jobs. It may read from a cache.
	Client client.Client
	// Live reads from the API server: pods, events, and Jobs before another one is created.
	Live client.Reader
	// Logs reads the logs of containers. Optional: without it, messages do not quote them.
	Logs LogReader
}

// Checker evaluates checks of class script.
type Checker struct {
	Options
	memory *memory
}

var _ health.Checker = (*Checker)(nil)

// New returns a Checker.
func New(o Options) *Checker { return &Checker{Options: o, memory: newMemory()} }

// Check returns the result of the run for the deployment, and starts a run if there is none.
func (c *Checker) Check(ctx context.Context, s health.CheckInput) (health.Report, error) {
	q, err := newEvaluation(s)
	switch {
	case err != nil:
		return health.Report{}, err
	case ctx.Err() != nil:
		return health.Report{}, ctx.Err()
	case s.Release.Token == "":
		_, err := jobOf(q.script) // report mistakes before the first deployment
		return pending(waitsForDeployment), err
	}
	ctx, cancel := context.WithTimeout(ctx, outbound.Timeout(s.Check.Spec.Timeout))
	defer cancel()
	p, err := c.planRuns(ctx, q, false)
	if err == nil && (p.start.number > 0 || p.mayBeStale) {
		p, err = c.planRuns(ctx, q, true) // a cache may lag, and a run must not be started twice
	}
	if err != nil {
		return health.Report{}, err
	}
	for _, job := range p.remove {
		c.remove(ctx, job)
	}
	if p.start.number > 0 {
		err = c.start(ctx, q, p.start)
	}
	return p.report, err
}

// planRuns reads the Jobs, from the cache or live from the API server, and returns the plan.
func (c *Checker) planRuns(ctx context.Context, q evaluation, live bool) (plan, error) {
	// Read before the Jobs are listed, so that a run that another caller starts in between does not count as deleted.
	known, problem := c.memory.get(q), map[types.UID]string{}
	var w observedRuns
	jobs, err := c.jobs(ctx, q, live)
	if err != nil {
		return plan{}, err
	}
	for i := range jobs {
		job := &jobs[i]
		switch {
		case q.matches(job):
			r := runOf(job)
			var err error
			if r.outcome, err = c.evaluateJob(ctx, job, known); err != nil {
				return plan{}, err
			}
			if r.phase == running {
				problem[job.UID] = r.problem
			}
			w.runs = append(w.runs, r)
		case q.owns(job):
			w.others = append(w.others, job)
			w.superseded = w.superseded || q.superseded(job)
		}
	}
	c.memory.update(q, w.runs, problem)
	if r, ok := known.missing(w.runs); ok {
		w.runs = append(w.runs, r)
	} else if r, ok := q.fromStatus(); ok && len(w.runs) == 0 {
		w.runs = append(w.runs, r)
	}
	return q.plan(w), nil
}

// jobs returns the trimmed Jobs with the label of the check.
func (c *Checker) jobs(ctx context.Context, q evaluation, live bool) ([]batchv1.Job, error) {
	ofCheck := []client.ListOption{
		client.InNamespace(q.Check.Namespace), client.MatchingLabels{LabelCheck: version.LabelValue(q.Check.Name)},
	}
	if !live {
		var list batchv1.JobList
		if err := c.Client.List(ctx, &list, ofCheck...); err != nil {
			return nil, fmt.Errorf("listing Jobs: %w", err)
		}
		return list.Items, nil
	}
	var found []batchv1.Job
	pages := 0
	for list, err := range kube.Pages[batchv1.JobList](ctx, c.Live, pageSize, ofCheck...) {
		if err != nil {
			return nil, fmt.Errorf("listing Jobs: %w", err)
		}
		for i := range list.Items {
			Trim(&list.Items[i])
			if _, err := kube.Trim(&list.Items[i]); err != nil {
				return nil, fmt.Errorf("reading Job %q: %w", list.Items[i].Name, err)
			}
		}
		found = append(found, list.Items...)
		if pages++; pages == maxPages && list.Continue != "" {
			return nil, fmt.Errorf("more than %d Jobs have the label %s=%s: delete those that are not needed",
				pageSize*maxPages, LabelCheck, version.LabelValue(q.Check.Name))
		}
	}
	return found, nil
}

// start creates the Job of a run. It may exist already.
func (c *Checker) start(ctx context.Context, q evaluation, r run) error {
	job, err := c.render(q, r)
	if err != nil {
		return err
	}
	err = c.Client.Create(ctx, job, kube.FieldOwner)
	if apierrors.IsAlreadyExists(err) {
		err = c.adopt(ctx, q, job)
	} else if err != nil {
		return refusal{err}
	}
	if err == nil {
		log.FromContext(ctx).Info("Started a script", "job", job.Name, "rollout", q.rollout(), "version", q.Release.Tag)
		c.memory.started(q, r)
	}
	return err
}

// adopt reads an existing Job, and returns an error if it belongs to something else.
func (c *Checker) adopt(ctx context.Context, q evaluation, job *batchv1.Job) error {
	key := client.ObjectKeyFromObject(job)
	if err := c.Live.Get(ctx, key, job); err != nil {
		return fmt.Errorf("reading Job %q: %w", key.Name, err)
	}
	if !q.matches(job) {
		return fmt.Errorf("the Job %s exists and is not a run of this check: delete it", key.Name)
	}
	return nil
}

// remove deletes a Job and its pods. Errors are logged only, because the next check tries again.
func (c *Checker) remove(ctx context.Context, job *batchv1.Job) {
	err := c.Client.Delete(ctx, job, client.PropagationPolicy(metav1.DeletePropagationBackground),
		client.Preconditions{UID: &job.UID})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		log.FromContext(ctx).Error(err, "deleting an old run", "job", job.Name)
	}
}

// refusal is the error of the API server for a Job.
type refusal struct{ cause error }

func (r refusal) Error() string { return "the Job cannot be created: " + reason(r.cause.Error()) }
func (r refusal) Unwrap() error { return r.cause }

// reason removes the name of the forbidden object, which may differ each time.
func reason(message string) string {
	if _, why, ok := strings.Cut(message, " is forbidden: "); ok {
		message = why
	}
	return version.Clean(message, maxCause)
}
