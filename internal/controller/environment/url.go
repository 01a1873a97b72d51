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

// route is the kind that says under which name an application is reached.
var route = schema.GroupVersionKind{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "HTTPRoute"}

// routeless is how long a cluster that knows no HTTPRoutes is not asked for one: each question costs it a discovery.
const routeless = 10 * time.Minute

const (
	// remembered is how long the answer about a route is, and mostRoutes how many are: they are read past the cache, which would hold
	// every route of the cluster.
	remembered = time.Minute
	mostRoutes = 4096
)

// url is where a person finds an environment: what its annotation says, or the first host of the HTTPRoute that is called like the Rollout.
// A cluster without HTTPRoutes has none.
func (c *Controller) url(ctx context.Context, e *environments.Environment) string {
	if said := e.Annotations[environments.AnnotationURL]; said != "" {
		return environment.SafeURL(said)
	}
	if c.clock.Now().Before(time.Unix(c.routeless.Load(), 0)) {
		return ""
	}
	key := client.ObjectKey{Namespace: e.Namespace, Name: e.Spec.RolloutRef.Name}
	if known, ok := c.routes.Get(key); ok {
		if known, ok := known.(string); ok {
			return known
		}
	}
	found := c.route(ctx, key)
	c.routes.Add(key, found, remembered)
	return found
}

// addURLs says where the other environments of this cluster are found. It asks for each of them, because their status may not be trusted.
func (c *Controller) addURLs(ctx context.Context, e *environments.Environment, v *view) {
	if outside(e) {
		return // the backend has them
	}
	near, err := cluster.Backend{Client: c.client, Namespace: e.Namespace}.Neighbours(ctx, environment.Application(e.Spec.Name))
	if err != nil {
		ctrl.LoggerFrom(ctx).V(1).Info("the URLs of the other environments cannot be read", "error", err.Error())
		return
	}
	for _, other := range near {
		for i := range v.snapshot.Environments {
			if s := &v.snapshot.Environments[i]; s.Environment == other.Spec.Environment {
				s.URL = c.url(ctx, other)
			}
		}
	}
}

// route is where the HTTPRoute of a name leads.
func (c *Controller) route(ctx context.Context, key client.ObjectKey) string {
	r := &unstructured.Unstructured{}
	r.SetGroupVersionKind(route)
	err := c.live.Get(ctx, key, r)
	if err != nil {
		switch {
		case apimeta.IsNoMatchError(err):
			c.routeless.Store(c.clock.Now().Add(routeless).Unix())
		case client.IgnoreNotFound(err) != nil:
			ctrl.LoggerFrom(ctx).V(1).Info("the HTTPRoute cannot be read", "error", err.Error())
		}
		return ""
	}
	hosts, _, err := unstructured.NestedStringSlice(r.Object, "spec", "hostnames")
	if err != nil || len(hosts) == 0 {
		return ""
	}
	if strings.HasPrefix(hosts[0], "*") {
		return "" // no host is called so
	}
	return environment.SafeURL("https://" + hosts[0] + "/")
}
