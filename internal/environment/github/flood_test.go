package github_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/github"
	"github.com/kuberik/kuberik/internal/environment/github/githubtest"
	"github.com/kuberik/kuberik/internal/environment/remote"
)

// TestLargePageIsNotDecoded: a page may be small as text, but large in memory.
func TestLargePageIsNotDecoded(t *testing.T) {
	b := serve(t, func(s http.Handler) http.Handler { return s })
	page := "[" + strings.TrimSuffix(strings.Repeat("{},", 1<<20), ",") + "]"
	b.Break(on("GET", "/deployments", githubtest.Fault{Status: 200, Body: page}))
	_, err := b.backend(t, b.options("kuberik")).Read(t.Context(), "shop")
	var refused *environment.RefusedError
	if err == nil || errors.As(err, &refused) ||
		!strings.Contains(err.Error(), "a page of 1048576 items, but at most 100 are expected") {
		t.Errorf("got %v", err)
	}
}

// evidence returns the number of deployments of an environment that are evidence.
func evidence(t *testing.T, b *github.Backend, name string) (n int) {
	t.Helper()
	s, _ := read(t, b).Find(name)
	for _, d := range s.Deployments {
		if d.UntrustedReason == "" {
			n++
		}
	}
	return n
}

// TestFlood: many deployments by untrusted logins do not displace or delay those by trusted ones.
func TestFlood(t *testing.T) {
	b := serve(t, func(s http.Handler) http.Handler { return s })
	d := deployment(3, v1alpha1.BakeSucceeded)
	publish(t, b.backend(t, b.options("kuberik")), state("staging", d))
	b.public(t, "their-bot", "staging", `{"id":"1","version":{"tag":"v8.0.0"}}`, "success", "Bake succeeded")
	o := b.options("kuberik")
	pool := github.NewPool(b.pool)
	ours, err := pool.Backend(o)
	if err != nil {
		t.Fatal(err)
	}
	o.TrustedActors = []string{"Their-Bot"}
	theirs, err := pool.Backend(o)
	if err != nil {
		t.Fatal(err)
	}
	read(t, ours)
	for i := range 1200 {
		b.public(
			t, fmt.Sprintf("mallory-%d", i%11), "staging", fmt.Sprintf(`{"id":"%d","version":{"tag":"v9.0.%d"}}`, i, i), "", "",
		)
	}
	b.Calls()
	for range 3 * 60 {
		b.clock.Step(time.Minute)
		if n, all := evidence(t, ours, "staging"), evidence(t, theirs, "staging"); n != 1 || all != 2 {
			t.Fatalf("%d and %d deployments are evidence", n, all)
		}
	}
	if n := len(b.Calls()); n > 3*1000 {
		t.Errorf("%d requests in three hours", n)
	}
	if n := evidence(t, b.backend(t, o), "staging"); n != 2 {
		t.Errorf("after a restart %d deployments are evidence", n)
	}
	// The deployments of the logins that become trusted now were dropped before.
	o.TrustedActors = []string{
		"mallory-0", "mallory-1", "mallory-2", "mallory-3", "mallory-4", "mallory-5", "mallory-6", "mallory-7", "mallory-8",
		"mallory-9", "mallory-10",
	}
	late, err := pool.Backend(o)
	if err != nil {
		t.Fatal(err)
	}
	b.clock.Step(time.Minute)
	s, _ := read(t, late).Find("staging")
	creators := 0
	for _, d := range s.Deployments {
		if !strings.Contains(d.UntrustedReason, "not trusted") {
			creators++
		}
	}
	if creators != 1+11*100 {
		t.Errorf("%d deployments are of the newly trusted logins", creators)
	}
}

