package kube_test

import (
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/internal/kube"
)

func TestOwners(t *testing.T) {
	t.Parallel()
	entry := func(manager, subresource, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{
			Manager: manager, Operation: metav1.ManagedFieldsOperationApply, Subresource: subresource,
			FieldsV1: metav1.NewFieldsV1(fields),
		}
	}
	o := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{
		entry("first", "", `{"f:data":{".":{},"f:a":{},"f:b":{},"f:c.d/e":{}},"f:metadata":{"f:labels":{"f:a":{}}}}`),
		entry("second", "", `{"f:data":{"f:a":{}}}`),
		entry("status", "status", `{"f:data":{"f:a":{}}}`),
		entry("whole map", "", `{"f:data":{}}`),
		entry("whole object", "", `{}`),
		entry("invalid", "", `{"f:data":[`),
		entry("not a map", "", `{"f:data":"a"}`),
		{Manager: "empty", Operation: metav1.ManagedFieldsOperationUpdate},
	}}}
	first, second := kube.Owner{Manager: "first", Operation: "Apply"}, kube.Owner{Manager: "second", Operation: "Apply"}
	want := map[string][]kube.Owner{"a": {first, second}, "b": {first}, "c.d/e": {first}}
	if got := kube.Owners(o, "data"); !reflect.DeepEqual(got, want) {
		t.Errorf("got owners %v, want %v", got, want)
	}
	for range 2 { // a cache may trim an object twice
		kube.KeepOwners(o, func(field string, w kube.Owner) bool { return field != "b" && w == first }, "data")
	}
	want = map[string][]kube.Owner{"a": {first}, "c.d/e": {first}}
	if got := kube.Owners(o, "data"); !reflect.DeepEqual(got, want) || len(o.ManagedFields) != 1 ||
		len(kube.Owners(o, "metadata", "labels")) != 0 {
		t.Errorf("kept owners %v in %v, want %v", got, o.ManagedFields, want)
	}
	if got := kube.Owners(&corev1.ConfigMap{}, "data"); len(got) != 0 {
		t.Errorf("an object without managed fields has owners: %v", got)
	}
}
