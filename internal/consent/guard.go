package consent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/config"
)

// settling is how long after it was made a policy may not be in force yet in every API server.
const settling = 3 * time.Second

// policies that prove who approves and who breaks the glass, and for how long.
func policies() []string { return []string{"kuberik-actors", "kuberik-overrides"} }

// Watched lists the kinds whose objects decide whether it is proved who people are; those that Matters holds for.
func Watched() []client.Object {
	return []client.Object{&admissionv1.ValidatingAdmissionPolicy{}, &admissionv1.ValidatingAdmissionPolicyBinding{}}
}

// Matters says whether an object is one of the policies or their bindings.
func Matters(o client.Object) bool { return slices.Contains(policies(), o.GetName()) }

// Guard looks at the policies of a cluster.
type Guard struct {
	reader  client.Reader
	shipped map[string]admissionv1.ValidatingAdmissionPolicySpec
}

// NewGuard makes a Guard. It fails only if what was built in cannot be read.
func NewGuard(reader client.Reader) (*Guard, error) {
	g := &Guard{reader: reader, shipped: map[string]admissionv1.ValidatingAdmissionPolicySpec{}}
	files, err := fs.Glob(config.Install, "policy/*.yaml")
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		data, err := config.Install.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if err := g.learn(data); err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
	}
	return g, nil
}

func (g *Guard) learn(data []byte) error {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
	for {
		var p admissionv1.ValidatingAdmissionPolicy
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if p.Kind == "ValidatingAdmissionPolicy" {
			g.shipped[p.Name] = p.Spec
		}
	}
}

// Proven says since when the API server proves who approves and who breaks the glass. If it does not, why says what is missing.
func (g *Guard) Proven(ctx context.Context) (since time.Time, why string, err error) {
	for _, name := range policies() {
		at, ok, err := g.enforced(ctx, name)
		switch {
		case err != nil:
			return since, "", err
		case !ok:
			return since, "the ValidatingAdmissionPolicy " + name + ", which proves who they are, is not in force as it is shipped (config/policy)", nil
		case at.After(since):
			since = at
		}
	}
	return since, "", nil
}

// enforced says whether a policy is in force, and since when: it says what it says as it ships, and a binding of the same name denies
// everywhere what it forbids.
func (g *Guard) enforced(ctx context.Context, name string) (since time.Time, ok bool, err error) {
	var policy admissionv1.ValidatingAdmissionPolicy
	var binding admissionv1.ValidatingAdmissionPolicyBinding
	for _, obj := range []client.Object{&policy, &binding} {
		switch err := g.reader.Get(ctx, client.ObjectKey{Name: name}, obj); {
		case apierrors.IsNotFound(err):
			return since, false, nil
		case err != nil:
			return since, false, fmt.Errorf("reading the admission policy %q: %w", name, err)
		}
		last, known := written(obj)
		if !known {
			return since, false, nil
		}
		if at := last.Add(settling); at.After(since) {
			since = at
		}
	}
	shipped, known := g.shipped[name]
	return since, known && says(policy.Spec, shipped) && denies(binding.Spec, name), nil
}

// written is when an object was last written, but for its status: what was said while it said something else is not proved. It is not known
// where the managed fields were removed, which whoever may write the object can do.
func written(o client.Object) (last time.Time, known bool) {
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

// says compares what decides; the API server fills in the rest.
func says(is, shipped admissionv1.ValidatingAdmissionPolicySpec) bool {
	if is.FailurePolicy == nil || *is.FailurePolicy != admissionv1.Fail || is.MatchConstraints == nil || is.ParamKind != nil ||
		len(is.MatchConditions) > 0 || len(is.MatchConstraints.ExcludeResourceRules) > 0 {
		return false
	}
	return slices.EqualFunc(is.Validations, shipped.Validations, func(a, b admissionv1.Validation) bool { return a.Expression == b.Expression }) &&
		slices.Equal(is.Variables, shipped.Variables) &&
		unrestricted(is.MatchConstraints) &&
		slices.EqualFunc(is.MatchConstraints.ResourceRules, shipped.MatchConstraints.ResourceRules, sameRule)
}

func sameRule(a, b admissionv1.NamedRuleWithOperations) bool {
	everywhere := a.Scope == nil || *a.Scope == admissionv1.AllScopes
	return everywhere && len(a.ResourceNames) == 0 && slices.Equal(a.APIGroups, b.APIGroups) && slices.Equal(a.APIVersions, b.APIVersions) &&
		slices.Equal(a.Resources, b.Resources) && slices.Equal(a.Operations, b.Operations)
}

// unrestricted says whether constraints hold in every namespace and for every object.
func unrestricted(m *admissionv1.MatchResources) bool {
	return m == nil || (m.NamespaceSelector == nil || len(m.NamespaceSelector.MatchLabels)+len(m.NamespaceSelector.MatchExpressions) == 0) &&
		(m.ObjectSelector == nil || len(m.ObjectSelector.MatchLabels)+len(m.ObjectSelector.MatchExpressions) == 0)
}

func denies(is admissionv1.ValidatingAdmissionPolicyBindingSpec, policy string) bool {
	return is.PolicyName == policy && is.ParamRef == nil && slices.Contains(is.ValidationActions, admissionv1.Deny) &&
		(is.MatchResources == nil || unrestricted(is.MatchResources) && len(is.MatchResources.ResourceRules)+len(is.MatchResources.ExcludeResourceRules) == 0)
}
