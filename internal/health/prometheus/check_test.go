package prometheus_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/expr"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/health/healthtest"
	"github.com/kuberik/kuberik/internal/health/prometheus"
	"github.com/kuberik/kuberik/internal/outbound"
	"github.com/kuberik/kuberik/internal/outbound/outboundtest"
)

const (
	namespace = "demo"
	canary    = "canary/+~value"
)

// newChecker makes a Checker with a Secret that may be sent to the hosts.
func newChecker(t *testing.T, hosts ...string) prometheus.Checker {
	t.Helper()
	keys := &outboundtest.Keys{}
	keys.SetSecret(namespace, "token", strings.Join(hosts, ","), map[string]string{"token": canary})
	keys.SetSecret(namespace, "unbound", "", map[string]string{"token": canary})
	client := outbound.New(outbound.Options{
		Policy: outbound.Policy{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		Keys:   keys, Resolver: outboundtest.Resolver(t, func(string) []netip.Addr { return nil }),
	})
	t.Cleanup(client.Close)
	return prometheus.Checker{Client: client, Conditions: expr.NewCache(64)}
}

func subject(spec v1alpha1.PrometheusCheck, timeout time.Duration) health.Subject {
	d := v1alpha1.Duration(timeout.String())
	return health.Subject{
		Now: time.Now(),
		Check: &v1alpha1.HealthCheck{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "errors"},
			Spec:       v1alpha1.HealthCheckSpec{Prometheus: &spec, Timeout: &d},
		},
		Release: health.Release{Namespace: namespace, Rollout: "hello", Tag: "v1.1.0", Digest: "sha256:abc", Revision: "main@sha1:1"},
	}
}

