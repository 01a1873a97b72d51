package preflight

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/config"
	"github.com/kuberik/kuberik/internal/approval"
)

// maxNamed is how many names a message lists.
const maxNamed = 3

func named(list []string) string {
	if len(list) > maxNamed {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:maxNamed], ", "), len(list)-maxNamed)
	}
	return strings.Join(list, ", ")
}

// crds compares the CRDs of the cluster with those of this program.
func (c Checker) crds(ctx context.Context) (Result, error) {
	list, err := config.Objects[apiextensionsv1.CustomResourceDefinition]("crd", "CustomResourceDefinition")
	if err != nil {
		return Result{}, err
	}
	var problems []string
	for _, want := range list {
		var is apiextensionsv1.CustomResourceDefinition
		err := c.Reader.Get(ctx, client.ObjectKey{Name: want.Name}, &is)
		switch {
		case apierrors.IsNotFound(err):
			problems = append(problems, want.Name+" is missing")
			continue
		case err != nil:
			return unread(CRDs, "CRDs", err)
		}
		problems = append(problems, compareCRD(want, &is)...)
	}
	if len(problems) > 0 {
		return NewResult(CRDs, Failed, "the CRDs are not those of this program: %s", named(problems)), nil
	}
	return NewResult(CRDs, OK, "CRDs of this version, none older stored"), nil
}

// compareCRD returns what the CRD of the cluster lacks.
func compareCRD(want, is *apiextensionsv1.CustomResourceDefinition) (problems []string) {
	for i := range want.Spec.Versions {
		version := &want.Spec.Versions[i]
		j := slices.IndexFunc(is.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool {
			return v.Name == version.Name && v.Served
		})
		if j < 0 || is.Spec.Versions[j].Schema == nil {
			problems = append(problems, want.Name+" does not serve "+version.Name)
			continue
		}
		if field := lacks(version.Schema.OpenAPIV3Schema, is.Spec.Versions[j].Schema.OpenAPIV3Schema, ""); field != "" {
			problems = append(problems, want.Name+" has no "+field)
		}
	}
	for _, stored := range is.Status.StoredVersions {
		known := func(v apiextensionsv1.CustomResourceDefinitionVersion) bool { return v.Name == stored }
		if !slices.ContainsFunc(want.Spec.Versions, known) {
			problems = append(problems, want.Name+" has objects stored as "+stored+", which this program does not know")
		}
	}
	return problems
}

// lacks returns the first field that a schema has and another one does not, or "".
func lacks(want, is *apiextensionsv1.JSONSchemaProps, path string) string {
	for _, name := range slices.Sorted(maps.Keys(want.Properties)) {
		inner := want.Properties[name]
		field := strings.TrimPrefix(path+"."+name, ".")
		other, ok := is.Properties[name]
		if !ok {
			return field
		}
		if missing := lacks(&inner, &other, field); missing != "" {
			return missing
		}
	}
	if want.Items != nil && want.Items.Schema != nil && is.Items != nil && is.Items.Schema != nil {
		return lacks(want.Items.Schema, is.Items.Schema, path+"[]")
	}
	return ""
}

// fluxKinds are the CRDs of the parts of Flux, with the version that is used.
var fluxKinds = map[string]string{
	"imagepolicies.image.toolkit.fluxcd.io":      "v1",
	"kustomizations.kustomize.toolkit.fluxcd.io": "v1",
	"ocirepositories.source.toolkit.fluxcd.io":   "v1",
	"imagerepositories.image.toolkit.fluxcd.io":  "v1",
}

// fluxVersion is the label with the version of Flux.
const fluxVersion = "app.kubernetes.io/version"

// flux checks the CRDs of Flux.
func (c Checker) flux(ctx context.Context) (Result, error) {
	var problems []string
	release := ""
	for _, name := range slices.Sorted(maps.Keys(fluxKinds)) {
		var crd apiextensionsv1.CustomResourceDefinition
		err := c.Reader.Get(ctx, client.ObjectKey{Name: name}, &crd)
		switch {
		case apierrors.IsNotFound(err):
			problems = append(problems, name+" is missing")
			continue
		case err != nil:
			return unread(Flux, "CRDs", err)
		}
		release = crd.Labels[fluxVersion]
		if !slices.ContainsFunc(crd.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool {
			return v.Name == fluxKinds[name] && v.Served
		}) {
			problems = append(problems, name+" does not serve "+fluxKinds[name])
		}
	}
	if len(problems) > 0 {
		return NewResult(Flux, Failed, "Flux lacks parts, or is too old: %s", named(problems)), nil
	}
	return NewResult(Flux, OK, "%s: image-reflector, source, kustomize", strings.TrimSpace("Flux "+
		""+strings.TrimPrefix(release, "v"))), nil
}

// policies compares the admission policies of the cluster with those of this program.
func (c Checker) policies(ctx context.Context) (Result, error) {
	list, err := config.Objects[admissionv1.ValidatingAdmissionPolicy]("policy", "ValidatingAdmissionPolicy")
	if err != nil {
		return Result{}, err
	}
	var problems []string
	for _, want := range list {
		problem, err := c.policy(ctx, want)
		if err != nil {
			return unread(Policies, "admission policies", err)
		}
		if problem != "" {
			problems = append(problems, want.Name+" "+problem)
		}
	}
	if len(problems) > 0 {
		return NewResult(Policies, Failed, "admission policies: %s", named(problems)), nil
	}
	return NewResult(Policies, OK, "the %d admission policies are bound as they are shipped", len(list)), nil
}

// policy returns what is wrong with an admission policy, or "".
func (c Checker) policy(ctx context.Context, want *admissionv1.ValidatingAdmissionPolicy) (string, error) {
	var is admissionv1.ValidatingAdmissionPolicy
	var binding admissionv1.ValidatingAdmissionPolicyBinding
	for _, o := range []client.Object{&is, &binding} {
		if err := c.Reader.Get(ctx, client.ObjectKey{Name: want.Name}, o); apierrors.IsNotFound(err) {
			if o == client.Object(&is) {
				return "is missing", nil
			}
			return "is not bound", nil
		} else if err != nil {
			return "", err
		}
	}
	if !approval.Denies(binding.Spec, want.Name) {
		return "does not deny anything", nil
	}
	if !approval.Matches(is.Spec, want.Spec) {
		return "differs from the one of this program", nil
	}
	return "", nil
}
