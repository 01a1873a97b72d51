package see

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/internal/cli/session"
	"github.com/kuberik/kuberik/internal/version"
	"github.com/kuberik/kuberik/internal/view"
)

const (
	// LabelCheck on a Job is the name of the HealthCheck that it runs for.
	LabelCheck = "kuberik.com/health-check"
	// defaultTail is how many lines of each container are shown.
	defaultTail = 100
	// maxLogLine bounds a line of a log.
	maxLogLine = 64 << 10
)

// NewLogs returns the verb logs.
func NewLogs(p *session.Process) *cobra.Command {
	tail := int64(defaultTail)
	var job string
	c := session.Command(p, &cobra.Command{
		Use:   "logs CHECK",
		Short: "Show what the newest run of a script check has written",
		Long: `Shows what the newest Job of a health check of class script has written. The names of older Jobs are in the error output;
--job selects one.`,
		Example: `  kuberik logs smoke -n shop
  kuberik logs smoke -n shop --tail=-1`,
		Args: cobra.ExactArgs(1),
	}, session.Options{Names: checkNames}, func(ctx context.Context, s *session.Session, args []string) error {
		return logs(ctx, s, args[0], job, tail)
	})
	c.Flags().Int64Var(&tail, "tail", defaultTail, "how many lines of each container to show; -1 shows all")
	c.Flags().StringVar(&job, "job", "", "name of the Job (default: the newest)")
	return c
}

// checkNames lists the names of health checks for completion.
func checkNames(ctx context.Context, s *session.Session) []string {
	for _, r := range resources() {
		if r.name == "checks" {
			return namesOf(ctx, s, r)
		}
	}
	return nil
}

func logs(ctx context.Context, s *session.Session, name, job string, tail int64) error {
	c, err := s.Client()
	if err != nil {
		return err
	}
	key := client.ObjectKey{Namespace: s.Namespace(), Name: name}
	check := &v1alpha1.HealthCheck{}
	err = c.Get(ctx, key, check)
	switch {
	case apierrors.IsNotFound(err) && strings.Contains(err.Error(), name):
		return exit.With(exit.NotFound, fmt.Errorf("there is no HealthCheck %q in namespace %s", name, key.Namespace),
			s.Program+" get checks -n "+key.Namespace+" lists them")
	case err != nil:
		return err
	case ptr.Deref(check.Spec.Class, "") != v1alpha1.HealthClassScript:
		return exit.Errorf(exit.Usage, "HealthCheck %s is of class %s: only checks of class script have logs", key,
			ptr.Deref(check.Spec.Class, "none"))
	}
	run, err := findJob(ctx, s, check, job)
	if err != nil {
		return err
	}
	var pods corev1.PodList
	if err := c.List(ctx, &pods, client.InNamespace(run.Namespace),
		client.MatchingLabels{batchv1.ControllerUidLabel: string(run.UID)}); err != nil {
		return err
	}
	if len(pods.Items) == 0 {
		return exit.Errorf(exit.NotFound, "Job %s has no pods any more, so its logs are gone; HealthCheck %s says: %s",
			run.Name, name, view.Clean(ptr.Deref(check.Status.Message, "nothing")))
	}
	for i := range pods.Items {
		if err := podLogs(ctx, s, &pods.Items[i], tail); err != nil {
			return err
		}
	}
	return nil
}

// findJob returns a Job of a check: the newest, or the one with a name.
func findJob(ctx context.Context, s *session.Session, check *v1alpha1.HealthCheck, name string) (*batchv1.Job, error) {
	c, err := s.Client()
	if err != nil {
		return nil, err
	}
	var jobs batchv1.JobList
	labels := client.MatchingLabels{LabelCheck: version.LabelValue(check.Name)}
	if err := c.List(ctx, &jobs, client.InNamespace(check.Namespace), labels); err != nil {
		return nil, err
	}
	slices.SortFunc(jobs.Items,
		func(a, b batchv1.Job) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) })
	var names []string
	for i := range jobs.Items {
		if jobs.Items[i].Name == name {
			return &jobs.Items[i], nil
		}
		names = append(names, jobs.Items[i].Name)
	}
	switch {
	case len(names) == 0:
		return nil, exit.Errorf(exit.NotFound, "HealthCheck %s has no Jobs: it has not run yet, or they were deleted",
			check.Name)
	case name != "":
		return nil, exit.With(exit.NotFound, fmt.Errorf("HealthCheck %s has no Job %q", check.Name, name),
			"its Jobs: "+strings.Join(names, ", "))
	case len(names) > 1:
		return &jobs.Items[0], s.Remark("Job " + names[0] + "; older: " + strings.Join(names[1:], ", "))
	}
	return &jobs.Items[0], nil
}

func podLogs(ctx context.Context, s *session.Session, pod *corev1.Pod, tail int64) error {
	for _, container := range pod.Spec.Containers {
		if err := s.Remark("Pod " + pod.Name + ", container " + container.Name + ":"); err != nil {
			return err
		}
		o := &corev1.PodLogOptions{Container: container.Name}
		if tail >= 0 {
			o.TailLines = &tail
		}
		log, err := s.Logs(ctx, s.Flags, client.ObjectKeyFromObject(pod), o)
		if err != nil {
			return err
		}
		if err := errors.Join(printLog(s, log), log.Close()); err != nil {
			return err
		}
	}
	return nil
}

// printLog prints the lines of a log without control characters.
func printLog(s *session.Session, log io.Reader) error {
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, maxLogLine)
	for lines.Scan() {
		if err := s.Lines(version.Clean(lines.Text(), maxLogLine)); err != nil {
			return err
		}
	}
	return lines.Err()
}
