package integration

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/controller"
	"github.com/kuberik/kuberik/test/env"
)

// grant gives a user a permission in the namespace of the test.
func grant(w *env.World, user string, rule rbacv1.PolicyRule) {
	w.T.Helper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{GenerateName: user + "-"}, Rules: []rbacv1.PolicyRule{rule}}
	w.Create(role)
	w.Create(&rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: w.Namespace + ":" + user}},
	})
}

// TestAuthorOfAScriptMayCreateJobs: a check of class script runs a pod with any service account and Secret of the
// namespace.
func TestAuthorOfAScriptMayCreateJobs(t *testing.T) {
	t.Parallel()
	const policy = "kuberik-scripts"
	w := env.New(t)
	script := func(s v1alpha1.ScriptCheck) *v1alpha1.HealthCheck {
		return &v1alpha1.HealthCheck{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, GenerateName: "script-"},
			Spec:       v1alpha1.HealthCheckSpec{Class: ptr.To(v1alpha1.HealthClassScript), Script: &s},
		}
	}
	template := runtime.RawExtension{Raw: []byte(`{"spec":{"template":{"spec":{"serviceAccountName":"strong","containers":[{"name":"a","image":"a"}]}}}}`)}
	editor, developer := w.As("editor", "kuberik-edit"), w.As("developer", "kuberik-edit")
	grant(w, "developer", rbacv1.PolicyRule{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: []string{"create"}})
	enforced(w, policy, func() error {
		return editor.Create(w.Ctx(), script(v1alpha1.ScriptCheck{Image: "a"}), client.DryRunAll)
	})
	for what, s := range map[string]v1alpha1.ScriptCheck{
		"with a service account": {Image: "a", ServiceAccountName: "strong"},
		"with a Secret": {Image: "a", Env: []corev1.EnvVar{{Name: "A", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: "secret"}, Key: "a",
		}}}}},
		"of a template": {JobTemplate: &template},
	} {
		if err := editor.Create(w.Ctx(), script(s)); !refusedBy(err, policy) {
			t.Errorf("without the right to create Jobs, a script %s: %v", what, err)
		}
		if err := developer.Create(w.Ctx(), script(s)); err != nil {
			t.Errorf("with the right to create Jobs, a script %s: %v", what, err)
		}
	}
	theirs := script(v1alpha1.ScriptCheck{Image: "a"})
	w.Create(theirs)
	if err := patch(w, editor, theirs, `{"spec":{"script":{"serviceAccountName":"strong"}}}`); !refusedBy(err, policy) {
		t.Errorf("changing the script of another: %v", err)
	}
	if err := patch(w, editor, theirs, `{"metadata":{"labels":{"app":"hello"}}}`); err != nil {
		t.Errorf("changing a label: %v", err)
	}
}

