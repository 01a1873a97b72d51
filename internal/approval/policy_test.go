package approval

import (
	"context"
	"errors"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

var policiesCreated = time.Date(2030, 3, 1, 9, 0, 0, 0, time.UTC)

// installedPolicy is a policy and its binding, as they are in a cluster.
type installedPolicy struct {
	policy  *admissionv1.ValidatingAdmissionPolicy
	binding *admissionv1.ValidatingAdmissionPolicyBinding
}

// shippedPolicies returns the policies as an installation has them.
func shippedPolicies(t *testing.T) map[string]installedPolicy {
	t.Helper()
	g, err := NewPolicyVerifier(nil)
	if err != nil {
		t.Fatal(err)
	}
	installed := map[string]installedPolicy{}
	for _, name := range policyNames() {
		spec, ok := g.shipped[name]
		if !ok {
			t.Fatalf("%s does not ship", name)
		}
		meta := metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(policiesCreated)}
		installed[name] = installedPolicy{
			&admissionv1.ValidatingAdmissionPolicy{ObjectMeta: meta, Spec: *spec.DeepCopy()},
			&admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
				PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
			}},
		}
	}
	return installed
}

// setDefaults sets the defaults that the API server sets.
func setDefaults(l installedPolicy) {
	equivalent, all := admissionv1.Equivalent, admissionv1.AllScopes
	m := l.policy.Spec.MatchConstraints
	m.MatchPolicy, m.NamespaceSelector, m.ObjectSelector = &equivalent, &metav1.LabelSelector{}, &metav1.LabelSelector{}
	for i := range m.ResourceRules {
		m.ResourceRules[i].Scope = &all
	}
}

func scheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{admissionv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// managedFieldsKey is an annotation that stands for the managed fields of an object, which the fake client does not store. Without it,
// they say that the object was written when it was created.
const managedFieldsKey = "test/managed-fields"

// managedFieldsReader adds managed fields to the objects that it reads.
type managedFieldsReader struct{ client.Reader }

// Get implements client.Reader.
func (r managedFieldsReader) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	err := r.Reader.Get(ctx, key, o, opts...)
	at := o.GetCreationTimestamp()
	entry := metav1.ManagedFieldsEntry{Manager: "kubectl", Operation: metav1.ManagedFieldsOperationApply, Time: &at}
	switch o.GetAnnotations()[managedFieldsKey] {
	case "none":
		return err
	case "status":
		entry.Subresource = "status"
	case "no time":
		entry.Time = nil
	}
	o.SetManagedFields([]metav1.ManagedFieldsEntry{entry})
	return err
}

