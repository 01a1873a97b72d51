package admission

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/config"
)

// Actors is the policy that proves who approves and who breaks the glass.
const Actors = "kuberik-actors"

// Guard looks at the policies of a cluster.
type Guard struct {
	reader  client.Reader
	shipped map[string]admissionv1.ValidatingAdmissionPolicySpec
}

// New makes a Guard. It fails only if what was built in cannot be read.
func New(reader client.Reader) (*Guard, error) {
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

//+kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingadmissionpolicies;validatingadmissionpolicybindings,verbs=get;list;watch

// Enforced says whether a policy is in force: it says what it says as it ships, and a binding of the same name denies everywhere what
// it forbids.
func (g *Guard) Enforced(ctx context.Context, name string) (bool, error) {
	var policy admissionv1.ValidatingAdmissionPolicy
	var binding admissionv1.ValidatingAdmissionPolicyBinding
	for _, obj := range []client.Object{&policy, &binding} {
		switch err := g.reader.Get(ctx, client.ObjectKey{Name: name}, obj); {
		case apierrors.IsNotFound(err):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("reading the admission policy %q: %w", name, err)
		}
	}
	shipped, ok := g.shipped[name]
	return ok && says(policy.Spec, shipped) && denies(binding.Spec, name), nil
}

// says compares what decides; the API server fills in the rest.
func says(is, shipped admissionv1.ValidatingAdmissionPolicySpec) bool {
	if is.FailurePolicy == nil || *is.FailurePolicy != admissionv1.Fail || is.MatchConstraints == nil || is.ParamKind != nil ||
		len(is.MatchConditions) > 0 || len(is.MatchConstraints.ExcludeResourceRules) > 0 {
		return false
	}
	return slices.EqualFunc(is.Validations, shipped.Validations, func(a, b admissionv1.Validation) bool { return a.Expression == b.Expression }) &&
		unrestricted(is.MatchConstraints) &&
		slices.EqualFunc(is.MatchConstraints.ResourceRules, shipped.MatchConstraints.ResourceRules, sameRule)
}

func sameRule(a, b admissionv1.NamedRuleWithOperations) bool {
	return len(a.ResourceNames) == 0 && slices.Equal(a.APIGroups, b.APIGroups) && slices.Equal(a.APIVersions, b.APIVersions) &&
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
