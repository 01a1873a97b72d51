package apicheck_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/expr"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/gate/apicheck"
	"github.com/kuberik/kuberik/internal/outbound"
	"github.com/kuberik/kuberik/internal/outbound/outboundtest"
)

const (
	namespace = "demo"
	canary    = "canary/+~value"
	kind      = "application/json"
)

var release = expr.Release{Tag: "v1.1.0+a&b", Digest: "sha256:abc", Revision: "main@sha1:1", Rollout: "hello", Namespace: namespace}

// recordingClock is a clock that records each pause and ends it at once.
type recordingClock struct {
	*clocktesting.FakeClock
	mu     sync.Mutex
	pauses []time.Duration
}

func (h *recordingClock) NewTimer(d time.Duration) clock.Timer {
	h.mu.Lock()
	h.pauses = append(h.pauses, d)
	h.mu.Unlock()
	timer := h.FakeClock.NewTimer(d)
	h.Step(d)
	return timer
}

// fixture is an Asker with its keys and its clock.
type fixture struct {
	apicheck.Asker
	keys  *outboundtest.Keys
	clock *recordingClock
}

func newFixture(tb testing.TB) fixture {
	tb.Helper()
	b := fixture{keys: &outboundtest.Keys{}, clock: &recordingClock{FakeClock: clocktesting.NewFakeClock(time.Unix(1_700_000_000, 0))}}
	client := outbound.New(outbound.Options{
		Policy: outbound.Policy{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		Keys:   b.keys, Resolver: outboundtest.Resolver(tb, func(string) []netip.Addr { return nil }),
	})
	tb.Cleanup(client.Close)
	b.Asker = apicheck.Asker{Client: client, Conditions: expr.NewCache(8<<20, 8<<20), Clock: b.clock}
	return b
}

func gateOf(spec v1alpha1.HTTPGate) *v1alpha1.RolloutGate {
	return &v1alpha1.RolloutGate{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "api"}, Spec: v1alpha1.RolloutGateSpec{HTTP: &spec},
	}
}

func request(url string) v1alpha1.HTTPRequest { return v1alpha1.HTTPRequest{URL: url} }

// format returns a verdict in one line.
func format(v gate.Verdict) string { return string(v.State) + " " + v.Reason + ": " + v.Message }

func TestVerdicts(t *testing.T) {
	long := `"` + strings.Repeat("x", 70_000) + `"`
	cases := map[string]struct {
		status  int
		kind    string
		body    string
		success string
		want    string
	}{
		"Yes":            {200, kind, "{}", "", "open AnsweredYes: answered 200"},
		"NoContent":      {204, "", "", "", "open AnsweredYes: answered 204"},
		"No":             {403, kind, "{}", "", "closed AnsweredNo: answered 403, expected 200-299"},
		"ServerError":    {500, "", "stack trace with " + canary, "", "closed AnsweredNo: answered 500, expected 200-299"},
		"Redirect":       {302, "", "", "", "closed AnsweredNo: answered 302, expected 200-299"},
		"Condition":      {200, kind, `{"allowed": true}`, `body.allowed`, "open AnsweredYes: answered 200"},
		"ConditionAlone": {503, kind, `{"allowed": true}`, `body.allowed`, "open AnsweredYes: answered 503"},
		"False":          {200, kind, `{"allowed": false}`, `body.allowed`, "closed AnsweredNo: success is false for status 200: body.allowed is false"},
		"Release":        {200, kind, `{"digest": "sha256:abc"}`, `body.digest == release.digest`, "open AnsweredYes: answered 200"},
		"OtherDigest":    {200, kind, `{"digest": "sha256:def"}`, `body.digest == release.digest`, "closed AnsweredNo: success is false for status 200"},
		"Header":         {200, "text/x-yes", "", `headers["content-type"] == "text/x-yes"`, "open AnsweredYes: answered 200"},
		"NoBool":         {200, kind, `{"allowed": "` + canary + `"}`, `body.allowed`, "closed ExpressionFailed: success has no value for status 200: the condition has to be true or false, and is a text"},
		"NoBoolEver":     {200, kind, "{}", `status`, "closed ExpressionFailed: success: the condition has to be true or false, and is a number"},
		"NoField":        {200, kind, `{"` + canary + `": 1}`, `body.allowed`, "closed ExpressionFailed: success has no value for status 200: body has no field allowed"},
		"OtherType":      {200, "text/html", "<html>" + canary, `body.allowed`, "closed ExpressionFailed: success has no value for status 200: body has no field allowed"},
		"Malformed":      {200, kind, `{"allowed": ` + canary, `body.allowed`, "closed BadAnswer: answered 200 with malformed JSON"},
		"TooLarge":       {200, kind, long, `body != ""`, "closed BadAnswer: answer is larger than 64 KiB"},
		"LargeUnread":    {200, kind, long, `status == 200`, "open AnsweredYes: answered 200"},
		"TooDear":        {200, kind, "[1" + strings.Repeat(",1", 20_000) + "]", `body.all(a, body.all(b, a == b))`, "closed ExpressionFailed: success: the condition costs too much to evaluate"},
		"DearEver":       {200, kind, "", `[1,2,3].all(a, [1,2,3].all(b, headers.all(c, headers.all(d, headers.all(e, c == d + e)))))`, "closed ExpressionFailed: success: the condition has more than 4 loops, or more than 8 lists, within each other"},
		"NotCEL":         {200, kind, "{}", `status = 200`, "closed ExpressionFailed: success: Syntax error: token recognition error at: '= ', at character 8"},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			b := newFixture(t)
			g := gateOf(v1alpha1.HTTPGate{HTTPRequest: request(outboundtest.Respond(t, tc.status, tc.kind, tc.body)), Success: tc.success})
			first := format(b.Ask(t.Context(), g, release))
			if diff := cmp.Diff(tc.want, first); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if again := format(b.Ask(t.Context(), g, release)); again != first {
				t.Errorf("the second verdict differs: %s", again)
			}
		})
	}
	v := newFixture(t).Ask(t.Context(), &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Name: "api"}}, release)
	if format(v) != "closed Refused: spec.http is missing" || v.Gate != "api" {
		t.Errorf("without the field: %+v", v)
	}
}

