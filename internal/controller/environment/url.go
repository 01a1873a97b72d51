package environment

import (
	"context"
	"strings"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/cluster"
)

var httpRoute = schema.GroupVersionKind{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "HTTPRoute"}

const (
	// noRoutesTTL is how long no HTTPRoute is read after the cluster had no CRD for them. Each read costs a discovery.
	noRoutesTTL = 10 * time.Minute
	// urlTTL is how long the URL of an HTTPRoute is cached. HTTPRoutes are read directly, because the cache of the
	// manager would hold all of them.
	urlTTL = time.Minute
	// maxURLs is the number of cached URLs, and maxURLsOfNamespace the share of one namespace.
	maxURLs, maxURLsOfNamespace = 4096, 256
)

// cachedURL is the URL of an HTTPRoute, and until when it is cached.
type cachedURL struct {
	url   string
	until time.Time
}

// url returns the URL of an environment: that of its annotation, or the first host of the HTTPRoute with the name of
// the Rollout, or "".
func (c *Controller) url(ctx context.Context, e *environments.Environment) string {
	if url := e.Annotations[environments.AnnotationURL]; url != "" {
		return environment.SafeURL(url)
	}
	if c.clock.Now().Before(time.Unix(c.noRoutesUntil.Load(), 0)) {
		return ""
	}
	key := client.ObjectKey{Namespace: e.Namespace, Name: e.Spec.RolloutRef.Name}
	now := c.clock.Now()
	if cached, ok := c.urls.Get(key.Namespace, key.Name); ok && now.Before(cached.until) {
		return cached.url
	}
	url := c.routeURL(ctx, key)
	c.urls.Add(key.Namespace, key.Name, cachedURL{url, now.Add(urlTTL)}, 1)
	return url
}

// addURLs adds the URLs of the other environments of this cluster. It derives each of them, because their status is not
// trusted.
func (c *Controller) addURLs(ctx context.Context, e *environments.Environment, o *observation) {
	if hasOutsideBackend(e) {
		return // the backend publishes them
	}
	neighbours, err := cluster.Backend{Client: c.client, Namespace: e.Namespace}.
		Neighbours(ctx, environment.Application(e.Spec.Name))
	if err != nil {
		ctrl.LoggerFrom(ctx).V(1).Info("the URLs of the other environments cannot be read", "error", err.Error())
		return
	}
	for _, other := range neighbours {
		for i := range o.snapshot.Environments {
			if s := &o.snapshot.Environments[i]; s.Environment == other.Spec.Environment {
				s.URL = c.url(ctx, other)
			}
		}
	}
}

// routeURL returns the URL of an HTTPRoute, or "" if there is none.
func (c *Controller) routeURL(ctx context.Context, key client.ObjectKey) string {
	r := &unstructured.Unstructured{}
	r.SetGroupVersionKind(httpRoute)
	err := c.live.Get(ctx, key, r)
	if err != nil {
		switch {
		case apimeta.IsNoMatchError(err):
			c.noRoutesUntil.Store(c.clock.Now().Add(noRoutesTTL).Unix())
		case client.IgnoreNotFound(err) != nil:
			ctrl.LoggerFrom(ctx).V(1).Info("the HTTPRoute cannot be read", "error", err.Error())
		}
		return ""
	}
	hosts, _, err := unstructured.NestedStringSlice(r.Object, "spec", "hostnames")
	if err != nil || len(hosts) == 0 || strings.HasPrefix(hosts[0], "*") {
		return ""
	}
	return environment.SafeURL("https://" + hosts[0] + "/")
}