// TestUntrustedStatusesAreNotRead: deployments by untrusted logins cost no requests of their own, and are counted.
func TestUntrustedStatusesAreNotRead(t *testing.T) {
	b := newBench(t)
	publish(t, b.backend(t, b.options("kuberik")), succeeded(1))
	theirs := map[string]bool{}
	for i := range 5 {
		id := b.public(
			t, "mallory", "staging", fmt.Sprintf(`{"id":"%d","version":{"tag":"v9.0.%d"}}`, i, i), "success", "Bake succeeded",
		)
		theirs[fmt.Sprintf("/deployments/%d/statuses", id)] = true
	}
	reader := b.backend(t, b.options("kuberik"))
	b.Calls()
	for range 120 {
		b.clock.Step(time.Minute)
		if s := read(t, reader); s.Untrusted != 5 || len(s.Environments[0].Deployments) != 6 {
			t.Fatalf("%d deployments by untrusted logins are counted, want 5", s.Untrusted)
		}
	}
	for _, call := range b.Calls() {
		path, _, _ := strings.Cut(call.Path, "?")
		if _, end, _ := strings.Cut(path, "/octo-org/shop"); theirs[end] {
			t.Errorf("%s %s was requested", call.Method, call.Path)
		}
	}
}

// TestLongPages: long payloads by untrusted logins do not make the repository unreadable.
func TestLongPages(t *testing.T) {
	b := serve(t, func(s http.Handler) http.Handler { return s })
	publish(t, b.backend(t, b.options("kuberik")), succeeded(1))
	fill := strings.Repeat("x", 300<<10)
	for i := range 30 {
		b.call(t, "mallory", http.MethodPost, "/deployments", map[string]any{
			"ref": "main", "task": "deploy:kuberik/shop", "environment": "kuberik/shop/staging", "required_contexts": []string{},
			"payload": fmt.Sprint(i, fill),
		})
	}
	reader := b.backend(t, b.options("kuberik"))
	b.Calls()
	if n := evidence(t, reader, "staging"); n != 1 {
		t.Errorf("%d deployments are evidence", n)
	}
	if n := len(b.Calls()); n > 30 {
		t.Errorf("%d requests", n)
	}
	for range 60 {
		b.clock.Step(time.Minute)
		read(t, reader)
	}
	if n := len(b.Calls()); n > 200 {
		t.Errorf("%d requests in an hour", n)
	}
}

