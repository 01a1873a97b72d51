package script

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/version"
)

// LabelCheck on a Job, and on its pods, is the name of the HealthCheck, shortened if it is too long for a label.
const LabelCheck = "kuberik.com/health-check"

// Annotations of a Job that say what its run is about.
const (
	annotationRollout  = "healthcheck.kuberik.com/rollout"
	annotationToken    = "healthcheck.kuberik.com/token"
	annotationDeployed = "healthcheck.kuberik.com/deployed-at"
	annotationScript   = "healthcheck.kuberik.com/script"
	annotationRun      = "healthcheck.kuberik.com/run"
	annotationAttempt  = "healthcheck.kuberik.com/attempt"
)

const (
	defaultInterval = 30 * time.Second
	maxJobName      = 63 // the Job controller makes it the value of a label
)

// evaluation is the evaluation of one deployment by one script. It may need several runs.
type evaluation struct {
	health.CheckInput
	script *v1alpha1.ScriptCheck
	// definition is a hash of the script. An edited script is another evaluation.
	definition string
	// runInterval is the time from the end of a run to the start of the next; 0 if there is none.
	runInterval time.Duration
}

func newEvaluation(s health.CheckInput) (evaluation, error) {
	q := evaluation{CheckInput: s, script: s.Check.Spec.Script}
	if q.script == nil {
		return q, errors.New("class script needs the field script")
	}
	fields, template, err := encode(q.script)
	switch {
	case large(fields, template):
		return q, fmt.Errorf("spec.script is larger than %d KiB: put what is large into a ConfigMap or into the image",
			maxScript>>10)
	case err != nil:
		return q, fmt.Errorf("reading the script: %w", err)
	}
	q.definition = hash(string(fields), string(template))
	if q.script.Runs == v1alpha1.ScriptInterval {
		if q.runInterval = defaultInterval; s.Check.Spec.Interval != nil {
			q.runInterval, err = s.Check.Spec.Interval.Parse()
		}
	}
	return q, err
}

func hash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])[:10]
}

// rollout returns the namespace and the name of the Rollout. Each Rollout that selects the check has its own runs.
func (q evaluation) rollout() string { return q.Release.Namespace + "/" + q.Release.Rollout }

// key identifies the check and the Rollout in memory; id identifies the evaluation.
func (q evaluation) key() string { return string(q.Check.UID) + "/" + q.rollout() }
func (q evaluation) id() string  { return hash(q.key(), q.Release.Token, q.definition) }

// name returns the name of the Job of a run, which is the same for equal evaluations.
func (q evaluation) name(number int) string {
	suffix := "-" + q.id() + "-" + strconv.Itoa(number)
	name := strings.ReplaceAll(q.Check.Name, ".", "-")
	return strings.TrimRight(name[:min(len(name), maxJobName-len(suffix))], "-") + suffix
}

func (q evaluation) labels() map[string]string {
	return map[string]string{
		LabelCheck:                     version.LabelValue(q.Check.Name),
		v1alpha1.LabelRollout:          version.LabelValue(q.Release.Rollout),
		"app.kubernetes.io/managed-by": "kuberik",
	}
}

func (q evaluation) annotations(number, attempt int) map[string]string {
	return map[string]string{
		annotationRollout:  q.rollout(),
		annotationToken:    q.Release.Token,
		annotationDeployed: q.Release.DeployedAt.UTC().Format(time.RFC3339Nano),
		annotationScript:   q.definition,
		annotationRun:      strconv.Itoa(number),
		annotationAttempt:  strconv.Itoa(attempt),
	}
}

// owns reports whether a Job belongs to the check and the Rollout. matches reports whether it belongs to the
// evaluation.
func (q evaluation) owns(job *batchv1.Job) bool {
	return metav1.IsControlledBy(job, q.Check) && job.Labels[LabelCheck] == version.LabelValue(q.Check.Name) &&
		job.Annotations[annotationRollout] == q.rollout()
}

func (q evaluation) matches(job *batchv1.Job) bool {
	return q.owns(job) && job.Annotations[annotationToken] == q.Release.Token &&
		job.Annotations[annotationScript] == q.definition
}

// superseded reports whether a Job is for a later deployment, so that the evaluation is out of date.
func (q evaluation) superseded(job *batchv1.Job) bool {
	at, err := time.Parse(time.RFC3339Nano, job.Annotations[annotationDeployed])
	return err == nil && at.After(q.Release.DeployedAt)
}

// phase is the phase of a run.
type phase int

const (
	running phase = iota
	passed
	failed
	interrupted
)

// outcome is the result of a run.
type outcome struct {
	phase  phase
	report health.Report
	// at is when the run ended; zero if it has not, or if unknown.
	at time.Time
	// problem is why the run does not start; empty if it does.
	problem string
}

// run is one Job of an evaluation.
type run struct {
	// job is nil if it was deleted.
	job *batchv1.Job
	// number counts the Jobs of an evaluation, and attempt the Jobs since the last one that was not interrupted.
	number, attempt int
	// deleted is set if the Job was deleted before it ended.
	deleted bool
	outcome
}

func runOf(job *batchv1.Job) run {
	return run{job: job, number: count(job, annotationRun), attempt: count(job, annotationAttempt)}
}

func count(job *batchv1.Job, annotation string) int {
	n, err := strconv.Atoi(job.Annotations[annotation])
	if err != nil {
		return 1
	}
	return max(n, 1)
}

// maxScript is the maximum size of spec.script as JSON, because the cache holds it.
const maxScript = 64 << 10

// tooLarge replaces larger scripts in the cache.
var tooLarge = runtime.RawExtension{Raw: []byte(`"too large"`)}

// encode returns the fields of a script as JSON, and separately the jobTemplate, which may be invalid.
func encode(s *v1alpha1.ScriptCheck) (fields, template []byte, err error) {
	rest := *s
	if rest.JobTemplate != nil {
		rest.JobTemplate, template = nil, rest.JobTemplate.Raw
	}
	fields, err = json.Marshal(rest)
	return fields, template, err
}

// large reports whether a script is larger than maxScript.
func large(fields, template []byte) bool {
	return bytes.Equal(template, tooLarge.Raw) || len(template) > maxScript || len(fields) > maxScript
}

// TrimCheck removes a script that is too large from a HealthCheck, before it is cached. It does not change other kinds.
func TrimCheck(o any) {
	check, ok := o.(*v1alpha1.HealthCheck)
	if !ok || check.Spec.Script == nil {
		return
	}
	fields, template, _ := encode(check.Spec.Script) //nolint:errcheck // the run of the check reports it
	if large(fields, template) {
		check.Spec.Script = &v1alpha1.ScriptCheck{JobTemplate: tooLarge.DeepCopy()}
	}
}

// Trim removes the fields of a Job that are not read, before it is cached. It does not change other kinds.
func Trim(o any) {
	if job, ok := o.(*batchv1.Job); ok {
		kube.TrimLabels(job)
		kept := batchv1.JobSpec{Suspend: job.Spec.Suspend, ActiveDeadlineSeconds: job.Spec.ActiveDeadlineSeconds}
		if onDisruption(job) {
			kept.PodFailurePolicy = failOnDisruption()
		}
		kept.Template.Spec.ActiveDeadlineSeconds = job.Spec.Template.Spec.ActiveDeadlineSeconds
		job.Spec = kept
	}
}
