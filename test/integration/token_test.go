package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/controller"
	"github.com/kuberik/kuberik/test/env"
)

// stolen returns a client with the token of the controller.
func stolen(w *env.World) client.Client {
	w.T.Helper()
	return impersonate(w, env.ServiceAccount, "system:serviceaccounts", "system:serviceaccounts:kuberik-system")
}

// impersonate returns a client for a user in groups.
func impersonate(w *env.World, user string, groups ...string) client.Client {
	w.T.Helper()
	cfg := rest.CopyConfig(w.Plane.Config())
	cfg.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: append(groups, "system:authenticated")}
	c, err := client.New(cfg, client.Options{Scheme: controller.Scheme()})
	if err != nil {
		w.T.Fatal(err)
	}
	return c
}

// enforced waits until a new admission policy is in force.
func enforced(w *env.World, policy string, forbidden func() error) {
	w.T.Helper()
	w.Eventually("the policy "+policy+" is enforced", func() error {
		if err := forbidden(); !refusedBy(err, policy) {
			return fmt.Errorf("it is not: %w", err)
		}
		return nil
	})
}

// TestTokenOfTheControllerWritesVersionsOnly: with a stolen token, one can only hand other versions to Flux.
func TestTokenOfTheControllerWritesVersionsOnly(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	thief := stolen(w)
	k := w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Patch(k, `{"spec":{"postBuild":{"substitute":{"REGION":"eu"},"substituteFrom":[{"kind":"ConfigMap","name":"vars"}]}}}`)
	repo := &sourcev1.OCIRepository{ObjectMeta: w.Meta("app"), Spec: sourcev1.OCIRepositorySpec{
		URL: "oci://registry.example.com/app", Interval: metav1.Duration{Duration: 1e9}, Reference: &sourcev1.OCIRepositoryRef{Tag: "1.0.0"},
	}}
	repo.Annotations = map[string]string{v1alpha1.AnnotationRollout: "app"}
	other := repo.DeepCopy()
	other.ObjectMeta = w.Meta("other")
	w.Create(repo, other)
	ro := w.Rollout("app", func(ro *v1alpha1.Rollout) {
		ro.Spec.Suspend = true
		ro.Annotations = map[string]string{"team": "a", v1alpha1.AnnotationRetry: "1"}
	})
	try := func(obj client.Object, body string) error {
		c := copyOf(obj)
		return thief.Patch(w.Ctx(), c, client.RawPatch("application/merge-patch+json", []byte(body)), client.DryRunAll)
	}
	attacks := map[string]map[client.Object][]string{
		"kuberik-controller-kustomizations": {k: {
			`{"spec":{"path":"./evil"}}`,
			`{"spec":{"sourceRef":{"name":"evil"}}}`,
			`{"spec":{"sourceRef":{"namespace":"evil"}}}`,
			`{"spec":{"serviceAccountName":"cluster-admin"}}`,
			`{"spec":{"patches":[{"patch":"x"}]}}`,
			`{"spec":{"kubeConfig":{"secretRef":{"name":"x"}}}}`,
			`{"spec":{"suspend":true}}`,
			`{"spec":{"prune":false}}`,
			`{"spec":{"postBuild":{"substituteFrom":[{"kind":"Secret","name":"x"}]}}}`,
			`{"spec":{"postBuild":{"substituteFrom":null}}}`,
			`{"spec":{"postBuild":{"substitute":{"REGION":"us"}}}}`,
			`{"spec":{"postBuild":{"substitute":{"REGION":null}}}}`,
			`{"spec":{"postBuild":{"substitute":{"OTHER":"x"}}}}`,
			`{"spec":{"postBuild":{"substitute":{"VERSION":"1.0.0, command: [sh]"}}}}`,
			`{"spec":{"postBuild":{"substitute":{"VERSION":"1.0.0\nevil: true"}}}}`,
			`{"spec":{"postBuild":{"substitute":{"VERSION":"evil.example.com/app:1.0.0"}}}}`,
			`{"spec":{"postBuild":{"substitute":{"VERSION":"1.0.0@sha256:abc"}}}}`,
			`{"spec":{"postBuild":null}}`,
			`{"metadata":{"annotations":{"rollout.kuberik.com/substitute.REGION.from":"app"}}}`,
			`{"metadata":{"annotations":{"rollout.kuberik.com/substitute.VERSION.from":null}}}`,
			`{"metadata":{"annotations":{"kustomize.toolkit.fluxcd.io/reconcile":"disabled"}}}`,
			`{"metadata":{"labels":{"a":"b"}}}`,
			`{"metadata":{"finalizers":["example.com/hold"]}}`,
			`{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"x","uid":"x"}]}}`,
		}},
		"kuberik-controller-ocirepositories": {repo: {
			`{"spec":{"url":"oci://evil.example.com/app"}}`,
			`{"spec":{"secretRef":{"name":"x"}}}`,
			`{"spec":{"insecure":true}}`,
			`{"spec":{"suspend":true}}`,
			`{"spec":{"ref":{"semver":"*"}}}`,
			`{"spec":{"ref":{"tag":"1.0.0, url: oci://evil.example.com/app"}}}`,
			`{"spec":{"ref":{"tag":"../evil:1.0.0"}}}`,
			`{"spec":{"ref":{"digest":"sha256:abc"}}}`,
			`{"spec":{"ref":{"digest":"1.0.0"}}}`,
			`{"metadata":{"annotations":{"rollout.kuberik.com/rollout":"evil"}}}`,
			`{"metadata":{"labels":{"a":"b"}}}`,
		}, other: {
			`{"spec":{"ref":{"tag":"1.1.0"}}}`,
		}},
		"kuberik-controller-rollouts": {ro: {
			`{"spec":{"wantedVersion":"1.0.0"}}`,
			`{"spec":{"suspend":false}}`,
			`{"metadata":{"annotations":{"rollout.kuberik.com/force-deploy":"1.0.0"}}}`,
			`{"metadata":{"annotations":{"team":"b"}}}`,
			`{"metadata":{"labels":{"a":"b"}}}`,
			`{"metadata":{"finalizers":["example.com/hold"]}}`,
			`{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"x","uid":"x"}]}}`, // the garbage collector would delete it
		}},
	}
	for policy, objects := range attacks {
		for obj, list := range objects {
			enforced(w, policy, func() error { return try(obj, list[0]) })
			for _, body := range list {
				if err := try(obj, body); !refusedBy(err, policy) {
					t.Errorf("%T %s: %s: %v", obj, obj.GetName(), body, err)
				}
			}
		}
	}
	requested := `"metadata":{"annotations":{"` + meta.ReconcileRequestAnnotation + `":"1","rollout.kuberik.com/deployment%s":"1"}}`
	for what, err := range map[string]error{
		"a version of a Kustomization":  try(k, `{`+fmt.Sprintf(requested, ".VERSION")+`,"spec":{"postBuild":{"substitute":{"VERSION":"1.1.0"}}}}`),
		"a tag and a digest":            try(k, `{"spec":{"postBuild":{"substitute":{"VERSION":"1.1.0@`+env.Digest("1.1.0")+`"}}}}`),
		"a digest":                      try(k, `{"spec":{"postBuild":{"substitute":{"VERSION":"`+env.Digest("1.1.0")+`"}}}}`),
		"a version of an OCIRepository": try(repo, `{`+fmt.Sprintf(requested, "")+`,"spec":{"ref":{"tag":"1.1.0","digest":"`+env.Digest("1.1.0")+`"}}}`),
		"removing an annotation":        try(ro, `{"metadata":{"annotations":{"`+v1alpha1.AnnotationRetry+`":null}}}`),
	} {
		if err != nil {
			t.Errorf("%s is refused: %v", what, err)
		}
	}
}

