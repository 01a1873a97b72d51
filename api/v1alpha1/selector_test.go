package v1alpha1

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/labels"
)

// TestSelectorMatchesLikeKubernetes compares Matches with the selector that Kubernetes makes of the same.
func TestSelectorMatchesLikeKubernetes(t *testing.T) {
	t.Parallel()
	sets := []labels.Set{nil, {"app": "web"}, {"app": "db"}, {"app": ""}, {"tier": "1"}, {"app": "web", "tier": "1"}, {"app": "web", "tier": "2"}}
	expression := func(key, operator string, values ...string) LabelSelectorRequirement {
		return LabelSelectorRequirement{Key: key, Operator: LabelSelectorOperator(operator), Values: values}
	}
	selectors := map[string]*LabelSelector{
		"none": nil, "everything": {},
		"a label":       {MatchLabels: map[string]string{"app": "web"}},
		"an empty one":  {MatchLabels: map[string]string{"app": ""}},
		"two labels":    {MatchLabels: map[string]string{"app": "web", "tier": "1"}},
		"not supported": {MatchExpressions: []LabelSelectorRequirement{expression("app", "Like", "web")}},
		"both": {
			MatchLabels:      map[string]string{"app": "web"},
			MatchExpressions: []LabelSelectorRequirement{expression("tier", "NotIn", "2")},
		},
	}
	for _, operator := range []string{"In", "NotIn", "Exists", "DoesNotExist"} {
		for _, values := range [][]string{nil, {"web"}, {"web", "db"}, {""}} {
			selectors[fmt.Sprint(operator, values)] = &LabelSelector{MatchExpressions: []LabelSelectorRequirement{expression("app", operator, values...)}}
		}
	}
	for name, s := range selectors {
		parsed, err := s.Parse()
		for _, set := range sets {
			if want := err == nil && parsed.Matches(set); s.Matches(set) != want {
				t.Errorf("%s: %v selects %v: %t, want %t (%v)", name, s, set, s.Matches(set), want, err)
			}
		}
	}
}

func TestSelectorBounds(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("x", n) }
	matchLabels := func(n int) *LabelSelector {
		s := &LabelSelector{MatchLabels: map[string]string{}}
		for i := range n {
			s.MatchLabels[fmt.Sprint("a-", i)] = "b"
		}
		return s
	}
	expressions := func(n, values int) *LabelSelector {
		s := &LabelSelector{}
		for i := range n {
			r := LabelSelectorRequirement{Key: fmt.Sprint("a-", i), Operator: "In"}
			for v := range values {
				r.Values = append(r.Values, fmt.Sprint("b-", v))
			}
			s.MatchExpressions = append(s.MatchExpressions, r)
		}
		return s
	}
	one := func(key, operator, value string) *LabelSelector {
		return &LabelSelector{MatchExpressions: []LabelSelectorRequirement{{Key: key, Operator: LabelSelectorOperator(operator), Values: []string{value}}}}
	}
	for name, c := range map[string]struct {
		selector *LabelSelector
		large    bool
	}{
		"none":                  {nil, false},
		"everything":            {&LabelSelector{}, false},
		"64 labels":             {matchLabels(64), false},
		"65 labels":             {matchLabels(65), true},
		"64 expressions":        {expressions(64, 4), false},
		"65 expressions":        {expressions(65, 1), true},
		"256 values":            {expressions(1, 256), false},
		"257 values":            {expressions(1, 257), true},
		"257 values altogether": {expressions(2, 129), true},
		"a long key":            {one(long(318), "In", "a"), true},
		"a long operator":       {one("a", long(33), "a"), true},
		"a long value":          {one("a", "In", long(254)), true},
		"a long label":          {&LabelSelector{MatchLabels: map[string]string{long(318): "a"}}, true},
		"a long label value":    {&LabelSelector{MatchLabels: map[string]string{"a": long(254)}}, true},
		"a megabyte":            {expressions(20_000, 3), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trimmed := c.selector.DeepCopy()
			for range 2 { // a cache may trim an object twice
				trimmed.Trim()
			}
			_, err := c.selector.Parse()
			_, after := trimmed.Parse()
			data, marshals := json.Marshal(trimmed)
			switch {
			case marshals != nil || len(data) > 64<<10:
				t.Errorf("%d bytes are kept, %v", len(data), marshals)
			case c.selector.TooLarge() != c.large || trimmed.TooLarge() != c.large:
				t.Errorf("too large: %t, trimmed %t", c.selector.TooLarge(), trimmed.TooLarge())
			case !c.large && (err != nil || after != nil):
				t.Errorf("it is refused: %v, %v", err, after)
			case c.large && (err == nil || after == nil || err.Error() != after.Error() || !strings.Contains(err.Error(), "at most 64 matchLabels")):
				t.Errorf("it is refused with %v, and trimmed with %v", err, after)
			case c.large && (c.selector.Matches(nil) || trimmed.Matches(nil)):
				t.Error("it selects something")
			}
		})
	}
}
