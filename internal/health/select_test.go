package health

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

func TestANamespaceIsCrossedOnlyWhereBothSidesAgree(t *testing.T) {
	t.Parallel()
	labelled := func(key, value string) *v1alpha1.LabelSelector {
		return &v1alpha1.LabelSelector{MatchLabels: map[string]string{key: value}}
	}
	app, every, team := labelled("app", "web"), &v1alpha1.LabelSelector{}, labelled("team", "a")
	broken := &v1alpha1.LabelSelector{MatchExpressions: []v1alpha1.LabelSelectorRequirement{{Key: "app", Operator: "Like"}}}
	type set = map[string]string
	for name, c := range map[string]struct {
		selector  *v1alpha1.HealthCheckSelector
		in        string
		namespace set
		want      bool
	}{
		"no selector":                          {nil, "ns", nil, false},
		"no labels to select by":               {&v1alpha1.HealthCheckSelector{}, "ns", nil, false},
		"beside it":                            {&v1alpha1.HealthCheckSelector{Selector: app}, "ns", nil, true},
		"beside it, with other labels":         {&v1alpha1.HealthCheckSelector{Selector: labelled("app", "db")}, "ns", nil, false},
		"a selector that cannot be used":       {&v1alpha1.HealthCheckSelector{Selector: broken}, "ns", nil, false},
		"elsewhere, and not asked for":         {&v1alpha1.HealthCheckSelector{Selector: app}, "other", set{LabelShared: "true"}, false},
		"elsewhere, asked for and not shared":  {&v1alpha1.HealthCheckSelector{Selector: app, NamespaceSelector: every}, "other", nil, false},
		"elsewhere, asked for and half shared": {&v1alpha1.HealthCheckSelector{Selector: app, NamespaceSelector: every}, "other", set{LabelShared: "yes"}, false},
		"elsewhere, asked for and shared":      {&v1alpha1.HealthCheckSelector{Selector: app, NamespaceSelector: every}, "other", set{LabelShared: "true"}, true},
		"elsewhere, shared and of the team":    {&v1alpha1.HealthCheckSelector{Selector: app, NamespaceSelector: team}, "other", set{LabelShared: "true", "team": "a"}, true},
		"elsewhere, shared, of another team":   {&v1alpha1.HealthCheckSelector{Selector: app, NamespaceSelector: team}, "other", set{LabelShared: "true", "team": "b"}, false},
		"elsewhere, with other labels":         {&v1alpha1.HealthCheckSelector{Selector: labelled("app", "db"), NamespaceSelector: every}, "other", set{LabelShared: "true"}, false},
		"elsewhere, a selector of no use":      {&v1alpha1.HealthCheckSelector{Selector: app, NamespaceSelector: broken}, "other", set{LabelShared: "true"}, false},
		"beside it, needs no sharing":          {&v1alpha1.HealthCheckSelector{Selector: app, NamespaceSelector: team}, "ns", set{"team": "a"}, true},
		"beside it, of another team":           {&v1alpha1.HealthCheckSelector{Selector: app, NamespaceSelector: team}, "ns", set{"team": "b"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: "ns"}, Spec: v1alpha1.RolloutSpec{HealthCheckSelector: c.selector}}
			check := &v1alpha1.HealthCheck{ObjectMeta: metav1.ObjectMeta{Namespace: c.in, Labels: set{"app": "web"}}}
			if got := Selects(ro, check, c.namespace); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
