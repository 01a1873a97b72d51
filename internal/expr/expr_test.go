package expr_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kuberik/kuberik/internal/expr"
	"github.com/kuberik/kuberik/internal/fair"
)

var release = expr.Release{Tag: "v1.4.2", Digest: "sha256:abc", Revision: "main@sha1:1", Rollout: "hello", Namespace: "demo"}

func TestCompile(t *testing.T) {
	cases := map[string]struct {
		reason, source string
		vars           expr.Vars
		want           string
	}{
		"Status":         {"a comparison", `status == 200`, expr.HTTPResponse, ""},
		"Dynamic":        {"what the answer says may be a truth value", `body.healthy`, expr.HTTPResponse, ""},
		"Macros":         {"the macros of CEL", `body.parts.all(p, p.ok) && has(body.x) && body.parts.exists(p, p.name.startsWith("a"))`, expr.HTTPResponse, ""},
		"Libraries":      {"texts, lists and numbers", `body.lowerAscii().trim().split(",").size() > 1 && math.abs(status - 200) < 5 && body.xs.sort()[0] == 1`, expr.HTTPResponse, ""},
		"Regexp":         {"a pattern", `release.tag.matches("^v[0-9]+[.][0-9]+$")`, expr.HTTPResponse, ""},
		"TwoLoops":       {"two loops within each other", `result.all(a, result.all(b, a.value <= b.value * 2.0))`, expr.Result, ""},
		"Series":         {"what Datadog says", `series.all(s, s.last < 0.01 && s.points.size() > 3)`, expr.SeriesList, ""},
		"Empty":          {"nothing", ` `, expr.HTTPResponse, "the condition is empty"},
		"Long":           {"a novel", `status == 200 ` + strings.Repeat("|| status == 200 ", 130), expr.HTTPResponse, "the condition is longer than 2048 characters"},
		"Unreadable":     {"not CEL", `status ==`, expr.HTTPResponse, "Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}, at character 10"},
		"UnknownName":    {"a slip of the pen", `stauts == 200`, expr.HTTPResponse, "undeclared reference to 'stauts', at character 1"},
		"SecondLine":     {"where it is", "status == 200 &&\n  statsu == 200", expr.HTTPResponse, "undeclared reference to 'statsu', at line 2, character 3"},
		"ForeignName":    {"a variable of another kind of condition", `status == 200`, expr.Result, "undeclared reference to 'status', at character 1"},
		"Number":         {"no truth value", `status + 1`, expr.HTTPResponse, "the condition has to be true or false, and is a number"},
		"Text":           {"no truth value", `release.tag`, expr.HTTPResponse, "the condition has to be true or false, and is a text"},
		"List":           {"no truth value", `[status]`, expr.HTTPResponse, "the condition has to be true or false, and is a list"},
		"Types":          {"what cannot be compared", `status == "200"`, expr.HTTPResponse, "found no matching overload for '_==_' applied to '(int, string)', at character 8"},
		"UnknownField":   {"a field that no release has", `release.version == "v1"`, expr.HTTPResponse, "release has no field version: it has tag, digest, revision, rollout and namespace"},
		"OwnRelease":     {"a loop over things that are called release", `body.all(release, release.version == 1)`, expr.HTTPResponse, ""},
		"ThreeLoops":     {"many steps even over short lists", `result.all(a, result.all(b, result.all(c, a.value < b.value + c.value)))`, expr.Result, "the condition costs too much to evaluate: even over short lists it takes more than 1000000 steps"},
		"FiveLoops":      {"loops without an end", nest(5), expr.HTTPResponse, "the condition has more than 4 loops, or more than 8 lists, within each other"},
		"Replace":        {"what multiplies the length of texts", `body.replace("", body) == ""`, expr.HTTPResponse, "the function replace is not offered"},
		"Join":           {"what multiplies the length of texts", `body.split("").join(body) == ""`, expr.HTTPResponse, "the function join is not offered"},
		"Format":         {"what multiplies the length of texts", `"%s".format([body]) == ""`, expr.HTTPResponse, "the function format is not offered"},
		"Range":          {"a list out of nothing", `lists.range(1000000000).size() > 0`, expr.HTTPResponse, "the function lists.range is not offered"},
		"Flatten":        {"what walks over nested lists", `[[1]].flatten(100) == [1]`, expr.HTTPResponse, "the function flatten is not offered"},
		"BadPattern":     {"not a pattern", `release.tag.matches("(")`, expr.HTTPResponse, "invalid matches argument, at character 21"},
		"LongPattern":    {"a long pattern", `release.tag.matches("` + strings.Repeat("a", 300) + `")`, expr.HTTPResponse, "the pattern of matches is longer than 256 characters"},
		"LargePattern":   {"a short pattern that stands for a long one", `release.tag.matches("(abcdefgh){900}")`, expr.HTTPResponse, "the pattern of matches repeats too much"},
		"ForeignPattern": {"a pattern that the endpoint chooses", `release.tag.matches(body)`, expr.HTTPResponse, "matches needs a pattern in quotes"},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			_, err := expr.Compile(tc.source, tc.vars)
			if got := text(err); got != tc.want {
				t.Errorf("%s:\ngot  %q\nwant %q", tc.reason, got, tc.want)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func nest(n int) string {
	s := "true"
	for range n {
		s = "body.all(x, " + s + ")"
	}
	return s
}

func TestEval(t *testing.T) {
	data := map[string]any{
		"ok": true, "count": float64(3), "ratio": 0.25, "name": "hello", "none": nil, "secret": "hunter2-hunter2",
		"parts": []any{map[string]any{"name": "a", "ok": true}, map[string]any{"name": "b", "ok": false}},
	}
	const unfit = "the condition uses a value of another type than it has"
	cases := map[string]struct {
		source string
		body   any
		want   bool
		err    string
	}{
		"Status":        {`status == 200`, nil, true, ""},
		"False":         {`status != 200`, nil, false, ""},
		"Headers":       {`headers["content-type"] == "application/json"`, nil, true, ""},
		"Release":       {`release.tag == "v1.4.2" && release["digest"] == "sha256:abc" && release.rollout == "hello" && release.namespace == "demo" && release.revision.startsWith("main@")`, nil, true, ""},
		"Body":          {`body.ok`, data, true, ""},
		"Numbers":       {`body.count == 3 && body.count > 2 && body.count < 3.5 && body.ratio < 1`, data, true, ""},
		"Division":      {`body.count / 4.0 < 0.8`, data, true, ""},
		"NoWhole":       {`body.count % 2 == 1`, data, false, unfit},
		"WrongFactor":   {`body.count * 2 == 6`, data, false, unfit},
		"Null":          {`body.none == null`, data, true, ""},
		"NullNumber":    {`body.none < 3`, data, false, unfit},
		"Has":           {`has(body.ok) && !has(body.nope)`, data, true, ""},
		"Loop":          {`body.parts.exists(p, p.name == "b" && !p.ok) && body.parts.exists_one(p, p.ok)`, data, true, ""},
		"List":          {`body.parts.map(p, p.name) == ["a", "b"]`, data, true, ""},
		"In":            {`body.name in ["hello", "world"] && "ok" in body && !("nope" in body)`, data, true, ""},
		"Text":          {`body.contains("all good")`, "it is all good", true, ""},
		"MissingField":  {`body.nope == 1`, data, false, "body has no field nope"},
		"MissingDeep":   {`body.parts[0].nope.deeper == 1`, data, false, "an entry of body.parts has no field nope"},
		"MissingIndex":  {`body["nope"] == 1`, data, false, "body has no field nope"},
		"MissingHeader": {`headers["x-build"] == "1"`, data, false, "headers has no field x-build"},
		"MissingInLoop": {`body.parts.all(p, p.nope)`, data, false, "p has no field nope"},
		"FieldOfText":   {`body.nope == 1`, "an error page", false, "body has no field nope"},
		"FieldOfNumber": {`body.count.nope == 1`, data, false, "body.count has no field nope"},
		"KeyFromData":   {`body[body.secret] == 1`, data, false, "the condition cannot be evaluated for this data"},
		"ReadNumber":    {`int(body.secret) == 1`, data, false, "the condition cannot be evaluated for this data"},
		"ReadTime":      {`timestamp(body.secret) > timestamp("2024-01-01T00:00:00Z")`, data, false, "the condition cannot be evaluated for this data"},
		"ShortList":     {`body.parts[7].ok`, data, false, "a list has fewer entries than the condition asks for"},
		"Zero":          {`status / (status - 200) == 1`, data, false, "the condition divides by zero"},
		"TextTruth":     {`body.name`, data, false, "the condition has to be true or false, and is a text"},
		"NullTruth":     {`body.none`, data, false, "the condition has to be true or false, and is null"},
		"TextInText":    {`"a" in body.name`, data, false, unfit},
		"Different":     {`body.name != 3 && body.parts != 3`, data, true, ""},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			program, err := expr.Compile(tc.source, expr.HTTPResponse)
			if err != nil {
				t.Fatal(err)
			}
			headers := map[string]string{"content-type": "application/json"}
			got, err := program.Eval(t.Context(), expr.ResponseValues(200, headers, tc.body, release))
			if got != tc.want || text(err) != tc.err {
				t.Errorf("got %t %q, want %t %q", got, text(err), tc.want, tc.err)
			}
			if strings.Contains(text(err), "hunter2") {
				t.Errorf("the error quotes the data: %s", err)
			}
		})
	}
}

// What is cheap to write and dear to evaluate has to end, soon and without much memory.
func TestDear(t *testing.T) {
	flat := make([]any, 20_000)
	for i := range flat {
		flat[i] = float64(i)
	}
	wide := func(item string) string { return strings.Repeat(item+",", 60) + item }
	sum := strings.ReplaceAll(wide("a"), ",", "+")
	chain := func(from string, n int, step string) string { return from + strings.Repeat(".map(a, "+step+")", n) }
	deep := "the condition has more than 4 loops, or more than 8 lists, within each other"
	steep := "the condition is nested too deeply"
	costs := expr.ErrCost.Error()
	cases := map[string]struct{ reason, source, want string }{
		"Square":      {"a loop in a loop over a long list", `body.all(a, body.all(b, a >= 0 || b >= 0))`, costs},
		"Sum":         {"a list that is joined with itself", chain("[[1, 1]]", 3, sum) + ".all(x, x == x)", costs},
		"SumLoop":     {"and gone through", chain("[[1, 1]]", 3, sum) + ".all(x, x.all(y, y == 1))", costs},
		"SumReversed": {"or turned around", chain("[[1, 1]]", 3, sum) + ".all(x, x.reverse().size() > 0)", costs},
		"Tree":        {"a list that holds itself many times", chain("[[1, 1]]", 3, "["+wide("a")+"]") + ".all(x, x == x)", costs},
		"TreeDiffers": {"and is compared with another", chain("[[dyn(1)]]", 3, "["+wide("a")+"]") + ".all(x, x != dyn([1]))", costs},
		"TreeMember":  {"or searched for", chain("[[1, 1]]", 3, "["+wide("a")+"]") + ".all(x, x in [x])", costs},
		"TreeOfMaps":  {"or is a map", chain("[{1: dyn(1)}]", 3, "{1: a, 2: a, 3: a, 4: a, 5: a, 6: a, 7: a, 8: a, 9: a, 10: a, 11: a, 12: a, 13: a, 14: a, 15: a, 16: a, 17: a, 18: a, 19: a, 20: a, 21: a, 22: a, 23: a, 24: a, 25: a, 26: a, 27: a, 28: a, 29: a, 30: a, 31: a, 32: a, 33: a, 34: a, 35: a, 36: a, 37: a, 38: a, 39: a, 40: a, 41: a, 42: a, 43: a, 44: a, 45: a, 46: a, 47: a, 48: a, 49: a, 50: a}") + ".all(x, x == x)", costs},
		"Chain":       {"many steps, each of which doubles", chain("[[1, 1]]", 60, "a + a") + ".all(x, x == x)", deep},
		"ShortChain":  {"a few too many", chain("[[1, 1]]", 5, "a + a") + ".all(x, x == x)", deep},
		"Brackets":    {"many brackets", strings.Repeat("[", 90) + "1" + strings.Repeat("]", 90) + " == [1]", deep},
		"Questions":   {"many questions", "status == 1" + strings.Repeat("? true : status", 130) + " == 1", steep},
		"Equality":    {"comparing everything with everything", `body.all(a, body == body)`, costs},
		"Membership":  {"searching everything for everything", `body.all(a, a in body)`, costs},
		"Text":        {"a text that grows", chain(`["`+strings.Repeat("0123456789", 20)+`"]`, 3, sum) + ".all(x, x != '')", costs},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			start := time.Now()
			program, err := expr.Compile(tc.source, expr.HTTPResponse)
			if err == nil {
				_, err = program.Eval(t.Context(), expr.ResponseValues(200, nil, flat, release))
			}
			if got := text(err); !strings.HasPrefix(got, tc.want) {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("%s: took %s", tc.reason, took)
			}
		})
	}
}