// TestAuthorOfAReferenceMayGetTheSecret: the controller sends the Secrets that an object references.
func TestAuthorOfAReferenceMayGetTheSecret(t *testing.T) {
	t.Parallel()
	const policy = "kuberik-secrets"
	w := env.New(t)
	from := func(secrets ...string) (list []v1alpha1.HeaderFrom) {
		for _, s := range secrets {
			list = append(list, v1alpha1.HeaderFrom{Header: "Authorization", SecretKeyRef: v1alpha1.KeyRef{Name: s, Key: "token"}})
		}
		return list
	}
	ca := &v1alpha1.TLS{CAFrom: &v1alpha1.CAFrom{SecretKeyRef: &v1alpha1.KeyRef{Name: "mine", Key: "ca.crt"}}}
	check := func(spec v1alpha1.HealthCheckSpec) client.Object {
		return &v1alpha1.HealthCheck{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, GenerateName: "check-"}, Spec: spec}
	}
	web := func(r v1alpha1.HTTPRequest) client.Object {
		r.URL = "https://example.com"
		return check(v1alpha1.HealthCheckSpec{Class: ptr.To(v1alpha1.HealthClassHTTP), HTTP: &v1alpha1.HTTPCheck{HTTPRequest: r}})
	}
	gate := func(r v1alpha1.HTTPRequest) client.Object {
		r.URL = "https://example.com"
		return &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, GenerateName: "gate-"}, Spec: v1alpha1.RolloutGateSpec{
			RolloutRef: corev1.LocalObjectReference{Name: "app"}, Class: "http", HTTP: &v1alpha1.HTTPGate{HTTPRequest: r},
		}}
	}
	place := func(b *environments.Backend) client.Object {
		return &environments.Environment{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, GenerateName: "env-"}, Spec: environments.EnvironmentSpec{
			RolloutRef: corev1.LocalObjectReference{Name: "app"}, Name: "shop", Environment: "production", Backend: b,
		}}
	}
	named := map[string]client.Object{
		"headersFrom of a check": web(v1alpha1.HTTPRequest{HeadersFrom: from("mine")}),
		"twice in a check":       web(v1alpha1.HTTPRequest{HeadersFrom: from("mine", "mine"), TLS: ca}),
		"caFrom of a check":      web(v1alpha1.HTTPRequest{TLS: ca}),
		"headersFrom of a query": check(v1alpha1.HealthCheckSpec{Class: ptr.To(v1alpha1.HealthClassPrometheus), Prometheus: &v1alpha1.PrometheusCheck{
			Address: "https://example.com", Query: "up", Success: "true", HeadersFrom: from("mine"),
		}}),
		"secretRef of Datadog": check(v1alpha1.HealthCheckSpec{Class: ptr.To(v1alpha1.HealthClassDatadog), Datadog: &v1alpha1.DatadogCheck{
			MonitorID: ptr.To(int64(1)), SecretRef: &corev1.LocalObjectReference{Name: "mine"},
		}}),
		"headersFrom of a gate": gate(v1alpha1.HTTPRequest{HeadersFrom: from("mine")}),
		"secret of a backend":   place(&environments.Backend{Type: environments.BackendGitHub, Project: "a/b", Secret: "mine"}),
		"secretRef of a backend": place(&environments.Backend{
			Type: environments.BackendGitHub, Project: "a/b", SecretRef: &corev1.LocalObjectReference{Name: "mine"},
		}),
		"signature of a backend": place(&environments.Backend{Type: environments.BackendCluster, SignatureKeyRef: &v1alpha1.KeyRef{Name: "mine", Key: "key"}}),
	}
	roles := []string{"kuberik-edit", "kuberik-gatekeeper"}
	unprivileged, owner, secretReader := w.As("unprivileged", roles...), w.As("owner", roles...), w.As("secret-reader", roles...)
	grant(w, "owner", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{"mine"}, Verbs: []string{"get"}})
	grant(w, "secret-reader", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}})
	create := func(c client.Client, o client.Object) error { return c.Create(w.Ctx(), copyOf(o), client.DryRunAll) }
	enforced(w, policy, func() error { return create(unprivileged, named["headersFrom of a check"]) })
	for what, o := range named {
		if err := create(unprivileged, o); !refusedBy(err, policy) {
			t.Errorf("%s, without the right to get it: %v", what, err)
		}
		if err := create(owner, o); err != nil {
			t.Errorf("%s, with the right to get it: %v", what, err)
		}
	}
	other := map[string]client.Object{
		"a second Secret":         web(v1alpha1.HTTPRequest{HeadersFrom: from("mine", "theirs")}),
		"another certificate":     web(v1alpha1.HTTPRequest{HeadersFrom: from("theirs"), TLS: ca}),
		"many":                    web(v1alpha1.HTTPRequest{HeadersFrom: from("a", "b", "c", "d", "e", "f", "g", "h"), TLS: ca}),
		"the usual one of GitHub": place(&environments.Backend{Type: environments.BackendGitHub, Project: "a/b"}),
		"the usual one of GitLab": place(&environments.Backend{Type: environments.BackendGitLab, Project: "a/b", Secret: ""}),
	}
	for what, o := range other {
		if err := create(owner, o); !refusedBy(err, policy) {
			t.Errorf("%s, with the right to get one: %v", what, err)
		}
		if err := create(secretReader, o); err != nil {
			t.Errorf("%s, with the right to get all: %v", what, err)
		}
	}
	for what, o := range map[string]client.Object{
		"a check without": web(v1alpha1.HTTPRequest{}), "a gate without": gate(v1alpha1.HTTPRequest{}), "an Environment without": place(nil),
		"one that meets in the cluster": place(&environments.Backend{Type: environments.BackendCluster}),
	} {
		if err := create(unprivileged, o); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	theirs := web(v1alpha1.HTTPRequest{HeadersFrom: from("theirs")})
	w.Create(theirs)
	if err := patch(w, unprivileged, theirs, `{"spec":{"http":{"url":"https://evil.example.com"}}}`); !refusedBy(err, policy) {
		t.Errorf("sending it elsewhere: %v", err)
	}
	if err := patch(w, unprivileged, theirs, `{"metadata":{"labels":{"app":"hello"}}}`); err != nil {
		t.Errorf("changing a label: %v", err)
	}
}

