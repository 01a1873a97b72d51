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

// question is what a run answers: whether one deployment is well, by one script.
type question struct {
	health.Subject
	script *v1alpha1.ScriptCheck
	// definition is a hash of the script: who edits it asks another question.
	definition string
	// every is how long after the end of a run the next begins; 0 is never.
	every time.Duration
}

func ask(s health.Subject) (question, error) {
	q := question{Subject: s, script: s.Check.Spec.Script}
	if q.script == nil {
		return q, errors.New("class script needs the field script")
	}
	fields, template, err := encode(q.script)
	switch {
	case large(fields, template):
		return q, fmt.Errorf("spec.script is larger than %d KiB: put what is large into a ConfigMap or into the image", mostScript>>10)
	case err != nil:
		return q, fmt.Errorf("reading the script: %w", err)
	}
	q.definition = hash(string(fields), string(template))
	if q.script.Runs == v1alpha1.ScriptInterval {
		if q.every = defaultInterval; s.Check.Spec.Interval != nil {
			q.every, err = s.Check.Spec.Interval.Parse()
		}
	}
	return q, err
}

func hash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])[:10]
}

// rollout names the Rollout. A check may be selected by several, and each has its own runs.
func (q question) rollout() string { return q.Release.Namespace + "/" + q.Release.Rollout }

// key names what is remembered, id the question.
func (q question) key() string { return string(q.Check.UID) + "/" + q.rollout() }
func (q question) id() string  { return hash(q.key(), q.Release.Token, q.definition) }

// name of the Job of a run. It is the same for whoever asks the same.
func (q question) name(number int) string {
	suffix := "-" + q.id() + "-" + strconv.Itoa(number)
	name := strings.ReplaceAll(q.Check.Name, ".", "-")
	return strings.TrimRight(name[:min(len(name), maxJobName-len(suffix))], "-") + suffix
}

func (q question) labels() map[string]string {
	return map[string]string{
		LabelCheck:                     version.LabelValue(q.Check.Name),
		v1alpha1.LabelRollout:          version.LabelValue(q.Release.Rollout),
		"app.kubernetes.io/managed-by": "kuberik",
	}
}

func (q question) annotations(number, attempt int) map[string]string {
	return map[string]string{
		annotationRollout:  q.rollout(),
		annotationToken:    q.Release.Token,
		annotationDeployed: q.Release.DeployedAt.UTC().Format(time.RFC3339Nano),
		annotationScript:   q.definition,
		annotationRun:      strconv.Itoa(number),
		annotationAttempt:  strconv.Itoa(attempt),
	}
}

// ours reports whether a Job was made for the check and the Rollout; answers, whether for the question.
func (q question) ours(job *batchv1.Job) bool {
	return metav1.IsControlledBy(job, q.Check) && job.Labels[LabelCheck] == version.LabelValue(q.Check.Name) &&
		job.Annotations[annotationRollout] == q.rollout()
}

func (q question) answers(job *batchv1.Job) bool {
	return q.ours(job) && job.Annotations[annotationToken] == q.Release.Token && job.Annotations[annotationScript] == q.definition
}

// overtaken reports whether a Job is for a later deployment: then the question is out of date.
func (q question) overtaken(job *batchv1.Job) bool {
	at, err := time.Parse(time.RFC3339Nano, job.Annotations[annotationDeployed])
	return err == nil && at.After(q.Release.DeployedAt)
}

// phase is how far a run has come.
type phase int

const (
	going phase = iota
	passed
	failed
	interrupted
)

// outcome is what a run amounts to.
type outcome struct {
	phase  phase
	report health.Report
	// at is when it ended; zero if it has not, or nobody knows.
	at time.Time
	// trouble is what keeps it from starting.
	trouble string
}

// run is one Job of a question.
type run struct {
	// job is nil if it is gone.
	job *batchv1.Job
	// number counts the Jobs of a question, attempt those in a row of which all before were interrupted.
	number, attempt int
	// gone is whether the Job was deleted before it ended.
	gone bool
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

// mostScript is how large spec.script may be, as JSON. It is in memory all the time.
const mostScript = 64 << 10

// tooLarge stands in the cache for a script that is larger than that.
var tooLarge = runtime.RawExtension{Raw: []byte(`"too large"`)}

// encode returns the fields of a script as JSON, and the jobTemplate by itself, which may not be JSON.
func encode(s *v1alpha1.ScriptCheck) (fields, template []byte, err error) {
	rest := *s
	if rest.JobTemplate != nil {
		rest.JobTemplate, template = nil, rest.JobTemplate.Raw
	}
	fields, err = json.Marshal(rest)
	return fields, template, err
}

// large reports whether a script is larger than it may be.
func large(fields, template []byte) bool {
	return bytes.Equal(template, tooLarge.Raw) || len(template) > mostScript || len(fields) > mostScript
}

// TrimCheck takes a script that is too large out of a HealthCheck, before it is cached. What is not a HealthCheck stays as it is.
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

// Trim keeps of the spec of a Job only what is read of one that exists, before it is cached. What is not a Job stays as it is.
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