// TestInterruptedWalkContinues: a walk that times out continues in the next calls.
func TestInterruptedWalkContinues(t *testing.T) {
	var mu sync.Mutex
	var giveUp context.CancelFunc
	walked, responses := map[string]int{}, 0
	// The caller times out after every page of a walk.
	late := func(r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		q := r.URL.Query()
		if q.Get("task") == "" || giveUp == nil {
			return false
		}
		if responses++; responses%2 == 0 {
			giveUp()
			return true
		}
		walked[q.Get("page")]++
		return false
	}
	b := serve(t, func(s http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if late(r) {
				<-r.Context().Done()
				return
			}
			s.ServeHTTP(w, r)
		})
	})
	publish(t, b.backend(t, b.options("kuberik")), succeeded(1))
	for i := range 450 {
		b.public(t, "mallory", "staging", fmt.Sprintf(`{"id":"%d","version":{"tag":"v9.0.%d"}}`, i, i), "", "")
	}
	reader := b.backend(t, b.options("kuberik"))
	calls := 0
	for err := context.Canceled; err != nil; calls++ {
		if calls == 10 {
			t.Fatalf("the walk does not end: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		mu.Lock()
		giveUp = cancel
		mu.Unlock()
		_, err = reader.Read(ctx, "shop")
		cancel()
		b.clock.Step(time.Second)
	}
	if n := evidence(t, reader, "staging"); n != 1 || calls != 5 {
		t.Errorf("after %d calls %d deployments are evidence", calls, n)
	}
	mu.Lock()
	defer mu.Unlock()
	for page, n := range walked {
		if n != 1 {
			t.Errorf("page %s was read %d times", page, n)
		}
	}
}

// TestCacheOfRecordsIsBounded: an untrusted server cannot fill the memory.
func TestCacheOfRecordsIsBounded(t *testing.T) {
	fill := strings.Repeat("k", 60<<10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page := 1
		switch {
		case strings.HasSuffix(r.URL.Path, "/user"):
			fmt.Fprint(w, `{"login":"x"}`)
			return
		case strings.HasSuffix(r.URL.Path, "/statuses"):
			fmt.Fprint(w, `[]`)
			return
		case r.URL.Query().Get("page") != "":
			fmt.Sscan(r.URL.Query().Get("page"), &page)
		}
		w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?page=%d>; rel="next"`, r.Host, r.URL.Path, page+1))
		var list []string
		for i := range 60 {
			id, key := page*1000+i+1, "k"
			if i%2 == 0 {
				key = fill
			}
			list = append(
				list,
				fmt.Sprintf(
					`{"id":%d,"task":"deploy:kuberik/shop","environment":"kuberik/shop/e%d","payload":{"id":"1","version":{"tag":"v1"},"kuberik":{"key":%q}}}`,
					id, id, key,
				),
			)
		}
		fmt.Fprintf(w, "[%s]", strings.Join(list, ","))
	}))
	defer server.Close()
	backend, err := github.NewPool(remote.PoolOptions{}).Backend(
		github.Options{Options: remote.Options{Project: "a/b", URL: server.URL, Token: "t"}})
	if err != nil {
		t.Fatal(err)
	}
	if snapshot := read(t, backend); len(snapshot.Environments) != 100 || snapshot.Untrusted != 100 {
		t.Errorf("%d environments are cached", len(snapshot.Environments))
	}
}

// TestChangedCredentialsFillNoMemory: a namespace whose token changes again and again takes no more memory than its share,
// and what was read for another namespace is not read again.
func TestChangedCredentialsFillNoMemory(t *testing.T) {
	var requests atomic.Int64
	filler := strings.Repeat("x", 4<<10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		w.Header().Set("Etag", `"1"`)
		switch {
		case strings.HasSuffix(r.URL.Path, "/user"):
			fmt.Fprint(w, `{"login":"x"}`)
			return
		case strings.HasSuffix(r.URL.Path, "/statuses"):
			fmt.Fprint(w, `[]`)
			return
		}
		var list []string
		for i := range 100 {
			list = append(list, fmt.Sprintf(
				`{"id":%d,"task":"deploy:kuberik/shop","environment":"kuberik/shop/e%d","sha":%q,"payload":{"id":"1","version":{"tag":"v1"}}}`,
				i+1, i, filler,
			))
		}
		fmt.Fprintf(w, "[%s]", strings.Join(list, ","))
	}))
	defer server.Close()
	const share = 4 << 20
	pool := github.NewPool(remote.PoolOptions{Memory: 4 * share, MemoryOfNamespace: share})
	use := func(namespace, token string) {
		t.Helper()
		backend, err := pool.Backend(github.Options{Options: remote.Options{
			Namespace: namespace, Project: "a/b", URL: server.URL, Token: token, Interval: time.Hour,
		}})
		if err != nil {
			t.Fatal(err)
		}
		if s := read(t, backend); len(s.Environments) != 100 {
			t.Fatalf("%d environments", len(s.Environments))
		}
	}
	use("quiet", "token")
	before := heap()
	for i := range 30 { // each keeps 1 MiB
		use("loud", fmt.Sprint(i))
	}
	if grown := heap() - before; grown > 2*share {
		t.Errorf("the namespace takes %d MiB, but its share is %d MiB", grown>>20, share>>20)
	}
	n := requests.Load()
	if use("quiet", "token"); requests.Load() != n {
		t.Error("what was read for another namespace was dropped")
	}
	if use("loud", "29"); requests.Load() != n {
		t.Error("what was read with the last token was dropped")
	}
	runtime.KeepAlive(pool)
}

// heap returns how many bytes are in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
