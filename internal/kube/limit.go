package kube

import (
	"bytes"
	"fmt"
	"io"
	"net/http"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// MaxValues is how many objects and lists a response to a limited reader may contain. An empty one takes two
// bytes in the response and hundreds in memory, and some fields accept any JSON, such as the values of a HelmRelease.
const MaxValues = 50_000

// TooManyValuesError reports an object that was not read because it contains more than MaxValues objects and lists.
type TooManyValuesError struct{}

// Error implements error.
func (*TooManyValuesError) Error() string {
	return fmt.Sprintf("it holds more than %d objects and lists", MaxValues)
}

// NewLimitedReader returns a reader of the API server for objects of arbitrary kinds. It returns a TooManyValuesError
// for an object with more than MaxValues objects and lists.
func NewLimitedReader(mgr manager.Manager) (client.Reader, error) {
	c := *mgr.GetHTTPClient()
	c.Transport = limitedTransport{c.Transport}
	return client.New(mgr.GetConfig(), client.Options{
		HTTPClient: &c, Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
	})
}

// limitedTransport limits the body of each response.
type limitedTransport struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t limitedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if err == nil {
		resp.Body = &limitedBody{ReadCloser: resp.Body, left: MaxValues}
	}
	return resp, err
}

// limitedBody counts opening braces and brackets, including those inside strings.
type limitedBody struct {
	io.ReadCloser
	left int
}

// Read implements io.Reader.
func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= bytes.Count(p[:n], []byte("{")) + bytes.Count(p[:n], []byte("[")); b.left < 0 {
		return 0, &TooManyValuesError{}
	}
	return n, err
}
