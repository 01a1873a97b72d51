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
	nobody             = 65532

	// killGrace is how long a script may clean up when its time is over; slack, how much later the whole Job ends. Where the kubelet
	// ends the pod, it and its log are still there to be read; where Kubernetes ends the Job, they are gone.
	killGrace = 5
	slack     = 30 * time.Second
	// keep is how long an ended Job stays that nobody looks after any more.
	keep = time.Hour
)

// render makes the Job of a run.
func (c *Checker) render(q question, r run) (*batchv1.Job, error) {
	t, err := jobOf(q.script)
	if err != nil {
		return nil, err
	}
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Namespace: q.Check.Namespace, Name: q.name(r.number),
		Labels: merge(t.Labels, q.labels()), Annotations: merge(t.Annotations, q.annotations(r.number, r.attempt)),
		// Without blockOwnerDeletion, which would take a permission on the finalizers of HealthChecks.
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "HealthCheck", Name: q.Check.Name, UID: q.Check.UID, Controller: new(true),
		}},
	}, Spec: t.Spec}
	job.Spec.Template.Labels = merge(t.Spec.Template.Labels, q.labels())
	ttl := int32(max(keep+q.every, seconds(t.Spec.TTLSecondsAfterFinished)) / time.Second) // at most some years
	job.Spec.TTLSecondsAfterFinished = &ttl
	pod := &job.Spec.Template.Spec
	for _, list := range [][]corev1.Container{pod.InitContainers, pod.Containers} {
		for i := range list {
			list[i].Env = q.env(list[i].Env)
		}
	}
	return job, nil
}

// jobOf returns the Job of a script without what a run adds.
func jobOf(s *v1alpha1.ScriptCheck) (batchv1.JobTemplateSpec, error) {
	if s.JobTemplate != nil {
		return fromTemplate(s)
	}
	return fromImage(s)
}

// fromImage makes a Job of an image. Its pod meets the restricted Pod Security Standard, whatever the script says.
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
				RunAsNonRoot: new(true), RunAsUser: new(int64(nobody)), RunAsGroup: new(int64(nobody)),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{theContainer(s)},
			Volumes: []corev1.Volume{{Name: "tmp", VolumeSource: corev1.VolumeSource{
				EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: resource.NewQuantity(128<<20, resource.BinarySI)},
			}}},
		}},
	}}, nil
}

func theContainer(s *v1alpha1.ScriptCheck) corev1.Container {
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
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("32Mi")},
		Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")},
	}
}

// env puts what a run is about before the variables of the user, which may refer to it and cannot replace it.
func (q question) env(theirs []corev1.EnvVar) []corev1.EnvVar {
	r := q.Release
	var list []corev1.EnvVar
	for _, v := range [][2]string{
		{"KUBERIK_VERSION", r.Tag}, {"KUBERIK_DIGEST", r.Digest}, {"KUBERIK_REVISION", r.Revision},
		{"KUBERIK_ROLLOUT", r.Rollout}, {"KUBERIK_NAMESPACE", r.Namespace},
	} {
		list = append(list, corev1.EnvVar{Name: v[0], Value: literal(version.Clean(v[1], maxCause))})
	}
	ours := list
	for _, v := range theirs {
		if !slices.ContainsFunc(ours, func(o corev1.EnvVar) bool { return o.Name == v.Name }) {
			list = append(list, v)
		}
	}
	return list
}

// literal keeps Kubernetes from expanding $(NAME) and $$ in a text.
func literal(s string) string { return strings.ReplaceAll(s, "$", "$$") }

// failOnDisruption makes a Job say that its pod was taken away: the pod itself may be gone when somebody looks.
func failOnDisruption() *batchv1.PodFailurePolicy {
	return &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
		Action:          batchv1.PodFailurePolicyActionFailJob,
		OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}},
	}}}
}

func onDisruption(job *batchv1.Job) bool {
	return apiequality.Semantic.DeepEqual(job.Spec.PodFailurePolicy, failOnDisruption())
}

func merge(theirs, ours map[string]string) map[string]string {
	all := maps.Clone(theirs)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, ours)
	return all
}

func seconds(n *int32) time.Duration {
	if n == nil {
		return 0
	}
	return time.Duration(*n) * time.Second
}