// TestTokenOfTheControllerRunsChecksOnly: with a stolen token, one can create Jobs for health checks only, without
// access beyond their namespace.
func TestTokenOfTheControllerRunsChecksOnly(t *testing.T) {
	t.Parallel()
	const policy = "kuberik-controller-jobs"
	w := env.New(t)
	thief := stolen(w)
	check := w.Check("smoke", "test", "app")
	job := func(edit func(*batchv1.Job)) *batchv1.Job {
		j := &batchv1.Job{ObjectMeta: w.Meta("smoke-1"), Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "script", Image: "busybox"}},
		}}}}
		j.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "HealthCheck", Name: check.Name, UID: check.UID, Controller: ptr.To(true),
		}}
		edit(j)
		return j
	}
	pod := func(edit func(*corev1.PodSpec)) *batchv1.Job {
		return job(func(j *batchv1.Job) { edit(&j.Spec.Template.Spec) })
	}
	create := func(j *batchv1.Job) error { return thief.Create(w.Ctx(), j, client.DryRunAll) }
	attacks := map[string]*batchv1.Job{
		"without owner":           job(func(j *batchv1.Job) { j.OwnerReferences = nil }),
		"of a check, in part":     job(func(j *batchv1.Job) { j.OwnerReferences[0].Controller = nil }),
		"of something else":       job(func(j *batchv1.Job) { j.OwnerReferences[0].Kind = "ConfigMap" }),
		"of another group":        job(func(j *batchv1.Job) { j.OwnerReferences[0].APIVersion = "example.com/v1" }),
		"in kube-system":          job(func(j *batchv1.Job) { j.Namespace = "kube-system" }),
		"in ours":                 job(func(j *batchv1.Job) { j.Namespace = "kuberik-system" }),
		"of the host's processes": pod(func(p *corev1.PodSpec) { p.HostPID = true }),
		"of the host's network":   pod(func(p *corev1.PodSpec) { p.HostNetwork = true }),
		"privileged": pod(func(p *corev1.PodSpec) {
			p.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: ptr.To(true)}
		}),
		"privileged at first": pod(func(p *corev1.PodSpec) {
			p.InitContainers = []corev1.Container{{Name: "a", Image: "a", SecurityContext: &corev1.SecurityContext{Privileged: ptr.To(true)}}}
		}),
		"with a port of the host": pod(func(p *corev1.PodSpec) {
			p.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80, HostPort: 80}}
		}),
		"with a capability": pod(func(p *corev1.PodSpec) {
			p.Containers[0].SecurityContext = &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"SYS_ADMIN"}}}
		}),
		"with files of the host": pod(func(p *corev1.PodSpec) {
			p.Volumes = []corev1.Volume{{Name: "a", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}}}
		}),
		"as a process of the host": pod(func(p *corev1.PodSpec) {
			p.HostNetwork = true // without it, no such Job is valid
			p.SecurityContext = &corev1.PodSecurityContext{WindowsOptions: &corev1.WindowsSecurityContextOptions{HostProcess: ptr.To(true)}}
		}),
		"with all of /proc": pod(func(p *corev1.PodSpec) {
			p.HostUsers = ptr.To(false) // without it, no such Job is valid
			p.Containers[0].SecurityContext = &corev1.SecurityContext{ProcMount: ptr.To(corev1.UnmaskedProcMount)}
		}),
		"without a seccomp profile": pod(func(p *corev1.PodSpec) {
			p.SecurityContext = &corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeUnconfined}}
		}),
		"without an AppArmor profile": pod(func(p *corev1.PodSpec) {
			p.SecurityContext = &corev1.PodSecurityContext{AppArmorProfile: &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeUnconfined}}
		}),
		"with another SELinux role": pod(func(p *corev1.PodSpec) {
			p.Containers[0].SecurityContext = &corev1.SecurityContext{SELinuxOptions: &corev1.SELinuxOptions{Role: "sysadm_r"}}
		}),
		"with another SELinux type": pod(func(p *corev1.PodSpec) {
			p.Containers[0].SecurityContext = &corev1.SecurityContext{SELinuxOptions: &corev1.SELinuxOptions{Type: "spc_t"}}
		}),
		"with another SELinux type for all containers": pod(func(p *corev1.PodSpec) {
			p.SecurityContext = &corev1.PodSecurityContext{SELinuxOptions: &corev1.SELinuxOptions{Type: "spc_t"}}
		}),
		"without an AppArmor profile, by an annotation": job(func(j *batchv1.Job) {
			j.Spec.Template.Annotations = map[string]string{"container.apparmor.security.beta.kubernetes.io/script": "unconfined"}
		}),
		"with a driver of the host": pod(func(p *corev1.PodSpec) {
			p.Volumes = []corev1.Volume{{Name: "a", VolumeSource: corev1.VolumeSource{FlexVolume: &corev1.FlexVolumeSource{Driver: "example.com/a"}}}}
		}),
		"with settings of the kernel": pod(func(p *corev1.PodSpec) {
			p.SecurityContext = &corev1.PodSecurityContext{Sysctls: []corev1.Sysctl{{Name: "kernel.shm_rmid_forced", Value: "1"}}}
		}),
		"with a probe of another host": pod(func(p *corev1.PodSpec) {
			p.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Host: "169.254.169.254", Port: intstr.FromInt32(80)}}}
		}),
		"with a hook of another host": pod(func(p *corev1.PodSpec) {
			p.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{Host: "169.254.169.254", Port: intstr.FromInt32(80)}}}
		}),
		"on a chosen node":       pod(func(p *corev1.PodSpec) { p.NodeName = "control-plane" }),
		"before everything else": pod(func(p *corev1.PodSpec) { p.PriorityClassName = "system-node-critical" }),
	}
	enforced(w, policy, func() error { return create(attacks["without owner"].DeepCopy()) })
	for what, j := range attacks {
		if err := create(j); !refusedBy(err, policy) {
			t.Errorf("a Job %s: %v", what, err)
		}
	}
	if err := create(job(func(*batchv1.Job) {})); err != nil {
		t.Errorf("a Job of a check is refused: %v", err)
	}
	if err := create(job(profiled)); err != nil {
		t.Errorf("a Job with the profiles that every pod may have is refused: %v", err)
	}
	if err := create(pod(sidecars)); err != nil {
		t.Errorf("a Job of a check with many containers is refused: %v", err)
	}
	theirs := job(func(j *batchv1.Job) { j.Name, j.OwnerReferences = "theirs", nil })
	w.Create(theirs)
	if err := thief.Delete(w.Ctx(), theirs); !refusedBy(err, policy) {
		t.Errorf("it deletes a Job that is not its own: %v", err)
	}
}

