package environment

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kuberik/kuberik/internal/fair"
)

// Meter exports the requests to an outside backend as metrics:
//
//   - kuberik_backend_requests_total{backend, account, code}: requests, by the status code of the response, or 0;
//   - kuberik_backend_requests_left{backend, account, of}: requests that are left in this hour, of the budget of
//     Kuberik
//     and of the rate limit of the backend.
//
// The account identifies the credentials without revealing them. The metrics of an account are removed if it is one of
// too many, so that changing the credentials again and again does not fill the memory.
type Meter struct {
	backend  string
	requests *prometheus.CounterVec
	left     *prometheus.GaugeVec
	accounts *fair.Cache[string, struct{}]
}

// maxMeteredAccounts is the number of accounts with metrics, and maxMeteredAccountsOfNamespace the number of those of
// one namespace.
const maxMeteredAccounts, maxMeteredAccountsOfNamespace = 1024, 64

// NewMeter returns a Meter and registers its metrics, unless they are registered.
func NewMeter(registerer prometheus.Registerer, backend string) (*Meter, error) {
	m := &Meter{
		backend: backend,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kuberik_backend_requests_total",
			Help: "Requests to an outside backend of Environments, by status code; 0 without a response.",
		}, []string{"backend", "account", "code"}),
		left: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kuberik_backend_requests_left",
			Help: "Requests that are left in this hour, of the budget of Kuberik and of the rate limit of the backend.",
		}, []string{"backend", "account", "of"}),
	}
	var err error
	if m.requests, err = register(registerer, m.requests); err != nil {
		return nil, err
	}
	if m.left, err = register(registerer, m.left); err != nil {
		return nil, err
	}
	m.accounts = fair.NewCache(maxMeteredAccounts, maxMeteredAccountsOfNamespace, m.remove)
	return m, nil
}

// remove removes the metrics of an account.
func (m *Meter) remove(_, account string, _ struct{}) {
	labels := prometheus.Labels{"backend": m.backend, "account": account}
	m.requests.DeletePartialMatch(labels)
	m.left.DeletePartialMatch(labels)
}

// register registers a collector, and returns the registered one if there was one.
func register[C prometheus.Collector](registerer prometheus.Registerer, c C) (C, error) {
	err := registerer.Register(c)
	var exists prometheus.AlreadyRegisteredError
	if errors.As(err, &exists) {
		if registered, ok := exists.ExistingCollector.(C); ok {
			return registered, nil
		}
	}
	return c, err
}

// Request counts a request. Codes that HTTP does not define are counted as one, since the server chooses them.
func (m *Meter) Request(namespace, account string, code int) {
	label := strconv.Itoa(code)
	if code != 0 && http.StatusText(code) == "" {
		label = "unknown"
	}
	m.requests.WithLabelValues(m.backend, account, label).Inc()
	m.accounts.Add(namespace, account, struct{}{}, 1)
}

// Left sets the number of requests that are left. A limit below 0 is unknown.
func (m *Meter) Left(namespace, account string, budget, limit int) {
	m.left.WithLabelValues(m.backend, account, "budget").Set(float64(budget))
	if limit >= 0 {
		m.left.WithLabelValues(m.backend, account, "limit").Set(float64(limit))
	}
	m.accounts.Add(namespace, account, struct{}{}, 1)
}
