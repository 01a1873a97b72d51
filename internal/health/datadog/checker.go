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

// Doorway makes clients that may call one host. An outbound.Client is one.
type Doorway interface {
	HTTPClient(ctx context.Context, namespace string, a outbound.Access) (*http.Client, *outbound.Redactor, error)
}

// Checker answers for checks of class datadog.
type Checker struct {
	objects client.Reader
	out     Doorway
	keys    outbound.Keys
	// conditions that were compiled before.
	conditions *expr.Cache
	desk       *desk
	slots      *fair.Slots
	config     *datadog.Configuration
	// server finds the server of a site.
	server func(v1alpha1.DatadogSite) (*url.URL, error)
}

// New makes a Checker. Objects reads DatadogMonitors, as unstructured objects; out makes the requests; keys tells checks with the same
// keys from others.
func New(objects client.Reader, out Doorway, keys outbound.Keys) *Checker {
	config := datadog.NewConfiguration()
	config.Compress = false
	config.RetryConfiguration.EnableRetry = false
	c := &Checker{objects: objects, out: out, keys: keys, conditions: expr.NewCache(mostLines), desk: newDesk(), slots: fair.NewSlots(answersAtOnce), config: config}
	c.server = c.known
	return c
}

// Check asks what a check names.
func (c *Checker) Check(ctx context.Context, s health.Subject) (health.Report, error) {
	d := s.Check.Spec.Datadog
	if d == nil {
		return health.Report{}, errors.New("spec.datadog is missing")
	}
	ctx, cancel := outbound.WithTimeout(ctx, outbound.Timeout(s.Check.Spec.Timeout))
	defer cancel()
	if d.MonitorRef != nil {
		return c.object(ctx, s, d.MonitorRef.Name)
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
	return health.Report{}, errors.New("spec.datadog names neither a monitor nor a query")
}
