package github

import (
	"bytes"
	"container/list"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
)

// maxCache bounds the responses that are kept, in bytes. A page of 100 deployments has about 300 kB.
const maxCache = 16 << 20

// fresh marks requests that bypass the cache.
type fresh struct{}

func withoutCache(ctx context.Context) context.Context { return context.WithValue(ctx, fresh{}, true) }

// cache is a transport that keeps the last responses with their ETags. A response with status 304 does not count for GitHub's rate limit.
type cache struct {
	next http.RoundTripper

	mu      sync.Mutex
	entries map[string]*list.Element
	recent  *list.List
	size    int
}

type answer struct {
	url, etag string
	header    http.Header
	body      []byte
}

func newCache(next http.RoundTripper) *cache {
	return &cache{next: next, entries: map[string]*list.Element{}, recent: list.New()}
}

// RoundTrip implements http.RoundTripper.
func (c *cache) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet || req.Context().Value(fresh{}) != nil {
		return c.next.RoundTrip(req)
	}
	known, ok := c.get(req.URL.String())
	if ok {
		req = req.Clone(req.Context())
		req.Header.Set("If-None-Match", known.etag)
	}
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	switch {
	case ok && resp.StatusCode == http.StatusNotModified:
		resp.Body.Close()
		resp.StatusCode, resp.Status = http.StatusOK, http.StatusText(http.StatusOK)
		// A response with status 304 does not repeat the Link.
		for name, values := range known.header {
			if resp.Header.Get(name) == "" {
				resp.Header[name] = values
			}
		}
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(known.body)), int64(len(known.body))
		return resp, nil
	case resp.StatusCode == http.StatusOK && resp.Header.Get("ETag") != "":
		return c.keep(req.URL.String(), resp)
	}
	return resp, nil
}

// keep reads a response and keeps it if it is valid.
func (c *cache) keep(url string, resp *http.Response) (*http.Response, error) {
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if json.Valid(body) {
		c.put(&answer{url: url, etag: resp.Header.Get("ETag"), header: http.Header{"Link": resp.Header["Link"]}, body: body})
	}
	return resp, nil
}

func (c *cache) get(url string) (*answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[url]
	if !ok {
		return nil, false
	}
	c.recent.MoveToFront(e)
	a, ok := e.Value.(*answer)
	return a, ok
}

func (c *cache) put(a *answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(c.entries[a.url])
	c.entries[a.url] = c.recent.PushFront(a)
	c.size += len(a.body)
	for c.size > maxCache {
		c.drop(c.recent.Back())
	}
}

func (c *cache) drop(e *list.Element) {
	if e == nil {
		return
	}
	if a, ok := c.recent.Remove(e).(*answer); ok {
		c.size -= len(a.body)
		delete(c.entries, a.url)
	}
}
