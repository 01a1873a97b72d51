package remote

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func list(n int, item string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
}

func TestBound(t *testing.T) {
	t.Parallel()
	s := &Service{Name: "GitHub", MaxObject: 256 << 10, Uncounted: "payload"}
	for name, tc := range map[string]struct {
		status     int
		body, want string
		truncated  int
	}{
		"a full page":                 {body: list(100, `{"task":"a,[b","description":"\"[,"}`)},
		"one more":                    {body: list(101, `{}`), want: "a page of 101 items, but at most 100 are expected"},
		"a million":                   {body: list(1<<20, `{}`), want: "a page of 1048576 items"},
		"too long":                    {body: list(50, `"`+strings.Repeat("x", 90<<10)+`"`), want: ErrTooLong.Error()},
		"large payloads":              {body: list(10, `{"payload":{"a":`+list(10000, `{}`)+`,"b":[[],[]]},"id":1}`)},
		"payload in another case":     {body: list(10, `{"Payload":`+list(1001, `{}`)+`}`), want: "10010 items in nested lists"},
		"after a payload":             {body: list(10, `{"payload":{},"creator":`+list(1001, `{}`)+`}`), want: "10010 items in nested lists"},
		"payload of a nested object":  {body: list(10, `{"creator":{"payload":`+list(1001, `{}`)+`}}`), want: "10010 items in nested lists"},
		"a payload within strings":    {body: list(10, `{"creator":["payload",`+list(1001, `{}`)[1:]+`}`), want: "10020 items in nested lists"},
		"lists within lists":          {body: list(2, list(6000, `{}`)), want: "12000 items in nested lists"},
		"after a number out of range": {body: list(2, `[1e999,`+list(6000, `{}`)[1:]), want: "12002 items in nested lists"},
		"a list in an object":         {body: `{"repositories":` + list(20000, `{}`) + `}`, want: "20000 items in nested lists"},
		"a large object":              {body: `{"a":"` + strings.Repeat("x", 256<<10) + `"}`, want: "at most 262144 are expected"},
		"a long error":                {status: 500, body: `{"errors":` + list(1<<20, `{}`) + `}`, truncated: maxError},
		"empty":                       {},
		"not JSON":                    {body: "]]<html>,["},
		"only brackets":               {body: strings.Repeat("[", 1<<20)}, // which is not decoded
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp := &http.Response{StatusCode: max(tc.status, 200), Body: io.NopCloser(strings.NewReader(tc.body))}
			_, err := s.bound(resp)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want %q", err, tc.want)
			}
			if err != nil {
				return
			}
			defer resp.Body.Close()
			want := tc.body
			if tc.truncated > 0 {
				want = want[:tc.truncated]
			}
			if got, err := io.ReadAll(resp.Body); err != nil || string(got) != want {
				t.Errorf("the body has %d bytes, %v", len(got), err)
			}
		})
	}
}

func TestCountItems(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]int{
		``: {0, 0}, `{}`: {0, 0}, `[]`: {0, 0}, `[1]`: {1, 0}, `[1,2,3]`: {3, 0}, `{"a":[1,2]}`: {0, 2},
		`[{"a":[1,2]},{"a":[3]}]`: {2, 3}, `["a,b[","\"]",1]`: {3, 0}, `[[[]]]`: {1, 1}, `[null,true,1e999,-2]`: {4, 0},
		`[{"payload":[1,2,3],"a":[1]}]`: {1, 1}, `[{"payloads":[1,2]}]`: {1, 2}, `{"payload":[1,2]}`: {0, 2},
		`[{"a":{"payload":[1,2]}}]`: {1, 2},
		`[{"payload":[1]},[2]]`:     {2, 1}, `[{"a":"payload","b":[1]}]`: {1, 1},
	} {
		if items, nested := CountItems([]byte(text), "payload"); items != want[0] || nested != want[1] {
			t.Errorf("%s: %d and %d, want %v", text, items, nested, want)
		}
	}
	if _, nested := CountItems([]byte(`[{"":[1,2]}]`), ""); nested != 2 {
		t.Errorf("with every field counted, %d", nested)
	}
}
