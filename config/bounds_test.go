package config

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// schema is what bounds the fields of an object.
type schema struct {
	Type                  string            `json:"type"`
	Format                string            `json:"format"`
	Enum                  []any             `json:"enum"`
	MaxLength             *int64            `json:"maxLength"`
	MaxItems              *int64            `json:"maxItems"`
	MaxProperties         *int64            `json:"maxProperties"`
	Items                 *schema           `json:"items"`
	Properties            map[string]schema `json:"properties"`
	AdditionalProperties  *schema           `json:"additionalProperties"`
	IntOrString           bool              `json:"x-kubernetes-int-or-string"`
	PreserveUnknownFields bool              `json:"x-kubernetes-preserve-unknown-fields"`
	Validations           []rule            `json:"x-kubernetes-validations"`
}

type rule struct {
	Rule string `json:"rule"`
}

// definition is what the test reads of a CustomResourceDefinition.
type definition struct {
	Spec struct {
		Names struct {
			Kind string `json:"kind"`
		} `json:"names"`
		Versions []struct {
			Schema struct {
				Root schema `json:"openAPIV3Schema"`
			} `json:"schema"`
		} `json:"versions"`
	} `json:"spec"`
}

// unboundedFields are the fields without a bound of their own, and why nobody can fill them up.
var unboundedFields = map[string]string{
	`[A-Za-z]+\.(apiVersion|kind|metadata)`:                "the API server bounds them",
	`HealthCheck\.spec\.script\.(env|resources)(\b.*)`:     "types of Kubernetes; a spec.script of more than 64 KiB is neither cached nor run",
	`HealthCheck\.spec\.script\.jobTemplate`:               "any Job; a spec.script of more than 64 KiB is neither cached nor run",
	`(Approval|Override|Rollout)\.status(\b.*)`:            "the policy kuberik-record lets the controller alone write it",
	`(RolloutSchedule|ClusterRolloutSchedule)\.status\b.*`: "the policy kuberik-record lets the controller alone write it",
	`Environment\.status\b.*`:                              "the policy kuberik-record lets the controller alone write it",
	`Release\.(spec|status)\b.*`:                           "the policy kuberik-record lets the controller alone write it",
}

// TestFieldsAreBounded: whoever may write an object decides how much memory it takes in the controller, which caches it whole. So every
// text has a length, every list a number of items, and every map a number of entries.
func TestFieldsAreBounded(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for name, root := range schemas(t) {
		for _, field := range unbounded(name, root) {
			if !excepted(field.path, used) {
				t.Errorf("%s has no %s", field.path, field.lacks)
			}
		}
	}
	for pattern, why := range unboundedFields {
		if !used[pattern] {
			t.Errorf("no field needs the exception %s (%s)", pattern, why)
		}
	}
}

func TestUnboundedFieldsAreFound(t *testing.T) {
	t.Parallel()
	text, limit := schema{Type: "string"}, new(int64(3))
	short := schema{Type: "string", MaxLength: limit}
	list := func(items schema, most *int64) schema {
		return schema{Type: "array", MaxItems: most, Items: &items}
	}
	entries := func(values schema, most *int64, rules ...string) schema {
		s := schema{Type: "object", MaxProperties: most, AdditionalProperties: &values}
		for _, r := range rules {
			s.Validations = append(s.Validations, rule{r})
		}
		return s
	}
	for name, c := range map[string]struct {
		field schema
		want  []string
	}{
		"a text":                     {text, []string{"f maxLength"}},
		"a short text":               {short, nil},
		"one of a few":               {schema{Type: "string", Enum: []any{"a"}}, nil},
		"a time":                     {schema{Type: "string", Format: "date-time"}, nil},
		"a quantity":                 {schema{IntOrString: true}, []string{"f maxLength"}},
		"anything":                   {schema{Type: "object", PreserveUnknownFields: true}, []string{"f schema"}},
		"a list":                     {list(short, nil), []string{"f maxItems"}},
		"a list of texts":            {list(text, limit), []string{"f[] maxLength"}},
		"a short list":               {list(short, limit), nil},
		"a map":                      {entries(short, nil, "self.all(k, size(k) <= 3)"), []string{"f maxProperties"}},
		"a map with long keys":       {entries(short, limit), []string{"f bound of its keys"}},
		"a map of texts":             {entries(text, limit, "self.all(k, size(k) <= 3)"), []string{"f{} maxLength"}},
		"a small map":                {entries(short, limit, "self.all(k, size(k) <= 3)"), nil},
		"a map with a rule for both": {entries(text, limit, "self.all(k, size(k) <= 3 && size(self[k]) <= 3)"), nil},
		"a name with a rule": {schema{
			Type: "object", Properties: map[string]schema{"name": text},
			Validations: []rule{{"!has(self.name) || size(self.name) <= 253"}},
		}, nil},
		"a name": {schema{Type: "object", Properties: map[string]schema{"name": text}}, []string{"f.name maxLength"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, f := range unbounded("f", c.field) {
				got = append(got, f.path+" "+f.lacks)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

// schemas returns the schema of each kind.
func schemas(t *testing.T) map[string]schema {
	t.Helper()
	files, err := fs.Glob(Install, "crd/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d CRDs: %v", len(files), err)
	}
	found := map[string]schema{}
	for _, file := range files {
		data, err := fs.ReadFile(Install, file)
		if err != nil {
			t.Fatal(err)
		}
		var crd definition
		if err := yaml.Unmarshal(data, &crd); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, v := range crd.Spec.Versions {
			found[crd.Spec.Names.Kind] = v.Schema.Root
		}
	}
	return found
}

func excepted(path string, used map[string]bool) bool {
	found := false
	for pattern := range unboundedFields {
		if regexp.MustCompile("^" + pattern + "$").MatchString(path) {
			found, used[pattern] = true, true
		}
	}
	return found
}

// field is a field without a bound, and what it lacks.
type field struct{ path, lacks string }

// unbounded returns the fields of a schema without a bound.
func unbounded(path string, s schema) []field {
	var found []field
	lacks := func(what string, isMissing bool) {
		if isMissing {
			found = append(found, field{path, what})
		}
	}
	lacks("schema", s.PreserveUnknownFields)
	lacks("maxLength", (s.Type == "string" || s.IntOrString) && s.MaxLength == nil && len(s.Enum) == 0 && s.Format != "date-time")
	lacks("maxItems", s.Type == "array" && s.MaxItems == nil)
	if s.Items != nil {
		found = append(found, unbounded(path+"[]", *s.Items)...)
	}
	if s.AdditionalProperties != nil {
		lacks("maxProperties", s.MaxProperties == nil)
		lacks("bound of its keys", !hasRule(s, "size(k) <="))
		if !hasRule(s, "size(self[k]) <=") {
			found = append(found, unbounded(path+"{}", *s.AdditionalProperties)...)
		}
	}
	for name, property := range s.Properties {
		if property.Type != "string" || !hasRule(s, fmt.Sprintf("size(self.%s) <=", name)) {
			found = append(found, unbounded(path+"."+name, property)...)
		}
	}
	return found
}

func hasRule(s schema, part string) bool {
	return slices.ContainsFunc(s.Validations, func(r rule) bool { return strings.Contains(r.Rule, part) })
}
