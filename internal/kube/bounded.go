package kube

import (
	"bytes"
	"fmt"
	"io"
	"net/http"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// MostValues is how many objects and lists an object may hold that a bounded reader reads. An empty one takes two bytes in the answer of the
// API server and hundreds in memory, and the values of a HelmRelease, for instance, may be any JSON.
const MostValues = 50_000

// TooManyValuesError is an object that is not read, since it holds more than MostValues objects and lists.
type TooManyValuesError struct{}

// Error implements error.
func (*TooManyValuesError) Error() string {
	return fmt.Sprintf("it holds more than %d objects and lists", MostValues)
}

// Bounded returns a reader of the API server for objects that are not of a known form. It refuses those that hold more than MostValues
// objects and lists, with a TooManyValuesError.
func Bounded(mgr manager.Manager) (client.Reader, error) {
	c := *mgr.GetHTTPClient()
	c.Transport = bounding{c.Transport}
	return client.New(mgr.GetConfig(), client.Options{HTTPClient: &c, Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper()})
}

// bounding bounds what is read of each answer.
type bounding struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounding) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.next.RoundTrip(r)
	if err == nil {
		answer.Body = &boundedBody{ReadCloser: answer.Body, left: MostValues}
	}
	return answer, err
}

// boundedBody counts objects and lists by how they begin. What a text holds is counted too.
type boundedBody struct {
	io.ReadCloser
	left int
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= bytes.Count(p[:n], []byte("{")) + bytes.Count(p[:n], []byte("[")); b.left < 0 {
		return 0, &TooManyValuesError{}
	}
	return n, err
}
