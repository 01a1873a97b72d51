package gitlab

import (
	"fmt"
	"strings"
	"testing"
	"time"

	gl "gitlab.com/gitlab-org/api/client-go"
)

// TestFlood: many records of one login do not displace those of others.
func TestFlood(t *testing.T) {
	t.Parallel()
	var records []*record
	for i := range 40 {
		author := []string{"mallory", "kuberik", "Mallory", "MALLORY"}[i%4]
		records = append(records, &record{snippet: int64(i), author: author, raw: make([]byte, 10<<10)})
	}
	most := 25 * records[0].size()
	ours, total := 0, 0
	for _, r := range trim(records, most) {
		total += r.size()
		if r.author == "kuberik" {
			ours++
		}
	}
	if ours != 10 || total > most || total < most-records[0].size() {
		t.Errorf("%d of our records remain, in %d of %d bytes", ours, total, most)
	}
}

func TestLongTextsInRecordsAreRejectedOrCut(t *testing.T) {
	t.Parallel()
	snippet := func(author, after, deployments, signature string) *gl.Snippet {
		s := &gl.Snippet{ID: 1, Title: "kuberik shop/staging", UpdatedAt: &time.Time{}}
		s.Author.Username = author
		s.Description = fmt.Sprintf(
			`{"record":{"application":"shop","environment":"staging","after":[%s],"deployments":[%s]},"signature":%q}`, after,
			deployments, signature,
		)
		return s
	}
	many := func(n int, one string) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	one := `{"key":"k","version":{"tag":"v1"}}`
	for name, s := range map[string]*gl.Snippet{
		"many deployments": snippet("kuberik", "", many(1001, "{}"), ""),
		"long signature":   snippet("kuberik", "", one, strings.Repeat("s", 65)),
		"long author":      snippet(strings.Repeat("a", 256), "", one, ""),
	} {
		if parse(s) != nil {
			t.Errorf("%s: the record was accepted", name)
		}
	}
	r := parse(
		snippet(
			"kuberik", many(500, `"`+strings.Repeat("n", 300)+`"`),
			one+`,{"key":"`+strings.Repeat("k", 129)+`","version":{"tag":"v1"}}`, "",
		),
	)
	if r == nil || len(r.After) != maxAfter || cap(r.After) > 2*maxAfter || len(r.After[0]) > maxName ||
		len(r.Deployments) != 1 {
		t.Errorf("got %+v", r)
	}
}