func newVerifier(t *testing.T, reader client.Reader) *PolicyVerifier {
	t.Helper()
	g, err := NewPolicyVerifier(managedFieldsReader{reader})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func policyObjects(installed map[string]installedPolicy) (list []client.Object) {
	for _, l := range installed {
		if l.policy != nil {
			list = append(list, l.policy)
		}
		if l.binding != nil {
			list = append(list, l.binding)
		}
	}
	return list
}

// A policy that differs from the shipped one does not count.
func TestVerifiedSince(t *testing.T) {
	t.Parallel()
	type (
		policy  = admissionv1.ValidatingAdmissionPolicySpec
		binding = admissionv1.ValidatingAdmissionPolicyBindingSpec
	)
	some := &metav1.LabelSelector{MatchLabels: map[string]string{"guarded": "true"}}
	other := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "free", Operator: metav1.LabelSelectorOpDoesNotExist}}}
	changes := func(f func(*policy)) func(*installedPolicy) { return func(l *installedPolicy) { f(&l.policy.Spec) } }
	binds := func(f func(*binding)) func(*installedPolicy) { return func(l *installedPolicy) { f(&l.binding.Spec) } }
	matches := func(m admissionv1.MatchResources) func(*installedPolicy) {
		return binds(func(b *binding) { b.MatchResources = &m })
	}
	actions := func(list ...admissionv1.ValidationAction) func(*installedPolicy) {
		return binds(func(b *binding) { b.ValidationActions = list })
	}
	rule := func(f func(*admissionv1.NamedRuleWithOperations)) func(*installedPolicy) {
		return changes(func(p *policy) { f(&p.MatchConstraints.ResourceRules[0]) })
	}
	ignore, namespaced, exact := admissionv1.Ignore, admissionv1.NamespacedScope, admissionv1.Exact
	cluster := admissionv1.ClusterScope
	for name, tc := range map[string]struct {
		edit     func(*installedPolicy)
		verified bool
	}{
		"as it ships":                 {func(*installedPolicy) {}, true},
		"with the defaults filled in": {func(l *installedPolicy) { setDefaults(*l) }, true},
		"warns as well":               {actions(admissionv1.Deny, admissionv1.Audit), true},
		"another message":             {changes(func(p *policy) { p.Validations[0].Message, p.Validations[0].MessageExpression = "no", "" }), true},
		"bound everywhere":            {matches(admissionv1.MatchResources{MatchPolicy: &exact, NamespaceSelector: &metav1.LabelSelector{}, ObjectSelector: &metav1.LabelSelector{}}), true},

		"managed fields removed":                {func(l *installedPolicy) { l.policy.Annotations = map[string]string{managedFieldsKey: "none"} }, false},
		"managed fields of the binding removed": {func(l *installedPolicy) { l.binding.Annotations = map[string]string{managedFieldsKey: "none"} }, false},
		"managed fields of the status only":     {func(l *installedPolicy) { l.binding.Annotations = map[string]string{managedFieldsKey: "status"} }, false},
		"managed fields without a time":         {func(l *installedPolicy) { l.policy.Annotations = map[string]string{managedFieldsKey: "no time"} }, false},

		"no policy":             {func(l *installedPolicy) { l.policy = nil }, false},
		"no binding":            {func(l *installedPolicy) { l.binding = nil }, false},
		"neither":               {func(l *installedPolicy) { l.policy, l.binding = nil, nil }, false},
		"warns only":            {actions(admissionv1.Warn), false},
		"audits only":           {actions(admissionv1.Audit), false},
		"warns and audits":      {actions(admissionv1.Warn, admissionv1.Audit), false},
		"does nothing":          {actions(), false},
		"binds another":         {binds(func(b *binding) { b.PolicyName = "kuberik-record" }), false},
		"with parameters":       {binds(func(b *binding) { b.ParamRef = &admissionv1.ParamRef{Name: "p"} }), false},
		"bound in some places":  {matches(admissionv1.MatchResources{NamespaceSelector: some}), false},
		"bound but for some":    {matches(admissionv1.MatchResources{NamespaceSelector: other}), false},
		"bound to some objects": {matches(admissionv1.MatchResources{ObjectSelector: some}), false},
		"bound to some kinds":   {matches(admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{}}}), false},
		"bound but for a kind":  {matches(admissionv1.MatchResources{ExcludeResourceRules: []admissionv1.NamedRuleWithOperations{{}}}), false},

		"ignores failures":         {changes(func(p *policy) { p.FailurePolicy = &ignore }), false},
		"no failure policy":        {changes(func(p *policy) { p.FailurePolicy = nil }), false},
		"has a kind of parameters": {changes(func(p *policy) { p.ParamKind = &admissionv1.ParamKind{Kind: "ConfigMap", APIVersion: "v1"} }), false},
		"under a condition": {changes(func(p *policy) {
			p.MatchConditions = []admissionv1.MatchCondition{{Name: "never", Expression: "false"}}
		}), false},
		"matches nothing": {changes(func(p *policy) { p.MatchConstraints = nil }), false},
		"without rules":   {changes(func(p *policy) { p.MatchConstraints.ResourceRules = nil }), false},
		"with one rule more": {changes(func(p *policy) {
			p.MatchConstraints.ResourceRules = append(p.MatchConstraints.ResourceRules, admissionv1.NamedRuleWithOperations{})
		}), false},
		"excludes something":    {changes(func(p *policy) { p.MatchConstraints.ExcludeResourceRules = []admissionv1.NamedRuleWithOperations{{}} }), false},
		"in some namespaces":    {changes(func(p *policy) { p.MatchConstraints.NamespaceSelector = some }), false},
		"not in all namespaces": {changes(func(p *policy) { p.MatchConstraints.NamespaceSelector = other }), false},
		"for some objects":      {changes(func(p *policy) { p.MatchConstraints.ObjectSelector = some }), false},
		"another expression":    {changes(func(p *policy) { p.Validations[0].Expression += " || true" }), false},
		"one validation less":   {changes(func(p *policy) { p.Validations = p.Validations[1:] }), false},
		"no validation":         {changes(func(p *policy) { p.Validations = nil }), false},
		"one validation more":   {changes(func(p *policy) { p.Validations = append(p.Validations, admissionv1.Validation{Expression: "true"}) }), false},
		"another variable":      {changes(func(p *policy) { p.Variables = append(p.Variables, admissionv1.Variable{Name: "x", Expression: "1"}) }), false},
		"named objects":         {rule(func(r *admissionv1.NamedRuleWithOperations) { r.ResourceNames = []string{"one"} }), false},
		"another group":         {rule(func(r *admissionv1.NamedRuleWithOperations) { r.APIGroups = []string{"example.com"} }), false},
		"another version":       {rule(func(r *admissionv1.NamedRuleWithOperations) { r.APIVersions = []string{"v0"} }), false},
		"another kind":          {rule(func(r *admissionv1.NamedRuleWithOperations) { r.Resources = []string{"rollouts"} }), false},
		"another verb": {rule(func(r *admissionv1.NamedRuleWithOperations) {
			r.Operations = []admissionv1.OperationType{admissionv1.Delete}
		}), false},
		"what has no namespace":   {rule(func(r *admissionv1.NamedRuleWithOperations) { r.Scope = &cluster }), false},
		"a scope that it has not": {rule(func(r *admissionv1.NamedRuleWithOperations) { r.Scope = &namespaced }), false},
	} {
		for _, of := range policyNames() {
			t.Run(of+" "+name, func(t *testing.T) {
				t.Parallel()
				installed := shippedPolicies(t)
				l := installed[of]
				tc.edit(&l)
				installed[of] = l
				c := fake.NewClientBuilder().WithScheme(scheme(t)).WithObjects(policyObjects(installed)...).Build()
				since, why, err := newVerifier(t, c).VerifiedSince(t.Context())
				if err != nil || (why == "") != tc.verified {
					t.Fatalf("since %s: %q, %v", since, why, err)
				}
				want := "the ValidatingAdmissionPolicy " + of + ", which verifies their users, is not in force as it is shipped: apply config/policy"
				if !tc.verified && why != want {
					t.Errorf("got reason %q", why)
				}
				if tc.verified && !since.Equal(policiesCreated.Add(propagationDelay)) {
					t.Errorf("verified since %s", since)
				}
			})
		}
	}
}

