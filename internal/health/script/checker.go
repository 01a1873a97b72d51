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
	// Client makes and deletes Jobs, and reads them; its reads may come from a cache.
	Client client.Client
	// Live reads pods, events, and Jobs before another is made, from the API server.
	Live client.Reader
	// Logs of the containers. Without, what a script printed is not shown.
	Logs LogReader
}

// Checker judges checks of class script.
type Checker struct {
	Options
	memory *memory
}

var _ health.Checker = (*Checker)(nil)

// New makes a Checker.
func New(o Options) *Checker { return &Checker{Options: o, memory: newMemory()} }

// Check reports on the run for the deployment of the subject, and starts one if none has been started.
func (c *Checker) Check(ctx context.Context, s health.Subject) (health.Report, error) {
	q, err := ask(s)
	switch {
	case err != nil:
		return health.Report{}, err
	case ctx.Err() != nil:
		return health.Report{}, ctx.Err()
	case s.Release.Token == "":
		_, err := jobOf(q.script) // a mistake shows before the first deployment
		return pending(waits), err
	}
	ctx, cancel := context.WithTimeout(ctx, outbound.Timeout(s.Check.Spec.Timeout))
	defer cancel()
	p, err := c.look(ctx, q, false)
	if err == nil && (p.start.number > 0 || p.unsure) {
		p, err = c.look(ctx, q, true) // a cache may lag, and a run must not be started twice
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

// look reads what there is, from the cache or live from the API server, and plans.
func (c *Checker) look(ctx context.Context, q question, live bool) (plan, error) {
	// Recalled before the Jobs are listed: a run that another caller starts in between is in neither, so it is not taken for deleted.
	known, trouble := c.memory.recall(q), map[types.UID]string{}
	var w world
	jobs, err := c.jobs(ctx, q, live)
	if err != nil {
		return plan{}, err
	}
	for i := range jobs {
		job := &jobs[i]
		switch {
		case q.answers(job):
			r := runOf(job)
			var err error
			if r.outcome, err = c.judge(ctx, job, known); err != nil {
				return plan{}, err
			}
			if r.phase == going {
				trouble[job.UID] = r.trouble
			}
			w.runs = append(w.runs, r)
		case q.ours(job):
			w.others = append(w.others, job)
			w.overtaken = w.overtaken || q.overtaken(job)
		}
	}
	c.memory.keep(q, w.runs, trouble)
	if r, ok := known.missing(w.runs); ok {
		w.runs = append(w.runs, r)
	} else if r, ok := q.told(); ok && len(w.runs) == 0 {
		w.runs = append(w.runs, r)
	}
	return q.plan(w), nil
}

// jobs lists the Jobs that have the label of the check, with what is read of them. The cache holds nothing else.
func (c *Checker) jobs(ctx context.Context, q question, live bool) ([]batchv1.Job, error) {
	ofCheck := []client.ListOption{client.InNamespace(q.Check.Namespace), client.MatchingLabels{LabelCheck: version.LabelValue(q.Check.Name)}}
	if !live {
		var list batchv1.JobList
		if err := c.Client.List(ctx, &list, ofCheck...); err != nil {
			return nil, fmt.Errorf("listing Jobs: %w", err)
		}
		return list.Items, nil
	}
	var found []batchv1.Job
	pages := 0
	for list, err := range kube.Pages[batchv1.JobList](ctx, c.Live, atOnce, ofCheck...) {
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
		if pages++; pages == mostPages && list.Continue != "" {
			return nil, fmt.Errorf("more than %d Jobs have the label %s=%s: delete those that are not needed",
				atOnce*mostPages, LabelCheck, version.LabelValue(q.Check.Name))
		}
	}
	return found, nil
}

// start makes the Job of a run. If it exists, somebody was faster.
func (c *Checker) start(ctx context.Context, q question, r run) error {
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
		c.memory.began(q, r)
	}
	return err
}

// adopt reads a Job that exists, and takes nobody else's.
func (c *Checker) adopt(ctx context.Context, q question, job *batchv1.Job) error {
	key := client.ObjectKeyFromObject(job)
	if err := c.Live.Get(ctx, key, job); err != nil {
		return fmt.Errorf("reading Job %q: %w", key.Name, err)
	}
	if !q.answers(job) {
		return fmt.Errorf("the Job %s exists and is not a run of this check: delete it", key.Name)
	}
	return nil
}

// remove deletes a Job and its pods. If that fails, nothing is judged differently, and it is tried again next time.
func (c *Checker) remove(ctx context.Context, job *batchv1.Job) {
	err := c.Client.Delete(ctx, job, client.PropagationPolicy(metav1.DeletePropagationBackground), client.Preconditions{UID: &job.UID})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		log.FromContext(ctx).Error(err, "deleting an old run", "job", job.Name)
	}
}

// refusal is why the API server does not take a Job.
type refusal struct{ cause error }

func (r refusal) Error() string { return "the Job cannot be created: " + reason(r.cause.Error()) }
func (r refusal) Unwrap() error { return r.cause }

// reason leaves out which object is forbidden: its name may be another each time.
func reason(message string) string {
	if _, why, ok := strings.Cut(message, " is forbidden: "); ok {
		message = why
	}
	return version.Clean(message, maxCause)
}
