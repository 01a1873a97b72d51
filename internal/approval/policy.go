package approval

import (
	"context"
	"fmt"
	"slices"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/config"
)

// propagationDelay is how long it may take until every API server enforces a policy that was written.
const propagationDelay = 3 * time.Second

// policyNames lists the policies that verify the users of Approvals and Overrides.
func policyNames() []string { return []string{"kuberik-actors", "kuberik-overrides"} }

// PolicyKinds returns the kinds to watch for changes of the policies, together with IsPolicy.
func PolicyKinds() []client.Object {
	return []client.Object{&admissionv1.ValidatingAdmissionPolicy{}, &admissionv1.ValidatingAdmissionPolicyBinding{}}
}

// IsPolicy reports whether an object is one of the policies or their bindings.
func IsPolicy(o client.Object) bool { return slices.Contains(policyNames(), o.GetName()) }

// PolicyVerifier verifies that a cluster enforces the policies as they are shipped.
type PolicyVerifier struct {
	reader  client.Reader
	shipped map[string]admissionv1.ValidatingAdmissionPolicySpec
}

// NewPolicyVerifier returns a PolicyVerifier. It fails only if the embedded policies cannot be read.
func NewPolicyVerifier(reader client.Reader) (*PolicyVerifier, error) {
	p := &PolicyVerifier{reader: reader, shipped: map[string]admissionv1.ValidatingAdmissionPolicySpec{}}
	policies, err := config.Objects[admissionv1.ValidatingAdmissionPolicy]("policy", "ValidatingAdmissionPolicy")
	if err != nil {
		return nil, err
	}
	for _, policy := range policies {
		p.shipped[policy.Name] = policy.Spec
	}
	return p, nil
}

// VerifiedSince returns since when the API server verifies the users of Approvals and Overrides. If it does not, why is
// the reason.
func (p *PolicyVerifier) VerifiedSince(ctx context.Context) (since time.Time, why string, err error) {
	for _, name := range policyNames() {
		at, ok, err := p.enforced(ctx, name)
		switch {
		case err != nil:
			return since, "", err
		case !ok:
			return since, "the ValidatingAdmissionPolicy " + name + ", which verifies their users, is not in force as it is " +
				"shipped: " +
				"apply config/policy", nil
		case at.After(since):
			since = at
		}
	}
	return since, "", nil
}

// enforced reports whether a policy is in force as it is shipped, and since when. A binding of the same name has to
// deny in every namespace.
func (p *PolicyVerifier) enforced(ctx context.Context, name string) (since time.Time, ok bool, err error) {
	var policy admissionv1.ValidatingAdmissionPolicy
	var binding admissionv1.ValidatingAdmissionPolicyBinding
	for _, obj := range []client.Object{&policy, &binding} {
		switch err := p.reader.Get(ctx, client.ObjectKey{Name: name}, obj, client.UnsafeDisableDeepCopy); {
		case apierrors.IsNotFound(err):
			return since, false, nil
		case err != nil:
			return since, false, fmt.Errorf("reading the admission policy %q: %w", name, err)
		}
		last, known := lastWritten(obj)
		if !known {
			return since, false, nil
		}
		if at := last.Add(propagationDelay); at.After(since) {
			since = at
		}
	}
	shipped, known := p.shipped[name]
	return since, known && Matches(policy.Spec, shipped) && Denies(binding.Spec, name), nil
}

// lastWritten returns when anything but the status of an object was last written: users are not verified before that.
// Known is false if the managed fields were removed, as anybody who may write the object can do.
func lastWritten(o client.Object) (last time.Time, known bool) {
	last = o.GetCreationTimestamp().Time
	for _, f := range o.GetManagedFields() {
		if f.Subresource != "" || f.Time == nil {
			continue
		}
		if known = true; f.Time.After(last) {
			last = f.Time.Time
		}
	}
	return last, known
}

// Matches reports whether an admission policy decides as the shipped one. It compares the fields that decide; the API
// server sets defaults in others.
func Matches(is, shipped admissionv1.ValidatingAdmissionPolicySpec) bool {
	if is.FailurePolicy == nil || *is.FailurePolicy != admissionv1.Fail || is.MatchConstraints == nil ||
		is.ParamKind != nil ||
		len(is.MatchConstraints.ExcludeResourceRules) > 0 {
		return false
	}
	return slices.EqualFunc(is.Validations, shipped.Validations,
		func(a, b admissionv1.Validation) bool { return a.Expression == b.Expression }) &&
		slices.Equal(is.Variables, shipped.Variables) &&
		slices.Equal(is.MatchConditions, shipped.MatchConditions) &&
		unrestricted(is.MatchConstraints) &&
		slices.EqualFunc(is.MatchConstraints.ResourceRules, shipped.MatchConstraints.ResourceRules, sameRule)
}

func sameRule(a, b admissionv1.NamedRuleWithOperations) bool {
	everywhere := a.Scope == nil || *a.Scope == admissionv1.AllScopes
	return everywhere && len(a.ResourceNames) == 0 && slices.Equal(a.APIGroups, b.APIGroups) &&
		slices.Equal(a.APIVersions, b.APIVersions) &&
		slices.Equal(a.Resources, b.Resources) && slices.Equal(a.Operations, b.Operations)
}

// unrestricted reports whether constraints match every namespace and every object.
func unrestricted(m *admissionv1.MatchResources) bool {
	return m == nil || (m.NamespaceSelector == nil ||
		len(m.NamespaceSelector.MatchLabels)+len(m.NamespaceSelector.MatchExpressions) == 0) &&
		(m.ObjectSelector == nil || len(m.ObjectSelector.MatchLabels)+len(m.ObjectSelector.MatchExpressions) == 0)
}

// Denies reports whether a binding makes a policy deny requests in every namespace.
func Denies(is admissionv1.ValidatingAdmissionPolicyBindingSpec, policy string) bool {
	return is.PolicyName == policy && is.ParamRef == nil && slices.Contains(is.ValidationActions, admissionv1.Deny) &&
		(is.MatchResources == nil || unrestricted(is.MatchResources) &&
			len(is.MatchResources.ResourceRules)+len(is.MatchResources.ExcludeResourceRules) == 0)
}
