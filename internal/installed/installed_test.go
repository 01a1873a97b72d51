package installed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// cluster answers as an API server does.
type cluster struct {
	mu      sync.Mutex
	version string
	// schemas holds the annotation of each CustomResourceDefinition by name. The default is the one that is needed.
	schemas map[string]string
	// flux lists the kinds that are served, by group.
	flux map[string][]string
	// fails refuses requests whose path contains it.
	fails string
}

func complete() *cluster {
	return &cluster{version: "31", schemas: map[string]string{}, flux: map[string][]string{
		"source.toolkit.fluxcd.io": {"OCIRepository"}, "kustomize.toolkit.fluxcd.io": {"Kustomization"},
		"image.toolkit.fluxcd.io": {"ImagePolicy", "ImageRepository"},
	}}
}

func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	answer := func(code int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		if err := json.NewEncoder(w).Encode(body); err != nil {
			panic(err)
		}
	}
	missing := func() {
		answer(404, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: "NotFound", Code: 404})
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case c.fails != "" && strings.Contains(r.URL.Path, c.fails):
		answer(403, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: "Forbidden", Code: 403, Message: "no"})
	case r.URL.Path == "/version":
		answer(200, map[string]string{"major": "1", "minor": c.version, "gitVersion": "v1." + c.version + ".0"})
	case r.URL.Path == "/api":
		answer(200, metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}})
	case r.URL.Path == "/apis":
		answer(200, metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}, Groups: []metav1.APIGroup{{
			Name: "apiextensions.k8s.io", Versions: []metav1.GroupVersionForDiscovery{{GroupVersion: "apiextensions.k8s.io/v1", Version: "v1"}},
		}}})
	case len(parts) == 3 && parts[1] == "apiextensions.k8s.io":
		answer(200, metav1.APIResourceList{GroupVersion: "apiextensions.k8s.io/v1", APIResources: []metav1.APIResource{
			{Name: "customresourcedefinitions", Kind: "CustomResourceDefinition", SingularName: "customresourcedefinition"},
		}})
	case len(parts) == 3:
		kinds, served := c.flux[parts[1]]
		if !served {
			missing()
			return
		}
		list := metav1.APIResourceList{GroupVersion: parts[1] + "/v1"}
		for _, k := range kinds {
			list.APIResources = append(list.APIResources, metav1.APIResource{Name: strings.ToLower(k), Kind: k})
		}
		answer(200, list)
	default:
		name := parts[len(parts)-1]
		schema, set := c.schemas[name]
		if schema == "missing" {
			missing()
			return
		}
		if !set {
			schema = "7"
		}
		answer(200, map[string]any{
			"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
			"metadata": map[string]any{"name": name, "annotations": map[string]string{"kuberik.com/schema-version": schema}},
		})
	}
}

func checker(t *testing.T, c *cluster) *Checker {
	t.Helper()
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	made, err := New(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	made.needs = 7
	return made
}

func TestWhatIsMissing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*cluster)
		want   []string
	}{
		"nothing":            {func(*cluster) {}, nil},
		"newer schemas":      {func(c *cluster) { c.schemas["rollouts.kuberik.com"] = "8" }, nil},
		"a later Kubernetes": {func(c *cluster) { c.version = "40+" }, nil},
		"an old Kubernetes":  {func(c *cluster) { c.version = "30+" }, []string{"Kubernetes is v1.30+.0, and at least 1.31 is needed"}},
		"an old schema":      {func(c *cluster) { c.schemas["rollouts.kuberik.com"] = "6" }, []string{"the schemas of rollouts.kuberik.com (6) are older than version 7", "apply crds.yaml"}},
		"a schema of nobody": {func(c *cluster) { c.schemas["rollouts.kuberik.com"] = "six" }, []string{"rollouts.kuberik.com (0)"}},
		"no definition":      {func(c *cluster) { c.schemas["environments.environments.kuberik.com"] = "missing" }, []string{"the CustomResourceDefinitions environments.environments.kuberik.com are not installed"}},
		"no Flux":            {func(c *cluster) { c.flux = nil }, []string{"Flux's source-controller is not installed", "Flux's kustomize-controller", "flux install --components-extra=image-reflector-controller"}},
		"no image reflector": {func(c *cluster) { delete(c.flux, "image.toolkit.fluxcd.io") }, []string{"Flux's image-reflector-controller is not installed", "no ImagePolicy in image.toolkit.fluxcd.io/v1"}},
		"an older reflector": {func(c *cluster) { c.flux["image.toolkit.fluxcd.io"] = []string{"ImagePolicy"} }, []string{"no ImageRepository in"}},
		"several things":     {func(c *cluster) { c.version, c.flux = "29", nil }, []string{"at least 1.31", "kustomize-controller"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := complete()
			tc.change(c)
			err := checker(t, c).Check(t.Context())
			if (err != nil) != (tc.want != nil) || err != nil && !errors.Is(err, ErrMissing) {
				t.Fatalf("got %v", err)
			}
			for _, w := range tc.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q is not in: %v", w, err)
				}
			}
		})
	}
}