// TestEditorDoesNotGoPastGatesByCreatingTheRolloutAgain: neither SkipGates nor deleting the quarantine bypasses the gates
// and the history.
func TestEditorDoesNotGoPastGatesByCreatingTheRolloutAgain(t *testing.T) {
	t.Parallel()
	const policy = "kuberik-rollouts"
	w := env.New(t)
	w.Run(func(s *controller.Settings) { s.Options.Rollout.IgnoreAnnotations = true })
	w.SimulateFlux()
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	w.Check("test", "test", "app")
	w.Report("test", v1alpha1.HealthHealthy)
	ro := w.Rollout("app", env.WithHealthChecks, env.Bake("1h", ""))
	w.AwaitPhase(ro, v1alpha1.PhaseDeploying, "1.0.0")
	w.Report("test", v1alpha1.HealthUnhealthy)
	w.Await(ro, "has a quarantine", func() error {
		if !quarantined(ro, "1.0.0") {
			return errors.New("it has none")
		}
		return nil
	})
	editor, oncall := w.As("editor", "kuberik-edit"), w.As("oncall", "kuberik-edit", "kuberik-break-glass")
	newRollout := func(name string) *v1alpha1.Rollout {
		return &v1alpha1.Rollout{ObjectMeta: w.Meta(name), Spec: v1alpha1.RolloutSpec{
			ReleasesImagePolicy: corev1.LocalObjectReference{Name: "app"}, InitialDeployment: v1alpha1.InitialDeploymentSkipGates,
		}}
	}
	enforced(w, policy, func() error { return editor.Create(w.Ctx(), newRollout("recreated"), client.DryRunAll) })
	plain := w.Rollout("plain", func(ro *v1alpha1.Rollout) { ro.Spec.Suspend = true })
	for what, err := range map[string]error{
		"deletes it":               editor.Delete(w.Ctx(), copyOf(ro), client.DryRunAll),
		"deletes all":              editor.DeleteAllOf(w.Ctx(), &v1alpha1.Rollout{}, client.InNamespace(w.Namespace), client.DryRunAll),
		"creates one that skips":   editor.Create(w.Ctx(), newRollout("recreated")),
		"makes one skip":           patch(w, editor, plain, `{"spec":{"initialDeployment":"SkipGates"}}`),
		"makes another skip gates": patch(w, editor, ro, `{"spec":{"initialDeployment":"SkipGates"}}`),
	} {
		if !refusedBy(err, policy) {
			t.Errorf("the editor %s: %v", what, err)
		}
	}
	// A user who may edit a Rollout can give it an owner that does not exist, so that the garbage collector deletes it.
	if err := patch(w, editor, ro, `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"x","uid":"x"}]}}`); err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"system:serviceaccount:kube-system:generic-garbage-collector", "system:serviceaccount:kube-system:namespace-controller"} {
		if err := impersonate(w, user).Delete(w.Ctx(), copyOf(ro), client.DryRunAll); !refusedBy(err, policy) {
			t.Errorf("%s deletes it: %v", user, err)
		}
	}
	if err := editor.Delete(w.Ctx(), copyOf(ro)); err == nil || !strings.Contains(err.Error(), "forgets that 1.0.0 failed") {
		t.Errorf("the message does not explain it: %v", err)
	}
	for what, err := range map[string]error{ // in this order: Go evaluates them as they are written
		"the editor deletes one without quarantine": editor.Delete(w.Ctx(), copyOf(plain)),
		"who is on call makes one that skips":       oncall.Create(w.Ctx(), newRollout("skips")),
		"the editor changes it":                     patch(w, editor, newRollout("skips"), `{"spec":{"suspend":true}}`),
		"who is on call deletes it":                 oncall.Delete(w.Ctx(), copyOf(ro), client.DryRunAll),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := w.Admin.Delete(w.Ctx(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace}}); err != nil {
		t.Fatal(err)
	}
	w.Eventually("it is deleted with its namespace", func() error {
		return impersonate(w, "system:serviceaccount:kube-system:namespace-controller").Delete(w.Ctx(), copyOf(ro), client.DryRunAll)
	})
}