// Every fault closes the gate, and the message names the cause.
func TestFaults(t *testing.T) {
	b := newFixture(t)
	hold := outboundtest.Serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	gone := outboundtest.Serve(t, nil)
	gone.Close()
	abrupt, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { abrupt.Close() })
	go func() {
		for {
			conn, err := abrupt.Accept()
			if err != nil {
				return
			}
			conn.Read(make([]byte, 1024))
			conn.Close()
		}
	}()
	fine := outboundtest.Respond(t, 200, "", "")
	host := strings.TrimPrefix(fine, "http://")
	away := outboundtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/latest/meta-data/", http.StatusFound)
	}).URL
	self, _ := outboundtest.ServeTLS(t, outboundtest.Certificate{Hosts: []string{"127.0.0.1"}}, http.NotFoundHandler())
	b.keys.SetSecret(namespace, "unbound", "", map[string]string{"token": canary})
	b.keys.SetSecret(namespace, "elsewhere", "example.com", map[string]string{"token": canary})
	b.keys.SetSecret("other", "foreign", "127.0.0.1", map[string]string{"token": canary})
	with := func(secret string) v1alpha1.HTTPRequest {
		r := request(fine)
		r.HeadersFrom = []v1alpha1.HeaderFrom{{Header: "Authorization", Prefix: "Bearer ", SecretKeyRef: v1alpha1.KeyRef{Name: secret, Key: "token"}}}
		return r
	}
	following := request(away)
	following.FollowRedirects = true
	tag := func(source string) map[string]string { return map[string]string{"tag": source} }
	short := new(v1alpha1.Duration)
	*short = "200ms"
	cases := map[string]struct {
		spec v1alpha1.HTTPGate
		want string
	}{
		"TimeOut":        {v1alpha1.HTTPGate{HTTPRequest: request(hold.URL), Timeout: short}, "NoAnswer: timed out after 200ms"},
		"Refused":        {v1alpha1.HTTPGate{HTTPRequest: request(gone.URL)}, "NoAnswer: connection refused"},
		"Closed":         {v1alpha1.HTTPGate{HTTPRequest: request("http://" + abrupt.Addr().String())}, "NoAnswer: connection closed without an answer"},
		"DNS":            {v1alpha1.HTTPGate{HTTPRequest: request("http://api.invalid/")}, "NoAnswer: no such host api.invalid"},
		"Certificate":    {v1alpha1.HTTPGate{HTTPRequest: request(self.URL)}, "NoAnswer: certificate signed by unknown authority"},
		"Redirect":       {v1alpha1.HTTPGate{HTTPRequest: request(away)}, "AnsweredNo: answered 302, expected 200-299"},
		"Follow":         {v1alpha1.HTTPGate{HTTPRequest: following}, "NoAnswer: redirects to another host are not followed"},
		"Metadata":       {v1alpha1.HTTPGate{HTTPRequest: request("http://169.254.169.254/")}, "Refused: address 169.254.169.254 may not be called (link-local); allow it with --allow-networks"},
		"Loopback":       {v1alpha1.HTTPGate{HTTPRequest: request("http://[::1]/")}, "Refused: address ::1 may not be called (loopback); allow it with --allow-networks"},
		"NoSecret":       {v1alpha1.HTTPGate{HTTPRequest: with("nope")}, "Refused: Secret nope does not exist"},
		"ForeignSecret":  {v1alpha1.HTTPGate{HTTPRequest: with("foreign")}, "Refused: Secret foreign does not exist"},
		"UnboundSecret":  {v1alpha1.HTTPGate{HTTPRequest: with("unbound")}, "Refused: Secret unbound may not be sent to " + host + " without TLS: use https, or annotate it with kuberik.com/allowed-hosts: " + fine},
		"OtherHost":      {v1alpha1.HTTPGate{HTTPRequest: with("elsewhere")}, "Refused: Secret elsewhere may not be sent to " + host + " without TLS: use https, or add " + fine + " to its annotation kuberik.com/allowed-hosts"},
		"Scheme":         {v1alpha1.HTTPGate{HTTPRequest: request("ftp://" + canary)}, "Refused: the URL has to begin with http:// or https://"},
		"NoURL":          {v1alpha1.HTTPGate{HTTPRequest: request("http://%zz" + canary), Query: tag("release.tag")}, "Refused: the URL cannot be read"},
		"Query":          {v1alpha1.HTTPGate{HTTPRequest: request(fine), Query: tag("release.tga")}, "ExpressionFailed: query.tag: release has no field tga: it has tag, digest, revision, rollout and namespace"},
		"QueryStatus":    {v1alpha1.HTTPGate{HTTPRequest: request(fine), Query: tag("status")}, "ExpressionFailed: query.tag: undeclared reference to 'status', at character 1"},
		"QueryEmpty":     {v1alpha1.HTTPGate{HTTPRequest: request(fine), Query: tag("")}, "ExpressionFailed: query.tag: the expression is empty"},
		"QueryLong":      {v1alpha1.HTTPGate{HTTPRequest: request(fine), Query: tag(`["` + strings.Repeat("x", 1900) + `"].map(a, a + a)`)}, "ExpressionFailed: query.tag: the value is longer than 2048 characters"},
		"QueryLarge":     {v1alpha1.HTTPGate{HTTPRequest: request(fine), Query: tag(`"` + strings.Repeat("x", 2047) + `"`)}, "ExpressionFailed: query is too large: at most 16 parameters, each with a name of at most 253 characters and an expression of at most 2048"},
		"BodyExpression": {v1alpha1.HTTPGate{HTTPRequest: request(fine), BodyExpression: `release.tag.split(".")[7]`}, "ExpressionFailed: bodyExpression: a list has fewer entries than the expression asks for"},
		"Password":       {v1alpha1.HTTPGate{HTTPRequest: request("http://me:secret@nowhere.invalid/?key=" + canary)}, "NoAnswer: no such host nowhere.invalid"},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			g := gateOf(tc.spec)
			first := format(b.Ask(t.Context(), g, release))
			if diff := cmp.Diff("closed "+tc.want, first); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if again := format(b.Ask(t.Context(), g, release)); again != first {
				t.Errorf("the second verdict differs: %s", again)
			}
		})
	}
}

