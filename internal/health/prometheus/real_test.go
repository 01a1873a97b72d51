package prometheus_test

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/outbound/outboundtest"
)

// startTimeout limits how long Prometheus may take to start and to scrape.
const startTimeout = time.Minute

// start runs Prometheus, which scrapes a target every second.
func start(t *testing.T, target string) (address string) {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("prometheus is not in the PATH: install it, such as with apt-get install prometheus")
	}
	dir := t.TempDir()
	config := fmt.Sprintf(
		"global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: hello\n  static_configs: [{targets: [%q]}]\n", target,
	)
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = free.Addr().String()
	free.Close()
	cmd := exec.CommandContext(t.Context(), program, "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--log.level=warn")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	output := &safeBuffer{}
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Wait() // the context of the test has ended, and the process with it
		if t.Failed() {
			t.Logf("output of Prometheus:\n%s", output)
		}
	})
	return "http://" + address
}

// safeBuffer is a bytes.Buffer that is safe for concurrent use.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *safeBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *safeBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// TestRealPrometheus queries a Prometheus that scrapes a target. The test can turn errors of the target on.
func TestRealPrometheus(t *testing.T) {
	var broken atomic.Bool
	var requests, errors atomic.Int64
	target := outboundtest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(100)
		if broken.Load() {
			errors.Add(50)
		}
		fmt.Fprintf(
			w,
			"# TYPE http_requests_total counter\nhttp_requests_total{code=\"200\"} %d\nhttp_requests_total{code=\"500\"} %d\n",
			requests.Load(), errors.Load(),
		)
		fmt.Fprintf(w, "# TYPE idle_total counter\nidle_total 0\n# TYPE build_info gauge\nbuild_info{version=\"v1.1.0\"} 1\n")
	}).URL
	address := start(t, strings.TrimPrefix(target, "http://"))
	checker := newChecker(t)
	check := func(query, success string) string {
		return reportText(
			checker.Check(
				t.Context(), subject(v1alpha1.PrometheusCheck{Address: address, Query: query, Success: success}, 10*time.Second),
			),
		)
	}
	await := func(query, success, want string) {
		t.Helper()
		var got string
		for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
			if got = check(query, success); strings.HasPrefix(got, want) { // the exact value of a ratio varies
				return
			}
		}
		t.Fatalf("%s: got %s, want %s", query, got, want)
	}
	const (
		good  = "Healthy: success is true for the result of the query"
		bad   = "Unhealthy: success is false: the query returned "
		ratio = `sum(increase(http_requests_total{code="500"}[5s])) / sum(increase(http_requests_total[5s]))`
	)
	await(ratio, fewErrors, good)
	broken.Store(true)
	await(ratio, fewErrors, bad)
	broken.Store(false)
	await(ratio, fewErrors, good)

	for query, tc := range map[string]struct{ success, want string }{
		`up{job="hello"}`: {
			`result.size() == 1 && result[0].value == 1 && result[0].labels.job == "hello"`, good,
		},
		`build_info`:                                  {`result.exists(r, r.labels.version == release.tag)`, good},
		`build_info{version="v1.0.0"}`:                {`true`, "NoData: the query returned no result"},
		`rate(idle_total[5s]) / rate(idle_total[5s])`: {fewErrors, "NoData: the query returned only NaN"},
		`scalar(up{job="hello"})`:                     {`result[0].value == 1`, good},
		`vector(1) / 0`:                               {fewErrors, bad + "+Inf"},
		`up[1m]`: {
			fewErrors,
			"error: the query returned a range of values: reduce it to one value with last_over_time or max_over_time",
		},
		`"text"`:  {fewErrors, "error: the query returned no numbers"},
		`rate(up`: {fewErrors, "error: Prometheus rejected the query as invalid"},
		`up * on() group_left(job) {__name__=~".+"}`: {fewErrors, "error: Prometheus failed to run the query"},
	} {
		if got := check(query, tc.success); got != tc.want {
			t.Errorf("%s: got %s, want %s", query, got, tc.want)
		}
	}
}
