package lint

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"

	"github.com/kuberik/kuberik/config"
)

// validator validates the objects of one kind and version.
type validator struct {
	structural *schema.Structural
	schema     validation.SchemaValidator
	rules      *cel.Validator
}

// kinds returns the CRDs that this program carries, by group.
var kinds = sync.OnceValues(func() (map[string][]*apiextensionsv1.CustomResourceDefinition, error) {
	found := map[string][]*apiextensionsv1.CustomResourceDefinition{}
	crds, err := config.Objects[apiextensionsv1.CustomResourceDefinition]("crd", "CustomResourceDefinition")
	if err != nil {
		return nil, err
	}
	for _, crd := range crds {
		found[crd.Spec.Group] = append(found[crd.Spec.Group], crd)
	}
	return found, nil
})

// validators caches what is expensive to make, by API version and kind.
var validators sync.Map

// checkSchema checks an object of a group of Kuberik as the API server does.
func (r *run) checkSchema(o *object) {
	all, err := kinds()
	if err != nil {
		r.add("KL002", o, "", "the CRDs of this program cannot be read: %v", err)
		return
	}
	crds, ours := all[o.group()]
	if !ours {
		return
	}
	v, problem := validatorOf(crds, o)
	if problem != "" {
		r.add("KL005", o, "kind", "%s", problem)
		return
	}
	value, ok := runtime.DeepCopyJSONValue(o.raw).(map[string]any)
	if !ok {
		return
	}
	unknown := pruning.PruneWithOptions(value, v.structural, true,
		schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, name := range unknown {
		r.add("KL004", o, name, "there is no field %s", name)
	}
	r.checkName(o)
	defaulting.Default(value, v.structural)
	errs := validation.ValidateCustomResource(nil, value, v.schema)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, v.structural, value)...)
	if len(errs) == 0 { // as in the API server, rules are evaluated only for objects that the schema allows
		errs, _ = v.rules.Validate(context.Background(), nil, v.structural, value, nil, celconfig.RuntimeCELCostBudget)
	}
	for _, e := range errs {
		r.add("KL002", o, e.Field, "%s", describe(e))
	}
}

// checkName checks what the API server asks of every object.
func (r *run) checkName(o *object) {
	meta, _ := o.raw["metadata"].(map[string]any)
	if o.name == "" && textOf(meta["generateName"]) == "" {
		r.add("KL002", o, "metadata", "metadata.name is missing")
	}
}

// describe returns the message of a field error.
func describe(e *field.Error) string {
	detail := e.Detail
	if e.Type == field.ErrorTypeInvalid && strings.HasPrefix(detail, e.Field+" in body ") {
		return strings.Replace(detail, " in body", "", 1)
	}
	return strings.TrimSuffix(e.Field+": "+e.ErrorBody(), ": ")
}

// validatorOf returns the validator for an object, or what is wrong with its kind.
func validatorOf(crds []*apiextensionsv1.CustomResourceDefinition, o *object) (*validator, string) {
	key := o.apiVersion + " " + o.kind
	if v, ok := validators.Load(key); ok {
		if known, ok := v.(*validator); ok {
			return known, ""
		}
	}
	var names []string
	for _, crd := range crds {
		names = append(names, crd.Spec.Names.Kind)
		if crd.Spec.Names.Kind != o.kind {
			continue
		}
		v, problem := versionOf(crd, o)
		if problem == "" {
			validators.Store(key, v)
		}
		return v, problem
	}
	slices.Sort(names)
	if near := nearest(o.kind, names); near != "" {
		return nil, fmt.Sprintf("%s has no kind %s; did you mean %s?", o.group(), o.kind, near)
	}
	return nil, fmt.Sprintf("%s has no kind %s: there are %s", o.group(), o.kind, strings.Join(names, ", "))
}

// versionOf returns the validator of the version that an object has.
func versionOf(crd *apiextensionsv1.CustomResourceDefinition, o *object) (*validator, string) {
	var served []string
	for i := range crd.Spec.Versions {
		version := &crd.Spec.Versions[i]
		name := crd.Spec.Group + "/" + version.Name
		if version.Served {
			served = append(served, name)
		}
		if name == o.apiVersion && version.Served {
			return newValidator(version)
		}
	}
	return nil, fmt.Sprintf("%s is not served as %s: write apiVersion: %s", o.kind, o.apiVersion,
		strings.Join(served, " or "))
}

func newValidator(version *apiextensionsv1.CustomResourceDefinitionVersion) (*validator, string) {
	internal := &apiextensions.JSONSchemaProps{}
	err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(version.Schema.OpenAPIV3Schema,
		internal, nil)
	if err != nil {
		return nil, err.Error()
	}
	v := &validator{}
	if v.structural, err = schema.NewStructural(internal); err != nil {
		return nil, err.Error()
	}
	if v.schema, _, err = validation.NewSchemaValidator(internal); err != nil {
		return nil, err.Error()
	}
	v.rules = cel.NewValidator(v.structural, true, celconfig.PerCallLimit)
	return v, ""
}