func verdict(r health.Report, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	return string(r.State) + ": " + r.Message
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// result is what the API answers with.
func result(kind, data string) string {
	return fmt.Sprintf(`{"status": "success", "data": {"resultType": %q, "result": %s}, "warnings": ["a warning of %s"]}`, kind, data, canary)
}

func failure(kind string) string {
	body, err := json.Marshal(map[string]string{"status": "error", "errorType": kind, "error": "because of " + canary})
	if err != nil {
		return err.Error()
	}
	return string(body)
}

func answer(t *testing.T, status int, body string) string {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
}

const few = `result.all(r, r.value < 0.01)`

func TestVerdicts(t *testing.T) {
	const good, bad = "Healthy: success is true for the result of the query", "Unhealthy: success is false: the query returned "
	vector := func(values ...string) string {
		var list []string
		for i, v := range values {
			list = append(list, fmt.Sprintf(`{"metric": {"job": "hello", "pod": "p%d"}, "value": [1700000000.123, %q]}`, i, v))
		}
		return result("vector", "["+strings.Join(list, ",")+"]")
	}
	cases := map[string]struct {
		status        int
		body, success string
		want          string
	}{
		"Few":          {200, vector("0.001", "0"), few, good},
		"Many":         {200, vector("0.001", "0.5"), few, bad + "0.001, 0.5"},
		"Labels":       {200, vector("0"), `result[0].labels.job == "hello" && result[0].labels["pod"] == "p0"`, good},
		"Release":      {200, vector("0"), `release.tag == "v1.1.0"`, good},
		"Whole":        {200, vector("3"), `result[0].value == 3`, good},
		"Infinite":     {200, vector("+Inf"), few, bad + "+Inf"},
		"Scalar":       {200, result("scalar", `[1700000000, "0.5"]`), `result[0].value == 0.5 && result.size() == 1`, good},
		"Empty":        {200, vector(), few, "NoData: the query has no result"},
		"NaN":          {200, vector("NaN", "NaN"), few, "NoData: the query has no result but NaN"},
		"SomeNaN":      {200, vector("NaN", "0"), few, good},
		"SomeNaNBad":   {200, vector("NaN", "1"), few, bad + "1"},
		"ScalarNaN":    {200, result("scalar", `[1700000000, "NaN"]`), few, "NoData: the query has no result but NaN"},
		"Matrix":       {200, result("matrix", `[{"metric": {}, "values": [[1700000000, "0"]]}]`), few, "error: the query gives a range of values: take one from it, with last_over_time or max_over_time"},
		"String":       {200, result("string", `[1700000000, "canary"]`), few, "error: the query gives no numbers"},
		"Histogram":    {200, result("vector", `[{"metric": {}, "histogram": [1700000000, {"count": "1", "sum": "2", "buckets": []}]}]`), few, "error: the query gives histograms: take a number from them, with histogram_quantile or histogram_count"},
		"BadQuery":     {400, failure("bad_data"), few, "error: Prometheus does not understand the query"},
		"Execution":    {422, failure("execution"), few, "error: Prometheus cannot run the query"},
		"SlowQuery":    {422, failure("timeout"), few, "error: Prometheus took too long to run the query"},
		"Canceled":     {422, failure("canceled"), few, "error: Prometheus gave the query up"},
		"OddError":     {422, failure("canary"), few, "error: asking Prometheus: the answer is not that of a Prometheus"},
		"Unavailable":  {503, canary, few, "error: Prometheus answered 503"},
		"Unauthorized": {401, canary, few, "error: Prometheus answered 401"},
		"NotFound":     {404, canary, few, "error: Prometheus answered 404"},
		"Page":         {200, "<html>" + canary, few, "error: asking Prometheus: the answer is not that of a Prometheus"},
		"Nothing":      {200, "", few, "error: asking Prometheus: the answer is not that of a Prometheus"},
		"OtherAPI":     {200, `{"status": "ok"}`, few, "error: the query gives no numbers"},
		"NotCEL":       {200, vector("0"), `result.all(`, "error: success: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', ')', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}, at character 12"},
		"NotBool":      {200, vector("0"), `result.size()`, "error: success: the condition has to be true or false, and is a number"},
		"NoField":      {200, vector("0"), `result[0].labels.nope == "x"`, "error: success: an entry of result.labels has no field nope"},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			s := subject(v1alpha1.PrometheusCheck{Address: answer(t, tc.status, tc.body), Query: "up", Success: tc.success}, 5*time.Second)
			if got := verdict(newChecker(t).Check(t.Context(), s)); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
	if got := verdict(newChecker(t).Check(t.Context(), health.Subject{Check: &v1alpha1.HealthCheck{}})); got != "error: spec.prometheus is missing" {
		t.Errorf("without a field: %s", got)
	}
}

func TestFaults(t *testing.T) {
	hold := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	many := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[{}%s]}}`, strings.Repeat(",{}", 80_000))
	})
	huge := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 10 << 30 / 4096 {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	})
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	from := func(secret string) []v1alpha1.HeaderFrom {
		return []v1alpha1.HeaderFrom{{Header: "Authorization", Prefix: "Bearer ", SecretKeyRef: v1alpha1.KeyRef{Name: secret, Key: "token"}}}
	}
	cases := map[string]struct {
		spec v1alpha1.PrometheusCheck
		want string
	}{
		"Silent":   {v1alpha1.PrometheusCheck{Address: hold}, "error: asking Prometheus: timed out after 300ms"},
		"Refused":  {v1alpha1.PrometheusCheck{Address: "http://" + closed.Addr().String()}, "error: asking Prometheus: connection refused"},
		"NoHost":   {v1alpha1.PrometheusCheck{Address: "http://me:canary@prometheus.invalid:9090"}, "error: asking Prometheus: no such host prometheus.invalid"},
		"Huge":     {v1alpha1.PrometheusCheck{Address: huge}, "error: asking Prometheus: answer is larger than 256 KiB"},
		"Many":     {v1alpha1.PrometheusCheck{Address: many}, "error: asking Prometheus: answer holds more than 4000 objects and lists"},
		"Metadata": {v1alpha1.PrometheusCheck{Address: "http://169.254.169.254/"}, "error: asking Prometheus: address 169.254.169.254 may not be called (link-local); allow it with --allow-networks"},
		"Redirect": {v1alpha1.PrometheusCheck{Address: serve(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
		})}, "error: Prometheus answered 302"},
		"NoSecret":  {v1alpha1.PrometheusCheck{Address: hold, HeadersFrom: from("nope")}, "error: Secret nope does not exist"},
		"Unbound":   {v1alpha1.PrometheusCheck{Address: hold, HeadersFrom: from("unbound")}, "error: asking Prometheus: Secret unbound may not be sent to " + strings.TrimPrefix(hold, "http://") + " without TLS: use https, or annotate it with kuberik.com/allowed-hosts: " + hold},
		"NoAddress": {v1alpha1.PrometheusCheck{Address: "prometheus:9090"}, "error: address is not a URL such as http://prometheus.monitoring.svc:9090"},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			tc.spec.Query, tc.spec.Success = "up", few
			timeout := 10 * time.Second
			if strings.Contains(tc.want, "timed out") {
				timeout = 300 * time.Millisecond
			}
			checker, s := newChecker(t), subject(tc.spec, timeout)
			for range 2 {
				if got := verdict(checker.Check(t.Context(), s)); got != tc.want {
					t.Errorf("got  %s\nwant %s", got, tc.want)
				}
			}
		})
	}
}

func TestQuestion(t *testing.T) {
	var got http.Request
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost { // as some proxies do
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		got = *r.Clone(t.Context())
		io.WriteString(w, result("vector", "[]"))
	})
	s := subject(v1alpha1.PrometheusCheck{Address: address + "/prefix/", Query: `up{job="hello"}`, Success: few}, 7*time.Second)
	s.Now = time.Unix(1_700_000_000, 0)
	if got := verdict(newChecker(t).Check(t.Context(), s)); got != "NoData: the query has no result" {
		t.Fatal(got)
	}
	q := got.URL.Query()
	if got.URL.Path != "/prefix/api/v1/query" || q.Get("query") != `up{job="hello"}` || q.Get("time") != "1700000000" || q.Get("timeout") != "7s" {
		t.Errorf("asked %s", got.URL)
	}
}

func TestContract(t *testing.T) {
	healthtest.Run(t, healthtest.Harness{
		Canary: canary,
		Cannot: map[healthtest.Situation]string{healthtest.Pending: "a query has a result, or none"},
		Play: func(t *testing.T, s healthtest.Situation) (health.Checker, health.Subject) {
			t.Helper()
			address := serve(t, func(w http.ResponseWriter, r *http.Request) {
				token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
				io.Copy(io.Discard, r.Body)
				value := "0"
				switch s {
				case healthtest.Unhealthy:
					value = "1"
				case healthtest.NoData:
					value = "NaN"
				case healthtest.Failing:
					w.WriteHeader(http.StatusBadRequest)
					io.WriteString(w, failure(token))
					return
				case healthtest.Silent:
					<-r.Context().Done()
					return
				case healthtest.Slow:
					time.Sleep(100 * time.Millisecond)
				}
				io.WriteString(w, result("vector", fmt.Sprintf(`[{"metric": {"echo": %q}, "value": [1700000000, %q]}]`, token, value)))
			})
			return newChecker(t, address), subject(v1alpha1.PrometheusCheck{Address: address, Query: "up", Success: few, HeadersFrom: []v1alpha1.HeaderFrom{
				{Header: "Authorization", Prefix: "Bearer ", SecretKeyRef: v1alpha1.KeyRef{Name: "token", Key: "token"}},
			}}, time.Second)
		},
	})
}
