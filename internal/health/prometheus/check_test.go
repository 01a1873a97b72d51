package prometheus_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
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

// newChecker returns a Checker with a Secret that may be sent to the hosts.
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
	return prometheus.Checker{Client: client, Conditions: expr.NewCache(8<<20, 8<<20)}
}

func subject(spec v1alpha1.PrometheusCheck, timeout time.Duration) health.CheckInput {
	d := v1alpha1.Duration(timeout.String())
	return health.CheckInput{
		Now: time.Now(),
		Check: &v1alpha1.HealthCheck{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "errors"},
			Spec:       v1alpha1.HealthCheckSpec{Prometheus: &spec, Timeout: &d},
		},
		Release: health.Release{
			Namespace: namespace, Rollout: "hello", Tag: "v1.1.0", Digest: "sha256:abc", Revision: "main@sha1:1",
		},
	}
}

// reportText formats a report or an error.
func reportText(r health.Report, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	return string(r.State) + ": " + r.Message
}

// successBody returns a successful response of the API.
func successBody(kind, data string) string {
	return fmt.Sprintf(
		`{"status": "success", "data": {"resultType": %q, "result": %s}, "warnings": ["a warning of %s"]}`, kind, data,
		canary,
	)
}

// errorBody returns an error response of the API.
func errorBody(kind string) string {
	body, err := json.Marshal(map[string]string{"status": "error", "errorType": kind, "error": "because of " + canary})
	if err != nil {
		return err.Error()
	}
	return string(body)
}

func respond(t *testing.T, status int, body string) string {
	t.Helper()
	return outboundtest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, body)
	}).URL
}

const fewErrors = `result.all(r, r.value < 0.01)`

