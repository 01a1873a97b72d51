package httpcheck_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/expr"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/health/healthtest"
	"github.com/kuberik/kuberik/internal/health/httpcheck"
	"github.com/kuberik/kuberik/internal/outbound"
	"github.com/kuberik/kuberik/internal/outbound/outboundtest"
)

const (
	namespace = "demo"
	canary    = "canary/+~value"
)

// fixture is a Checker with its keys.
type fixture struct {
	httpcheck.Checker
	keys *outboundtest.Keys
}

func newFixture(tb testing.TB) fixture {
	tb.Helper()
	b := fixture{keys: &outboundtest.Keys{}}
	client := outbound.New(outbound.Options{
		Policy: outbound.Policy{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		Keys:   b.keys, Resolver: outboundtest.Resolver(tb, func(string) []netip.Addr { return nil }),
	})
	tb.Cleanup(client.Close)
	b.Checker = httpcheck.Checker{Client: client, Conditions: expr.NewCache(8<<20, 8<<20)}
	return b
}

func input(spec v1alpha1.HTTPCheck, timeout time.Duration) health.CheckInput {
	d := v1alpha1.Duration(timeout.String())
	return health.CheckInput{
		Now: time.Now(),
		Check: &v1alpha1.HealthCheck{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "hello"},
			Spec:       v1alpha1.HealthCheckSpec{HTTP: &spec, Timeout: &d},
		},
		Release: health.Release{Namespace: namespace, Rollout: "hello", Tag: "v1.1.0", Digest: "sha256:abc", Revision: "main@sha1:1", Token: "t"},
	}
}

func request(url string) v1alpha1.HTTPRequest { return v1alpha1.HTTPRequest{URL: url} }

func bearer(secret string) []v1alpha1.HeaderFrom {
	return []v1alpha1.HeaderFrom{{Header: "Authorization", Prefix: "Bearer ", SecretKeyRef: v1alpha1.KeyRef{Name: secret, Key: "token"}}}
}

// format returns a report in one line.
func format(r health.Report, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	return string(r.State) + ": " + r.Message
}

