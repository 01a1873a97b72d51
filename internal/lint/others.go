package lint

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/environment/cluster"
	"github.com/kuberik/kuberik/internal/version"
)

// checkTwice finds objects that are defined more than once.
func (r *run) checkTwice(all []*object) {
	first := map[string]*object{}
	for _, o := range all {
		if o.name == "" {
			continue
		}
		key := o.group() + " " + o.String()
		if earlier, ok := first[key]; ok {
			r.add("KL006", o, "metadata.name", "%s is also defined in %s:%d", o, earlier.file, earlier.lineOf("metadata.name"))
			continue
		}
		first[key] = o
	}
}

// variable matches a value that is nothing but a variable of Flux.
var variable = regexp.MustCompile(`^\$\{([_a-zA-Z][_a-zA-Z0-9]*)(:[=-].*|[=-].*)?\}$`)

// usual is the variable that the documentation uses for the version.
const usual = "VERSION"

// checkQuotes finds variables of the version that are not quoted. Which variables hold a version is known from the
// annotations of Kustomizations; without any, it is the usual one.
func (r *run) checkQuotes(o *object, x *index) {
	tags := map[string]bool{}
	annotated := false
	for _, k := range x.flux {
		for key := range k.annotations {
			name, prefixed := strings.CutPrefix(key, v1alpha1.AnnotationSubstitutePrefix)
			name, suffixed := strings.CutSuffix(name, v1alpha1.AnnotationSubstituteSuffix)
			if !prefixed || !suffixed {
				continue
			}
			annotated = true
			form := k.annotations[v1alpha1.AnnotationSubstitutePrefix+name+v1alpha1.AnnotationSubstituteValueSuffix]
			tags[name] = tags[name] || form == "" || form == string(version.FormTag)
		}
	}
	if !annotated {
		tags[usual] = true
	}
	o.eachPlain(o.node, func(n *yaml.Node) {
		if m := variable.FindStringSubmatch(n.Value); m != nil && tags[m[1]] {
			r.findings = append(r.findings, Finding{
				ID: "KL003", Severity: severityOf("KL003"), File: o.file, Line: o.first + n.Line, Object: o.String(),
				Message: fmt.Sprintf(`%s is not quoted, so that the tag 1.10 becomes the number 1.1: write "%s"`, n.Value,
					n.Value),
			})
		}
	})
}

// eachPlain calls visit for every scalar without quotes.
func (o *object) eachPlain(n *yaml.Node, visit func(*yaml.Node)) {
	const quoted = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	if n.Kind == yaml.ScalarNode && n.Style&quoted == 0 {
		visit(n)
	}
	for _, c := range n.Content {
		o.eachPlain(c, visit)
	}
}

func (r *run) checkEnvironments(x *index) {
	for _, e := range x.environments {
		r.checkReference(e.object, reference{"KL062", "spec.rolloutRef.name", "Rollout", e.value.Spec.RolloutRef.Name},
			beside(e.object, x.rollouts))
		var snapshot environment.Snapshot
		others := map[string]typed[environments.Environment]{}
		for _, other := range x.environments {
			if environment.Application(other.value.Spec.Name) == environment.Application(e.value.Spec.Name) &&
				backend(other) == backend(e) {
				snapshot.Environments = append(snapshot.Environments, environment.StateOf(other.value, &v1alpha1.Rollout{}))
				others[other.value.Spec.Environment] = other
			}
		}
		r.checkUpstreams(x, e, snapshot, others)
	}
}

// backend returns where an Environment exchanges its state.
func backend(e typed[environments.Environment]) environments.BackendType {
	if e.value.Spec.Backend == nil {
		return environments.BackendCluster
	}
	return cmp.Or(e.value.Spec.Backend.Type, environments.BackendCluster)
}

// checkUpstreams finds what keeps releases from being promoted to an environment. Those of an outside backend may be
// in other clusters.
func (r *run) checkUpstreams(x *index, e typed[environments.Environment], s environment.Snapshot,
	others map[string]typed[environments.Environment]) {
	upstreams, err := environment.Upstreams(e.value.Spec)
	if err != nil {
		return // KL002 reports it
	}
	var names, after []string
	for name := range others {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, u := range upstreams {
		after = append(after, u.Environment)
		other, exists := others[u.Environment]
		switch {
		case !exists && backend(e) == environments.BackendCluster && len(names) > 1:
			r.add("KL061", e.object, upstreamField(e, u.Environment), "there is no environment %s of %s in these files%s",
				u.Environment, e.value.Spec.Name, didYouMean(u.Environment, names))
		case exists && backend(e) == environments.BackendCluster && x.apart(e.object, other.object):
			r.add("KL063", e.object, upstreamField(e, u.Environment), "environment %s is in namespace %s, and %s and %s have "+
				"no common label %s",
				u.Environment, other.namespace, e.namespace, other.namespace, cluster.LabelGroup)
		}
	}
	if cycle := s.Cycle(e.value.Spec.Environment, after); cycle != nil {
		r.add("KL060", e.object, upstreamField(e, cycle[1]), "environments wait for each other: %s",
			strings.Join(cycle, " after "))
	}
}

// upstreamField returns the field that names an upstream environment.
func upstreamField(e typed[environments.Environment], name string) string {
	for i, d := range e.value.Spec.DependsOn {
		if d.Environment == name {
			return fmt.Sprintf("spec.dependsOn[%d].environment", i)
		}
	}
	return "spec.relationship.environment"
}

// apart reports whether the files show that Environments of two namespaces cannot see each other.
func (x *index) apart(a, b *object) bool {
	if sameNamespace(a, b) {
		return false
	}
	one, known := x.namespaces[a.namespace]
	other, bothKnown := x.namespaces[b.namespace]
	return known && bothKnown && (one[cluster.LabelGroup] == "" || one[cluster.LabelGroup] != other[cluster.LabelGroup])
}