func TestRefusedRequestsAreNotMissingParts(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/version", "customresourcedefinitions", "kustomize.toolkit"} {
		c := complete()
		c.fails = path
		if err := checker(t, c).Check(t.Context()); err == nil || errors.Is(err, ErrMissing) {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

// checkAgain lets Await check again, and fails the test if it has ended.
func checkAgain(t *testing.T, c *Checker, done <-chan error) {
	t.Helper()
	select {
	case c.pause <- struct{}{}:
	case err := <-done:
		t.Fatalf("it does not wait: %v", err)
	}
}

// TestAwaitAnswersProbes waits for a CustomResourceDefinition, and meanwhile is alive and not ready.
func TestAwaitAnswersProbes(t *testing.T) {
	t.Parallel()
	c := complete()
	c.schemas["releases.kuberik.com"] = "missing"
	made := checker(t, c)
	made.pause = make(chan struct{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	done := make(chan error, 1)
	go func() { done <- made.Await(t.Context(), address) }()
	checkAgain(t, made, done) // it has found out what is missing
	get := func(path string) (int, string) {
		t.Helper()
		resp, err := http.Get("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	if code, _ := get("/healthz"); code != 200 {
		t.Errorf("it is not alive: %d", code)
	}
	if code, body := get("/readyz"); code != 503 || !strings.Contains(body, "releases.kuberik.com are not installed") {
		t.Errorf("it is ready: %d %s", code, body)
	}
	c.mu.Lock()
	delete(c.schemas, "releases.kuberik.com")
	c.mu.Unlock()
	close(made.pause) // it checks until it finds that nothing is missing
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if resp, err := http.Get("http://" + address + "/healthz"); err == nil {
		_ = resp.Body.Close()
		t.Error("the address is still in use")
	}
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := complete()
	c.flux = nil
	ctx, cancel := context.WithCancel(t.Context())
	made := checker(t, c)
	made.pause = make(chan struct{})
	done := make(chan error, 1)
	go func() { done <- made.Await(ctx, "0") }()
	checkAgain(t, made, done)
	cancel()
	if err := <-done; err == nil || !strings.Contains(fmt.Sprint(err), "source-controller") {
		t.Errorf("got %v", err)
	}
}

func TestWatchReportsWhatGoesMissing(t *testing.T) {
	t.Parallel()
	c := complete()
	w := NewWatch(checker(t, c))
	set := func(schema, fails string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.schemas["rollouts.kuberik.com"], c.fails = schema, fails
	}
	for _, step := range []struct {
		schema, fails string
		ready         bool
	}{{"7", "", true}, {"6", "", false}, {"7", "/version", false}, {"7", "", true}, {"6", "/version", true}} {
		set(step.schema, step.fails)
		w.look(t.Context())
		if err := w.Ready(nil); (err == nil) != step.ready {
			t.Errorf("with schema %s and failing %q: %v", step.schema, step.fails, err)
		}
	}
}
