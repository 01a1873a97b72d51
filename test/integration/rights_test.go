package integration

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/controller"
	"github.com/kuberik/kuberik/test/env"
)

// roles reads every role that is installed, by file and name.
func roles(files ...string) (map[string]rbacv1.ClusterRole, error) {
	found := map[string]rbacv1.ClusterRole{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if filepath.Ext(file) == ".md" {
			_, data, _ = bytes.Cut(data, []byte("```yaml\n"))
			data, _, _ = bytes.Cut(data, []byte("\n```"))
		}
		for _, doc := range bytes.Split(data, []byte("\n---")) {
			var role rbacv1.ClusterRole
			if err := yaml.Unmarshal(doc, &role); err != nil {
				return nil, err
			}
			if strings.HasSuffix(role.Kind, "Role") {
				found[role.Kind+" "+role.Name] = role
			}
		}
	}
	return found, nil
}

// rightsMatch compares the installed permissions with those that the whole suite has used.
func rightsMatch(c *env.Cluster) error {
	used, denied, err := c.Permissions()
	if err != nil {
		return err
	}
	var problems []error
	for r, why := range denied {
		problems = append(problems, fmt.Errorf("the controller was denied %s: is a right missing in config/rbac? %s", r, why))
	}
	if flag.Lookup("test.run").Value.String() != "" || flag.Lookup("test.skip").Value.String() != "" {
		return errors.Join(problems...)
	}
	shipped, err := roles(env.File("config/rbac/role.yaml"), env.File("config/rbac/secrets-and-jobs.yaml"))
	if err != nil {
		return err
	}
	for _, role := range shipped {
		for _, rule := range role.Rules {
			for _, r := range rights(rule) {
				if !usedSomehow(r, used) {
					problems = append(problems, fmt.Errorf("nothing has used the right to %s: drop it from config/rbac, or test what needs it", r))
				}
			}
		}
	}
	return errors.Join(problems...)
}

// usedSomehow reports whether the suite has used a permission.
func usedSomehow(r env.Permission, used map[env.Permission]int) bool {
	switch {
	case used[r] > 0:
		return true
	case r.Verb == "get" || r.Verb == "list":
		// A cache that watches lists where the API server cannot stream, and to get one of what one may list shows nothing new.
		if used[env.Permission{Verb: "watch", Group: r.Group, Resource: r.Resource}] > 0 {
			return true
		}
	case strings.HasSuffix(r.Resource, "/finalizers"):
		return true // admission asks for it, on clusters that protect owner references
	}
	return slices.ContainsFunc(elsewhere(), func(e env.Permission) bool {
		return e.Group == r.Group && e.Resource == r.Resource && (e.Verb == "" || e.Verb == r.Verb)
	})
}