func TestVerdicts(t *testing.T) {
	const kind = "application/json"
	long := `"` + strings.Repeat("x", 70_000) + `"`
	cases := map[string]struct {
		status   int
		kind     string
		body     string
		expected []string
		success  string
		want     string
	}{
		"OK":              {200, kind, "{}", nil, "", "Healthy: answered 200"},
		"NoContent":       {204, "", "", nil, "", "Healthy: answered 204"},
		"Unavailable":     {503, kind, "{}", nil, "", "Unhealthy: answered 503, expected 200-299"},
		"Moved":           {301, "", "", nil, "", "Unhealthy: answered 301, expected 200-299"},
		"MovedExpected":   {301, "", "", []string{"300-399"}, "", "Healthy: answered 301"},
		"Several":         {404, "", "", []string{"200", "404"}, "", "Healthy: answered 404"},
		"NoneOfSeveral":   {500, "", "", []string{"200-204", "404"}, "", "Unhealthy: answered 500, expected 200-204, 404"},
		"Backwards":       {200, "", "", []string{"299-200"}, "", `error: expectedStatus "299-200" is neither a status code nor a range such as 200-299`},
		"Nonsense":        {200, "", "", []string{"ok"}, "", `error: expectedStatus "ok" is neither a status code nor a range such as 200-299`},
		"Condition":       {200, kind, `{"ok": true}`, nil, `status == 200 && body.ok`, "Healthy: answered 200"},
		"ConditionAlone":  {500, kind, `{"ok": true}`, []string{"200"}, `body.ok`, "Healthy: answered 500"},
		"False":           {200, kind, `{"ok": false}`, nil, `body.ok`, "Unhealthy: success is false for status 200: body.ok is false"},
		"Version":         {200, kind, `{"version": "v1.1.0"}`, nil, `body.version == release.tag`, "Healthy: answered 200"},
		"OldVersion":      {200, kind, `{"version": "v1.0.0"}`, nil, `body.version == release.tag`, "Unhealthy: success is false for status 200"},
		"Header":          {200, "text/x-special", "", nil, `headers["content-type"] == "text/x-special"`, "Healthy: answered 200"},
		"Text":            {200, "text/plain", "all is well", nil, `body == "all is well"`, "Healthy: answered 200"},
		"ErrorPage":       {200, "text/html", "<html>canary</html>", nil, `body.ok`, "Unhealthy: success has no value for status 200: body has no field ok"},
		"OtherShape":      {200, kind, `{"ok": "canary"}`, nil, `body.ok`, "Unhealthy: success has no value for status 200: the condition has to be true or false, and is a text"},
		"Malformed":       {200, kind, `{"ok": canary`, nil, `body.ok`, "Unhealthy: answered 200 with malformed JSON"},
		"MalformedUnread": {200, kind, `{"ok": canary`, nil, `status == 200`, "Healthy: answered 200"},
		"MalformedStatus": {200, kind, `{"ok": canary`, nil, ``, "Healthy: answered 200"},
		"Long":            {200, kind, long, nil, `body.size() > 0`, "Unhealthy: answer is larger than 64 KiB"},
		"LongUnread":      {200, kind, long, nil, `status == 200`, "Healthy: answered 200"},
		"LongStatus":      {200, kind, long, nil, ``, "Healthy: answered 200"},
		"NotCEL":          {200, kind, "{}", nil, `status = 200`, "error: success: Syntax error: token recognition error at: '= ', at character 8"},
		"NotBool":         {200, kind, "{}", nil, `status`, "error: success: the condition has to be true or false, and is a number"},
		"TooDear":         {200, kind, "[1" + strings.Repeat(",1", 20_000) + "]", nil, `body.all(a, body.all(b, a == b))`, "error: success: the condition costs too much to evaluate"},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			b := newFixture(t)
			s := input(v1alpha1.HTTPCheck{HTTPRequest: request(outboundtest.Respond(t, tc.status, tc.kind, tc.body)), ExpectedStatus: tc.expected, Success: tc.success}, 5*time.Second)
			if got := format(b.Check(t.Context(), s)); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
	if got := format(newFixture(t).Check(t.Context(), health.CheckInput{Check: &v1alpha1.HealthCheck{}})); got != "error: spec.http is missing" {
		t.Errorf("without a field: %s", got)
	}
}

// TestFaults checks the message of each fault.
func TestFaults(t *testing.T) {
	b := newFixture(t)
	hold := outboundtest.Serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	drip := outboundtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			io.WriteString(w, ".")
			w.(http.Flusher).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	})
	reset, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reset.Close() })
	go func() {
		for {
			conn, err := reset.Accept()
			if err != nil {
				return
			}
			conn.Read(make([]byte, 1024))
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}
	}()
	var sent atomic.Int64
	huge := outboundtest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		block := make([]byte, 64<<10)
		for range 10 << 30 / len(block) {
			n, err := w.Write(block)
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	})
	metadata := outboundtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/latest/meta-data/iam/security-credentials/", http.StatusFound)
	})
	closed := outboundtest.Serve(t, nil)
	closed.Close()
	expired, ca := outboundtest.ServeTLS(t, outboundtest.Certificate{Hosts: []string{"127.0.0.1"}, Age: 48 * time.Hour}, http.NotFoundHandler())
	b.keys.SetConfigMap(namespace, "ca", map[string]string{"ca.crt": ca})
	b.keys.SetSecret(namespace, "unbound", "", map[string]string{"token": canary})
	trusting := request(expired.URL)
	trusting.TLS = &v1alpha1.TLS{CAFrom: &v1alpha1.CAFrom{ConfigMapKeyRef: &v1alpha1.KeyRef{Name: "ca", Key: "ca.crt"}}}
	following := request(metadata.URL)
	following.FollowRedirects = true
	fine := outboundtest.Respond(t, 200, "", "")
	with := func(secret string) v1alpha1.HTTPRequest {
		r := request(fine)
		r.HeadersFrom = bearer(secret)
		return r
	}
	cases := map[string]struct {
		request v1alpha1.HTTPRequest
		success string
		want    string
	}{
		"TimeOut":           {request(hold.URL), "", "Unhealthy: timed out after 300ms"},
		"SlowDrip":          {request(drip.URL), "", "Unhealthy: timed out after 300ms"},
		"DNS":               {request("http://hello.demo.svc.cluster.invalid/healthz"), "", "Unhealthy: no such host hello.demo.svc.cluster.invalid"},
		"Refused":           {request(closed.URL), "", "Unhealthy: connection refused"},
		"Reset":             {request("http://" + reset.Addr().String()), "", "Unhealthy: connection reset"},
		"ServerError":       {request(outboundtest.Respond(t, 500, "", "stack trace with "+canary)), "", "Unhealthy: answered 500, expected 200-299"},
		"MalformedJSON":     {request(outboundtest.Respond(t, 200, "application/json", "<html>")), "body.ok", "Unhealthy: answered 200 with malformed JSON"},
		"HugeBody":          {request(huge.URL), "", "Healthy: answered 200"},
		"HugeBodyRead":      {request(huge.URL), `body != ""`, "Unhealthy: answer is larger than 64 KiB"},
		"RedirectMetadata":  {request(metadata.URL), "", "Unhealthy: answered 302, expected 200-299"},
		"FollowToMetadata":  {following, "", "Unhealthy: redirects to another host are not followed"},
		"Metadata":          {request("http://169.254.169.254/latest/meta-data/"), "", "error: address 169.254.169.254 may not be called (link-local); allow it with --allow-networks"},
		"ExpiredCert":       {trusting, "", "Unhealthy: certificate has expired"},
		"UntrustedCert":     {request(expired.URL), "", "Unhealthy: certificate has expired"},
		"DearCondition":     {request(outboundtest.Respond(t, 200, "", "")), `[1,2,3].all(a, [1,2,3].all(b, headers.all(c, headers.all(d, headers.all(e, c == d + e)))))`, "error: success: the condition has more than 4 loops, or more than 8 lists, within each other"},
		"SecretMissing":     {with("nope"), "", "error: Secret nope does not exist"},
		"SecretForNobody":   {with("unbound"), "", "error: Secret unbound may not be sent to " + strings.TrimPrefix(fine, "http://") + " without TLS: use https, or annotate it with kuberik.com/allowed-hosts: " + fine},
		"PasswordInTheURL":  {request("http://me:" + strings.ReplaceAll(canary, "/", "") + "@nowhere.invalid/?key=" + canary), "", "Unhealthy: no such host nowhere.invalid"},
		"ConditionNotAsked": {request(huge.URL), `nonsense`, "error: success: undeclared reference to 'nonsense', at character 1"},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			timeout := 10 * time.Second
			if strings.Contains(tc.want, "timed out") {
				timeout = 300 * time.Millisecond
			}
			s := input(v1alpha1.HTTPCheck{HTTPRequest: tc.request, Success: tc.success}, timeout)
			first := format(b.Check(t.Context(), s))
			if first != tc.want {
				t.Errorf("got  %s\nwant %s", first, tc.want)
			}
			if again := format(b.Check(t.Context(), s)); again != first {
				t.Errorf("the second report differs: %s", again)
			}
		})
	}
	if n := sent.Load(); n > 64<<20 {
		t.Errorf("%d bytes of endless answers were sent", n)
	}
}

