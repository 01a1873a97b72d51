package kube

import (
	"encoding/json"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Owner is a field manager that owns a field.
type Owner struct {
	// Manager by its name.
	Manager string
	// Operation by which it wrote: Apply or Update.
	Operation metav1.ManagedFieldsOperationType
}

// Owners returns who owns the fields directly below a path, by the name of the field. What was written to a subresource is left out.
func Owners(o metav1.Object, path ...string) map[string][]Owner {
	owners := map[string][]Owner{}
	for _, entry := range o.GetManagedFields() {
		for field := range fieldsOf(entry, path) {
			owners[field] = append(owners[field], Owner{entry.Manager, entry.Operation})
		}
	}
	return owners
}

// KeepOwners removes everything from the managed fields of an object but who owns fields directly below a path, where keep says so.
func KeepOwners(o metav1.Object, keep func(field string, w Owner) bool, path ...string) {
	var kept []metav1.ManagedFieldsEntry
	for _, entry := range o.GetManagedFields() {
		fields := map[string]any{}
		for field := range fieldsOf(entry, path) {
			if keep(field, Owner{entry.Manager, entry.Operation}) {
				fields[fieldPrefix+field] = map[string]any{}
			}
		}
		if len(fields) == 0 {
			continue
		}
		kept = append(kept, metav1.ManagedFieldsEntry{
			Manager: strings.Clone(entry.Manager), Operation: entry.Operation, FieldsV1: below(path, fields),
		})
	}
	o.SetManagedFields(kept)
}

// fieldPrefix is before the name of a field in managed fields.
const fieldPrefix = "f:"

// fieldsOf returns the names of the fields directly below a path that an entry owns. An entry that cannot be read owns nothing.
func fieldsOf(entry metav1.ManagedFieldsEntry, path []string) map[string]struct{} {
	if entry.Subresource != "" || entry.FieldsV1 == nil {
		return nil
	}
	level, err := parseFields(entry.FieldsV1.GetRawBytes())
	for _, name := range path {
		if err == nil {
			level, err = parseFields(level[fieldPrefix+name])
		}
	}
	if err != nil {
		return nil
	}
	fields := map[string]struct{}{}
	for key := range level {
		if name, ok := strings.CutPrefix(key, fieldPrefix); ok {
			fields[strings.Clone(name)] = struct{}{}
		}
	}
	return fields
}

func parseFields(raw []byte) (map[string]json.RawMessage, error) {
	level := map[string]json.RawMessage{}
	if len(raw) == 0 {
		return level, nil
	}
	err := json.Unmarshal(raw, &level)
	return level, err
}

// below writes fields as managed fields have them, below a path.
func below(path []string, fields map[string]any) *metav1.FieldsV1 {
	for i := len(path) - 1; i >= 0; i-- {
		fields = map[string]any{fieldPrefix + path[i]: fields}
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		return nil // strings and maps of them can be written
	}
	return metav1.NewFieldsV1(string(raw))
}
