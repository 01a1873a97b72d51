package environment

import (
	"errors"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// Meter exports what an outside backend costs:
//
//   - kuberik_backend_requests_total{backend, account, code}: requests, by the status code of their answers, 0 if there was none;
//   - kuberik_backend_requests_left{backend, account, of}: how many are left in this hour, of our own budget and of the limit that the
//     backend tells.
//
// The account names credentials without telling them.
type Meter struct {
	backend  string
	requests *prometheus.CounterVec
	left     *prometheus.GaugeVec
}

// NewMeter registers the metrics, unless they are there already.
func NewMeter(to prometheus.Registerer, backend string) (*Meter, error) {
	m := &Meter{
		backend: backend,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kuberik_backend_requests_total", Help: "Requests to an outside backend of Environments, by the status code of the answer; 0 without an answer.",
		}, []string{"backend", "account", "code"}),
		left: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kuberik_backend_requests_left", Help: "Requests to an outside backend of Environments that are left in this hour, of our own budget and of the limit it tells.",
		}, []string{"backend", "account", "of"}),
	}
	var there prometheus.AlreadyRegisteredError
	if err := to.Register(m.requests); errors.As(err, &there) {
		if old, ok := there.ExistingCollector.(*prometheus.CounterVec); ok {
			m.requests = old
		}
	} else if err != nil {
		return nil, err
	}
	if err := to.Register(m.left); errors.As(err, &there) {
		if old, ok := there.ExistingCollector.(*prometheus.GaugeVec); ok {
			m.left = old
		}
	} else if err != nil {
		return nil, err
	}
	return m, nil
}

// Request counts a request.
func (m *Meter) Request(account string, code int) {
	m.requests.WithLabelValues(m.backend, account, strconv.Itoa(code)).Inc()
}

// Left shows how many requests are left. A limit below 0 was not told.
func (m *Meter) Left(account string, budget, limit int) {
	m.left.WithLabelValues(m.backend, account, "budget").Set(float64(budget))
	if limit >= 0 {
		m.left.WithLabelValues(m.backend, account, "limit").Set(float64(limit))
	}
}
