package kube

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// testManager is a manager that can only connect to an API server.
type testManager struct {
	manager.Manager
	url string
}

func (m testManager) GetHTTPClient() *http.Client {
	return &http.Client{Transport: http.DefaultTransport}
}
func (m testManager) GetConfig() *rest.Config    { return &rest.Config{Host: m.url} }
func (m testManager) GetScheme() *runtime.Scheme { return runtime.NewScheme() }
func (m testManager) GetRESTMapper() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Thing"}, meta.RESTScopeNamespace)
	return mapper
}

func TestLimitedReaderRefusesObjectsWithTooManyValues(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		values  int
		refused bool
	}{"small": {20, false}, "large": {MaxValues - 10, false}, "too large": {MaxValues + 1, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := `{"apiVersion":"example.com/v1","kind":"Thing","metadata":{"name":"t"},"spec":[` +
				strings.Repeat("{},", c.values-1) + "{}]}"
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Write([]byte(text))
			}))
			defer server.Close()
			reader, err := NewLimitedReader(testManager{url: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			o := &unstructured.Unstructured{}
			o.SetAPIVersion("example.com/v1")
			o.SetKind("Thing")
			err = reader.Get(context.WithoutCancel(t.Context()), client.ObjectKey{Namespace: "ns", Name: "t"}, o)
			var refused *TooManyValuesError
			if errors.As(err, &refused) != c.refused || !c.refused && err != nil {
				t.Errorf("%v", err)
			}
		})
	}
}
