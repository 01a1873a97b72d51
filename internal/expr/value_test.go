package expr_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kuberik/kuberik/internal/expr"
)

// evaluate returns the text of an expression, or its error.
func evaluate(t *testing.T, cache *expr.Cache, source string) string {
	t.Helper()
	value, err := cache.CompileValue(t.Context(), "shop", source)
	if err != nil {
		return "no expression: " + err.Error()
	}
	text, err := value.Text(t.Context(), release)
	if err != nil {
		return "no value: " + err.Error()
	}
	return text
}

func TestValue(t *testing.T) {
	const kinds = "the expression has to be text, a number, true or false, a list or a map, and is "
	cases := map[string]struct{ reason, source, want string }{
		"Tag":        {"text is sent as it is", `release.tag`, "v1.4.2"},
		"All":        {"every field", `release.digest + " " + release.revision + " " + release.rollout + " " + release.namespace`, "sha256:abc main@sha1:1 hello demo"},
		"Quotes":     {"and not quoted", `"a \"b\""`, `a "b"`},
		"Object":     {"a map is an object, in the order of its keys", `{"version": release.tag, "deploy": {"of": release.rollout, "n": 1}}`, `{"deploy":{"n":1,"of":"hello"},"version":"v1.4.2"}`},
		"List":       {"a list is an array", `[release.tag, 1, 2u, 1.5, true, null]`, `["v1.4.2",1,2,1.5,true,null]`},
		"Empty":      {"even without entries", `[]`, `[]`},
		"Number":     {"a number", `1 + 2`, "3"},
		"Large":      {"that no decimal holds", `9007199254740993`, "9007199254740993"},
		"Truth":      {"true or false", `release.tag.startsWith("v")`, "true"},
		"Null":       {"nothing", `null`, "null"},
		"Whole":      {"the release itself", `release`, `{"digest":"sha256:abc","namespace":"demo","revision":"main@sha1:1","rollout":"hello","tag":"v1.4.2"}`},
		"Substring":  {"the libraries", `release.tag.substring(1)`, "1.4.2"},
		"Dynamic":    {"whose type shows later", `dyn(release.tag)`, "v1.4.2"},
		"Blank":      {"nothing at all", ` `, "no expression: the expression is empty"},
		"Long":       {"a novel", `"` + strings.Repeat("x", 2048) + `"`, "no expression: the expression is longer than 2048 characters"},
		"Status":     {"there is no answer yet", `status`, "no expression: undeclared reference to 'status', at character 1"},
		"Body":       {"there is no answer yet", `body.x`, "no expression: undeclared reference to 'body', at character 1"},
		"Field":      {"a field that no release has", `release.version`, "no expression: release has no field version: it has tag, digest, revision, rollout and namespace"},
		"Bytes":      {"JSON has no bytes", `b"abc"`, "no expression: " + kinds + "a bytes"},
		"Type":       {"JSON has no types", `type(1)`, "no expression: " + kinds + "a type"},
		"Time":       {"JSON has no times", `timestamp("2024-01-01T00:00:00Z")`, "no expression: " + kinds + "none of them"},
		"BytesLater": {"and not in a list either", `[dyn(b"abc")]`, "no value: " + kinds + "a bytes"},
		"Keys":       {"keys of objects are text", `{1: 2}`, "no value: the result of the expression is a map whose keys are not all texts"},
		"Infinite":   {"JSON has no such number", `1.0 / 0.0`, "no value: the result of the expression is a number that JSON cannot express"},
		"Index":      {"no such entry", `release.tag.split(".")[9]`, "no value: a list has fewer entries than the expression asks for"},
		"Join":       {"what multiplies the length of texts", `[release.tag].join("")`, "no expression: the function join is not offered"},
		"Loops":      {"what never ends", strings.Repeat("[1].map(x, ", 5) + "1" + strings.Repeat(")", 5), "no expression: the expression has more than 4 loops, or more than 8 lists, within each other"},
		"Huge":       {"a list that holds itself many times", huge(3), "no value: the result of the expression is larger than 64 KiB"},
		"Huge2":      {"texts that do", `["` + strings.Repeat("x", 1000) + `"].map(a, [a,a,a,a,a,a,a,a,a,a]).map(a, [a,a,a,a,a,a,a,a,a,a])`, "no value: the result of the expression is larger than 64 KiB"},
		"LongText":   {"a text that grows", `[release.tag].map(a, ` + sum("a", 90) + `).map(a, ` + sum("a", 90) + `).map(a, ` + sum("a", 2) + `)[0]`, "no value: the result of the expression is larger than 64 KiB"},
		"Dear":       {"too many steps", `[release.tag].map(a, ` + sum("a", 90) + `).map(a, ` + sum("a", 90) + `).map(a, ` + sum("a", 90) + `).map(a, ` + sum("a", 90) + `)[0]`, "the expression costs too much to evaluate"},
	}
	cache := expr.NewCache(8<<20, 8<<20)
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			start := time.Now()
			got := evaluate(t, cache, tc.source)
			if label == "Dear" && strings.Contains(got, tc.want) {
				got = tc.want
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if again := evaluate(t, cache, tc.source); label != "Dear" && again != got {
				t.Errorf("the second time: %s", again)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

func sum(of string, n int) string { return strings.Repeat(of+"+", n-1) + of }

// huge returns a list that is cheap to create and whose JSON is huge.
func huge(n int) string {
	return "[[1, 1]]" + strings.Repeat(".map(a, ["+strings.Repeat("a,", 60)+"a])", n)
}

func TestValueCancelled(t *testing.T) {
	value, err := expr.NewCache(1<<20, 1<<20).CompileValue(t.Context(), "shop", `release.tag`)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := value.Text(ctx, release); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if _, err := expr.NewCache(1<<20, 1<<20).CompileValue(t.Context(), "shop", `[`); err == nil || strings.Contains(err.Error(), "condition") {
		t.Errorf("got %v", err)
	}
}

func TestValueIsNotTakenForACondition(t *testing.T) {
	cache := expr.NewCache(8<<20, 8<<20)
	if _, err := cache.CompileValue(t.Context(), "shop", `release.tag`); err != nil {
		t.Fatal(err)
	}
	if _, err := cache.Compile(t.Context(), "shop", `release.tag`, expr.HTTPResponse); err == nil {
		t.Error("took an expression for a condition")
	}
}

func TestSuccess(t *testing.T) {
	json := func(body string) expr.Response {
		return expr.Response{Status: 200, Headers: map[string]string{"content-type": "application/json"}, Body: []byte(body)}
	}
	cases := map[string]struct {
		condition string
		expected  []string
		answer    expr.Response
		want      expr.Outcome
		message   string
	}{
		"the condition holds":            {`body.ok && status == 200`, nil, json(`{"ok":true}`), expr.Successful, "answered 200"},
		"the condition is false":         {`body.ok`, nil, json(`{"ok":false}`), expr.Unsuccessful, "success is false for status 200: body.ok is false"},
		"the condition has no value":     {`body.ok`, nil, json(`{}`), expr.NoValue, "success has no value for status 200: body has no field ok"},
		"a malformed body":               {`body.ok`, nil, json(`{"ok":`), expr.Unusable, "answered 200 with malformed JSON"},
		"a malformed body, not used":     {`status == 200`, nil, json(`{"ok":`), expr.Successful, "answered 200"},
		"a truncated body":               {`body != ""`, nil, expr.Response{Body: []byte("x"), Truncated: true}, expr.Unusable, "answer is larger than 64 KiB"},
		"a truncated body, not used":     {`status == 200`, nil, expr.Response{Status: 200, Truncated: true}, expr.Successful, "answered 200"},
		"no condition":                   {"", nil, expr.Response{Status: 204, Truncated: true}, expr.Successful, "answered 204"},
		"no condition, and an error":     {"", nil, expr.Response{Status: 500}, expr.Unsuccessful, "answered 500, expected 200-299"},
		"another status is expected":     {"", []string{"301", "404-410"}, expr.Response{Status: 404}, expr.Successful, "answered 404"},
		"another status than expected":   {"", []string{"301", "404-410"}, expr.Response{Status: 200}, expr.Unsuccessful, "answered 200, expected 301, 404-410"},
		"a condition hides the statuses": {`true`, []string{"204"}, expr.Response{Status: 500}, expr.Successful, "answered 500"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			success, err := expr.NewCache(1<<20, 1<<20).CompileSuccess(t.Context(), "shop", tc.condition, tc.expected)
			if err != nil {
				t.Fatal(err)
			}
			got, message, err := success.Check(t.Context(), tc.answer, release)
			if got != tc.want || message != tc.message || err != nil {
				t.Errorf("got %d %q %v, want %d %q", got, message, err, tc.want, tc.message)
			}
		})
	}
}

// An evaluation that ends early says nothing about the answer.
func TestSuccessFailsWithoutAnEvaluation(t *testing.T) {
	success, err := expr.NewCache(1<<20, 1<<20).CompileSuccess(t.Context(), "shop", `body.all(a, body.all(b, a == b))`, nil)
	if err != nil {
		t.Fatal(err)
	}
	large := expr.Response{Status: 200, Body: []byte("[1" + strings.Repeat(",1", 20_000) + "]")}
	if _, _, err := success.Check(t.Context(), large, release); !errors.Is(err, expr.ErrCost) {
		t.Errorf("beyond the cost limit: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := success.Check(ctx, expr.Response{Body: []byte("[1]")}, release); !errors.Is(err, context.Canceled) {
		t.Errorf("after the context ended: %v", err)
	}
}

func TestSuccessRejectsInvalidSpecs(t *testing.T) {
	const want = " is neither a status code nor a range such as 200-299"
	cache := expr.NewCache(1<<20, 1<<20)
	for _, expected := range []string{"", "ok", "20", "2000", "099", "600", "200-", "-299", "299-200", "200-299-300"} {
		if _, err := cache.CompileSuccess(t.Context(), "shop", "", []string{"200", expected}); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("expected status %q: %v", expected, err)
		}
	}
	if _, err := cache.CompileSuccess(t.Context(), "shop", "status = 200", nil); err == nil || !strings.HasPrefix(err.Error(), "success: ") {
		t.Errorf("invalid condition: %v", err)
	}
}

func FuzzValue(f *testing.F) {
	for _, s := range []string{`release.tag`, `{"a": [release.tag, 1]}`, `[[1]].map(a, [a, a])`, `release`, `{1: b"x"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		value, err := expr.NewCache(1<<20, 1<<20).CompileValue(t.Context(), "shop", source)
		if err != nil {
			return
		}
		start := time.Now()
		text, err := value.Text(t.Context(), release)
		if err != nil && text != "" || len(text) > expr.MaxValue {
			t.Errorf("%d bytes and %v", len(text), err)
		}
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("took %s: %s", took, source)
		}
	})
}
