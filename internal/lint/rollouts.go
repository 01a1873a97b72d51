package lint

import (
	"fmt"
	"slices"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/flux"
)

func (r *run) checkRollouts(x *index) {
	for _, ro := range x.rollouts {
		r.checkReference(ro.object, reference{"KL020", "spec.releasesImagePolicy.name", "ImagePolicy",
			ro.value.Spec.ReleasesImagePolicy.Name}, beside(ro.object, x.policies))
		r.checkSelector(x, ro)
		if r.hasTargets(x) && !slices.ContainsFunc(x.targets(), func(t target) bool { return t.takesFrom(ro) }) {
			r.add("KL022", ro.object, "metadata.name", "no Kustomization and no OCIRepository of these files takes its "+
				"version from Rollout %s", ro.name)
		}
		var gates []string
		for _, g := range x.gates {
			if sameNamespace(g.object, ro.object) && g.value.Spec.RolloutRef.Name == ro.name {
				gates = append(gates, g.name)
			}
		}
		for i, name := range ro.value.Spec.RequiredGates {
			if len(x.gates) > 0 && !slices.Contains(gates, name) {
				r.add("KL023", ro.object, fmt.Sprintf("spec.requiredGates[%d]", i), "there is no RolloutGate %s for Rollout %s "+
					"in these files%s",
					name, ro.name, didYouMean(name, gates))
			}
		}
	}
}

// checkSelector finds a healthCheckSelector that selects nothing.
func (r *run) checkSelector(x *index, ro typed[v1alpha1.Rollout]) {
	if ro.value.Spec.HealthCheckSelector == nil {
		return
	}
	if !slices.ContainsFunc(x.checks, func(c typed[v1alpha1.HealthCheck]) bool { return selects(ro, c) }) {
		r.add("KL021", ro.object, "spec.healthCheckSelector", "healthCheckSelector selects no HealthCheck of these files")
	}
}

// selects reports whether a Rollout may select a check. An invalid selector selects nothing.
func selects(ro typed[v1alpha1.Rollout], c typed[v1alpha1.HealthCheck]) bool {
	s := ro.value.Spec.HealthCheckSelector
	if s == nil || s.NamespaceSelector == nil && !sameNamespace(ro.object, c.object) {
		return false
	}
	return s.Selector.Matches(c.labels)
}

// target is a Flux object that may take a version.
type target struct {
	*object
	from []string
}

func (t target) takesFrom(ro typed[v1alpha1.Rollout]) bool {
	return sameNamespace(t.object, ro.object) && slices.Contains(t.from, ro.name)
}

// targets returns the Flux objects that may take a version.
func (x *index) targets() (list []target) {
	add := func(o *object, value client.Object) { list = append(list, target{o, flux.Rollouts(value)}) }
	for _, k := range x.flux {
		add(k.object, k.value)
	}
	for _, repo := range x.repositories {
		add(repo.object, repo.value)
	}
	return list
}

// hasTargets reports whether the files have Flux objects that may take a version.
func (*run) hasTargets(x *index) bool { return len(x.flux)+len(x.repositories) > 0 }

func (r *run) checkTargets(x *index) {
	for _, t := range x.targets() {
		for _, name := range t.from {
			r.checkReference(t.object, reference{"KL040", annotationOf(t.object, name), "Rollout", name},
				beside(t.object, x.rollouts))
			r.checkTarget(x, t, name)
		}
	}
	for _, k := range x.flux {
		if k.value.Spec.Suspend && len(flux.Rollouts(k.value)) > 0 {
			r.add("KL043", k.object, "spec.suspend", "spec.suspend is true, so Flux does not apply the version")
		}
	}
}

// annotationOf returns the path of the annotation with a value.
func annotationOf(o *object, value string) string {
	for key, v := range o.annotations {
		if v == value {
			return "metadata.annotations[" + key + "]"
		}
	}
	return "metadata.annotations"
}

// checkTarget finds what keeps a Flux object from taking the version, and what sets the version besides Kuberik.
func (r *run) checkTarget(x *index, t target, rollout string) {
	var objects flux.TargetObjects
	for _, k := range x.flux {
		if k.object == t.object {
			objects.Kustomizations = append(objects.Kustomizations, *k.value)
		}
	}
	for _, repo := range x.repositories {
		if repo.object == t.object {
			objects.Repositories = append(objects.Repositories, *repo.value)
		}
	}
	for _, found := range flux.Targets(objects, flux.Desired{Rollout: rollout}) {
		field := "spec.postBuild.substitute." + found.Variable
		if found.Kind == sourcev1.OCIRepositoryKind {
			field = "spec.ref"
		}
		switch {
		case found.Problem != "":
			r.add("KL041", t.object, field, "%s", found.Problem)
		case found.Value != "" && found.Kind == kustomizev1.KustomizationKind:
			r.add("KL042", t.object, field, "spec.postBuild.substitute sets %s, which Rollout %s writes: remove it",
				found.Variable, rollout)
		case found.Value != "":
			r.add("KL042", t.object, field, "spec.ref sets the version, which Rollout %s writes: remove it", rollout)
		}
	}
}

func (r *run) checkPolicies(x *index) {
	for _, p := range x.policies {
		used := slices.ContainsFunc(x.rollouts, func(ro typed[v1alpha1.Rollout]) bool {
			return sameNamespace(ro.object, p.object) && ro.value.Spec.ReleasesImagePolicy.Name == p.name
		})
		if reflects := string(p.value.Spec.DigestReflectionPolicy); used && reflects != "Always" {
			if reflects == "" {
				reflects = "Never, which is the default"
			}
			r.add("KL050", p.object, "spec.digestReflectionPolicy", "digestReflectionPolicy is %s: an image that is pushed "+
				"again under its tag is no new release", reflects)
		}
	}
}