// seen is a request as the server received it.
type seen struct {
	Method, URL, Token, Type, Body string
}

func TestRequest(t *testing.T) {
	b := newFixture(t)
	var last seen
	server := outboundtest.Serve(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		last = seen{r.Method, r.URL.String(), r.Header.Get("X-Token"), r.Header.Get("Content-Type"), string(body)}
	})
	b.keys.SetSecret(namespace, "token", server.URL, map[string]string{"token": canary + "\n"})
	secret := []v1alpha1.HeaderFrom{{Header: "X-Token", SecretKeyRef: v1alpha1.KeyRef{Name: "token", Key: "token"}}}
	cases := map[string]struct {
		reason string
		path   string
		spec   v1alpha1.HTTPGate
		want   seen
	}{
		"Plain":  {"the URL as it is", "/may?a=b", v1alpha1.HTTPGate{}, seen{Method: "GET", URL: "/may?a=b"}},
		"Query":  {"values are escaped, and cannot bring parameters of their own", "/may", v1alpha1.HTTPGate{Query: map[string]string{"tag": "release.tag", "digest": "release.digest"}}, seen{Method: "GET", URL: "/may?digest=sha256%3Aabc&tag=v1.1.0%2Ba%26b"}},
		"Added":  {"behind those of the URL", "/may?env=prod", v1alpha1.HTTPGate{Query: map[string]string{"n": "1"}}, seen{Method: "GET", URL: "/may?env=prod&n=1"}},
		"Secret": {"a header from a Secret that names the host", "/", v1alpha1.HTTPGate{HTTPRequest: v1alpha1.HTTPRequest{HeadersFrom: secret}}, seen{Method: "GET", URL: "/", Token: canary}},
		"Body":   {"a body as it is", "/", v1alpha1.HTTPGate{HTTPRequest: v1alpha1.HTTPRequest{Method: "POST", Body: "release.tag"}}, seen{Method: "POST", URL: "/", Type: "text/plain; charset=utf-8", Body: "release.tag"}},
		"JSON":   {"a body that is made", "/", v1alpha1.HTTPGate{HTTPRequest: v1alpha1.HTTPRequest{Method: "POST"}, BodyExpression: `{"image": release.digest, "of": release.rollout}`}, seen{Method: "POST", URL: "/", Type: kind, Body: `{"image":"sha256:abc","of":"hello"}`}},
		"Text":   {"a text that is made", "/", v1alpha1.HTTPGate{HTTPRequest: v1alpha1.HTTPRequest{Method: "PUT"}, BodyExpression: `release.namespace + "/" + release.revision`}, seen{Method: "PUT", URL: "/", Type: "text/plain; charset=utf-8", Body: "demo/main@sha1:1"}},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			tc.spec.URL = server.URL + tc.path
			if v := b.Ask(t.Context(), gateOf(tc.spec), release); !v.Open() {
				t.Fatal(format(v))
			}
			if diff := cmp.Diff(tc.want, last); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestRetries(t *testing.T) {
	cases := map[string]struct {
		reason  string
		answers []int // 0 hangs up
		retries *int32
		slow    time.Duration
		want    string
		pauses  []time.Duration
	}{
		"Yes":         {"an answer is believed", []int{200}, nil, 0, "open AnsweredYes: answered 200", nil},
		"No":          {"so is a no", []int{404, 200}, nil, 0, "closed AnsweredNo: answered 404, expected 200-299", nil},
		"Unavailable": {"not now does not mean never", []int{503, 503, 200}, nil, 0, "open AnsweredYes: answered 200", []time.Duration{time.Second, 2 * time.Second}},
		"TooMany":     {"not now does not mean never", []int{429, 200}, nil, 0, "open AnsweredYes: answered 200", []time.Duration{time.Second}},
		"HungUp":      {"nor is silence", []int{0, 200}, nil, 0, "open AnsweredYes: answered 200", []time.Duration{time.Second}},
		"ThenNo":      {"a no ends it", []int{0, 409, 200}, nil, 0, "closed AnsweredNo: answered 409, expected 200-299", []time.Duration{time.Second}},
		"GivenUp":     {"after two retries", []int{500, 0, 502, 200}, nil, 0, "closed AnsweredNo: answered 502, expected 200-299", []time.Duration{time.Second, 2 * time.Second}},
		"Never":       {"or none", []int{0, 200}, new(int32), 0, "closed NoAnswer: connection closed without an answer", nil},
		"Many": {"with growing pauses, up to a minute in all", []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, ptr(10), 0, "closed NoAnswer: connection closed without an answer",
			[]time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 10 * time.Second, 10 * time.Second, 10 * time.Second, 10 * time.Second}},
		"Slow": {"which a slow answer uses up", []int{500, 500, 200}, ptr(10), 58 * time.Second, "closed AnsweredNo: answered 500, expected 200-299", []time.Duration{time.Second}},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			b := newFixture(t)
			var asked atomic.Int64
			server := outboundtest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
				b.clock.Step(tc.slow)
				status := tc.answers[asked.Add(1)-1]
				if status == 0 {
					panic(http.ErrAbortHandler)
				}
				w.WriteHeader(status)
			})
			v := b.Ask(t.Context(), gateOf(v1alpha1.HTTPGate{HTTPRequest: v1alpha1.HTTPRequest{URL: server.URL, Method: "POST", Body: "x"}, Retries: tc.retries}), release)
			if diff := cmp.Diff(tc.want, format(v)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.pauses, b.clock.pauses); diff != "" {
				t.Errorf("%s: pauses (-want +got):\n%s", tc.reason, diff)
			}
			if n := int(asked.Load()); n != len(tc.pauses)+1 {
				t.Errorf("%s: asked %d times", tc.reason, n)
			}
		})
	}
}

