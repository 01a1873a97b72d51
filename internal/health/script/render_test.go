package script

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
)

func rendered(t *testing.T, s *v1alpha1.ScriptCheck, edits ...func(*health.CheckInput)) *batchv1.Job {
	t.Helper()
	job, err := render(t, Options{}, s, edits...)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func render(t *testing.T, o Options, s *v1alpha1.ScriptCheck, edits ...func(*health.CheckInput)) (*batchv1.Job, error) {
	t.Helper()
	subject := subject(edits...)
	subject.Check.Spec.Script = s
	return New(o).render(evaluationOf(t, subject), run{number: 1, attempt: 2})
}

func template(text string) *v1alpha1.ScriptCheck {
	return &v1alpha1.ScriptCheck{JobTemplate: &runtime.RawExtension{Raw: []byte(text)}}
}

func owns() []corev1.EnvVar {
	return []corev1.EnvVar{
		{Name: "KUBERIK_VERSION", Value: "1.2.3"}, {Name: "KUBERIK_DIGEST", Value: "sha256:" + strings.Repeat("a", 64)},
		{Name: "KUBERIK_REVISION", Value: "main@sha1:abc"}, {Name: "KUBERIK_ROLLOUT", Value: "hello"},
		{Name: "KUBERIK_NAMESPACE", Value: "shop"},
	}
}

func TestImage(t *testing.T) {
	job := rendered(t, &v1alpha1.ScriptCheck{
		Image: "busybox:1", Script: "echo $KUBERIK_VERSION $(date) $$", Args: []string{"one"}, Env: []corev1.EnvVar{
			{Name: "A", Value: "$(KUBERIK_VERSION)-a"}, {Name: "KUBERIK_VERSION", Value: "mine"},
		},
	})
	type gist struct {
		Name, Namespace                string
		Labels, PodLabels, Annotations map[string]string
		Owner                          metav1.OwnerReference
		Command, Args                  []string
		Env                            []corev1.EnvVar
		Backoff                        int32
		TTL                            int32
		Deadline, PodDeadline          int64
	}
	pod := job.Spec.Template.Spec
	labels := map[string]string{"kuberik.com/health-check": "smoke", "kuberik.com/rollout": "hello", "app.kubernetes.io/managed-by": "kuberik"}
	want := gist{
		Name: named(t, job), Namespace: "shop",
		Labels: labels, PodLabels: labels,
		Annotations: map[string]string{
			annotationRollout: "shop/hello", annotationToken: "ro-uid/7/0", annotationDeployed: "2026-03-01T11:59:00Z",
			annotationScript: job.Annotations[annotationScript], annotationRun: "1", annotationAttempt: "2",
		},
		Owner:   metav1.OwnerReference{APIVersion: "kuberik.com/v1alpha1", Kind: "HealthCheck", Name: "smoke", UID: "check-uid", Controller: new(true)},
		Command: []string{"/bin/sh", "-c"}, Args: []string{"echo $$KUBERIK_VERSION $$(date) $$$$", "script", "one"},
		Env:     append(owns(), corev1.EnvVar{Name: "A", Value: "$(KUBERIK_VERSION)-a"}, corev1.EnvVar{Name: "HOME", Value: "/tmp"}),
		Backoff: 0, TTL: 3600, Deadline: 330, PodDeadline: 300,
	}
	got := gist{
		Name: job.Name, Namespace: job.Namespace, Labels: job.Labels, PodLabels: job.Spec.Template.Labels, Annotations: job.Annotations,
		Owner: job.OwnerReferences[0], Command: pod.Containers[0].Command, Args: pod.Containers[0].Args, Env: pod.Containers[0].Env,
		Backoff: *job.Spec.BackoffLimit, TTL: *job.Spec.TTLSecondsAfterFinished,
		Deadline: *job.Spec.ActiveDeadlineSeconds, PodDeadline: *pod.ActiveDeadlineSeconds,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if broken := unrestricted(&pod); broken != nil {
		t.Errorf("not restricted: %v", broken)
	}
	if *pod.AutomountServiceAccountToken {
		t.Error("a token is mounted that nobody asked for")
	}
}

// TestImageFields: what the fields of a script do.
func TestImageFields(t *testing.T) {
	with := rendered(t, &v1alpha1.ScriptCheck{Image: "x", ServiceAccountName: "smoker", Command: []string{"a"}, Args: []string{"$(HOME)"}})
	pod := with.Spec.Template.Spec
	if !*pod.AutomountServiceAccountToken || pod.ServiceAccountName != "smoker" {
		t.Error("a service account that is named is not used")
	}
	if c := pod.Containers[0]; !slices.Equal(c.Command, []string{"a"}) || !slices.Equal(c.Args, []string{"$(HOME)"}) {
		t.Errorf("the command is %q %q: it is Kubernetes' to expand, as in any pod", c.Command, c.Args)
	}
	python := rendered(t, &v1alpha1.ScriptCheck{Image: "x", Script: "print(1)", Interpreter: "python3", ActiveDeadline: new(v1alpha1.Duration("90s"))})
	if c := python.Spec.Template.Spec.Containers[0].Command; !slices.Equal(c, []string{"python3", "-c"}) {
		t.Errorf("the interpreter is called by %q", c)
	}
	if *python.Spec.Template.Spec.ActiveDeadlineSeconds != 90 {
		t.Error("the deadline is not that of the script")
	}
	home := rendered(t, &v1alpha1.ScriptCheck{Image: "x", Env: []corev1.EnvVar{{Name: "HOME", Value: "/work"}}})
	if env := home.Spec.Template.Spec.Containers[0].Env; env[len(env)-1].Value != "/work" || len(env) != 6 {
		t.Errorf("env is %v", env)
	}
	often := rendered(t, &v1alpha1.ScriptCheck{Image: "x", Runs: v1alpha1.ScriptInterval}, func(s *health.CheckInput) {
		s.Check.Spec.Interval = new(v1alpha1.Duration("2h"))
	})
	if ttl := *often.Spec.TTLSecondsAfterFinished; ttl != 3*3600 {
		t.Errorf("a Job is dropped after %ds, before the next run begins", ttl)
	}
	if _, err := render(t, Options{}, &v1alpha1.ScriptCheck{Image: "x", ActiveDeadline: new(v1alpha1.Duration("soon"))}); err == nil {
		t.Error("a deadline that is none is taken")
	}
}

// TestForeignText: what an image says of itself is not expanded by Kubernetes, and has no control characters.
func TestForeignText(t *testing.T) {
	job := rendered(t, &v1alpha1.ScriptCheck{Image: "x"}, func(s *health.CheckInput) { s.Release.Revision = "$(KUBERIK_VERSION)\x1b[31m$$\n" })
	if got := job.Spec.Template.Spec.Containers[0].Env[2].Value; got != "$$(KUBERIK_VERSION)[31m$$$$ " {
		t.Errorf("the revision is %q", got)
	}
}

func TestTemplate(t *testing.T) {
	job := rendered(t, template(`{
		"metadata": {"name": "mine", "labels": {"team": "a", "kuberik.com/health-check": "other"}, "finalizers": ["a/b"], "annotations": {"x": "y"}},
		"spec": {"ttlSecondsAfterFinished": 0, "template": {"metadata": {"labels": {"app": "smoke"}}, "spec": {
			"initContainers": [{"name": "i", "image": "i"}],
			"containers": [{"name": "a", "image": "a", "env": [{"name": "KUBERIK_ROLLOUT", "value": "mine"}, {"name": "B", "value": "b"}]}]}}}}`))
	pod := job.Spec.Template.Spec
	switch {
	case job.Labels["team"] != "a" || job.Labels[LabelCheck] != "smoke" || job.Annotations["x"] != "y" || job.Annotations[annotationRun] != "1":
		t.Errorf("labels %v, annotations %v", job.Labels, job.Annotations)
	case job.Spec.Template.Labels["app"] != "smoke" || job.Spec.Template.Labels[LabelCheck] != "smoke":
		t.Errorf("labels of the pod: %v", job.Spec.Template.Labels)
	case job.Name == "mine" || len(job.Finalizers) > 0:
		t.Errorf("name %q, finalizers %q", job.Name, job.Finalizers)
	case pod.RestartPolicy != corev1.RestartPolicyNever || *job.Spec.BackoffLimit != 0 || *job.Spec.ActiveDeadlineSeconds != 300 || !onDisruption(job):
		t.Errorf("defaults: %+v", job.Spec)
	case *job.Spec.TTLSecondsAfterFinished != 3600:
		t.Errorf("the Job is dropped after %ds, maybe before its verdict is read", *job.Spec.TTLSecondsAfterFinished)
	case pod.SecurityContext != nil || pod.Containers[0].SecurityContext != nil || pod.AutomountServiceAccountToken != nil:
		t.Error("the security of the pod is not what was written")
	}
	if diff := cmp.Diff(owns(), pod.InitContainers[0].Env); diff != "" {
		t.Errorf("env of the init container (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(append(owns(), corev1.EnvVar{Name: "B", Value: "b"}), pod.Containers[0].Env); diff != "" {
		t.Errorf("env (-want +got):\n%s", diff)
	}
	own := rendered(t, template(`{"spec": {"backoffLimit": 2, "activeDeadlineSeconds": 7, "ttlSecondsAfterFinished": 7200,
		"template": {"spec": {"restartPolicy": "OnFailure", "containers": []}}}}`))
	if *own.Spec.BackoffLimit != 2 || *own.Spec.ActiveDeadlineSeconds != 7 || *own.Spec.TTLSecondsAfterFinished != 7200 || own.Spec.PodFailurePolicy != nil {
		t.Errorf("what the template says is replaced: %+v", own.Spec)
	}
}

func TestTemplateRefused(t *testing.T) {
	pod := func(spec string) string { return `{"spec":{"template":{"spec":` + spec + `}}}` }
	with := func(context string) string {
		return pod(`{"containers":[{"name":"a","securityContext":` + context + `}]}`)
	}
	const beyond = "jobTemplate: the pod reaches beyond its namespace: "
	cases := map[string]struct{ raw, want string }{
		"hostNetwork": {pod(`{"hostNetwork":true}`), beyond + "host namespaces (hostNetwork=true)"},
		"hostPID":     {pod(`{"hostPID":true}`), beyond + "host namespaces (hostPID=true)"},
		"nodeName":    {pod(`{"nodeName":"control-plane"}`), beyond + "nodeName"},
		"priority":    {pod(`{"priorityClassName":"system-node-critical"}`), beyond + "priorityClassName system-node-critical"},
		"probe":       {pod(`{"containers":[{"livenessProbe":{"httpGet":{"host":"169.254.169.254","port":80}}}]}`), beyond + "probe or lifecycle host"},
		"startup":     {pod(`{"initContainers":[{"startupProbe":{"tcpSocket":{"host":"169.254.169.254","port":80}}}]}`), beyond + "probe or lifecycle host"},
		"hook":        {pod(`{"containers":[{"lifecycle":{"preStop":{"httpGet":{"host":"169.254.169.254","port":80}}}}]}`), beyond + "probe or lifecycle host"},
		"hostIPC":     {pod(`{"hostIPC":true}`), beyond + "host namespaces (hostIPC=true)"},
		"hostPath":    {pod(`{"volumes":[{"name":"v","hostPath":{"path":"/"}}]}`), beyond + "hostPath volumes"},
		"privileged":  {with(`{"privileged":true}`), beyond + "privileged"},
		"init":        {pod(`{"initContainers":[{"securityContext":{"privileged":true}}]}`), beyond + "privileged"},
		"capability":  {with(`{"capabilities":{"add":["CHOWN","SYS_ADMIN"]}}`), beyond + "non-default capabilities"},
		"hostPort":    {pod(`{"containers":[{"ports":[{"containerPort":80,"hostPort":80}]}]}`), beyond + "hostPort"},
		"procMount":   {with(`{"procMount":"Unmasked"}`), beyond + "procMount"},
		"seccomp":     {with(`{"seccompProfile":{"type":"Unconfined"}}`), beyond + "seccompProfile"},
		"podSeccomp":  {pod(`{"securityContext":{"seccompProfile":{"type":"Unconfined"}}}`), beyond + "seccompProfile"},
		"apparmor":    {with(`{"appArmorProfile":{"type":"Unconfined"}}`), beyond + "forbidden AppArmor profile"},
		"selinux":     {with(`{"seLinuxOptions":{"type":"spc_t"}}`), beyond + "seLinuxOptions"},
		"podSELinux":  {pod(`{"securityContext":{"seLinuxOptions":{"user":"u"}}}`), beyond + "seLinuxOptions"},
		"hostProcess": {with(`{"windowsOptions":{"hostProcess":true}}`), beyond + "hostProcess"},
		"podWindows":  {pod(`{"securityContext":{"windowsOptions":{"hostProcess":true}}}`), beyond + "hostProcess"},
		"sysctl":      {pod(`{"securityContext":{"sysctls":[{"name":"kernel.msgmax","value":"1"}]}}`), beyond + "forbidden sysctls (kernel.msgmax)"},
		"annotation": {
			`{"spec":{"template":{"metadata":{"annotations":{"container.apparmor.security.beta.kubernetes.io/a":"unconfined"}},"spec":{}}}}`,
			beyond + "forbidden AppArmor profile",
		},
		"unknown field": {pod(`{"contaners":[]}`), `jobTemplate: unknown field "spec.template.spec.contaners"`},
		"wrong case":    {pod(`{"hostnetwork":true}`), `jobTemplate: unknown field "spec.template.spec.hostnetwork"`},
		"a JobSpec":     {`{"template":{"spec":{}}}`, `jobTemplate: unknown field "template"`},
		"wrong type": {
			pod(`{"containers":"a"}`),
			"jobTemplate: json: cannot unmarshal string into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container",
		},
		"no object": {`[]`, "jobTemplate: json: cannot unmarshal array into Go value of type map[string]interface {}"},
		"selector":  {`{"spec":{"selector":{},"template":{"spec":{}}}}`, "jobTemplate: leave out selector and manualSelector: Kubernetes writes them"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := render(t, Options{}, template(c.raw))
			// Kubernetes adds the names of what is refused.
			if got := fmt.Sprint(err); got != c.want && (!strings.HasPrefix(c.want, beyond) || !strings.HasPrefix(got, c.want)) {
				t.Errorf("\n got: %s\nwant: %s", got, c.want)
			}
			early := subject(func(s *health.CheckInput) { s.Check.Spec.Script, s.Release = template(c.raw), health.Release{} })
			if _, refused := New(Options{}).Check(t.Context(), early); fmt.Sprint(refused) != fmt.Sprint(err) {
				t.Errorf("before the first deployment: %v", refused)
			}
		})
	}
	beside := template(`{"spec":{"template":{"spec":{}}}}`)
	beside.ServiceAccountName = "admin"
	if _, err := render(t, Options{}, beside); fmt.Sprint(err) != "serviceAccountName does not go with jobTemplate: write it into the template" {
		t.Errorf("a field beside the template: %v", err)
	}
}

// named returns the name of a Job, after looking at it.
func named(t *testing.T, job *batchv1.Job) string {
	t.Helper()
	if !regexp.MustCompile(`^smoke-[0-9a-f]{10}-1$`).MatchString(job.Name) {
		t.Errorf("the name is %q", job.Name)
	}
	return job.Name
}

// unrestricted lists what in a pod breaks the restricted Pod Security Standard, or goes beyond it.
func unrestricted(pod *corev1.PodSpec) []string {
	var broken []string
	need := func(ok bool, what string) {
		if !ok {
			broken = append(broken, what)
		}
	}
	sc := pod.SecurityContext
	need(sc != nil && *sc.RunAsNonRoot && *sc.RunAsUser != 0 && sc.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault, "pod")
	need(sc != nil && sc.SELinuxOptions == nil && sc.WindowsOptions == nil && len(sc.Sysctls) == 0, "pod options")
	need(!pod.HostNetwork && !pod.HostPID && !pod.HostIPC, "host namespaces")
	need(pod.ServiceAccountName != "" || !*pod.AutomountServiceAccountToken, "a token")
	need(pod.RestartPolicy == corev1.RestartPolicyNever && *pod.ActiveDeadlineSeconds > 0, "it may go on for ever")
	for _, v := range pod.Volumes {
		need(v.EmptyDir != nil && v.EmptyDir.SizeLimit != nil, "volume "+v.Name)
	}
	need(len(pod.InitContainers)+len(pod.EphemeralContainers) == 0 && len(pod.Containers) == 1, "containers")
	for _, c := range pod.Containers {
		sc := c.SecurityContext
		need(sc != nil && !*sc.AllowPrivilegeEscalation && *sc.ReadOnlyRootFilesystem && sc.Privileged == nil, "container")
		need(sc != nil && slices.Equal(sc.Capabilities.Drop, []corev1.Capability{"ALL"}) && len(sc.Capabilities.Add) == 0, "capabilities")
		need(sc != nil && sc.RunAsUser == nil && sc.RunAsNonRoot == nil && sc.SeccompProfile == nil && sc.ProcMount == nil, "overrides")
		need(len(c.Ports)+len(c.VolumeDevices)+len(c.EnvFrom) == 0 && c.Lifecycle == nil, "extras")
	}
	return broken
}

// expand does with a text what the kubelet does: $(NAME) becomes the value of a variable that is known, $$ becomes $.
func expand(text string, known map[string]string) string {
	return regexp.MustCompile(`\$\$|\$\([A-Za-z_][A-Za-z0-9_.-]*\)`).ReplaceAllStringFunc(text, func(s string) string {
		if s == "$$" {
			return "$"
		}
		if value, ok := known[s[2:len(s)-1]]; ok {
			return value
		}
		return s
	})
}

// FuzzJobRender: whatever a script says, its pod is restricted, and the container gets the script and the facts as they are.
func FuzzJobRender(f *testing.F) {
	f.Add("busybox", "echo $(HOME) $$", "/bin/sh", "sa", "KUBERIK_VERSION", "x", "main@sha1:1", "5m")
	f.Add("", "", "", "", "", "", "$(KUBERIK_VERSION)", "")
	f.Add("a@b", "$", "hostNetwork", "default", "HOME", "$$", "\x00\xff", "1ms")
	f.Fuzz(func(t *testing.T, image, text, interpreter, account, name, value, revision, deadline string) {
		s := &v1alpha1.ScriptCheck{
			Image: image, Script: text, Interpreter: interpreter, ServiceAccountName: account, Command: []string{value},
			Env: []corev1.EnvVar{{Name: name, Value: value}},
		}
		if deadline != "" {
			s.ActiveDeadline = new(v1alpha1.Duration(deadline))
		}
		job, err := render(t, Options{}, s, func(s *health.CheckInput) { s.Release.Revision = revision })
		if err != nil {
			if _, bad := v1alpha1.Duration(deadline).Parse(); bad == nil {
				t.Fatal(err)
			}
			return
		}
		pod := &job.Spec.Template.Spec
		if broken := unrestricted(pod); broken != nil {
			t.Fatalf("not restricted: %v", broken)
		}
		if err := checkConfined(&job.Spec.Template); err != nil {
			t.Fatal(err)
		}
		known := map[string]string{}
		for _, e := range pod.Containers[0].Env {
			if _, twice := known[e.Name]; twice {
				t.Fatalf("%s is there twice", e.Name)
			}
			known[e.Name] = expand(e.Value, known)
		}
		if known["KUBERIK_VERSION"] != "1.2.3" || known["KUBERIK_ROLLOUT"] != "hello" || !strings.HasPrefix(known["KUBERIK_DIGEST"], "sha256:") {
			t.Fatalf("the facts are %v", known)
		}
		if !strings.ContainsAny(revision, "\x00\n\t") && len(revision) < 100 && regexp.MustCompile(`^[ -~]*$`).MatchString(revision) && known["KUBERIK_REVISION"] != revision {
			t.Fatalf("the revision %q arrives as %q", revision, known["KUBERIK_REVISION"])
		}
		if text != "" && expand(pod.Containers[0].Args[0], known) != text {
			t.Fatalf("the script %q arrives as %q", text, expand(pod.Containers[0].Args[0], known))
		}
	})
}

// FuzzJobTemplate: whatever a template says, it is refused or stays within its namespace, and is ours.
func FuzzJobTemplate(f *testing.F) {
	f.Add(`{"spec":{"template":{"spec":{"containers":[{"name":"a","image":"a"}]}}}}`)
	f.Add(`{"spec":{"template":{"spec":{"hostNetwork":true,"volumes":[{"name":"v","hostPath":{"path":"/"}}]}}}}`)
	f.Add(`{"metadata":{"ownerReferences":[{}],"namespace":"kube-system"},"spec":{"manualSelector":true}}`)
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, text string) {
		job, err := render(t, Options{}, template(text))
		if err != nil {
			return
		}
		if err := checkConfined(&job.Spec.Template); err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(job.Spec.Template.Spec)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{`"hostNetwork":true`, `"hostPID":true`, `"hostIPC":true`, `"hostPath":{`, `"privileged":true`} {
			if strings.Contains(string(data), word) {
				t.Fatalf("%s is in %s", word, data)
			}
		}
		if job.Namespace != "shop" || len(job.OwnerReferences) != 1 || job.OwnerReferences[0].UID != "check-uid" || job.Spec.Selector != nil {
			t.Fatalf("it is not ours: %+v", job)
		}
	})
}
