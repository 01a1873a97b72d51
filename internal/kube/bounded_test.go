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

// served is a manager of which only the way to the API server is used.
type served struct {
	manager.Manager
	url string
}

func (s served) GetHTTPClient() *http.Client { return &http.Client{Transport: http.DefaultTransport} }
func (s served) GetConfig() *rest.Config     { return &rest.Config{Host: s.url} }
func (s served) GetScheme() *runtime.Scheme  { return runtime.NewScheme() }
func (s served) GetRESTMapper() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Thing"}, meta.RESTScopeNamespace)
	return mapper
}

func TestBoundedRefusesAnObjectThatTakesMoreMemoryThanText(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		values  int
		refused bool
	}{"a usual one": {20, false}, "a large one": {MostValues - 10, false}, "a bomb": {MostValues + 1, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := `{"apiVersion":"example.com/v1","kind":"Thing","metadata":{"name":"t"},"spec":[` + strings.Repeat("{},", c.values-1) + "{}]}"
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Write([]byte(text)) //nolint:errcheck // the reader has the error
			}))
			defer server.Close()
			reader, err := Bounded(served{url: server.URL})
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