// The time of an evaluation is charged, also if it fails or exceeds its limits.
func TestEvaluationIsCharged(t *testing.T) {
	charged := func(source string, content []byte) time.Duration {
		success, err := expr.NewCache(1<<20, 1<<20).CompileSuccess(t.Context(), "shop", source, nil)
		if err != nil {
			t.Fatal(err)
		}
		var meter fair.Meter
		answer := expr.Response{Status: 200, Headers: map[string]string{"content-type": "application/json"}, Body: content}
		success.Check(fair.WithMeter(t.Context(), &meter), answer, release)
		return meter.Taken()
	}
	list := []byte("[" + strings.Repeat("1,", 20_000) + "1]")
	if malformed := charged("body != null", append(list, '"')); malformed <= 0 {
		t.Error("a malformed body costs nothing")
	}
	if cheap := charged("status == 200", list); cheap <= 0 {
		t.Error("an evaluation costs nothing")
	}
	if square := charged("body.all(a, body.all(b, a >= 0 || b >= 0))", list); square < time.Millisecond {
		t.Errorf("an evaluation beyond the limit costs %s", square)
	}
}

func TestCancelled(t *testing.T) {
	program, err := expr.Compile(`body.all(a, body.exists(b, b == a))`, expr.HTTPResponse)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := program.Eval(ctx, expr.ResponseValues(200, nil, []any{1.0, 2.0}, release)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestResultAndSeries(t *testing.T) {
	result, err := expr.Compile(`result.size() == 2 && result.all(r, r.value < 0.5 && r.labels.job == "hello")`, expr.Result)
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{"job": "hello"}
	samples := []expr.Sample{{Labels: labels, Value: 0}, {Labels: labels, Value: 0.25}}
	if ok, err := result.Eval(t.Context(), expr.OfResult(samples, release)); !ok || err != nil {
		t.Errorf("result: got %t %v", ok, err)
	}
	series, err := expr.Compile(`series.size() == 1 && series.all(s, s.last == 3 && s.points[0] < 2 && s.scope == "service:hello")`, expr.SeriesList)
	if err != nil {
		t.Fatal(err)
	}
	lines := []expr.Series{{Scope: "service:hello", Points: []float64{1, 2, 3}}, {Scope: "service:idle"}}
	if ok, err := series.Eval(t.Context(), expr.OfSeries(lines, release)); !ok || err != nil {
		t.Errorf("series: got %t %v", ok, err)
	}
}

func TestBody(t *testing.T) {
	cases := map[string]struct {
		kind, body string
		want       string
		err        error
	}{
		"JSON":       {"application/json", `{"ok": true}`, "map[string]interface {}", nil},
		"Charset":    {"application/json; charset=utf-8", `[1]`, "[]interface {}", nil},
		"Problem":    {"application/problem+json", `{}`, "map[string]interface {}", nil},
		"Undeclared": {"text/plain", `{"ok": true}`, "map[string]interface {}", nil},
		"Text":       {"text/html", `<html>`, "string", nil},
		"Nothing":    {"", ``, "string", nil},
		"Malformed":  {"application/json", `{"ok": tru`, "<nil>", expr.ErrMalformed},
		"Twice":      {"application/json", `{} {}`, "<nil>", expr.ErrMalformed},
		"Empty":      {"application/json", ``, "<nil>", expr.ErrMalformed},
		"OddType":    {"application/JSON; charset", `nope`, "<nil>", expr.ErrMalformed},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			got, err := expr.ParseBody(tc.kind, []byte(tc.body))
			if kind := fmt.Sprintf("%T", got); kind != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("got %s %v, want %s %v", kind, err, tc.want, tc.err)
			}
		})
	}
}