// elsewhere lists permissions that other test suites need, with every verb if none is given.
func elsewhere() []env.Permission {
	return []env.Permission{
		// The controller reads the schema versions when it starts, in test/install.
		{Verb: "get", Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"},
		// Schedules make gates.
		{Group: "kuberik.com", Resource: "rolloutschedules"}, {Group: "kuberik.com", Resource: "rolloutschedules/status"},
		{Group: "kuberik.com", Resource: "clusterrolloutschedules"}, {Group: "kuberik.com", Resource: "clusterrolloutschedules/status"},
		{Verb: "create", Group: "kuberik.com", Resource: "rolloutgates"}, {Verb: "patch", Group: "kuberik.com", Resource: "rolloutgates"},
		{Verb: "delete", Group: "kuberik.com", Resource: "rolloutgates"}, {Resource: "namespaces"},
		// Monitors of Datadog make checks.
		{Group: "datadoghq.com", Resource: "datadogmonitors"},
		{Verb: "create", Group: "kuberik.com", Resource: "healthchecks"}, {Verb: "patch", Group: "kuberik.com", Resource: "healthchecks"},
		{Verb: "delete", Group: "kuberik.com", Resource: "healthchecks"},
		// Scripts run as Jobs, and checks take certificates from ConfigMaps.
		{Group: "batch", Resource: "jobs"}, {Resource: "pods"}, {Resource: "pods/log"}, {Resource: "configmaps"},
		{Verb: "get", Resource: "events"}, {Verb: "list", Resource: "events"},
		// An HTTPRoute says where people find an environment.
		{Verb: "get", Group: "gateway.networking.k8s.io", Resource: "httproutes"},
		// An event that repeats within minutes becomes a series.
		{Verb: "patch", Group: "events.k8s.io", Resource: "events"},
	}
}

func rights(rule rbacv1.PolicyRule) []env.Permission {
	var list []env.Permission
	for _, g := range rule.APIGroups {
		for _, r := range rule.Resources {
			for _, v := range rule.Verbs {
				list = append(list, env.Permission{Verb: v, Group: g, Resource: r})
			}
		}
	}
	return list
}

func TestRolesThatShipAreNarrow(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(env.File("config/rbac/*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatal("no roles", err)
	}
	shipped, err := roles(files...)
	if err != nil {
		t.Fatal(err)
	}
	if len(shipped) < 6 {
		t.Fatalf("found %d roles", len(shipped))
	}
	for name, role := range shipped {
		for _, rule := range role.Rules {
			if urls := rule.NonResourceURLs; len(urls) > 0 && (name != "ClusterRole kuberik-metrics-reader" || !slices.Equal(urls, []string{"/metrics"})) {
				t.Errorf("%s grants %v", name, urls)
			}
			for _, r := range rights(rule) {
				narrow(t, name, r)
			}
		}
	}
}

// narrow fails the test for a permission that no role should have.
func narrow(t *testing.T, role string, r env.Permission) {
	t.Helper()
	forPeople := strings.HasPrefix(role, "ClusterRole kuberik-view") || strings.HasPrefix(role, "ClusterRole kuberik-edit") || strings.HasPrefix(role, "ClusterRole kuberik-gatekeeper")
	reads := slices.Contains([]string{"get", "list", "watch"}, r.Verb)
	switch {
	case strings.Contains(r.Verb+r.Group+r.Resource, "*"):
		t.Errorf("%s has a wildcard: %s", role, r)
	case slices.Contains([]string{"escalate", "bind", "impersonate"}, r.Verb):
		t.Errorf("%s may raise itself: %s", role, r)
	case r.Resource == "secrets" && (r.Verb != "get" || role != "ClusterRole kuberik-controller-secrets-and-jobs"):
		t.Errorf("%s may %s", role, r)
	case forPeople && !reads && (strings.Contains(r.Resource, "/") || r.Resource == "releases"):
		t.Errorf("%s lets people write the record: %s", role, r)
	case strings.HasPrefix(role, "ClusterRole kuberik-edit") && r.Resource == "rolloutgates" && !reads:
		t.Errorf("%s lets whoever edits open gates: %s", role, r)
	case strings.HasPrefix(role, "ClusterRole kuberik-health-reader") && r.Verb != "get":
		t.Errorf("%s may do more than get: %s", role, r)
	}
}

// TestNobodyButTheControllerWritesTheRecord covers an editor with the installed roles, and a user with every permission
// for the group in the namespace.
func TestNobodyButTheControllerWritesTheRecord(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	w.SimulateFlux()
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	ours := w.Check("ours", v1alpha1.HealthClassKustomization, "app")
	foreign := w.Check("foreign", "test", "app")
	manual := w.Gate("manual", "app", env.Allows("1.0.0"))
	external := w.Gate("external", "other", func(s *v1alpha1.RolloutGateSpec) { s.Class = "example.com" })
	ro := w.Rollout("app")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	rel := w.AwaitRelease(ro, "1.0.0", v1alpha1.ReleaseAvailable)

	place := &environments.Environment{ObjectMeta: w.Meta("app"), Spec: environments.EnvironmentSpec{
		RolloutRef: corev1.LocalObjectReference{Name: "app"}, Name: "shop", Environment: "production",
	}}
	closed := v1alpha1.ScheduleSpec{Always: true, RolloutSelector: v1alpha1.LabelSelector{MatchLabels: map[string]string{"of": "nobody"}}}
	schedule := &v1alpha1.RolloutSchedule{ObjectMeta: w.Meta("freeze"), Spec: closed}
	everywhere := &v1alpha1.ClusterRolloutSchedule{
		ObjectMeta: metav1.ObjectMeta{Name: w.Namespace}, Spec: v1alpha1.ClusterScheduleSpec{ScheduleSpec: closed},
	}
	approval := &v1alpha1.Approval{ObjectMeta: w.Meta("approval"), Spec: v1alpha1.ApprovalSpec{ReleaseRef: v1alpha1.ReleaseReference{Name: rel.Name}, Decision: v1alpha1.Approve, User: administrator}}
	past := &v1alpha1.Override{ObjectMeta: w.Meta("past"), Spec: v1alpha1.OverrideSpec{
		RolloutRef: corev1.LocalObjectReference{Name: "app"}, ReleaseRef: v1alpha1.ReleaseReference{Name: rel.Name}, Bypass: []v1alpha1.Bypass{v1alpha1.BypassGates}, Reason: "the shop is down",
		ExpiresAt: metav1.NewTime(time.Now().Add(time.Hour)), User: administrator,
	}}
	w.Create(place, schedule, approval, past)
	if err := w.Admin.Create(w.Ctx(), everywhere); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Admin.Delete(context.Background(), everywhere) })

	const counted = `{"status":{"conditions":[{"type":"Counted","status":"True","reason":"Forged","message":"","lastTransitionTime":"2030-01-01T00:00:00Z"}]}}`
	forged := rel.DeepCopy()
	forged.ObjectMeta = w.Meta("forged")
	writes := map[string]func(client.Client) error{
		"create a Release":            func(c client.Client) error { return c.Create(w.Ctx(), forged.DeepCopy()) },
		"change a Release":            func(c client.Client) error { return patch(w, c, rel, `{"metadata":{"labels":{"a":"b"}}}`) },
		"status of a Release":         func(c client.Client) error { return patchStatus(w, c, rel, `{"status":{"phase":"Failed"}}`) },
		"status of a Rollout":         func(c client.Client) error { return patchStatus(w, c, ro, `{"status":{"history":null}}`) },
		"status of an Environment":    func(c client.Client) error { return patchStatus(w, c, place, `{"status":{"currentTag":"9.9.9"}}`) },
		"status of a schedule":        func(c client.Client) error { return patchStatus(w, c, schedule, `{"status":{"active":false}}`) },
		"status of a cluster's":       func(c client.Client) error { return patchStatus(w, c, everywhere, `{"status":{"active":false}}`) },
		"status of a manual gate":     func(c client.Client) error { return patchStatus(w, c, manual, `{"status":{"verdicts":null}}`) },
		"status of an Approval":       func(c client.Client) error { return patchStatus(w, c, approval, counted) },
		"status of an Override":       func(c client.Client) error { return patchStatus(w, c, past, counted) },
		"status of one of our checks": func(c client.Client) error { return patchStatus(w, c, ours, `{"status":{"status":"Healthy"}}`) },
	}
	editor := w.As("editor", "admin", "kuberik-view", "kuberik-edit", "kuberik-gatekeeper")
	w.Create(&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "everything"}, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{"kuberik.com", "environments.kuberik.com"}, Resources: []string{"*"}, Verbs: []string{"*"},
	}}})
	w.Create(&rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "everything"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "everything"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: w.Namespace + ":tenant"}},
	})
	tenant := w.As("tenant")
	for who, c := range map[string]client.Client{"an editor": editor, "a tenant with every right": tenant, "the administrator of the cluster": w.Admin} {
		for what, write := range writes {
			if err := write(c); !apierrors.IsForbidden(err) {
				t.Errorf("%s: %s: %v", who, what, err)
			} else if who != "an editor" && !strings.Contains(err.Error(), "written by") && !strings.Contains(err.Error(), "at the cluster scope") {
				t.Errorf("%s: %s: the message does not explain it: %v", who, what, err)
			}
		}
	}
	for what, err := range map[string]error{
		"the tenant reports on a check of a foreign class": patchStatus(w, tenant, foreign, `{"status":{"status":"Healthy"}}`),
		"the tenant answers for a gate of a foreign class": patchStatus(w, tenant, external, `{"status":{"observedGeneration":1}}`),
		"the editor edits a Rollout":                       patch(w, editor, ro, `{"spec":{"bakeTime":"1s"}}`),
		"the editor edits a check":                         patch(w, editor, foreign, `{"metadata":{"labels":{"a":"b"}}}`),
		"the gatekeeper opens a gate":                      patch(w, editor, manual, `{"spec":{"allowedVersions":["1.1.0"]}}`),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := patch(w, w.As("developer", "edit", "kuberik-view", "kuberik-edit"), manual, `{"spec":{"passing":true}}`); !apierrors.IsForbidden(err) {
		t.Errorf("a developer opens a gate: %v", err)
	}
	if err := patchStatus(w, editor, foreign, `{"status":{"status":"Healthy"}}`); !apierrors.IsForbidden(err) {
		t.Errorf("an editor reports on a check without a role for it: %v", err)
	}
}

