package gitlab

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	gl "gitlab.com/gitlab-org/api/client-go"
)

func TestBound(t *testing.T) {
	t.Parallel()
	list := func(n int, one string) string {
		return "[" + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + "]"
	}
	for name, tc := range map[string]struct{ body, want string }{
		"a full page":             {list(100, `{"title":"a,[b","description":"\"[,"}`), ""},
		"one more":                {list(101, `{}`), "a page of 101 things"},
		"a million":               {list(1<<20, `{}`), "a page of 1048576 things"},
		"long":                    {list(50, `"`+strings.Repeat("x", 90<<10)+`"`), "longer than"},
		"lists within":            {list(2, list(6000, `{}`)), "12000 things in lists"},
		"a list within an object": {`{"assets":` + list(20000, `{}`) + `}`, "20000 things in lists"},
		"a large object":          {`{"a":"` + strings.Repeat("x", maxObject) + `"}`, "no more than"},
		"nothing":                 {"", ""},
		"no JSON":                 {"]]<html>,[", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp := &http.Response{Body: io.NopCloser(strings.NewReader(tc.body))}
			err := bound(resp)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want %q", err, tc.want)
			}
			if err != nil {
				return
			}
			if got, err := io.ReadAll(resp.Body); err != nil || string(got) != tc.body {
				t.Errorf("what is left is %d bytes, %v", len(got), err)
			}
		})
	}
}

// TestFlood: what one writes too much is at nobody else's cost.
func TestFlood(t *testing.T) {
	t.Parallel()
	var records []*record
	for i := range 40 {
		records = append(records, &record{snippet: int64(i), author: []string{"stranger", "kuberik", "Stranger", "STRANGER"}[i%4], raw: make([]byte, 10<<10)})
	}
	most := 25 * records[0].weight()
	ours, total := 0, 0
	for _, r := range fit(records, most) {
		total += r.weight()
		if r.author == "kuberik" {
			ours++
		}
	}
	if ours != 10 || total > most || total < most-records[0].weight() {
		t.Errorf("%d of ours are left, in %d of %d bytes", ours, total, most)
	}
}

func TestLongRecords(t *testing.T) {
	t.Parallel()
	snippet := func(author, after, deployments, signature string) *gl.Snippet {
		s := &gl.Snippet{ID: 1, Title: "kuberik shop/staging", UpdatedAt: &time.Time{}}
		s.Author.Username = author
		s.Description = fmt.Sprintf(`{"record":{"application":"shop","environment":"staging","after":[%s],"deployments":[%s]},"signature":%q}`, after, deployments, signature)
		return s
	}
	many := func(n int, one string) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	one := `{"key":"k","version":{"tag":"v1"}}`
	for name, s := range map[string]*gl.Snippet{
		"many deployments": snippet("kuberik", "", many(1001, "{}"), ""), "long signature": snippet("kuberik", "", one, strings.Repeat("s", 65)),
		"long author": snippet(strings.Repeat("a", 256), "", one, ""),
	} {
		if parse(s) != nil {
			t.Errorf("%s: it was taken", name)
		}
	}
	r := parse(snippet("kuberik", many(500, `"`+strings.Repeat("n", 300)+`"`), one+`,{"key":"`+strings.Repeat("k", 129)+`","version":{"tag":"v1"}}`, ""))
	if r == nil || len(r.After) != maxAfter || cap(r.After) > 2*maxAfter || len(r.After[0]) > maxName || len(r.Deployments) != 1 {
		t.Errorf("got %+v", r)
	}
}