// profiled gives a pod the profiles that every pod may have.
func profiled(j *batchv1.Job) {
	t := &j.Spec.Template
	t.Annotations = map[string]string{"container.apparmor.security.beta.kubernetes.io/script": "runtime/default", "example.com/unconfined": "unconfined"}
	t.Spec.SecurityContext = &corev1.PodSecurityContext{SELinuxOptions: &corev1.SELinuxOptions{Type: "container_t", Level: "s0:c1"}}
	t.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{SELinuxOptions: &corev1.SELinuxOptions{Type: "container_init_t"}}
}

// sidecars gives a pod as many containers and fields as the cost limit of a policy has to allow.
func sidecars(p *corev1.PodSpec) {
	handler := corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: intstr.FromInt32(80)}}
	for i := range 50 {
		c := corev1.Container{
			Name: fmt.Sprint("sidecar-", i), Image: "busybox", ReadinessProbe: &corev1.Probe{ProbeHandler: handler},
			RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways), Lifecycle: &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{HTTPGet: handler.HTTPGet}},
			SecurityContext: &corev1.SecurityContext{
				Capabilities:   &corev1.Capabilities{Add: []corev1.Capability{"CHOWN", "KILL", "SETUID"}, Drop: []corev1.Capability{"ALL"}},
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
		}
		for port := range 20 {
			c.Ports = append(c.Ports, corev1.ContainerPort{ContainerPort: int32(i*100+port) + 1})
		}
		p.InitContainers = append(p.InitContainers, c)
		p.Volumes = append(p.Volumes, corev1.Volume{Name: c.Name})
	}
}

// refusedBy reports whether a policy has denied a request, and not something before it.
func refusedBy(err error, policy string) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "ValidatingAdmissionPolicy '"+policy+"'")
}
