package environment

import (
	"context"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
)

// route is the kind that says under which name an application is reached.
var route = schema.GroupVersionKind{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "HTTPRoute"}

// routeless is how long a cluster that knows no HTTPRoutes is not asked for one: each question costs it a discovery.
const routeless = 10 * time.Minute

// url is where a person finds an environment: what its annotation says, or the first host of the HTTPRoute that is called like the Rollout.
// A cluster without HTTPRoutes has none.
func (c *Controller) url(ctx context.Context, e *environments.Environment) string {
	if said := e.Annotations[environments.AnnotationURL]; said != "" {
		return said
	}
	if c.clock.Now().Before(time.Unix(c.routeless.Load(), 0)) {
		return ""
	}
	r := &unstructured.Unstructured{}
	r.SetGroupVersionKind(route)
	err := c.live.Get(ctx, client.ObjectKey{Namespace: e.Namespace, Name: e.Spec.RolloutRef.Name}, r)
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
	return "https://" + hosts[0] + "/"
}