func ptr(n int32) *int32 { return &n }

// unreadable is a source of keys whose API server is down.
type unreadable struct{ asked atomic.Int64 }

func (u *unreadable) Secret(context.Context, types.NamespacedName) (*corev1.Secret, error) {
	u.asked.Add(1)
	return nil, errors.New("read tcp 10.0.0.7:41234->10.0.0.1:443: connection reset " + canary)
}

func (u *unreadable) ConfigMap(context.Context, types.NamespacedName) (*corev1.ConfigMap, error) {
	return nil, errors.New("away")
}

func TestUnreadableKeys(t *testing.T) {
	keys := &unreadable{}
	b := newFixture(t)
	b.Client = outbound.New(outbound.Options{Keys: keys})
	r := request("http://api.invalid")
	r.HeadersFrom = []v1alpha1.HeaderFrom{{Header: "Authorization", SecretKeyRef: v1alpha1.KeyRef{Name: "s", Key: "token"}}}
	got := format(b.Ask(t.Context(), gateOf(v1alpha1.HTTPGate{HTTPRequest: r}), release))
	if got != "closed KeysUnreadable: a Secret or a ConfigMap of the request could not be read just now" || keys.asked.Load() != 1 {
		t.Errorf("%s, after %d attempts", got, keys.asked.Load())
	}
}

