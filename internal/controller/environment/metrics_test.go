package environment

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestMeter(t *testing.T) {
	registry := prometheus.NewRegistry()
	m, err := NewMeter(registry, "github")
	if err != nil {
		t.Fatal(err)
	}
	again, err := NewMeter(registry, "github") // another manager of the same process
	if err != nil {
		t.Fatal(err)
	}
	m.Request("team-a", "a", 304)
	again.Request("team-a", "a", 304)
	m.Left("team-a", "a", 900, -1)
	m.Left("team-b", "b", 800, 4000)
	want := `
# HELP kuberik_backend_requests_left Requests that are left in this hour, of the budget of Kuberik and of the rate limit of the backend.
# TYPE kuberik_backend_requests_left gauge
kuberik_backend_requests_left{account="a",backend="github",of="budget"} 900
kuberik_backend_requests_left{account="b",backend="github",of="budget"} 800
kuberik_backend_requests_left{account="b",backend="github",of="limit"} 4000
# HELP kuberik_backend_requests_total Requests to an outside backend of Environments, by status code; 0 without a response.
# TYPE kuberik_backend_requests_total counter
kuberik_backend_requests_total{account="a",backend="github",code="304"} 2
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

// TestMetricsAreBounded: a namespace that changes its credentials, or whose server responds with all kinds of codes, does
// not fill the memory, and does not remove the metrics of another one.
func TestMetricsAreBounded(t *testing.T) {
	registry := prometheus.NewRegistry()
	m, err := NewMeter(registry, "github")
	if err != nil {
		t.Fatal(err)
	}
	m.Request("team-a", "quiet", 200)
	for i := range 1000 {
		m.Request("team-b", fmt.Sprint("token-", i), 200)
		m.Left("team-b", fmt.Sprint("token-", i), 900, 4000)
		m.Request("team-c", "codes", i)
	}
	n := testutil.CollectAndCount(m.requests)
	if limit := 1 + maxMeteredAccountsOfNamespace + 70; n > limit {
		t.Errorf("%d counters, want at most %d", n, limit)
	}
	if n := testutil.CollectAndCount(m.left); n != 2*maxMeteredAccountsOfNamespace {
		t.Errorf("%d gauges, want %d", n, 2*maxMeteredAccountsOfNamespace)
	}
	if n := testutil.ToFloat64(m.requests.WithLabelValues("github", "quiet", "200")); n != 1 {
		t.Errorf("the counter of another namespace is %v, want 1", n)
	}
}
