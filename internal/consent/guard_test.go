package consent

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

var began = time.Date(2030, 3, 1, 9, 0, 0, 0, time.UTC)

// law is a policy and its binding, as they are in a cluster.
type law struct {
	policy  *admissionv1.ValidatingAdmissionPolicy
	binding *admissionv1.ValidatingAdmissionPolicyBinding
}

// shipped is what an installation has of each policy.
func shipped(t *testing.T) map[string]law {
	t.Helper()
	g, err := NewGuard(nil)
	if err != nil {
		t.Fatal(err)
	}
	laws := map[string]law{}
	for _, name := range policies() {
		spec, ok := g.shipped[name]
		if !ok {
			t.Fatalf("%s does not ship", name)
		}
		meta := metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(began)}
		laws[name] = law{
			&admissionv1.ValidatingAdmissionPolicy{ObjectMeta: meta, Spec: *spec.DeepCopy()},
			&admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
				PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
			}},
		}
	}
	return laws
}

// filledIn is what the API server makes of a policy: it fills in what was left out.
func filledIn(l law) {
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

// kept stands for the managed fields of an object: a fake client does not take them. Without it they say that it was written when made.
const kept = "test/managed-fields"

// recorded is a reader whose objects say when they were written.
type recorded struct{ client.Reader }

// Get implements client.Reader.
func (r recorded) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	err := r.Reader.Get(ctx, key, o, opts...)
	at := o.GetCreationTimestamp()
	entry := metav1.ManagedFieldsEntry{Manager: "kubectl", Operation: metav1.ManagedFieldsOperationApply, Time: &at}
	switch o.GetAnnotations()[kept] {
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

func guard(t *testing.T, reader client.Reader) *Guard {
	t.Helper()
	g, err := NewGuard(recorded{reader})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func objects(laws map[string]law) (list []client.Object) {
	for _, l := range laws {
		if l.policy != nil {
			list = append(list, l.policy)
		}
		if l.binding != nil {
			list = append(list, l.binding)
		}
	}
	return list
}

// Whatever is not as it ships proves nothing.
func TestProven(t *testing.T) {
	t.Parallel()
	type (
		policy  = admissionv1.ValidatingAdmissionPolicySpec
		binding = admissionv1.ValidatingAdmissionPolicyBindingSpec
	)
	some := &metav1.LabelSelector{MatchLabels: map[string]string{"guarded": "true"}}
	other := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "free", Operator: metav1.LabelSelectorOpDoesNotExist}}}
	changes := func(f func(*policy)) func(*law) { return func(l *law) { f(&l.policy.Spec) } }
	binds := func(f func(*binding)) func(*law) { return func(l *law) { f(&l.binding.Spec) } }
	matches := func(m admissionv1.MatchResources) func(*law) {
		return binds(func(b *binding) { b.MatchResources = &m })
	}
	actions := func(list ...admissionv1.ValidationAction) func(*law) {
		return binds(func(b *binding) { b.ValidationActions = list })
	}
	rule := func(f func(*admissionv1.NamedRuleWithOperations)) func(*law) {
		return changes(func(p *policy) { f(&p.MatchConstraints.ResourceRules[0]) })
	}
	ignore, namespaced, exact := admissionv1.Ignore, admissionv1.NamespacedScope, admissionv1.Exact
	cluster := admissionv1.ClusterScope
	for name, tc := range map[string]struct {
		edit   func(*law)
		proven bool
	}{
		"as it ships":                  {func(*law) {}, true},
		"with the defaults filled in":  {func(l *law) { filledIn(*l) }, true},
		"warns as well":                {actions(admissionv1.Deny, admissionv1.Audit), true},
		"other words for who is wrong": {changes(func(p *policy) { p.Validations[0].Message, p.Validations[0].MessageExpression = "no", "" }), true},
		"bound everywhere":             {matches(admissionv1.MatchResources{MatchPolicy: &exact, NamespaceSelector: &metav1.LabelSelector{}, ObjectSelector: &metav1.LabelSelector{}}), true},

		"times of writing removed": {func(l *law) { l.policy.Annotations = map[string]string{kept: "none"} }, false},
		"those of the binding":     {func(l *law) { l.binding.Annotations = map[string]string{kept: "none"} }, false},
		"those of a status only":   {func(l *law) { l.binding.Annotations = map[string]string{kept: "status"} }, false},
		"no times":                 {func(l *law) { l.policy.Annotations = map[string]string{kept: "no time"} }, false},

		"no policy":             {func(l *law) { l.policy = nil }, false},
		"no binding":            {func(l *law) { l.binding = nil }, false},
		"neither":               {func(l *law) { l.policy, l.binding = nil, nil }, false},
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

		"open when it fails":  {changes(func(p *policy) { p.FailurePolicy = &ignore }), false},
		"silent on failures":  {changes(func(p *policy) { p.FailurePolicy = nil }), false},
		"asks for parameters": {changes(func(p *policy) { p.ParamKind = &admissionv1.ParamKind{Kind: "ConfigMap", APIVersion: "v1"} }), false},
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
		for _, of := range policies() {
			t.Run(of+" "+name, func(t *testing.T) {
				t.Parallel()
				laws := shipped(t)
				l := laws[of]
				tc.edit(&l)
				laws[of] = l
				c := fake.NewClientBuilder().WithScheme(scheme(t)).WithObjects(objects(laws)...).Build()
				since, why, err := guard(t, c).Proven(t.Context())
				if err != nil || (why == "") != tc.proven {
					t.Fatalf("since %s: %q, %v", since, why, err)
				}
				want := "the ValidatingAdmissionPolicy " + of + ", which proves who they are, is not in force as it is shipped (config/policy)"
				if !tc.proven && why != want {
					t.Errorf("it says %q", why)
				}
				if tc.proven && !since.Equal(began.Add(settling)) {
					t.Errorf("it is proved since %s", since)
				}
			})
		}
	}
}

// It is proved since the last of all policies and bindings was made.
func TestProvenSinceTheLast(t *testing.T) {
	t.Parallel()
	for _, of := range policies() {
		for i := range 2 {
			laws := shipped(t)
			later := metav1.NewTime(began.Add(time.Hour))
			[]client.Object{laws[of].policy, laws[of].binding}[i].SetCreationTimestamp(later)
			c := fake.NewClientBuilder().WithScheme(scheme(t)).WithObjects(objects(laws)...).Build()
			since, why, err := guard(t, c).Proven(t.Context())
			if err != nil || why != "" || !since.Equal(later.Add(settling)) {
				t.Errorf("%s: since %s: %q, %v", of, since, why, err)
			}
		}
	}
}

// What cannot be read is an error, and not a policy that is missing or in force.
func TestPoliciesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	broken := errors.New("the API server is away")
	for i := range 4 {
		asked := 0
		c := fake.NewClientBuilder().WithScheme(scheme(t)).WithObjects(objects(shipped(t))...).WithInterceptorFuncs(interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
				if asked++; asked > i {
					return broken
				}
				return c.Get(ctx, key, obj, opts...)
			},
		}).Build()
		if _, why, err := guard(t, c).Proven(t.Context()); !errors.Is(err, broken) || why != "" {
			t.Errorf("after %d answers: %q, %v", i, why, err)
		}
	}
}

func TestMatters(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{"kuberik-actors": true, "kuberik-overrides": true, "kuberik-record": false, "other": false} {
		p := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if Matters(p) != want {
			t.Errorf("%s", name)
		}
	}
	if len(Watched()) != 2 {
		t.Error("policies and bindings are watched")
	}
}