// A controller that shuts down does not wait for the pauses.
func TestCancelled(t *testing.T) {
	b := newFixture(t)
	b.Clock = clocktesting.NewFakeClock(time.Now()) // on which no pause ever ends
	ctx, cancel := context.WithCancel(t.Context())
	server := outboundtest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		cancel()
	})
	if v := b.Ask(ctx, gateOf(v1alpha1.HTTPGate{HTTPRequest: request(server.URL)}), release); v.Open() {
		t.Error(format(v))
	}
}

// A verdict contains no text of the request or the answer.
func TestNothingLeaks(t *testing.T) {
	b := newFixture(t)
	for status := 200; status < 600; status += 100 {
		server := outboundtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Echo", r.Header.Get("Authorization"))
			w.WriteHeader(status)
			io.WriteString(w, r.Header.Get("Authorization"))
		})
		b.keys.SetSecret(namespace, "token", server.URL, map[string]string{"token": canary})
		for _, success := range []string{"", "body.nope", "body[body] == 1", "int(body) == 1", "headers[\"x-echo\"] == \"\"", "body"} {
			r := request(server.URL)
			r.HeadersFrom = []v1alpha1.HeaderFrom{{Header: "Authorization", Prefix: "Bearer ", SecretKeyRef: v1alpha1.KeyRef{Name: "token", Key: "token"}}}
			v := b.Ask(t.Context(), gateOf(v1alpha1.HTTPGate{HTTPRequest: r, Success: success}), release)
			text, err := json.Marshal(v)
			if err != nil || strings.Contains(string(text), "canary") {
				t.Errorf("%d %s: %s, %v", status, success, text, err)
			}
		}
	}
}

// TestCompile checks that invalid expressions are found without a release.
func TestCompile(t *testing.T) {
	for label, tc := range map[string]struct {
		gate v1alpha1.HTTPGate
		want string
	}{
		"Nothing": {v1alpha1.HTTPGate{Success: "status == 200", Query: map[string]string{"tag": "release.tag"}, BodyExpression: "release.digest"}, ""},
		"Success": {v1alpha1.HTTPGate{Success: "status = 200"}, "success: Syntax error"},
		"Query":   {v1alpha1.HTTPGate{Query: map[string]string{"tag": "release.tga("}}, "query.tag: "},
		"Large":   {v1alpha1.HTTPGate{Query: map[string]string{"tag": strings.Repeat(" ", 2049)}}, "query is too large"},
		"Body":    {v1alpha1.HTTPGate{BodyExpression: "releas.tag"}, "bodyExpression: "},
	} {
		t.Run(label, func(t *testing.T) {
			err := newFixture(t).Compile(t.Context(), &v1alpha1.RolloutGate{Spec: v1alpha1.RolloutGateSpec{HTTP: &tc.gate}})
			if (err == nil) != (tc.want == "") || err != nil && !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}
