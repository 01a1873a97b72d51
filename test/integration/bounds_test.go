package integration

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/test/env"
)

// selectorOf returns a selector with a number of labels, and of expressions with a number of values each.
func selectorOf(matchLabels, expressions, values int) *v1alpha1.LabelSelector {
	s := &v1alpha1.LabelSelector{MatchLabels: map[string]string{}}
	for i := range matchLabels {
		s.MatchLabels[fmt.Sprint("label-", i)] = strings.Repeat("x", 63)
	}
	for i := range expressions {
		r := v1alpha1.LabelSelectorRequirement{Key: fmt.Sprint("expression-", i), Operator: "NotIn"}
		for v := range values {
			r.Values = append(r.Values, fmt.Sprint("value-", v))
		}
		s.MatchExpressions = append(s.MatchExpressions, r)
	}
	return s
}

// bounded is an object that the API server accepts as it is.
type bounded struct {
	object client.Object
	// large makes it too large, and says is what the API server says then.
	large func(client.Object)
	says  string
}

func boundedObjects(w *env.World) map[string]bounded {
	const tooMany, ofName, ofValues = "must have at most 64 items", "at most 253 characters", "more than 256 values altogether"
	long := strings.Repeat("x", 1<<20)
	rollout := func() *v1alpha1.Rollout {
		ro := &v1alpha1.Rollout{ObjectMeta: w.Meta("bounded")}
		ro.Spec.ReleasesImagePolicy.Name = strings.Repeat("x", 253)
		ro.Spec.HealthCheckSelector = &v1alpha1.HealthCheckSelector{Selector: selectorOf(64, 64, 4), NamespaceSelector: selectorOf(64, 1, 256)}
		return ro
	}
	schedule := func() *v1alpha1.RolloutSchedule {
		s := &v1alpha1.RolloutSchedule{ObjectMeta: w.Meta("bounded")}
		s.Spec = v1alpha1.ScheduleSpec{Always: true, RolloutSelector: *selectorOf(64, 64, 4), Exempt: selectorOf(64, 64, 4)}
		return s
	}
	ofCluster := func() *v1alpha1.ClusterRolloutSchedule {
		s := &v1alpha1.ClusterRolloutSchedule{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace + "-bounded"}}
		s.Spec = v1alpha1.ClusterScheduleSpec{ScheduleSpec: schedule().Spec, NamespaceSelector: selectorOf(64, 64, 4)}
		return s
	}
	request := v1alpha1.HTTPRequest{URL: "https://example.com/", Headers: map[string]string{strings.Repeat("x", 128): strings.Repeat("x", 2048)}}
	gate := func() *v1alpha1.RolloutGate {
		g := &v1alpha1.RolloutGate{ObjectMeta: w.Meta("bounded")}
		g.Spec.RolloutRef.Name = strings.Repeat("x", 253)
		g.Spec.HTTP = &v1alpha1.HTTPGate{HTTPRequest: *request.DeepCopy(), Query: map[string]string{strings.Repeat("x", 253): "'" + strings.Repeat("x", 2046) + "'"}}
		return g
	}
	check := func() *v1alpha1.HealthCheck {
		c := &v1alpha1.HealthCheck{ObjectMeta: w.Meta("bounded")}
		c.Spec.Class, c.Spec.HTTP = new(v1alpha1.HealthClassHTTP), &v1alpha1.HTTPCheck{HTTPRequest: *request.DeepCopy()}
		return c
	}
	monitor := &v1alpha1.HealthCheck{ObjectMeta: w.Meta("bounded")}
	monitor.Spec.Class = new(v1alpha1.HealthClassDatadog)
	monitor.Spec.Datadog = &v1alpha1.DatadogCheck{MonitorRef: &corev1.LocalObjectReference{Name: "a"}}
	e := &environments.Environment{ObjectMeta: w.Meta("bounded"), Spec: environments.EnvironmentSpec{Name: "shop"}}
	e.Spec.RolloutRef.Name = strings.Repeat("x", 253)
	return map[string]bounded{
		"the selector of a Rollout": {rollout(), func(o client.Object) { o.(*v1alpha1.Rollout).Spec.HealthCheckSelector.Selector = selectorOf(0, 65, 1) }, tooMany},
		"the values of a selector":  {rollout(), func(o client.Object) { o.(*v1alpha1.Rollout).Spec.HealthCheckSelector.Selector = selectorOf(0, 2, 129) }, ofValues},
		"the labels of a selector":  {rollout(), func(o client.Object) { o.(*v1alpha1.Rollout).Spec.HealthCheckSelector.Selector = selectorOf(65, 0, 0) }, "must have at most 64"},
		"a value of a selector": {rollout(), func(o client.Object) {
			o.(*v1alpha1.Rollout).Spec.HealthCheckSelector.Selector.MatchExpressions[0].Values[0] = long
		}, "253"},
		"the name of a label": {rollout(), func(o client.Object) {
			o.(*v1alpha1.Rollout).Spec.HealthCheckSelector.Selector.MatchLabels = map[string]string{long: "a"}
		}, "a label has a name of at most 317 characters"},
		"the namespaceSelector of a Rollout": {rollout(), func(o client.Object) {
			o.(*v1alpha1.Rollout).Spec.HealthCheckSelector.NamespaceSelector = selectorOf(0, 65, 1)
		}, tooMany},
		"the ImagePolicy of a Rollout":      {rollout(), func(o client.Object) { o.(*v1alpha1.Rollout).Spec.ReleasesImagePolicy.Name = long }, ofName},
		"the rolloutSelector of a schedule": {schedule(), func(o client.Object) { o.(*v1alpha1.RolloutSchedule).Spec.RolloutSelector = *selectorOf(0, 65, 1) }, tooMany},
		"the exempt of a schedule":          {schedule(), func(o client.Object) { o.(*v1alpha1.RolloutSchedule).Spec.Exempt = selectorOf(0, 2, 129) }, ofValues},
		"the rolloutSelector of a schedule of all": {ofCluster(), func(o client.Object) {
			o.(*v1alpha1.ClusterRolloutSchedule).Spec.RolloutSelector = *selectorOf(0, 65, 1)
		}, tooMany},
		"the namespaceSelector of a schedule of all": {ofCluster(), func(o client.Object) {
			o.(*v1alpha1.ClusterRolloutSchedule).Spec.NamespaceSelector = selectorOf(0, 65, 1)
		}, tooMany},
		"the Rollout of a gate":                {gate(), func(o client.Object) { o.(*v1alpha1.RolloutGate).Spec.RolloutRef.Name = long }, ofName},
		"the query of a gate":                  {gate(), func(o client.Object) { o.(*v1alpha1.RolloutGate).Spec.HTTP.Query = map[string]string{"a": long} }, "an expression of at most 2048"},
		"the name of a parameter":              {gate(), func(o client.Object) { o.(*v1alpha1.RolloutGate).Spec.HTTP.Query = map[string]string{long: "''"} }, "a name of at most 253 characters"},
		"the headers of a gate":                {gate(), func(o client.Object) { o.(*v1alpha1.RolloutGate).Spec.HTTP.Headers = map[string]string{"a": long} }, "a value of at most 2048"},
		"the headers of a health check":        {check(), func(o client.Object) { o.(*v1alpha1.HealthCheck).Spec.HTTP.Headers = map[string]string{long: "a"} }, "a name of at most 128 characters"},
		"the DatadogMonitor of a health check": {monitor, func(o client.Object) { o.(*v1alpha1.HealthCheck).Spec.Datadog.MonitorRef.Name = long }, ofName},
		"the Rollout of an Environment":        {e, func(o client.Object) { o.(*environments.Environment).Spec.RolloutRef.Name = long }, ofName},
	}
}

