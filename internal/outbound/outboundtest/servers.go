package outboundtest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Serve starts a server without TLS, which is closed with the test.
func Serve(tb testing.TB, handler http.HandlerFunc) *httptest.Server {
	tb.Helper()
	server := httptest.NewServer(handler)
	tb.Cleanup(server.Close)
	return server
}

// Respond returns the URL of a server that always gives the same answer, with kind as its Content-Type.
func Respond(tb testing.TB, status int, kind, body string) string {
	tb.Helper()
	return Serve(tb, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		if _, err := io.WriteString(w, body); err != nil {
			tb.Log(err) // the client left
		}
	}).URL
}
