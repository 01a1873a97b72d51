package expr

import (
	"encoding/json"
	"mime"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"

	"github.com/kuberik/kuberik/internal/health"
)

// Vars are the variables that a condition may use.
type Vars struct {
	name string
	env  func() (*cel.Env, error)
}

// The kinds of conditions.
var (
	// HTTPResponse has status (int), headers (map of text), body (parsed JSON, or text) and release.
	HTTPResponse = vars("http",
		cel.Variable("status", cel.IntType),
		cel.Variable("headers", cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable("body", cel.DynType))
	// Result has result, a list of objects with labels (map of text) and value (number), and release.
	Result = vars("prometheus", cel.Variable("result", cel.ListType(cel.MapType(cel.StringType, cel.DynType))))
	// SeriesList has series, a list of objects with scope (text), points (list of numbers) and last (number), and release.
	SeriesList = vars("datadog", cel.Variable("series", cel.ListType(cel.MapType(cel.StringType, cel.DynType))))
)

// releaseOnly has the variable release and no other.
var releaseOnly = vars("release")

func vars(name string, variables ...cel.EnvOption) Vars {
	return Vars{name: name, env: sync.OnceValues(func() (*cel.Env, error) { return environment(variables) })}
}

// Values are the values of the variables for one evaluation.
type Values map[string]any

// Release is the variable release: the version that is evaluated.
type Release struct {
	Tag, Digest, Revision, Rollout, Namespace string
}

// ReleaseOf returns what conditions know of the release of a health check.
func ReleaseOf(r health.Release) Release {
	return Release{Tag: r.Tag, Digest: r.Digest, Revision: r.Revision, Rollout: r.Rollout, Namespace: r.Namespace}
}

// releaseFields are the fields that conditions may use.
var releaseFields = map[string]bool{"tag": true, "digest": true, "revision": true, "rollout": true, "namespace": true}

func (r Release) value() map[string]string {
	return map[string]string{
		"tag": r.Tag, "digest": r.Digest, "revision": r.Revision, "rollout": r.Rollout, "namespace": r.Namespace,
	}
}

// ResponseValues returns the values for a condition over HTTPResponse.
func ResponseValues(status int, headers map[string]string, body any, r Release) Values {
	return Values{"status": status, "headers": headers, "body": body, "release": r.value()}
}

// Sample is one value of the result of a query.
type Sample struct {
	Labels map[string]string
	Value  float64
}

// OfResult returns the values for a condition over Result.
func OfResult(samples []Sample, r Release) Values {
	list := make([]any, len(samples))
	for i, s := range samples {
		list[i] = map[string]any{"labels": s.Labels, "value": s.Value}
	}
	return Values{"result": list, "release": r.value()}
}

// Series is one time series of the result of a query.
type Series struct {
	Scope  string
	Points []float64
}

// OfSeries returns the values for a condition over SeriesList. It leaves out series without points, which have no last
// value.
func OfSeries(series []Series, r Release) Values {
	list := make([]any, 0, len(series))
	for _, s := range series {
		if n := len(s.Points); n > 0 {
			list = append(list, map[string]any{"scope": s.Scope, "points": s.Points, "last": s.Points[n-1]})
		}
	}
	return Values{"series": list, "release": r.value()}
}

// parseBody returns the variable body of an answer: parsed JSON, else text. Numbers are floating-point, as in JSON.
func parseBody(contentType string, content []byte) (any, error) {
	var parsed any
	if err := json.Unmarshal(content, &parsed); err == nil {
		return parsed, nil
	}
	if isJSON(contentType) {
		return nil, errMalformed
	}
	return string(content), nil
}

func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind, _, _ = strings.Cut(contentType, ";")
	}
	kind = strings.ToLower(strings.TrimSpace(kind))
	return kind == "application/json" || kind == "text/json" || strings.HasSuffix(kind, "+json")
}
