package github_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

const description = "../../../bin/openapi/octokit-23.0.2.json"

// used are the paths of the API that the backend calls.
var used = []string{
	"/user", "/app", "/app/installations/{installation_id}/access_tokens", "/repos/{owner}/{repo}/deployments",
	"/repos/{owner}/{repo}/deployments/{deployment_id}", "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses",
}

// TestDescription checks that the other tests validate requests and responses against GitHub's OpenAPI description.
func TestDescription(t *testing.T) {
	doc, err := load()
	switch {
	case err != nil:
		t.Fatal(err)
	case doc == nil && os.Getenv("KUBERIK_TEST_REQUIRE") == "1":
		t.Fatal("GitHub's description of its API is missing: run hack/octokit-openapi.sh")
	case doc == nil:
		t.Skip("requests and answers are not checked against GitHub's description of its API: run hack/octokit-openapi.sh")
	}
	// Violations of the description are found.
	bad := httptest.NewRequest(
		http.MethodPost, "/repos/o/r/deployments/1/statuses", strings.NewReader(`{"state": "great"}`),
	)
	bad.Header.Set("Content-Type", "application/json")
	r := &reporter{}
	validated(r, doc, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, `{"id": "one"}`)
	})).ServeHTTP(httptest.NewRecorder(), bad)
	if len(r.reported) != 2 {
		t.Errorf("an invalid request and response reported %q", r.reported)
	}
}

type reporter struct{ reported []string }

func (r *reporter) Errorf(format string, args ...any) {
	r.reported = append(r.reported, fmt.Sprintf(format, args...))
}

// load reads the part of the description with the used paths. It returns nil if there is no description.
var load = sync.OnceValues(func() (*openapi3.T, error) {
	raw, err := os.ReadFile(description)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	raw, err = cut(raw)
	if err != nil {
		return nil, err
	}
	return openapi3.NewLoader().LoadFromData(raw)
})

type document struct {
	OpenAPI    string                                `json:"openapi"`
	Info       json.RawMessage                       `json:"info"`
	Paths      map[string]json.RawMessage            `json:"paths"`
	Components map[string]map[string]json.RawMessage `json:"components"`
}

// cut keeps only the used paths and their references, because the whole description of 13 MB takes seconds to parse.
func cut(raw []byte) ([]byte, error) {
	var all document
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, err
	}
	kept := document{
		OpenAPI: all.OpenAPI, Info: all.Info, Paths: map[string]json.RawMessage{},
		Components: map[string]map[string]json.RawMessage{},
	}
	var open [][]byte
	for _, p := range used {
		if all.Paths[p] == nil {
			return nil, fmt.Errorf("the description has no path %s", p)
		}
		kept.Paths[p] = all.Paths[p]
		open = append(open, all.Paths[p])
	}
	for len(open) > 0 {
		for _, ref := range references(open[0]) {
			kind, name, _ := strings.Cut(ref, "/")
			if kept.Components[kind][name] != nil {
				continue
			}
			if kept.Components[kind] == nil {
				kept.Components[kind] = map[string]json.RawMessage{}
			}
			kept.Components[kind][name] = all.Components[kind][name]
			open = append(open, all.Components[kind][name])
		}
		open = open[1:]
	}
	return json.Marshal(kept)
}

func references(raw []byte) (refs []string) {
	const mark = `"#/components/`
	for {
		_, after, ok := bytes.Cut(raw, []byte(mark))
		if !ok {
			return refs
		}
		ref, rest, _ := bytes.Cut(after, []byte(`"`))
		refs, raw = append(refs, string(ref)), rest
	}
}

// validate returns a handler that validates requests and responses, if there is a description.
func validate(tb testing.TB, next http.Handler) http.Handler {
	tb.Helper()
	doc, err := load()
	if err != nil {
		tb.Fatal(err)
	}
	if doc == nil {
		return next
	}
	return validated(tb, doc, next)
}

func validated(tb interface{ Errorf(string, ...any) }, doc *openapi3.T, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in := &openapi3filter.RequestValidationInput{
			Request: r, Options: &openapi3filter.Options{
				AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true, MultiError: true,
			},
		}
		in.Route, in.PathParams = route(doc, r)
		if in.Route == nil {
			tb.Errorf("%s %s is not in the description", r.Method, r.URL.Path)
			next.ServeHTTP(w, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if err := openapi3filter.ValidateRequest(r.Context(), in); err != nil {
			tb.Errorf("request %s %s: %v", r.Method, r.URL, err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		response := httptest.NewRecorder()
		next.ServeHTTP(response, r)
		out := &openapi3filter.ResponseValidationInput{
			RequestValidationInput: in, Status: response.Code, Header: response.Header(), Options: in.Options,
		}
		out.SetBodyBytes(response.Body.Bytes())
		// Tests inject invalid responses on purpose.
		if json.Valid(response.Body.Bytes()) && !bytes.Contains(response.Body.Bytes(), []byte("on purpose")) {
			if err := openapi3filter.ValidateResponse(r.Context(), out); err != nil {
				tb.Errorf("response %d to %s %s: %v", response.Code, r.Method, r.URL, err)
			}
		}
		for name, values := range response.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(response.Code)
		w.Write(response.Body.Bytes())
	})
}

// route returns the path of the description for a request.
func route(doc *openapi3.T, r *http.Request) (*routers.Route, map[string]string) {
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/v3"), "/")
	for _, p := range used {
		parts, params := strings.Split(p, "/"), map[string]string{}
		ok := len(parts) == len(path)
		for i := 0; ok && i < len(parts); i++ {
			name := strings.Trim(parts[i], "{}")
			if name != parts[i] {
				params[name] = path[i]
			} else {
				ok = parts[i] == path[i]
			}
		}
		item := doc.Paths.Value(p)
		if ok && item.GetOperation(r.Method) != nil {
			return &routers.Route{
				Spec: doc, Path: p, PathItem: item, Method: r.Method, Operation: item.GetOperation(r.Method),
			}, params
		}
	}
	return nil, nil
}
