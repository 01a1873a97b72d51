package lint

import (
	"context"
	"slices"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/expr"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/health/kustomization"
)

var healthClasses = []string{
	v1alpha1.HealthClassKustomization, v1alpha1.HealthClassHTTP, v1alpha1.HealthClassDatadog,
	v1alpha1.HealthClassPrometheus, v1alpha1.HealthClassScript,
}

func (r *run) checkHealthChecks(x *index) {
	known := append(slices.Clone(healthClasses), r.HealthClasses...)
	conditions := expr.NewCache(cached, cached)
	for _, c := range x.checks {
		class := health.Class(c.value)
		switch {
		case class == "":
			r.add("KL030", c.object, "spec", "spec.class is missing, so nobody reports on the check: write kustomization, "+
				"http, datadog, prometheus or script")
		case !slices.Contains(known, class):
			r.add("KL030", c.object, "spec.class", "nobody reports on checks of class %q%s", class,
				quoted(didYouMean(class, known), known))
		}
		r.checkConditions(c, conditions)
		if class == v1alpha1.HealthClassKustomization {
			r.checkSubject(x, c)
		}
		selected := slices.ContainsFunc(x.rollouts, func(ro typed[v1alpha1.Rollout]) bool { return selects(ro, c) })
		if len(x.rollouts) > 0 && !selected && c.value.Spec.Mode != v1alpha1.ModeObserve {
			r.add("KL033", c.object, "metadata.labels", "no Rollout of these files selects the check")
		}
	}
}

// checkConditions compiles the expressions of a check.
func (r *run) checkConditions(c typed[v1alpha1.HealthCheck], conditions *expr.Cache) {
	ctx := context.Background()
	spec := c.value.Spec
	if spec.HTTP != nil {
		_, err := conditions.CompileSuccess(ctx, c.namespace, spec.HTTP.Success, spec.HTTP.ExpectedStatus)
		r.addCompile(c.object, "spec.http.success", err)
	}
	if spec.Prometheus != nil && spec.Prometheus.Success != "" {
		_, err := conditions.Compile(ctx, c.namespace, spec.Prometheus.Success, expr.Result)
		r.addCompile(c.object, "spec.prometheus.success", err)
	}
	if spec.Datadog != nil && spec.Datadog.Success != "" {
		_, err := conditions.Compile(ctx, c.namespace, spec.Datadog.Success, expr.SeriesList)
		r.addCompile(c.object, "spec.datadog.success", err)
	}
}

func (r *run) addCompile(o *object, field string, err error) {
	if err != nil {
		r.add("KL031", o, field, "%v", err)
	}
}

// checkSubject finds a check whose Kustomization cannot be read or does not exist.
func (r *run) checkSubject(x *index, c typed[v1alpha1.HealthCheck]) {
	subject, err := kustomization.KeyOf(c.value)
	if err != nil {
		r.add("KL032", c.object, "spec.kustomization", "%v", err)
		return
	}
	r.checkReference(c.object, reference{"KL032", "spec.kustomization.name", "Kustomization", subject.Name},
		beside(c.object, x.flux))
}