func TestUses(t *testing.T) {
	program, err := expr.Compile(`status == 200 && headers["x"] == "body"`, expr.HTTPResponse)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"status": true, "headers": true, "body": false, "release": false} {
		if got := program.Uses(name); got != want {
			t.Errorf("uses %s: got %t, want %t", name, got, want)
		}
	}
}

// If a namespace has more conditions than fit in the cache, each probe compiles them again.
func TestCompilingIsCharged(t *testing.T) {
	cache := expr.NewCache(64<<10, 64<<10)
	var meter fair.Meter
	ctx := fair.WithMeter(t.Context(), &meter)
	if _, err := cache.Compile(ctx, "shop", `status == 200`, expr.HTTPResponse); err != nil || meter.Taken() == 0 {
		t.Errorf("compiling took %s: %v", meter.Taken(), err)
	}
	once := meter.Taken()
	if _, err := cache.Compile(ctx, "shop", `status == 200`, expr.HTTPResponse); err != nil || meter.Taken() != once {
		t.Errorf("a cached condition took %s: %v", meter.Taken()-once, err)
	}
	if _, err := cache.CompileValue(ctx, "shop", `release.tag`); err != nil || meter.Taken() == once {
		t.Errorf("a value takes nothing: %v", err)
	}
}

func TestCache(t *testing.T) {
	cache := expr.NewCache(64<<10, 64<<10)
	first, err := cache.Compile(t.Context(), "shop", `status == 200`, expr.HTTPResponse)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := cache.Compile(t.Context(), "shop", `status == 200`, expr.HTTPResponse); again != first {
		t.Error("compiled twice")
	}
	if _, err := cache.Compile(t.Context(), "shop", `status == 200`, expr.Result); err == nil {
		t.Error("took a condition over other variables for the same")
	}
	for i := range 10 {
		if _, err := cache.Compile(t.Context(), "shop", fmt.Sprintf("status == %d", i), expr.HTTPResponse); err != nil {
			t.Fatal(err)
		}
	}
	if again, _ := cache.Compile(t.Context(), "shop", `status == 200`, expr.HTTPResponse); again == first {
		t.Error("remembers more than it may")
	}
}

