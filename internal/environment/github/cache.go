package github

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/kuberik/kuberik/internal/fair"
)

// maxCache bounds the cached responses of a repository, in bytes. A page of 100 deployments has about 300 kB.
const maxCache = 8 << 20

// bypass is the context key of requests that bypass the cache.
type bypass struct{}

func withoutCache(ctx context.Context) context.Context { return context.WithValue(ctx, bypass{}, true) }

// cache is a transport that caches responses by their ETags. A 304 does not count for GitHub's rate limit.
type cache struct {
	next http.RoundTripper
	// responses of one repository. The pool shares the memory among namespaces.
	responses *fair.Cache[string, cachedResponse]
}

type cachedResponse struct {
	etag   string
	header http.Header
	body   []byte
}

func newCache(next http.RoundTripper) *cache {
	return &cache{next: next, responses: fair.NewCache[string, cachedResponse](maxCache, maxCache, nil)}
}

// size returns about how much memory the responses take, in bytes.
func (c *cache) size() int { return c.responses.Size() }

// RoundTrip implements http.RoundTripper.
func (c *cache) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet || req.Context().Value(bypass{}) != nil {
		return c.next.RoundTrip(req)
	}
	known, ok := c.responses.Get("", req.URL.String())
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
		c.put(url, cachedResponse{
			etag: resp.Header.Get("ETag"), header: http.Header{"Link": resp.Header["Link"]}, body: body,
		})
	}
	return resp, nil
}

func (c *cache) put(url string, r cachedResponse) {
	size := 512 + len(url) + len(r.etag) + cap(r.body)
	for _, link := range r.header["Link"] {
		size += len(link)
	}
	c.responses.Add("", url, r, size)
}