// TestWhatIsTooLargeIsRefused: the controller holds the objects of all namespaces, and compares selectors for each event.
func TestWhatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	for name, c := range boundedObjects(w) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := w.Admin.Create(w.Ctx(), c.object.DeepCopyObject().(client.Object), client.DryRunAll); err != nil {
				t.Errorf("as large as it may be, it is refused: %v", err)
			}
			c.large(c.object)
			if err := w.Admin.Create(w.Ctx(), c.object, client.DryRunAll); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("too large, it is refused with %v", shortened(err))
			}
		})
	}
}

// shortened cuts the text of an error that may quote a megabyte.
func shortened(err error) string {
	text := fmt.Sprint(err)
	return text[:min(len(text), 1000)]
}

// TestForgedGateOfAScheduleOpensNothing: somebody who may write gates replaces the gate of a freeze, again and again, with an open one that
// has the same owner. Where the policies are in force, they may not; where they are not, the freeze itself counts.
func TestForgedGateOfAScheduleOpensNothing(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	w.SimulateFlux()
	k := w.Kustomization("app", map[string]string{"VERSION": "app"})
	freeze := &v1alpha1.RolloutSchedule{ObjectMeta: metav1.ObjectMeta{Name: "freeze"}, Spec: v1alpha1.ScheduleSpec{Always: true}}
	w.Create(freeze)
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	w.Await(freeze, "holds the Rollout", func() error {
		if len(freeze.Status.ManagedGates) != 1 {
			return fmt.Errorf("it has the gates %v", freeze.Status.ManagedGates)
		}
		return nil
	})
	forged := func(name string) *v1alpha1.RolloutGate {
		g := &v1alpha1.RolloutGate{ObjectMeta: w.Meta(name), Spec: v1alpha1.RolloutGateSpec{Passing: new(true)}}
		g.Spec.RolloutRef.Name = "app"
		g.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.KindRolloutSchedule, Name: "freeze", UID: freeze.UID, Controller: new(true),
		}}
		return g
	}
	const policy = "kuberik-gate-owners"
	tenant := w.As("tenant", "kuberik-edit", "kuberik-gatekeeper")
	enforced(w, policy, func() error { return tenant.Create(w.Ctx(), forged("forged"), client.DryRunAll) })
	labelled := forged("labelled")
	labelled.OwnerReferences, labelled.Labels = nil, map[string]string{v1alpha1.LabelScheduleKind: v1alpha1.KindRolloutSchedule, v1alpha1.LabelScheduleName: "freeze"}
	own := w.Gate("own", "app", func(s *v1alpha1.RolloutGateSpec) { s.Passing = new(true) })
	claims := fmt.Sprintf(`{"metadata":{"ownerReferences":[{"apiVersion":"kuberik.com/v1alpha1","kind":"RolloutSchedule","name":"freeze","uid":%q,"controller":true}]}}`, freeze.UID)
	for what, err := range map[string]error{
		"a gate with the owner":  tenant.Create(w.Ctx(), forged("forged"), client.DryRunAll),
		"a gate with the labels": tenant.Create(w.Ctx(), labelled, client.DryRunAll),
		"a claim of a gate":      patch(w, tenant, own, claims),
	} {
		if !refusedBy(err, policy) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := patch(w, tenant, own, `{"metadata":{"labels":{"a":"b"}}}`); err != nil {
		t.Errorf("a label of their own gate: %v", err)
	}
	for i := range 100 {
		var list v1alpha1.RolloutGateList
		if err := w.Admin.List(w.Ctx(), &list, inNamespace(w)); err != nil {
			t.Fatal(err)
		}
		for j := range list.Items {
			if g := &list.Items[j]; g.Name != "own" && !strings.HasPrefix(g.Name, "forged-") {
				if err := w.Admin.Delete(w.Ctx(), g); client.IgnoreNotFound(err) != nil {
					t.Fatal(err)
				}
			}
		}
		if err := w.Admin.Create(w.Ctx(), forged(fmt.Sprint("forged-", i))); err != nil {
			t.Fatal(err)
		}
	}
	stays(w, ro, 0)
	if err := untouched(k)(); err != nil {
		t.Error(err)
	}
	w.Eventually("the gates are put right", func() error {
		var list v1alpha1.RolloutGateList
		if err := w.Admin.List(w.Ctx(), &list, inNamespace(w)); err != nil {
			return err
		}
		if len(list.Items) != 2 {
			return fmt.Errorf("there are %d", len(list.Items))
		}
		return nil
	})
}