// TestConditionsOfANamespaceStayCached: a namespace with many conditions compiles its own again, and not those of others.
func TestConditionsOfANamespaceStayCached(t *testing.T) {
	cache := expr.NewCache(1<<20, 256<<10)
	compile := func(namespace, text string) *expr.Program {
		t.Helper()
		program, err := cache.Compile(t.Context(), namespace, text, expr.HTTPResponse)
		if err != nil {
			t.Fatal(err)
		}
		return program
	}
	quiet := compile("quiet", `status == 200`)
	loud := compile("loud", `status == 200`)
	for i := range 100 {
		compile("loud", fmt.Sprintf("status == %d", i))
	}
	if compile("quiet", `status == 200`) != quiet {
		t.Error("another namespace evicted the condition")
	}
	if compile("loud", `status == 200`) == loud {
		t.Error("100 conditions of one namespace are cached")
	}
}

func FuzzCondition(f *testing.F) {
	for _, s := range []string{`status == 200`, `body.a.b[0] == "x"`, `body.all(x, x in [1, 2])`, `headers["a"].matches("^a+$")`, `[[1]].map(a, [a, a]) == 1`} {
		f.Add(s, `{"a": {"b": ["x"]}}`)
	}
	f.Fuzz(func(t *testing.T, source, body string) {
		program, err := expr.Compile(source, expr.HTTPResponse)
		if err != nil {
			return
		}
		data, err := expr.ParseBody("", []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		ok, err := program.Eval(t.Context(), expr.ResponseValues(200, map[string]string{"a": body}, data, release))
		if ok && err != nil {
			t.Errorf("true and an error: %s", err)
		}
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("took %s: %s", took, source)
		}
	})
}

func BenchmarkEval(b *testing.B) {
	program, err := expr.Compile(`status == 200 && body.parts.all(p, p.ok) && release.tag == "v1.4.2"`, expr.HTTPResponse)
	if err != nil {
		b.Fatal(err)
	}
	values := expr.ResponseValues(200, nil, map[string]any{"parts": []any{map[string]any{"ok": true}, map[string]any{"ok": true}}}, release)
	for b.Loop() {
		if ok, err := program.Eval(b.Context(), values); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
