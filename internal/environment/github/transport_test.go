package github

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func jsonList(n int, one string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + "]"
}

type answers func() *http.Response

// RoundTrip implements http.RoundTripper.
func (a answers) RoundTrip(*http.Request) (*http.Response, error) { return a(), nil }

func TestBound(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status     int
		body, want string
		left       int
	}{
		"a full page":              {body: jsonList(100, `{"task":"a,[b","description":"\"[,"}`)},
		"one more":                 {body: jsonList(101, `{}`), want: "a page of 101 things where 100 were asked for"},
		"a million":                {body: jsonList(1<<20, `{}`), want: "a page of 1048576 things"},
		"too long":                 {body: jsonList(50, `"`+strings.Repeat("x", 90<<10)+`"`), want: errTooLong.Error()},
		"large payloads":           {body: jsonList(10, `{"payload":{"a":`+jsonList(10000, `{}`)+`,"b":[[],[]]},"id":1}`)},
		"payload in name only":     {body: jsonList(10, `{"Payload":`+jsonList(1001, `{}`)+`}`), want: "10010 things in lists"},
		"behind a payload":         {body: jsonList(10, `{"payload":{},"creator":`+jsonList(1001, `{}`)+`}`), want: "10010 things in lists"},
		"a payload that is none":   {body: jsonList(10, `{"creator":{"payload":`+jsonList(1001, `{}`)+`}}`), want: "10010 things in lists"},
		"a payload within strings": {body: jsonList(10, `{"creator":["payload",`+jsonList(1001, `{}`)[1:]+`}`), want: "10020 things in lists"},
		"an object of many":        {body: `{"repositories":` + jsonList(20000, `{}`) + `}`, want: "20000 things in lists"},
		"a large object":           {body: `{"a":"` + strings.Repeat("x", maxObject) + `"}`, want: "no more than 262144"},
		"a long error":             {status: 500, body: `{"errors":` + jsonList(1<<20, `{}`) + `}`, left: maxErrorBody},
		"nothing":                  {},
		"no JSON":                  {body: "]]<html>,["},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp, err := (&bounded{answers(func() *http.Response {
				return &http.Response{StatusCode: max(tc.status, 200), Body: io.NopCloser(strings.NewReader(tc.body))}
			})}).RoundTrip(nil)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want %q", err, tc.want)
			}
			if err != nil {
				return
			}
			defer resp.Body.Close()
			want := tc.body
			if tc.left > 0 {
				want = want[:tc.left]
			}
			if got, err := io.ReadAll(resp.Body); err != nil || string(got) != want {
				t.Errorf("what is left is %d bytes, %v", len(got), err)
			}
		})
	}
}