// Users are verified since the last policy or binding was created.
func TestVerifiedSinceTheLastWrite(t *testing.T) {
	t.Parallel()
	for _, of := range policyNames() {
		for i := range 2 {
			installed := shippedPolicies(t)
			later := metav1.NewTime(policiesCreated.Add(time.Hour))
			[]client.Object{installed[of].policy, installed[of].binding}[i].SetCreationTimestamp(later)
			c := fake.NewClientBuilder().WithScheme(scheme(t)).WithObjects(policyObjects(installed)...).Build()
			since, why, err := newVerifier(t, c).VerifiedSince(t.Context())
			if err != nil || why != "" || !since.Equal(later.Add(propagationDelay)) {
				t.Errorf("%s: since %s: %q, %v", of, since, why, err)
			}
		}
	}
}

// A policy that cannot be read is an error, and neither missing nor in force.
func TestVerifiedSinceFailsIfAReadFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("the API server is down")
	for i := range 4 {
		calls := 0
		c := fake.NewClientBuilder().WithScheme(scheme(t)).WithObjects(policyObjects(shippedPolicies(t))...).WithInterceptorFuncs(interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
				if calls++; calls > i {
					return broken
				}
				return c.Get(ctx, key, obj, opts...)
			},
		}).Build()
		if _, why, err := newVerifier(t, c).VerifiedSince(t.Context()); !errors.Is(err, broken) || why != "" {
			t.Errorf("after %d reads: %q, %v", i, why, err)
		}
	}
}

func TestIsPolicy(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{"kuberik-actors": true, "kuberik-overrides": true, "kuberik-record": false, "other": false} {
		p := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if IsPolicy(p) != want {
			t.Errorf("%s", name)
		}
	}
	if len(PolicyKinds()) != 2 {
		t.Error("policies and bindings are watched")
	}
}
