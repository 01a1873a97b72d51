package expr

import (
	"encoding/json"
	"errors"
	"mime"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
)

// Vars are the variables that a condition may speak of.
type Vars struct {
	name string
	env  func() (*cel.Env, error)
}

// The kinds of conditions.
var (
	// HTTPAnswer has status (int), headers (map of text), body (parsed JSON, or text) and release.
	HTTPAnswer = vars("http",
		cel.Variable("status", cel.IntType),
		cel.Variable("headers", cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable("body", cel.DynType))
	// Result has result, a list of objects with labels (map of text) and value (number), and release.
	Result = vars("prometheus", cel.Variable("result", cel.ListType(cel.MapType(cel.StringType, cel.DynType))))
	// SeriesList has series, a list of objects with scope (text), points (list of numbers) and last (number), and release.
	SeriesList = vars("datadog", cel.Variable("series", cel.ListType(cel.MapType(cel.StringType, cel.DynType))))
)

// releaseAlone has release and nothing else.
var releaseAlone = vars("release")

func vars(name string, own ...cel.EnvOption) Vars {
	return Vars{name: name, env: sync.OnceValues(func() (*cel.Env, error) { return environment(own) })}
}

// Values of the variables, for one evaluation.
type Values map[string]any

// Release is what is deployed, as conditions see it.
type Release struct {
	Tag, Digest, Revision, Rollout, Namespace string
}

// releaseFields are the fields that conditions may speak of.
var releaseFields = map[string]bool{"tag": true, "digest": true, "revision": true, "rollout": true, "namespace": true}

func (r Release) value() map[string]string {
	return map[string]string{
		"tag": r.Tag, "digest": r.Digest, "revision": r.Revision, "rollout": r.Rollout, "namespace": r.Namespace,
	}
}

// OfAnswer is for conditions over HTTPAnswer.
func OfAnswer(status int, headers map[string]string, body any, r Release) Values {
	return Values{"status": status, "headers": headers, "body": body, "release": r.value()}
}

// Sample is one value of the result of a query.
type Sample struct {
	Labels map[string]string
	Value  float64
}

// OfResult is for conditions over Result.
func OfResult(samples []Sample, r Release) Values {
	list := make([]any, len(samples))
	for i, s := range samples {
		list[i] = map[string]any{"labels": s.Labels, "value": s.Value}
	}
	return Values{"result": list, "release": r.value()}
}

// Series is one line of a graph.
type Series struct {
	Scope  string
	Points []float64
}

// OfSeries is for conditions over SeriesList. Series without points have no last value, and do not take part.
func OfSeries(series []Series, r Release) Values {
	list := make([]any, 0, len(series))
	for _, s := range series {
		if n := len(s.Points); n > 0 {
			list = append(list, map[string]any{"scope": s.Scope, "points": s.Points, "last": s.Points[n-1]})
		}
	}
	return Values{"series": list, "release": r.value()}
}

// ErrMalformed is a body that calls itself JSON and is not.
var ErrMalformed = errors.New("malformed JSON")

// Body makes the variable body of an answer: what it says in JSON, else its text. Numbers are decimals, as they are in JSON.
func Body(contentType string, content []byte) (any, error) {
	var parsed any
	if err := json.Unmarshal(content, &parsed); err == nil {
		return parsed, nil
	}
	if isJSON(contentType) {
		return nil, ErrMalformed
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
