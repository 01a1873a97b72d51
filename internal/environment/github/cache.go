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

// maxCache bounds the cached responses, in bytes. A page of 100 deployments has about 300 kB.
const maxCache = 16 << 20

// bypass is the context key of requests that bypass the cache.
type bypass struct{}

func withoutCache(ctx context.Context) context.Context { return context.WithValue(ctx, bypass{}, true) }

// cache is a transport that caches responses by their ETags. A 304 does not count for GitHub's rate limit.
type cache struct {
	next http.RoundTripper

	mu      sync.Mutex
	entries map[string]*list.Element
	recent  *list.List
	size    int
}

type cachedResponse struct {
	url, etag string
	header    http.Header
	body      []byte
}

func newCache(next http.RoundTripper) *cache {
	return &cache{next: next, entries: map[string]*list.Element{}, recent: list.New()}
}

// RoundTrip implements http.RoundTripper.
func (c *cache) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet || req.Context().Value(bypass{}) != nil {
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
		// A 304 has no Link header.
		for name, values := range known.header {
			if resp.Header.Get(name) == "" {
				resp.Header[name] = values
			}
		}
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(known.body)), int64(len(known.body))
		return resp, nil
	case resp.StatusCode == http.StatusOK && resp.Header.Get("ETag") != "":
		return c.store(req.URL.String(), resp)
	}
	return resp, nil
}

// store reads a response and caches it if it is valid JSON.
func (c *cache) store(url string, resp *http.Response) (*http.Response, error) {
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if json.Valid(body) {
		c.put(
			&cachedResponse{
				url: url, etag: resp.Header.Get("ETag"), header: http.Header{"Link": resp.Header["Link"]}, body: body,
			},
		)
	}
	return resp, nil
}

func (c *cache) get(url string) (*cachedResponse, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[url]
	if !ok {
		return nil, false
	}
	c.recent.MoveToFront(e)
	a, ok := e.Value.(*cachedResponse)
	return a, ok
}

func (c *cache) put(a *cachedResponse) {
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
	if a, ok := c.recent.Remove(e).(*cachedResponse); ok {
		c.size -= len(a.body)
		delete(c.entries, a.url)
	}
}
