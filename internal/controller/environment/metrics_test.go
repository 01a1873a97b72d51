package environment

import (
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
	m.Request("a", 304)
	again.Request("a", 304)
	m.Left("a", 900, -1)
	m.Left("b", 800, 4000)
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