func patch(w *env.World, c client.Client, obj client.Object, body string) error {
	return c.Patch(w.Ctx(), copyOf(obj), client.RawPatch(types.MergePatchType, []byte(body)))
}

func patchStatus(w *env.World, c client.Client, obj client.Object, body string) error {
	return c.Status().Patch(w.Ctx(), copyOf(obj), client.RawPatch(types.MergePatchType, []byte(body)))
}

func copyOf(obj client.Object) client.Object {
	c, ok := obj.DeepCopyObject().(client.Object)
	if !ok {
		return obj
	}
	return c
}

// TestOneReplicaOfSeveralWorks: of two replicas, one holds the lease; the other takes over when it ends.
func TestOneReplicaOfSeveralWorks(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	elect := func(s *controller.Settings) { s.LeaderElection = true }
	first := w.Run(elect)
	w.SimulateFlux()
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	second := w.Run(elect)
	w.Select("app", "1.1.0", env.Digest("1.1.0"))
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.1.0")
	if n := len(second.Wire.Writes(env.To("rollouts/status"))); n > 0 {
		t.Errorf("the one without the lease has written %d times", n)
	}
	w.Consistently(3*time.Second, ro, "stays", func() error { return inPhase(ro, v1alpha1.PhaseAvailable) }) // the lease is renewed
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	w.Select("app", "1.2.0", env.Digest("1.2.0"))
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.2.0")
}
