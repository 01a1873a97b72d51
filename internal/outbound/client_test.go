package outbound_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/outbound"
	"github.com/kuberik/kuberik/internal/outbound/outboundtest"
)

const (
	namespace = "demo"
	cancelled = "the request was given up before there was an answer"
)

var local = outbound.Policy{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}

// world is a client and the names and keys that it finds.
type world struct {
	*outbound.Client
	keys *outboundtest.Keys
}

func newWorld(tb testing.TB) world {
	tb.Helper()
	w := world{keys: &outboundtest.Keys{}}
	w.Client = outbound.New(outbound.Options{Policy: local, Keys: w.keys, Resolver: outboundtest.Resolver(tb, func(name string) []netip.Addr {
		if strings.HasSuffix(name, ".test") {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}
		}
		return nil
	})})
	tb.Cleanup(w.Close)
	return w
}

func (w world) do(tb testing.TB, r v1alpha1.HTTPRequest) (outbound.Response, error) {
	tb.Helper()
	return w.Do(tb.Context(), namespace, r, 5*time.Second)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestAnswer(t *testing.T) {
	server := outboundtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Add("X-Twice", "a")
		w.Header().Add("X-Twice", "b")
		w.Header().Set("X-Long", strings.Repeat("x", 5000))
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s host=%s type=%s agent=%s x=%s body=%s", r.Method, r.URL, r.Host, r.Header.Get("Content-Type"),
			strings.Split(r.UserAgent(), "/")[0], r.Header.Get("X-Plain"), body)
	})
	w := newWorld(t)
	a, err := w.do(t, v1alpha1.HTTPRequest{
		URL: server.URL + "/a?b=c", Method: "POST", Body: `{"d": 1}`, Headers: map[string]string{"x-plain": "y", "Host": "other.test"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if a.Status != http.StatusTeapot || a.Headers["x-twice"] != "a, b" || a.Headers["x-long"] != "" || a.Truncated {
		t.Errorf("got %d %v %t", a.Status, a.Headers, a.Truncated)
	}
	if got, want := string(a.Body), `POST /a?b=c host=other.test type=application/json agent=kuberik x=y body={"d": 1}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestNoProxyFromTheEnvironment(t *testing.T) {
	proxy := outboundtest.Serve(t, func(http.ResponseWriter, *http.Request) { t.Error("asked the proxy") })
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	if _, err := newWorld(t).do(t, v1alpha1.HTTPRequest{URL: "http://no-such-host.invalid/"}); text(err) != "no such host no-such-host.invalid" {
		t.Errorf("got %v", err)
	}
}

// raw is a server that speaks no HTTP of its own accord.
func raw(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				handle(conn)
			}()
		}
	}()
	return l.Addr().String()
}

// swallow reads the request: whoever closes a connection with something unread in it resets it.
func swallow(conn net.Conn) {
	buffer := make([]byte, 4096)
	conn.Read(buffer)
}

func TestFailures(t *testing.T) {
	w := newWorld(t)
	plain := outboundtest.Serve(t, func(http.ResponseWriter, *http.Request) {})
	hold := outboundtest.Serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	drip := outboundtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			fmt.Fprint(w, ".")
			w.(http.Flusher).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	})
	bounce := outboundtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
	})
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	expired, expiredCA := outboundtest.ServeTLS(t, outboundtest.Certificate{Hosts: []string{"127.0.0.1"}, Age: 48 * time.Hour}, ok)
	future, futureCA := outboundtest.ServeTLS(t, outboundtest.Certificate{Hosts: []string{"127.0.0.1"}, Age: -time.Hour}, ok)
	other, otherCA := outboundtest.ServeTLS(t, outboundtest.Certificate{Hosts: []string{"b.test", "a.test", "c.test", "d.test"}}, ok)
	bound, boundCA := outboundtest.ServeTLS(t, outboundtest.Certificate{Hosts: []string{"127.0.0.1"}}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, strings.Replace("http://"+r.Host, "https", "http", 1), http.StatusFound)
	}))
	for name, ca := range map[string]string{"expired": expiredCA, "future": futureCA, "other": otherCA, "bound": boundCA} {
		w.keys.SetConfigMap(namespace, name, map[string]string{"ca.crt": ca})
	}
	trust := func(name string) *v1alpha1.TLS {
		return &v1alpha1.TLS{CAFrom: &v1alpha1.CAFrom{ConfigMapKeyRef: &v1alpha1.KeyRef{Name: name, Key: "ca.crt"}}}
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	_, port, _ := net.SplitHostPort(plain.Listener.Addr().String())

	cases := map[string]struct {
		request v1alpha1.HTTPRequest
		want    string
	}{
		"Silent":    {v1alpha1.HTTPRequest{URL: hold.URL}, "timed out after 300ms"},
		"Drip":      {v1alpha1.HTTPRequest{URL: drip.URL}, "timed out after 300ms"},
		"SilentTLS": {v1alpha1.HTTPRequest{URL: "https://" + raw(t, func(c net.Conn) { io.Copy(io.Discard, c) })}, "timed out after 300ms"},
		"NoHost":    {v1alpha1.HTTPRequest{URL: "http://hello.nowhere.invalid/"}, "no such host hello.nowhere.invalid"},
		"Refused":   {v1alpha1.HTTPRequest{URL: "http://" + closed.Addr().String()}, "connection refused"},
		"Reset":     {v1alpha1.HTTPRequest{URL: "http://" + raw(t, func(c net.Conn) { swallow(c); c.(*net.TCPConn).SetLinger(0) })}, "connection reset"},
		"Closed":    {v1alpha1.HTTPRequest{URL: "http://" + raw(t, swallow)}, "connection closed without an answer"},
		"Cut":       {v1alpha1.HTTPRequest{URL: "http://" + raw(t, func(c net.Conn) { swallow(c); io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal") })}, "connection closed in the middle of the answer"},
		"NotHTTP":   {v1alpha1.HTTPRequest{URL: "http://" + raw(t, func(c net.Conn) { swallow(c); io.WriteString(c, "SSH-2.0-secret\r\n\r\n") })}, "answer is not valid HTTP, or its headers are too large"},
		"BadChunks": {v1alpha1.HTTPRequest{URL: "http://" + raw(t, func(c net.Conn) {
			swallow(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nsecret\r\n")
		})}, "answer is not valid HTTP, or its headers are too large"},
		"HugeHeaders": {v1alpha1.HTTPRequest{URL: "http://" + raw(t, func(c net.Conn) {
			swallow(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")
		})}, "answer is not valid HTTP, or its headers are too large"},
		"PlainAsTLS":     {v1alpha1.HTTPRequest{URL: "https://" + plain.Listener.Addr().String()}, "server does not speak TLS"},
		"Expired":        {v1alpha1.HTTPRequest{URL: expired.URL, TLS: trust("expired")}, "certificate has expired"},
		"Future":         {v1alpha1.HTTPRequest{URL: future.URL, TLS: trust("future")}, "certificate is not valid yet"},
		"Unknown":        {v1alpha1.HTTPRequest{URL: bound.URL}, "certificate signed by unknown authority"},
		"OtherAuthority": {v1alpha1.HTTPRequest{URL: bound.URL, TLS: trust("expired")}, "certificate signed by unknown authority"},
		"OtherHost":      {v1alpha1.HTTPRequest{URL: other.URL, TLS: trust("other")}, "certificate is for a.test, b.test, c.test, 1 more, not for 127.0.0.1"},
		"Elsewhere":      {v1alpha1.HTTPRequest{URL: bounce.URL + "?to=http://other.test:" + port, FollowRedirects: true}, "redirects to another host are not followed"},
		"Metadata":       {v1alpha1.HTTPRequest{URL: bounce.URL + "?to=http://169.254.169.254/latest/meta-data/", FollowRedirects: true}, "redirects to another host are not followed"},
		"OtherPort":      {v1alpha1.HTTPRequest{URL: bounce.URL + "?to=http://127.0.0.1:" + port, FollowRedirects: true}, "redirects to another port are not followed"},
		"Downgrade":      {v1alpha1.HTTPRequest{URL: bound.URL, TLS: trust("bound"), FollowRedirects: true}, "redirects from https to http are not followed"},
		"Round":          {v1alpha1.HTTPRequest{URL: bounce.URL + "?to=", FollowRedirects: true}, "more than 3 redirects are not followed"},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			t.Parallel()
			for range 2 { // it has to say the same each time
				timeout := 5 * time.Second
				if strings.HasPrefix(tc.want, "timed out") {
					timeout = 300 * time.Millisecond
				}
				_, err := w.Do(t.Context(), namespace, tc.request, timeout)
				var failure *outbound.NoResponseError
				if !errors.As(err, &failure) || err.Error() != tc.want {
					t.Errorf("got %T %v, want a failure: %s", err, err, tc.want)
				}
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	var hits atomic.Int32
	server := outboundtest.Serve(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	url := "http://hello.test:" + port
	w.keys.SetSecret(namespace, "bare", "", map[string]string{"token": "canary-value"})
	w.keys.SetSecret(namespace, "other", "other.test, *.hello.test", map[string]string{"token": "canary-value"})
	w.keys.SetSecret(namespace, "mine", url, map[string]string{"token": "canary-value", "empty": "", "lines": "canary\r\nX-Evil: 1", "large": strings.Repeat("x", 8<<10+1)})
	w.keys.SetSecret("elsewhere", "theirs", "hello.test", map[string]string{"token": "canary-value"})
	w.keys.SetConfigMap(namespace, "ca", map[string]string{"ca.crt": "no certificate", "large": strings.Repeat("#", 256<<10+1)})
	from := func(secret, key string) []v1alpha1.HeaderFrom {
		return []v1alpha1.HeaderFrom{{Header: "Authorization", Prefix: "Bearer ", SecretKeyRef: v1alpha1.KeyRef{Name: secret, Key: key}}}
	}
	ca := func(f v1alpha1.CAFrom) *v1alpha1.TLS { return &v1alpha1.TLS{CAFrom: &f} }
	cases := map[string]struct {
		request v1alpha1.HTTPRequest
		want    string
	}{
		"NoSecret":      {v1alpha1.HTTPRequest{URL: url, HeadersFrom: from("nope", "token")}, "Secret nope does not exist"},
		"Theirs":        {v1alpha1.HTTPRequest{URL: url, HeadersFrom: from("theirs", "token")}, "Secret theirs does not exist"},
		"NoKey":         {v1alpha1.HTTPRequest{URL: url, HeadersFrom: from("mine", "nope")}, "Secret mine has no key nope, or it is empty"},
		"EmptyKey":      {v1alpha1.HTTPRequest{URL: url, HeadersFrom: from("mine", "empty")}, "Secret mine has no key empty, or it is empty"},
		"Lines":         {v1alpha1.HTTPRequest{URL: url, HeadersFrom: from("mine", "lines")}, "key lines of Secret mine cannot be sent as a header: it has a control character in it"},
		"NoAnnotation":  {v1alpha1.HTTPRequest{URL: url, HeadersFrom: from("bare", "token")}, fmt.Sprintf("Secret bare may not be sent to hello.test:%s without TLS: use https, or annotate it with kuberik.com/allowed-hosts: http://hello.test:%s", port, port)},
		"OtherHost":     {v1alpha1.HTTPRequest{URL: url, HeadersFrom: from("other", "token")}, fmt.Sprintf("Secret other may not be sent to hello.test:%s without TLS: use https, or add http://hello.test:%s to its annotation kuberik.com/allowed-hosts", port, port)},
		"HostHeader":    {v1alpha1.HTTPRequest{URL: url, HeadersFrom: from("mine", "token"), Headers: map[string]string{"host": "evil.test"}}, fmt.Sprintf("Secret mine may not be sent to evil.test:%s without TLS: use https, or add http://evil.test:%s to its annotation kuberik.com/allowed-hosts", port, port)},
		"ServerName":    {v1alpha1.HTTPRequest{URL: url, HeadersFrom: from("mine", "token"), TLS: &v1alpha1.TLS{ServerName: "evil.test"}}, fmt.Sprintf("Secret mine may not be sent to evil.test:%s without TLS: use https, or add http://evil.test:%s to its annotation kuberik.com/allowed-hosts", port, port)},
		"SecretHost":    {v1alpha1.HTTPRequest{URL: url, HeadersFrom: []v1alpha1.HeaderFrom{{Header: "host", SecretKeyRef: v1alpha1.KeyRef{Name: "mine", Key: "token"}}}}, "the header Host cannot come from a Secret"},
		"SecretName":    {v1alpha1.HTTPRequest{URL: url, HeadersFrom: []v1alpha1.HeaderFrom{{Header: "a b", SecretKeyRef: v1alpha1.KeyRef{Name: "mine", Key: "token"}}}}, "headersFrom names a header that cannot be sent"},
		"NoCA":          {v1alpha1.HTTPRequest{URL: url, TLS: ca(v1alpha1.CAFrom{ConfigMapKeyRef: &v1alpha1.KeyRef{Name: "nope", Key: "ca.crt"}})}, "ConfigMap nope does not exist"},
		"NoCAKey":       {v1alpha1.HTTPRequest{URL: url, TLS: ca(v1alpha1.CAFrom{ConfigMapKeyRef: &v1alpha1.KeyRef{Name: "ca", Key: "nope"}})}, "tls.caFrom names no certificates: the key is missing or empty"},
		"LargeKey":      {v1alpha1.HTTPRequest{URL: url, HeadersFrom: from("mine", "large")}, "key large of Secret mine is longer than 8 KiB and cannot be sent as a header"},
		"LargeCA":       {v1alpha1.HTTPRequest{URL: url, TLS: ca(v1alpha1.CAFrom{ConfigMapKeyRef: &v1alpha1.KeyRef{Name: "ca", Key: "large"}})}, "tls.caFrom holds more than 256 KiB of certificates"},
		"BadCA":         {v1alpha1.HTTPRequest{URL: url, TLS: ca(v1alpha1.CAFrom{ConfigMapKeyRef: &v1alpha1.KeyRef{Name: "ca", Key: "ca.crt"}})}, "tls.caFrom holds no certificate in PEM form"},
		"SecretAsCA":    {v1alpha1.HTTPRequest{URL: url, TLS: ca(v1alpha1.CAFrom{SecretKeyRef: &v1alpha1.KeyRef{Name: "bare", Key: "token"}})}, "tls.caFrom holds no certificate in PEM form"},
		"NoCASource":    {v1alpha1.HTTPRequest{URL: url, TLS: ca(v1alpha1.CAFrom{})}, "tls.caFrom names no certificates: the key is missing or empty"},
		"Method":        {v1alpha1.HTTPRequest{URL: url, Method: "DELETE"}, `method "DELETE" is none of GET, HEAD, POST and PUT`},
		"HeaderName":    {v1alpha1.HTTPRequest{URL: url, Headers: map[string]string{"a b": "c"}}, `the header "a b" cannot be sent: its name or its value has characters that a header cannot have`},
		"HeaderValue":   {v1alpha1.HTTPRequest{URL: url, Headers: map[string]string{"a": "b\nc: d"}}, `the header "a" cannot be sent: its name or its value has characters that a header cannot have`},
		"LargeHeaders":  {v1alpha1.HTTPRequest{URL: url, Headers: map[string]string{"a": strings.Repeat("x", 2049)}}, "headers is too large: at most 32 headers, each with a name of at most 128 characters and a value of at most 2048"},
		"Metadata":      {v1alpha1.HTTPRequest{URL: "http://169.254.169.254/latest/meta-data/"}, "address 169.254.169.254 may not be called (link-local); allow it with --allow-networks"},
		"Scheme":        {v1alpha1.HTTPRequest{URL: "ftp://user:canary-value@hello.test/"}, "the URL has to begin with http:// or https://"},
		"Unreadable":    {v1alpha1.HTTPRequest{URL: "http://user:canary-value@hello.test:x/"}, "the URL cannot be read"},
		"Port":          {v1alpha1.HTTPRequest{URL: "http://hello.test:70000/"}, "the URL has a port that does not exist"},
		"ForeignLetter": {v1alpha1.HTTPRequest{URL: "http://hello\u212a.test/"}, "the host of the URL has characters that the name of a host cannot have"},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			_, err := w.do(t, tc.request)
			var refusal *outbound.RefusedError
			if !errors.As(err, &refusal) || err.Error() != tc.want {
				t.Errorf("got %T %v, want a refusal: %s", err, err, tc.want)
			}
			if strings.Contains(text(err), "canary") {
				t.Errorf("tells a secret: %s", err)
			}
		})
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("asked the server %d times nevertheless", n)
	}
}

// TestSecretInClearText: only an entry with scheme and port lets a Secret out without TLS.
func TestSecretInClearText(t *testing.T) {
	var got atomic.Value
	server := outboundtest.Serve(t, func(_ http.ResponseWriter, r *http.Request) { got.Store(r.Header.Get("Authorization")) })
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	cases := map[string]struct {
		allowed, host string
		want          bool
	}{
		"Allowed":      {"a.test , http://hello.test:" + port, "hello.test", true},
		"Case":         {"HTTP://Hello.TEST:" + port, "hellO.test.", true},
		"Wild":         {"http://*.demo.test:" + port, "hello.demo.test", true},
		"Address":      {"http://127.0.0.1:" + port, "127.0.0.1", true},
		"NoScheme":     {"hello.test", "hello.test", false},
		"PortOnly":     {"hello.test:" + port, "hello.test", false},
		"NoPort":       {"http://hello.test", "hello.test", false},
		"TLS":          {"https://hello.test:" + port, "hello.test", false},
		"OtherPort":    {"http://hello.test:1", "hello.test", false},
		"OtherHost":    {"http://hello.test:" + port, "other.test", false},
		"UserIsNoHost": {"http://hello.test:" + port, "hello.test@other.test", false},
		"Everything":   {"http://*:" + port, "hello.test", false},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			w := newWorld(t)
			w.keys.SetSecret(namespace, "token", tc.allowed, map[string]string{"token": "canary-value\n"})
			got.Store("")
			_, err := w.do(t, v1alpha1.HTTPRequest{URL: "http://" + tc.host + ":" + port, HeadersFrom: []v1alpha1.HeaderFrom{{
				Header: "Authorization", Prefix: "Bearer ", SecretKeyRef: v1alpha1.KeyRef{Name: "token", Key: "token"},
			}}})
			if sent := got.Load() == "Bearer canary-value"; sent != tc.want || (err == nil) != tc.want {
				t.Errorf("%s for %s: sent %q, error %v", tc.allowed, tc.host, got.Load(), err)
			}
		})
	}
}

func TestRedirects(t *testing.T) {
	var mux http.ServeMux
	server := outboundtest.Serve(t, mux.ServeHTTP)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("Authorization")) })
	mux.HandleFunc("/1", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/2", http.StatusFound) })
	mux.HandleFunc("/2", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/3", http.StatusTemporaryRedirect) })
	mux.HandleFunc("/3", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/4", http.StatusFound) })
	w := newWorld(t)
	w.keys.SetSecret(namespace, "token", server.URL, map[string]string{"token": "canary-value"})
	r := v1alpha1.HTTPRequest{URL: server.URL + "/1", HeadersFrom: []v1alpha1.HeaderFrom{{Header: "Authorization", SecretKeyRef: v1alpha1.KeyRef{Name: "token", Key: "token"}}}}
	if a, err := w.do(t, r); err != nil || a.Status != http.StatusFound {
		t.Errorf("not followed: got %d %v", a.Status, err)
	}
	r.FollowRedirects = true
	if a, err := w.do(t, r); err != nil || a.Status != http.StatusOK || string(a.Body) != "canary-value" {
		t.Errorf("followed: got %d %q %v", a.Status, a.Body, err)
	}
}

// endless sends as much as anybody takes.
func endless(sent *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		block := make([]byte, 16<<10)
		for range 10 << 30 / len(block) {
			n, err := w.Write(block)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	}
}

func TestLimits(t *testing.T) {
	w := newWorld(t)
	var sent atomic.Int64
	huge := outboundtest.Serve(t, endless(&sent))
	a, err := w.do(t, v1alpha1.HTTPRequest{URL: huge.URL})
	if err != nil || !a.Truncated || len(a.Body) != outbound.MaxBody {
		t.Errorf("got %d bytes, truncated %t, %v", len(a.Body), a.Truncated, err)
	}
	exact := outboundtest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, outbound.MaxBody)) })
	if a, err := w.do(t, v1alpha1.HTTPRequest{URL: exact.URL}); err != nil || a.Truncated || len(a.Body) != outbound.MaxBody {
		t.Errorf("at the limit: got %d bytes, truncated %t, %v", len(a.Body), a.Truncated, err)
	}
	many := outboundtest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for i := range 500 {
			w.Header().Set(fmt.Sprintf("X-%03d", i), "v")
		}
	})
	if a, err := w.do(t, v1alpha1.HTTPRequest{URL: many.URL}); err != nil || len(a.Headers) > 64 {
		t.Errorf("got %d headers, %v", len(a.Headers), err)
	}

	api, _, err := w.HTTPClient(t.Context(), namespace, outbound.Access{Host: huge.Listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := api.Get(huge.URL)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if text(outbound.Cause(t.Context(), err)) != "answer is larger than 4 MiB" || n > 4<<20 {
		t.Errorf("got %d bytes and %v", n, err)
	}
	values := outboundtest.Serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })
	few, _, err := w.HTTPClient(t.Context(), namespace, outbound.Access{Host: values.Listener.Addr().String(), MaxValues: 4})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/[{},{},[]]": "", "/[{},{},[],1]": "", "/[{},{},[],{}]": "answer holds more than 4 objects and lists"} {
		resp, err := few.Get(values.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if got := outbound.Cause(t.Context(), err); want == "" && err != nil || want != "" && text(got) != want {
			t.Errorf("%s: got %v", path, err)
		}
	}
	if n := sent.Load(); n > 64<<20 {
		t.Errorf("the servers sent %d bytes", n)
	}
}

func TestCancelled(t *testing.T) {
	w := newWorld(t)
	hold := outboundtest.Serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := w.Do(ctx, namespace, v1alpha1.HTTPRequest{URL: hold.URL}, time.Minute)
	var failure *outbound.NoResponseError
	if err == nil || errors.As(err, &failure) || err.Error() != cancelled {
		t.Errorf("got %T %v", err, err)
	}
}

// A host that takes connections and never says anything must not collect them.
func TestGivenUpDialsEnd(t *testing.T) {
	w := newWorld(t)
	gone := make(chan struct{}, 10)
	silent := raw(t, func(c net.Conn) { io.Copy(io.Discard, c); gone <- struct{}{} })
	for range 5 {
		if _, err := w.Do(t.Context(), namespace, v1alpha1.HTTPRequest{URL: "https://" + silent}, 50*time.Millisecond); text(err) != "timed out after 50ms" {
			t.Errorf("got %v", err)
		}
	}
	for range 5 {
		select {
		case <-gone:
		case <-time.After(5 * time.Second):
			t.Fatal("a connection was left open")
		}
	}
}

func TestHTTPClient(t *testing.T) {
	w := newWorld(t)
	server := outboundtest.Serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("Dd-Api-Key")) })
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	w.keys.SetSecret(namespace, "datadog", "http://api.test:"+port, map[string]string{"api-key": "canary-value"})
	api, redactor, err := w.HTTPClient(t.Context(), namespace, outbound.Access{Host: "api.test:" + port, HeadersFrom: []v1alpha1.HeaderFrom{
		{Header: "DD-API-KEY", SecretKeyRef: v1alpha1.KeyRef{Name: "datadog", Key: "api-key"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := api.Get("http://api.test:" + port)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "canary-value" {
		t.Errorf("sent %q", body)
	}
	if got := redactor.Text("key canary-value"); got != "key [redacted]" {
		t.Errorf("redacted: %s", got)
	}
	for url, want := range map[string]string{
		"http://other.test:" + port: "only api.test:" + port + " may be called here",
		"http://api.test:1":         "only api.test:" + port + " may be called here",
	} {
		resp, err := api.Get(url)
		if err == nil {
			resp.Body.Close()
		}
		if got := text(outbound.Cause(t.Context(), err)); got != want {
			t.Errorf("%s: got %q, want %q", url, got, want)
		}
	}
	if got := fmt.Sprintf("%v %+v %#v", api, api, redactor); strings.Contains(got, "canary") {
		t.Error("printing the client prints the secret")
	}
}

// Namespaces and authorities share no connections; what is kept is bounded, and nothing is left at the end.
func TestDescriptors(t *testing.T) {
	if _, err := os.ReadDir("/proc/self/fd"); err != nil {
		t.Skipf("cannot count descriptors here: %s", err)
	}
	w := newWorld(t)
	server := outboundtest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	before := descriptors(t)
	var group sync.WaitGroup
	work := make(chan int)
	for range 64 {
		group.Go(func() {
			for i := range work {
				ns := fmt.Sprintf("ns-%d", i%300)
				if _, err := w.Do(t.Context(), ns, v1alpha1.HTTPRequest{URL: server.URL}, 10*time.Second); err != nil {
					t.Error(err)
				}
				if i%5 != 0 {
					continue
				}
				api, _, err := w.HTTPClient(t.Context(), ns, outbound.Access{Host: server.Listener.Addr().String()})
				if err != nil {
					t.Error(err)
					continue
				}
				resp, err := api.Get(server.URL)
				if err != nil {
					t.Error(err)
					continue
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
	checks := 5000
	if testing.Short() {
		checks = 1000
	}
	for i := range checks {
		work <- i
	}
	close(work)
	group.Wait()
	// Both ends of each connection are in this process. At most two are kept for each of the 60 namespaces with API clients.
	if after := descriptors(t); after > before+2*2*60+100 {
		t.Errorf("%d descriptors before %d checks, %d after", before, checks, after)
	}
	w.Close()
	deadline := time.Now().Add(10 * time.Second)
	for descriptors(t) > before+10 {
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors before, %d at the end", before, descriptors(t))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestNamespacesKeepTheirConnections: a namespace with many kinds of requests keeps few idle connections, and does not close
// those of another one.
func TestNamespacesKeepTheirConnections(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	open := map[string]bool{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, r.RemoteAddr) }))
	server.Config.ConnState = func(c net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		switch state {
		case http.StateNew:
			open[c.RemoteAddr().String()] = true
		case http.StateClosed:
			delete(open, c.RemoteAddr().String())
		}
	}
	server.Start()
	defer server.Close()
	get := func(ns, serverName string) string {
		t.Helper()
		api, _, err := w.HTTPClient(t.Context(), ns, outbound.Access{
			Host: server.Listener.Addr().String(), TLS: &v1alpha1.TLS{ServerName: serverName},
		})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := api.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body)
	}
	first := get("quiet", "")
	for i := range 1000 {
		get("loud", fmt.Sprintf("host-%d.test", i))
	}
	if get("quiet", "") != first {
		t.Error("the idle connection of another namespace was closed")
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		mu.Lock()
		n := len(open)
		mu.Unlock()
		if n <= 1+32 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are open after 1000 requests of one namespace", n)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestBundlesAreLimited: each certificate takes memory, however short it is.
func TestBundlesAreLimited(t *testing.T) {
	w := newWorld(t)
	server, authority := outboundtest.ServeTLS(t, outboundtest.Certificate{Hosts: []string{"127.0.0.1"}},
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	request := v1alpha1.HTTPRequest{URL: server.URL, TLS: &v1alpha1.TLS{
		CAFrom: &v1alpha1.CAFrom{ConfigMapKeyRef: &v1alpha1.KeyRef{Name: "ca", Key: "ca.crt"}},
	}}
	for n, want := range map[int]string{400: "", 401: "tls.caFrom holds 401 certificates: use at most 400"} {
		w.keys.SetConfigMap(namespace, "ca", map[string]string{"ca.crt": strings.Repeat(authority, n)})
		if _, err := w.do(t, request); text(err) != want {
			t.Errorf("%d certificates of %d bytes: got %v, want %q", n, len(authority), err, want)
		}
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// A check must not go on speaking to the pods that were there before.
func TestChecksKeepNoConnection(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	seen := map[string]bool{}
	server := outboundtest.Serve(t, func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.RemoteAddr] = true
	})
	for range 5 {
		if _, err := w.do(t, v1alpha1.HTTPRequest{URL: server.URL}); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 5 {
		t.Errorf("5 checks made %d connections", len(seen))
	}
}

// reader fails as the API server may.
type reader struct {
	client.Reader
	err error
}

func (r reader) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return r.err
}

func TestLive(t *testing.T) {
	resource := schema.GroupResource{Resource: "secrets"}
	for want, err := range map[string]error{
		"Secret token does not exist":                    apierrors.NewNotFound(resource, "token"),
		"Secret token may not be read by the controller": apierrors.NewForbidden(resource, "token", errors.New("no")),
		`reading Secret "token": the server is busy`:     errors.New("the server is busy"),
	} {
		c := outbound.New(outbound.Options{Policy: local, Keys: outbound.Live(reader{err: err})})
		_, got := c.Do(t.Context(), namespace, v1alpha1.HTTPRequest{URL: "http://hello.test", HeadersFrom: []v1alpha1.HeaderFrom{
			{Header: "A", SecretKeyRef: v1alpha1.KeyRef{Name: "token", Key: "token"}},
		}}, time.Second)
		var failure *outbound.NoResponseError
		if text(got) != want || errors.As(got, &failure) {
			t.Errorf("got %T %v, want %s", got, got, want)
		}
	}
	keys := outbound.Live(reader{})
	if s, err := keys.Secret(t.Context(), types.NamespacedName{}); err != nil || s == (*corev1.Secret)(nil) {
		t.Errorf("got %v %v", s, err)
	}
	if m, err := keys.ConfigMap(t.Context(), types.NamespacedName{}); err != nil || m == (*corev1.ConfigMap)(nil) {
		t.Errorf("got %v %v", m, err)
	}
}

func TestTimeout(t *testing.T) {
	d := func(s string) *v1alpha1.Duration { v := v1alpha1.Duration(s); return &v }
	for want, in := range map[time.Duration][]*v1alpha1.Duration{
		outbound.DefaultTimeout: {nil, d(""), d("0s"), d("nonsense"), d("10s")}, time.Second: {d("1s")},
		outbound.MaxTimeout: {d("30s"), d("30001ms"), d("5m")},
	} {
		for _, one := range in {
			if got := outbound.Timeout(one); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	}
	for _, in := range []*v1alpha1.Duration{nil, d("nonsense"), d("30s")} {
		if got := outbound.TimeoutNote("spec.timeout", in); got != "" {
			t.Errorf("of %v it says %q", in, got)
		}
	}
	if got, want := outbound.TimeoutNote("spec.timeout", d("5m")), "; spec.timeout is 5m, of which 30s are used"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for timeout, want := range map[time.Duration]string{
		time.Nanosecond: "timed out after 1ns", time.Minute: cancelled, time.Hour: cancelled,
	} {
		ctx, cancel := outbound.WithTimeout(t.Context(), timeout)
		if timeout == time.Nanosecond {
			<-ctx.Done()
		}
		cancel()
		if got := text(outbound.Cause(ctx, nil)); got != want {
			t.Errorf("%s: got %q, want %q", timeout, got, want)
		}
	}
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	if got := text(outbound.Cause(late, nil)); got != cancelled {
		t.Errorf("deadline of the caller: got %q, want %q", got, cancelled)
	}
}
