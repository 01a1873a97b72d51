package github

import (
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
)

func TestNames(t *testing.T) {
	for _, tc := range []struct {
		task, environment, name, short string
	}{
		{"deploy:kuberik/shop", "kuberik/shop/staging", "kuberik/shop", "staging"},
		{"deploy:kuberik/shop", "kuberik/shop/eu/staging", "kuberik/shop", "eu/staging"},
		{"deploy:kuberik/shop", "kuberik/shop-admin/staging", "", ""},
		{"deploy:kuberik/shop", "kuberik/shop/", "", ""},
		{"deploy:kuberik/shop", "production", "", ""},
		{"deploy", "kuberik/shop/staging", "", ""},
		{"deploy:shop", "shop/staging", "", ""},
		{"deploy:kuberik/shop", "kuberik/shop/\u202estaging", "", ""},
		{"deploy:kuberik/shop", "kuberik/shop/" + strings.Repeat("x", 101), "", ""},
	} {
		name, short, ok := parseNames(tc.task, tc.environment)
		if ok != (tc.name != "") || ok && (name != tc.name || short != tc.short) {
			t.Errorf("%s %s: got %q %q %t", tc.task, tc.environment, name, short, ok)
		}
	}
	if deploymentName("shop") != "kuberik/shop" || deploymentName("kuberik/shop") != "kuberik/shop" {
		t.Error("the prefix was added twice")
	}
}

// TestReportsRoundTrip: a report is read as it was written.
func TestReportsRoundTrip(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	letters := []rune("ab :%#&=\n\u0000ß語🚀\u202e")
	random := func() string {
		var b strings.Builder
		for range r.IntN(200) {
			b.WriteRune(letters[r.IntN(len(letters))])
		}
		return b.String()
	}
	at := func() time.Time {
		if r.IntN(2) == 0 {
			return time.Time{}
		}
		return time.Unix(1+r.Int64N(1<<33), 0)
	}
	for range 5000 {
		d := environment.Deployment{
			State: texts[r.IntN(len(texts))].state, StateMessage: random(), Attempt: at(), AvailableSince: at(),
		}
		if r.IntN(3) == 0 {
			d.Quarantine = random()
		}
		report := newReport(d)
		report.number, report.signature = 1+r.Int64N(100), "sig-_"
		state, text := report.texts()
		read, ok := parseReport(state, text, report.logURL("https://github.com/o/r/deployments"))
		if !ok || !read.equal(report) || read.number != report.number || read.signature != report.signature {
			t.Fatalf("seed %d: wrote %+v, read %+v", seed, report, read)
		}
		if len(text) > maxText || !utf8.ValidString(text) || strings.TrimSpace(text) != text {
			t.Fatalf("seed %d: GitHub would change %q", seed, text)
		}
	}
}

func TestReportsThatDifferAreNotEqual(t *testing.T) {
	at := time.Unix(1, 0)
	w := statusReport{state: v1alpha1.BakeSucceeded, message: "m", since: at, attempt: at}
	for name, change := range map[string]func(*statusReport){
		"state": func(w *statusReport) {
			w.state = v1alpha1.BakeFailed
		}, "message": func(w *statusReport) { w.message = "n" }, "quarantine": func(w *statusReport) { w.quarantine = "q" },
		"since": func(w *statusReport) { w.since = at.Add(time.Second) }, "attempt": func(w *statusReport) {
			w.attempt = at.Add(time.Second)
		},
	} {
		other := w
		if change(&other); w.equal(other) {
			t.Errorf("a different %s counts as equal", name)
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache(nil)
	url := func(i int) string { return strings.Repeat("x", i) }
	for i := range 100 {
		c.put(url(i), cachedResponse{body: make([]byte, maxCache/20), header: http.Header{"Link": {url(maxCache / 20)}}})
		c.put("same", cachedResponse{body: make([]byte, maxCache/20), etag: url(maxCache / 20)})
	}
	cached := 0
	for i := range 100 {
		if _, ok := c.responses.Get("", url(i)); ok {
			cached++
		}
	}
	if c.size() > maxCache || cached != 8 {
		t.Errorf("%d bytes in %d responses are cached", c.size(), cached)
	}
	if _, ok := c.responses.Get("", "same"); !ok {
		t.Error("the newest response was dropped")
	}
}

func TestForeignReports(t *testing.T) {
	for _, tc := range []struct {
		state, text string
		want        v1alpha1.BakeStatus
		message     string
	}{
		{"success", "Bake succeeded", v1alpha1.BakeSucceeded, ""},
		{"success", "Bake succeeded: after 5m", v1alpha1.BakeSucceeded, "after 5m"},
		{"failure", "Bake failed: a: b", v1alpha1.BakeFailed, "a: b"},
		{"in_progress", "Deploying", v1alpha1.BakeDeploying, ""},
		{"pending", "Deploying", v1alpha1.BakeDeploying, ""},
		{"inactive", "Bake cancelled: superseded", v1alpha1.BakeCancelled, "superseded"},
		{"inactive", "Bake succeeded", "", ""},
		{"inactive", "", "", ""},
		{"success", "", "", ""},
		{"success", "Tests passed", "", ""},
		{"success", "bake succeeded", "", ""},
	} {
		w, ok := parseReport(tc.state, tc.text, "https://ci.example.com/#kuberik:n=-1&since=9999999999999999&signature=%zz")
		if ok != (tc.want != "") || w.state != tc.want || w.message != tc.message || w.number != 0 || !w.since.IsZero() {
			t.Errorf("%s %q: got %+v, %t", tc.state, tc.text, w, ok)
		}
	}
}

func FuzzPayload(f *testing.F) {
	object := `{"id":"7","relationship":{"environment":"dev","type":"After"},"version":{"tag":"v1"},"kuberik":{"key":"k","after":["a"],"at":"2026-01-01T00:00:00Z"}}`
	quoted, err := json.Marshal(object)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{object, string(quoted), `"` + base64.StdEncoding.EncodeToString([]byte(object)) + `"`, `{}`, `null`, `""`, `[`, `{"id":1}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, _, err := parsePayload(raw)
		if err != nil {
			return
		}
		names, _ := p.after()
		for _, name := range append(names, p.Version.Tag) {
			if len(name) > 128 || !utf8.ValidString(name) {
				t.Errorf("%q is not safe to display", name)
			}
		}
	})
}