func TestReports(t *testing.T) {
	const good = "Healthy: success is true for the result of the query"
	const bad = "Unhealthy: success is false: the query returned "
	vector := func(values ...string) string {
		var list []string
		for i, v := range values {
			list = append(list, fmt.Sprintf(`{"metric": {"job": "hello", "pod": "p%d"}, "value": [1700000000.123, %q]}`, i, v))
		}
		return successBody("vector", "["+strings.Join(list, ",")+"]")
	}
	cases := map[string]struct {
		status        int
		body, success string
		want          string
	}{
		"True":     {200, vector("0.001", "0"), fewErrors, good},
		"False":    {200, vector("0.001", "0.5"), fewErrors, bad + "0.001, 0.5"},
		"Labels":   {200, vector("0"), `result[0].labels.job == "hello" && result[0].labels["pod"] == "p0"`, good},
		"Release":  {200, vector("0"), `release.tag == "v1.1.0"`, good},
		"Integer":  {200, vector("3"), `result[0].value == 3`, good},
		"Infinite": {200, vector("+Inf"), fewErrors, bad + "+Inf"},
		"Scalar": {
			200, successBody("scalar", `[1700000000, "0.5"]`), `result[0].value == 0.5 && result.size() == 1`, good,
		},
		"Empty":      {200, vector(), fewErrors, "NoData: the query returned no result"},
		"NaN":        {200, vector("NaN", "NaN"), fewErrors, "NoData: the query returned only NaN"},
		"SomeNaN":    {200, vector("NaN", "0"), fewErrors, good},
		"SomeNaNBad": {200, vector("NaN", "1"), fewErrors, bad + "1"},
		"ScalarNaN":  {200, successBody("scalar", `[1700000000, "NaN"]`), fewErrors, "NoData: the query returned only NaN"},
		"Matrix": {
			200, successBody("matrix", `[{"metric": {}, "values": [[1700000000, "0"]]}]`), fewErrors,
			"error: the query returned a range of values: reduce it to one value with last_over_time or max_over_time",
		},
		"String": {
			200, successBody("string", `[1700000000, "canary"]`), fewErrors, "error: the query returned no numbers",
		},
		"Histogram": {
			200,
			successBody("vector", `[{"metric": {}, "histogram": [1700000000, {"count": "1", "sum": "2", "buckets": []}]}]`),
			fewErrors,
			"error: the query returned histograms: convert them to numbers with histogram_quantile or histogram_count",
		},
		"BadQuery":  {400, errorBody("bad_data"), fewErrors, "error: Prometheus rejected the query as invalid"},
		"Execution": {422, errorBody("execution"), fewErrors, "error: Prometheus failed to run the query"},
		"SlowQuery": {422, errorBody("timeout"), fewErrors, "error: the query timed out in Prometheus"},
		"Canceled":  {422, errorBody("canceled"), fewErrors, "error: Prometheus canceled the query"},
		"UnknownType": {
			422, errorBody("canary"), fewErrors,
			"error: querying Prometheus: the response is not in the format of the Prometheus API",
		},
		"Unavailable":  {503, canary, fewErrors, "error: Prometheus returned status 503"},
		"Unauthorized": {401, canary, fewErrors, "error: Prometheus returned status 401"},
		"NotFound":     {404, canary, fewErrors, "error: Prometheus returned status 404"},
		"HTML": {
			200, "<html>" + canary, fewErrors,
			"error: querying Prometheus: the response is not in the format of the Prometheus API",
		},
		"EmptyBody": {
			200, "", fewErrors, "error: querying Prometheus: the response is not in the format of the Prometheus API",
		},
		"OtherAPI": {200, `{"status": "ok"}`, fewErrors, "error: the query returned no numbers"},
		"NotCEL": {
			200, vector("0"), `result.all(`,
			"error: success: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', ')', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}, at character 12",
		},
		"NotBool": {
			200, vector("0"), `result.size()`, "error: success: the condition has to be true or false, and is a number",
		},
		"NoField": {
			200, vector("0"), `result[0].labels.nope == "x"`, "error: success: an entry of result.labels has no field nope",
		},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			s := subject(
				v1alpha1.PrometheusCheck{Address: respond(t, tc.status, tc.body), Query: "up", Success: tc.success},
				5*time.Second,
			)
			if got := reportText(newChecker(t).Check(t.Context(), s)); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
	got := reportText(newChecker(t).Check(t.Context(), health.CheckInput{Check: &v1alpha1.HealthCheck{}}))
	if got != "error: spec.prometheus is missing" {
		t.Errorf("without spec.prometheus: got %s", got)
	}
}

func TestErrors(t *testing.T) {
	silent := outboundtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}).URL
	many := outboundtest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[{}%s]}}`, strings.Repeat(",{}", 80_000))
	}).URL
	huge := outboundtest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 10 << 30 / 4096 {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	}).URL
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	from := func(secret string) []v1alpha1.HeaderFrom {
		return []v1alpha1.HeaderFrom{
			{Header: "Authorization", Prefix: "Bearer ", SecretKeyRef: v1alpha1.KeyRef{Name: secret, Key: "token"}},
		}
	}
	cases := map[string]struct {
		spec v1alpha1.PrometheusCheck
		want string
	}{
		"Silent": {v1alpha1.PrometheusCheck{Address: silent}, "error: querying Prometheus: timed out after 300ms"},
		"Refused": {
			v1alpha1.PrometheusCheck{Address: "http://" + closed.Addr().String()},
			"error: querying Prometheus: connection refused",
		},
		"UnknownHost": {
			v1alpha1.PrometheusCheck{Address: "http://me:canary@prometheus.invalid:9090"},
			"error: querying Prometheus: no such host prometheus.invalid",
		},
		"Huge": {v1alpha1.PrometheusCheck{Address: huge}, "error: querying Prometheus: answer is larger than 256 KiB"},
		"Many": {
			v1alpha1.PrometheusCheck{Address: many},
			"error: querying Prometheus: answer holds more than 4000 objects and lists",
		},
		"Metadata": {
			v1alpha1.PrometheusCheck{Address: "http://169.254.169.254/"},
			"error: querying Prometheus: address 169.254.169.254 may not be called (link-local); allow it with --allow-networks",
		},
		"Redirect": {v1alpha1.PrometheusCheck{Address: outboundtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
		}).URL}, "error: Prometheus returned status 302"},
		"NoSecret": {
			v1alpha1.PrometheusCheck{Address: silent, HeadersFrom: from("nope")}, "error: Secret nope does not exist",
		},
		"Unbound": {
			v1alpha1.PrometheusCheck{Address: silent, HeadersFrom: from("unbound")},
			"error: querying Prometheus: Secret unbound may not be sent to " + strings.TrimPrefix(silent, "http://") + " without TLS: use https, or annotate it with kuberik.com/allowed-hosts: " + silent,
		},
		"NoAddress": {
			v1alpha1.PrometheusCheck{Address: "prometheus:9090"},
			"error: spec.prometheus.address is not a URL: use one such as http://prometheus.monitoring.svc:9090",
		},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			tc.spec.Query, tc.spec.Success = "up", fewErrors
			timeout := 10 * time.Second
			if strings.Contains(tc.want, "timed out") {
				timeout = 300 * time.Millisecond
			}
			checker, s := newChecker(t), subject(tc.spec, timeout)
			for range 2 {
				if got := reportText(checker.Check(t.Context(), s)); got != tc.want {
					t.Errorf("got  %s\nwant %s", got, tc.want)
				}
			}
		})
	}
}

func TestTheRequest(t *testing.T) {
	var got http.Request
	address := outboundtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost { // some proxies reject POST
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		got = *r.Clone(t.Context())
		io.WriteString(w, successBody("vector", "[]"))
	}).URL
	s := subject(
		v1alpha1.PrometheusCheck{Address: address + "/prefix/", Query: `up{job="hello"}`, Success: fewErrors},
		7*time.Second,
	)
	s.Now = time.Unix(1_700_000_000, 0)
	if got := reportText(newChecker(t).Check(t.Context(), s)); got != "NoData: the query returned no result" {
		t.Fatal(got)
	}
	q := got.URL.Query()
	if got.URL.Path != "/prefix/api/v1/query" || q.Get("query") != `up{job="hello"}` ||
		q.Get("time") != "1700000000" || q.Get("timeout") != "7s" {
		t.Errorf("requested %s", got.URL)
	}
}

func TestContract(t *testing.T) {
	healthtest.Run(t, healthtest.Harness{
		Canary: canary,
		Cannot: map[healthtest.Situation]string{healthtest.Pending: "a query either has a result or not"},
		Play: func(t *testing.T, s healthtest.Situation) (health.Checker, health.CheckInput) {
			t.Helper()
			address := outboundtest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
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
					io.WriteString(w, errorBody(token))
					return
				case healthtest.Silent:
					<-r.Context().Done()
					return
				case healthtest.Slow:
					time.Sleep(100 * time.Millisecond)
				}
				io.WriteString(
					w, successBody("vector", fmt.Sprintf(`[{"metric": {"echo": %q}, "value": [1700000000, %q]}]`, token, value)),
				)
			}).URL
			return newChecker(t, address), subject(v1alpha1.PrometheusCheck{Address: address, Query: "up", Success: fewErrors, HeadersFrom: []v1alpha1.HeaderFrom{
				{Header: "Authorization", Prefix: "Bearer ", SecretKeyRef: v1alpha1.KeyRef{Name: "token", Key: "token"}},
			}}, time.Second)
		},
	})
}
