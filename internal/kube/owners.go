package kube

import (
	"encoding/json"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Owner is a field manager that owns a field.
type Owner struct {
	// Manager is the name of the field manager.
	Manager string
	// Operation is Apply or Update.
	Operation metav1.ManagedFieldsOperationType
}

// Owners returns the owners of the fields directly below a path, by field name. It ignores subresources.
func Owners(o metav1.Object, path ...string) map[string][]Owner {
	owners := map[string][]Owner{}
	for _, entry := range o.GetManagedFields() {
		for field := range ownedFields(entry, path) {
			owners[field] = append(owners[field], Owner{entry.Manager, entry.Operation})
		}
	}
	return owners
}

// KeepOwners removes all managed fields of an object except the owners of fields directly below a path that keep
// accepts.
func KeepOwners(o metav1.Object, keep func(field string, w Owner) bool, path ...string) {
	var kept []metav1.ManagedFieldsEntry
	for _, entry := range o.GetManagedFields() {
		fields := map[string]any{}
		for field := range ownedFields(entry, path) {
			if keep(field, Owner{entry.Manager, entry.Operation}) {
				fields[fieldPrefix+field] = map[string]any{}
			}
		}
		if len(fields) == 0 {
			continue
		}
		kept = append(kept, metav1.ManagedFieldsEntry{
			Manager: strings.Clone(entry.Manager), Operation: entry.Operation, FieldsV1: fieldsBelow(path, fields),
		})
	}
	o.SetManagedFields(kept)
}

// RetainTrimmedOwners undoes changes of the owner references of next if the cached object before has lost some of them
// to Trim. A merge patch replaces the whole list, so it would remove the owners that the cache does not hold.
func RetainTrimmedOwners(before, next metav1.Object) {
	if before.GetAnnotations()[AnnotationTrimmed] == trimmedOwners {
		next.SetOwnerReferences(before.GetOwnerReferences())
	}
}

// fieldPrefix precedes the name of a field in managed fields.
const fieldPrefix = "f:"

// ownedFields returns the names of the fields directly below a path that an entry owns. An invalid entry owns none.
func ownedFields(entry metav1.ManagedFieldsEntry, path []string) map[string]struct{} {
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

// fieldsBelow returns managed fields with the given fields below a path.
func fieldsBelow(path []string, fields map[string]any) *metav1.FieldsV1 {
	for i := len(path) - 1; i >= 0; i-- {
		fields = map[string]any{fieldPrefix + path[i]: fields}
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		return nil // cannot happen: these are maps of strings
	}
	return metav1.NewFieldsV1(string(raw))
}
