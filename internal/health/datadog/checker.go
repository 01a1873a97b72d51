package datadog

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/DataDog/datadog-api-client-go/v2/api/datadog"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/expr"
	"github.com/kuberik/kuberik/internal/fair"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/outbound"
)

// ClientFactory returns HTTP clients that are limited to one host. An outbound.Client implements it.
type ClientFactory interface {
	HTTPClient(ctx context.Context, namespace string, a outbound.Access) (*http.Client, *outbound.Redactor, error)
}

// Checker implements health.Checker for the class datadog.
type Checker struct {
	objects client.Reader
	out     ClientFactory
	keys    outbound.Keys
	// conditions caches compiled expressions.
	conditions *expr.Cache
	cache      *queryCache
	// slots limits the concurrent responses of each namespace.
	slots  *fair.Slots
	config *datadog.Configuration
	// server returns the URL of the API of a site.
	server func(v1alpha1.DatadogSite) (*url.URL, error)
}

// New returns a Checker. Objects reads DatadogMonitors as unstructured objects, out makes the requests, and keys
// identifies checks with the same keys.
func New(objects client.Reader, out ClientFactory, keys outbound.Keys, conditions *expr.Cache) *Checker {
	config := datadog.NewConfiguration()
	config.Compress = false
	config.RetryConfiguration.EnableRetry = false
	c := &Checker{
		objects: objects, out: out, keys: keys, conditions: conditions, cache: newQueryCache(),
		slots: fair.NewSlots(responsesPerNamespace), config: config,
	}
	c.server = c.siteURL
	return c
}

// Check reads the monitor, the monitors or the query of a check.
func (c *Checker) Check(ctx context.Context, s health.CheckInput) (health.Report, error) {
	d := s.Check.Spec.Datadog
	if d == nil {
		return health.Report{}, errors.New("spec.datadog is missing")
	}
	ctx, cancel := outbound.WithTimeout(ctx, outbound.Timeout(s.Check.Spec.Timeout))
	defer cancel()
	if d.MonitorRef != nil {
		return c.monitorRef(ctx, s, d.MonitorRef.Name)
	}
	a, err := c.account(ctx, s.Check)
	if err != nil {
		return health.Report{}, err
	}
	switch {
	case d.MonitorID != nil:
		return c.monitor(ctx, s, a, *d.MonitorID)
	case len(d.MonitorTags) > 0:
		return c.monitors(ctx, s, a, d.MonitorTags)
	case d.Query != "":
		return c.query(ctx, s, a, d)
	}
	return health.Report{}, errors.New("spec.datadog has no source: set monitorRef, monitorID, monitorTags or query")
}
