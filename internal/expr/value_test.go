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

// made is the text that an expression makes, or what is wrong with it.
func made(t *testing.T, cache *expr.Cache, source string) string {
	t.Helper()
	value, err := cache.CompileValue(t.Context(), source)
	if err != nil {
		return "no expression: " + err.Error()
	}
	made, err := value.Text(t.Context(), release)
	if err != nil {
		return "no value: " + err.Error()
	}
	return made
}

func TestValue(t *testing.T) {
	const kinds = "the expression has to be text, a number, true or false, a list or a map, and is "
	cases := map[string]struct{ reason, source, want string }{
		"Tag":         {"text is sent as it is", `release.tag`, "v1.4.2"},
		"All":         {"every field", `release.digest + " " + release.revision + " " + release.rollout + " " + release.namespace`, "sha256:abc main@sha1:1 hello demo"},
		"Quotes":      {"and not quoted", `"a \"b\""`, `a "b"`},
		"Object":      {"a map is an object, in the order of its keys", `{"version": release.tag, "deploy": {"of": release.rollout, "n": 1}}`, `{"deploy":{"n":1,"of":"hello"},"version":"v1.4.2"}`},
		"List":        {"a list is an array", `[release.tag, 1, 2u, 1.5, true, null]`, `["v1.4.2",1,2,1.5,true,null]`},
		"Empty":       {"even without entries", `[]`, `[]`},
		"Number":      {"a number", `1 + 2`, "3"},
		"Large":       {"that no decimal holds", `9007199254740993`, "9007199254740993"},
		"Truth":       {"true or false", `release.tag.startsWith("v")`, "true"},
		"Null":        {"nothing", `null`, "null"},
		"Whole":       {"the release itself", `release`, `{"digest":"sha256:abc","namespace":"demo","revision":"main@sha1:1","rollout":"hello","tag":"v1.4.2"}`},
		"Substring":   {"the libraries", `release.tag.substring(1)`, "1.4.2"},
		"Dynamic":     {"whose type shows later", `dyn(release.tag)`, "v1.4.2"},
		"Blank":       {"nothing at all", ` `, "no expression: the expression is empty"},
		"Long":        {"a novel", `"` + strings.Repeat("x", 2048) + `"`, "no expression: the expression is longer than 2048 characters"},
		"Status":      {"there is no answer yet", `status`, "no expression: undeclared reference to 'status', at character 1"},
		"Body":        {"there is no answer yet", `body.x`, "no expression: undeclared reference to 'body', at character 1"},
		"Field":       {"a field that no release has", `release.version`, "no expression: release has no field version: it has tag, digest, revision, rollout and namespace"},
		"Bytes":       {"JSON has no bytes", `b"abc"`, "no expression: " + kinds + "a bytes"},
		"Type":        {"JSON has no types", `type(1)`, "no expression: " + kinds + "a type"},
		"Time":        {"JSON has no times", `timestamp("2024-01-01T00:00:00Z")`, "no expression: " + kinds + "none of them"},
		"BytesLater":  {"and not in a list either", `[dyn(b"abc")]`, "no value: " + kinds + "a bytes"},
		"Keys":        {"keys of objects are text", `{1: 2}`, "no value: the result of the expression is a map whose keys are not all texts"},
		"Infinite":    {"JSON has no such number", `1.0 / 0.0`, "no value: the result of the expression is a number that JSON cannot express"},
		"Index":       {"no such entry", `release.tag.split(".")[9]`, "no value: a list has fewer entries than the expression asks for"},
		"Join":        {"what multiplies the length of texts", `[release.tag].join("")`, "no expression: the function join is not offered"},
		"Loops":       {"what never ends", strings.Repeat("[1].map(x, ", 5) + "1" + strings.Repeat(")", 5), "no expression: the expression has more than 4 loops, or more than 8 lists, within each other"},
		"Astronomic":  {"a list that holds itself many times", astronomic(3), "no value: the result of the expression is larger than 64 KiB"},
		"Astronomic2": {"texts that do", `["` + strings.Repeat("x", 1000) + `"].map(a, [a,a,a,a,a,a,a,a,a,a]).map(a, [a,a,a,a,a,a,a,a,a,a])`, "no value: the result of the expression is larger than 64 KiB"},
		"LongText":    {"a text that grows", `[release.tag].map(a, ` + sum("a", 90) + `).map(a, ` + sum("a", 90) + `).map(a, ` + sum("a", 2) + `)[0]`, "no value: the result of the expression is larger than 64 KiB"},
		"Dear":        {"too many steps", `[release.tag].map(a, ` + sum("a", 90) + `).map(a, ` + sum("a", 90) + `).map(a, ` + sum("a", 90) + `).map(a, ` + sum("a", 90) + `)[0]`, "the expression costs too much to evaluate"},
	}
	cache := expr.NewCache(64)
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			start := time.Now()
			got := made(t, cache, tc.source)
			if label == "Dear" && strings.Contains(got, tc.want) {
				got = tc.want
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if again := made(t, cache, tc.source); label != "Dear" && again != got {
				t.Errorf("the second time: %s", again)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

func sum(of string, n int) string { return strings.Repeat(of+"+", n-1) + of }

// astronomic is a list that is cheap to make, and whose text is not.
func astronomic(n int) string {
	return "[[1, 1]]" + strings.Repeat(".map(a, ["+strings.Repeat("a,", 60)+"a])", n)
}

func TestValueCancelled(t *testing.T) {
	value, err := expr.CompileValue(`release.tag`)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := value.Text(ctx, release); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if _, err := expr.CompileValue(`[`); err == nil || strings.Contains(err.Error(), "condition") {
		t.Errorf("got %v", err)
	}
}

func TestValueIsNoCondition(t *testing.T) {
	cache := expr.NewCache(64)
	if _, err := cache.CompileValue(t.Context(), `release.tag`); err != nil {
		t.Fatal(err)
	}
	if _, err := cache.Compile(t.Context(), `release.tag`, expr.HTTPAnswer); err == nil {
		t.Error("took an expression for a condition")
	}
}

func TestEvalAnswer(t *testing.T) {
	kind := func(k string) map[string]string { return map[string]string{"content-type": k} }
	cases := map[string]struct {
		source string
		answer expr.Answer
		want   bool
		err    error
	}{
		"Body":            {`body.ok && status == 200`, expr.Answer{Status: 200, Body: []byte(`{"ok":true}`)}, true, nil},
		"Malformed":       {`body.ok`, expr.Answer{Headers: kind("application/json"), Body: []byte(`{"ok":`)}, false, expr.ErrMalformed},
		"MalformedUnread": {`status == 200`, expr.Answer{Status: 200, Headers: kind("application/json"), Body: []byte(`{"ok":`)}, true, nil},
		"Truncated":       {`body != ""`, expr.Answer{Body: []byte("x"), Truncated: true}, false, expr.ErrTruncated},
		"TruncatedUnread": {`status == 200`, expr.Answer{Status: 200, Truncated: true}, true, nil},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			program, err := expr.Compile(tc.source, expr.HTTPAnswer)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := program.EvalAnswer(t.Context(), tc.answer, release); got != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("got %t %v, want %t %v", got, err, tc.want, tc.err)
			}
		})
	}
}

func FuzzValue(f *testing.F) {
	for _, s := range []string{`release.tag`, `{"a": [release.tag, 1]}`, `[[1]].map(a, [a, a])`, `release`, `{1: b"x"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		value, err := expr.CompileValue(source)
		if err != nil {
			return
		}
		start := time.Now()
		made, err := value.Text(t.Context(), release)
		if err != nil && made != "" || len(made) > expr.MaxValue {
			t.Errorf("%d bytes and %v", len(made), err)
		}
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("took %s: %s", took, source)
		}
	})
}
