package script

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/version"
)

const (
	defaultDeadline    = 5 * time.Minute
	defaultInterpreter = "/bin/sh"
	container          = "script"
	nonRootUser        = 65532

	// killGrace is how many seconds a script may clean up after its deadline, and slack how much later the Job ends. If
	// the kubelet ends the pod, its log can still be read; if Kubernetes ends the Job, the pod is deleted.
	killGrace = 5
	slack     = 30 * time.Second
	// finishedTTL is how long a finished Job stays if nothing deletes it.
	finishedTTL = time.Hour
)

// render returns the Job of a run.
func (c *Checker) render(q evaluation, r run) (*batchv1.Job, error) {
	t, err := jobOf(q.script)
	if err != nil {
		return nil, err
	}
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Namespace: q.Check.Namespace, Name: q.name(r.number),
		Labels: merge(t.Labels, q.labels()), Annotations: merge(t.Annotations, q.annotations(r.number, r.attempt)),
		// Without blockOwnerDeletion, which would take a permission on the finalizers of HealthChecks.
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "HealthCheck", Name: q.Check.Name, UID: q.Check.UID,
			Controller: new(true),
		}},
	}, Spec: t.Spec}
	job.Spec.Template.Labels = merge(t.Spec.Template.Labels, q.labels())
	// at most some years
	ttl := int32(max(finishedTTL+q.runInterval, seconds(t.Spec.TTLSecondsAfterFinished)) / time.Second)
	job.Spec.TTLSecondsAfterFinished = &ttl
	pod := &job.Spec.Template.Spec
	for _, list := range [][]corev1.Container{pod.InitContainers, pod.Containers} {
		for i := range list {
			list[i].Env = q.env(list[i].Env)
		}
	}
	return job, nil
}

// jobOf returns the Job of a script without the fields of a run.
func jobOf(s *v1alpha1.ScriptCheck) (batchv1.JobTemplateSpec, error) {
	if s.JobTemplate != nil {
		return fromTemplate(s)
	}
	return fromImage(s)
}

// fromImage returns the Job of an image. Its pod always meets the restricted Pod Security Standard.
func fromImage(s *v1alpha1.ScriptCheck) (batchv1.JobTemplateSpec, error) {
	deadline := defaultDeadline
	if s.ActiveDeadline != nil {
		var err error
		if deadline, err = s.ActiveDeadline.Parse(); err != nil {
			return batchv1.JobTemplateSpec{}, err
		}
	}
	deadline = max(deadline, time.Second)
	return batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{
		BackoffLimit:          new(int32(0)),
		ActiveDeadlineSeconds: new(int64((deadline + slack).Seconds())),
		PodFailurePolicy:      failOnDisruption(),
		Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy:                 corev1.RestartPolicyNever,
			ActiveDeadlineSeconds:         new(int64(deadline.Seconds())),
			TerminationGracePeriodSeconds: new(int64(killGrace)),
			ServiceAccountName:            s.ServiceAccountName,
			AutomountServiceAccountToken:  new(s.ServiceAccountName != ""),
			EnableServiceLinks:            new(false),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), RunAsUser: new(int64(nonRootUser)), RunAsGroup: new(int64(nonRootUser)),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{scriptContainer(s)},
			Volumes: []corev1.Volume{{Name: "tmp", VolumeSource: corev1.VolumeSource{
				EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: resource.NewQuantity(128<<20, resource.BinarySI)},
			}}},
		}},
	}}, nil
}

func scriptContainer(s *v1alpha1.ScriptCheck) corev1.Container {
	c := corev1.Container{
		Name: container, Image: s.Image, Command: s.Command, Args: s.Args, Env: slices.Clone(s.Env), Resources: resources(s),
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		// The root is read-only, and the user has no home.
		VolumeMounts:             []corev1.VolumeMount{{Name: "tmp", MountPath: "/tmp"}},
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
	if !slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == "HOME" }) {
		c.Env = append(c.Env, corev1.EnvVar{Name: "HOME", Value: "/tmp"})
	}
	if s.Script != "" {
		// Arguments after the text of a script are its $0, $1 and so on.
		c.Command = []string{cmp.Or(s.Interpreter, defaultInterpreter), "-c"}
		c.Args = append([]string{literal(s.Script), container}, s.Args...)
	}
	return c
}

func resources(s *v1alpha1.ScriptCheck) corev1.ResourceRequirements {
	if s.Resources != nil {
		return *s.Resources.DeepCopy()
	}
	return corev1.ResourceRequirements{
		Requests: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("32Mi"),
		},
		Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")},
	}
}

// env adds the variables of a run before those of the user, which may refer to them and cannot replace them.
func (q evaluation) env(theirs []corev1.EnvVar) []corev1.EnvVar {
	r := q.Release
	var list []corev1.EnvVar
	for _, v := range [][2]string{
		{"KUBERIK_VERSION", r.Tag}, {"KUBERIK_DIGEST", r.Digest}, {"KUBERIK_REVISION", r.Revision},
		{"KUBERIK_ROLLOUT", r.Rollout}, {"KUBERIK_NAMESPACE", r.Namespace},
	} {
		list = append(list, corev1.EnvVar{Name: v[0], Value: literal(version.Clean(v[1], maxCause))})
	}
	owns := list
	for _, v := range theirs {
		if !slices.ContainsFunc(owns, func(o corev1.EnvVar) bool { return o.Name == v.Name }) {
			list = append(list, v)
		}
	}
	return list
}

// literal keeps Kubernetes from expanding $(NAME) and $$ in a text.
func literal(s string) string { return strings.ReplaceAll(s, "$", "$$") }

// failOnDisruption makes a Job report that its pod was evicted, because the pod may be deleted soon.
func failOnDisruption() *batchv1.PodFailurePolicy {
	return &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
		Action: batchv1.PodFailurePolicyActionFailJob,
		OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{
			{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue},
		},
	}}}
}

func onDisruption(job *batchv1.Job) bool {
	return apiequality.Semantic.DeepEqual(job.Spec.PodFailurePolicy, failOnDisruption())
}

func merge(theirs, owns map[string]string) map[string]string {
	all := maps.Clone(theirs)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, owns)
	return all
}

func seconds(n *int32) time.Duration {
	if n == nil {
		return 0
	}
	return time.Duration(*n) * time.Second
}