func TestSecretRotatedWhileRunning(t *testing.T) {
	b := newFixture(t)
	var current atomic.Value
	current.Store("first")
	server := outboundtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != fmt.Sprint("Bearer ", current.Load()) {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	r := request(server.URL)
	r.HeadersFrom = bearer("token")
	s := input(v1alpha1.HTTPCheck{HTTPRequest: r}, 5*time.Second)
	steps := []struct{ server, secret, want string }{
		{"first", "first", "Healthy: answered 200"},
		{"second", "first", "Unhealthy: answered 401, expected 200-299"},
		{"second", "second", "Healthy: answered 200"},
	}
	for _, step := range steps {
		current.Store(step.server)
		b.keys.SetSecret(namespace, "token", server.URL, map[string]string{"token": step.secret + "\n"})
		if got := format(b.Check(t.Context(), s)); got != step.want {
			t.Errorf("server wants %s, Secret has %s: got %s, want %s", step.server, step.secret, got, step.want)
		}
	}
}

// mirror answers with the token of the request, in several encodings and places.
func mirror(w http.ResponseWriter, r *http.Request, status int, body string) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	encoded := base64.StdEncoding.EncodeToString([]byte(token))
	w.Header().Set("X-Echo", token+" "+encoded)
	w.Header().Set("Location", "http://"+encoded+".example/?"+token)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, body, token, encoded)
}

func TestContract(t *testing.T) {
	healthtest.Run(t, healthtest.Harness{
		Canary: canary, Unanswered: v1alpha1.HealthUnhealthy,
		Cannot: map[healthtest.Situation]string{
			healthtest.Pending: "every answer, and a missing one, is Healthy or Unhealthy",
			healthtest.NoData:  "every answer, and a missing one, is Healthy or Unhealthy",
		},
		Play: func(t *testing.T, s healthtest.Situation) (health.Checker, health.CheckInput) {
			t.Helper()
			b := newFixture(t)
			server := outboundtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				switch s {
				case healthtest.Unhealthy:
					mirror(w, r, http.StatusOK, `{"ok": false, "echo": %q, "again": %q}`)
				case healthtest.Failing:
					mirror(w, r, http.StatusInternalServerError, `broken: %s %s`)
				case healthtest.Silent:
					<-r.Context().Done()
				case healthtest.Slow:
					time.Sleep(100 * time.Millisecond)
					mirror(w, r, http.StatusOK, `{"ok": true, "echo": %q, "again": %q}`)
				default:
					mirror(w, r, http.StatusOK, `{"ok": true, "echo": %q, "again": %q}`)
				}
			})
			b.keys.SetSecret(namespace, "token", server.URL, map[string]string{"token": canary})
			r := request(server.URL)
			r.HeadersFrom = bearer("token")
			return b.Checker, input(v1alpha1.HTTPCheck{HTTPRequest: r, Success: `body.ok`}, time.Second)
		},
	})
}

// BenchmarkCheck measures checks with 256 workers. 5,000 checks every 30s need 167 in a second.
func BenchmarkCheck(b *testing.B) {
	plain := outboundtest.Serve(b, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"ok": true, "version": "v1.1.0"}`)
	})
	secure, ca := outboundtest.ServeTLS(b, outboundtest.Certificate{Hosts: []string{"127.0.0.1"}}, plain.Config.Handler)
	f := newFixture(b)
	f.keys.SetConfigMap(namespace, "ca", map[string]string{"ca.crt": ca})
	f.keys.SetSecret(namespace, "token", "127.0.0.1", map[string]string{"token": canary})
	trusting := request(secure.URL)
	trusting.TLS = &v1alpha1.TLS{CAFrom: &v1alpha1.CAFrom{ConfigMapKeyRef: &v1alpha1.KeyRef{Name: "ca", Key: "ca.crt"}}}
	trusting.HeadersFrom = bearer("token")
	for name, check := range map[string]v1alpha1.HTTPCheck{
		"Status":    {HTTPRequest: request(plain.URL)},
		"Condition": {HTTPRequest: request(plain.URL), Success: `status == 200 && body.ok && body.version == release.tag`},
		"TLSSecret": {HTTPRequest: trusting, Success: `status == 200 && body.ok`},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetParallelism(128)
			b.RunParallel(func(pb *testing.PB) {
				s := input(check, 10*time.Second)
				for pb.Next() {
					if got := format(f.Check(b.Context(), s)); got != "Healthy: answered 200" {
						b.Error(got)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "checks/s")
		})
	}
}
