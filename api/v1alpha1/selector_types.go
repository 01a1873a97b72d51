package v1alpha1

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Bounds of a LabelSelector. The schema has the same.
const (
	maxSelectorEntries = 64
	maxSelectorValues  = 256
	maxSelectorKey     = 317
	maxSelectorValue   = 253
	maxOperator        = 32
)

// operatorTooLarge stands in the cache for a selector that is larger than its bounds.
const operatorTooLarge LabelSelectorOperator = "TooLarge"

// errSelectorTooLarge reports a selector that is larger than its bounds.
var errSelectorTooLarge = fmt.Errorf(
	"the selector is too large: at most %d matchLabels, and at most %d matchExpressions with at most %d values altogether",
	maxSelectorEntries, maxSelectorEntries, maxSelectorValues)

// LabelSelector selects objects by label, like the type of the same name in Kubernetes. Unlike that type, it has
// bounds, since the controller compares it with the labels of many objects.
// +structType=atomic
// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || self.matchExpressions.map(e, has(e.values) ? size(e.values) : 0).sum() <= 256",message="the matchExpressions have more than 256 values altogether"
type LabelSelector struct {
	// MatchLabels lists labels and the values that they must have. At most 64.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 317 && size(self[k]) <= 253)",message="a label has a name of at most 317 characters and a value of at most 253"
	MatchLabels map[string]string `json:"matchLabels,omitempty"`
	// MatchExpressions lists requirements that the labels must meet. At most 64, with at most 256 values altogether.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	MatchExpressions []LabelSelectorRequirement `json:"matchExpressions,omitempty"`
}

// LabelSelectorOperator is In, NotIn, Exists or DoesNotExist.
// +kubebuilder:validation:MaxLength=32
type LabelSelectorOperator string

// LabelSelectorRequirement is a requirement on one label.
type LabelSelectorRequirement struct {
	// Key is the name of the label.
	// +kubebuilder:validation:MaxLength=317
	Key string `json:"key"`
	// Operator is In, NotIn, Exists or DoesNotExist.
	Operator LabelSelectorOperator `json:"operator"`
	// Values are the values for In and NotIn. At most 256.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=253
	Values []string `json:"values,omitempty"`
}

// TooLarge reports whether the selector is larger than its bounds. Objects that were stored before the schema had them
// may have such a selector.
func (s *LabelSelector) TooLarge() bool {
	if s == nil {
		return false
	}
	if len(s.MatchLabels) > maxSelectorEntries || len(s.MatchExpressions) > maxSelectorEntries {
		return true
	}
	for key, value := range s.MatchLabels {
		if len(key) > maxSelectorKey || len(value) > maxSelectorValue {
			return true
		}
	}
	values := 0
	for i := range s.MatchExpressions {
		values += len(s.MatchExpressions[i].Values)
		if values > maxSelectorValues || s.MatchExpressions[i].tooLong() {
			return true
		}
	}
	return false
}

func (r *LabelSelectorRequirement) tooLong() bool {
	return len(r.Key) > maxSelectorKey || len(r.Operator) > maxOperator || r.Operator == operatorTooLarge ||
		slices.ContainsFunc(r.Values, func(v string) bool { return len(v) > maxSelectorValue })
}

// Trim replaces a selector that is larger than its bounds with a small one that Parse refuses in the same words.
func (s *LabelSelector) Trim() {
	if s.TooLarge() {
		*s = LabelSelector{MatchExpressions: []LabelSelectorRequirement{{Operator: operatorTooLarge}}}
	}
}

// Parse returns the selector in a form that can be matched. An empty selector selects everything, and a nil selector
// nothing. It returns an error for a selector that is invalid or larger than its bounds.
func (s *LabelSelector) Parse() (labels.Selector, error) {
	if s.TooLarge() {
		return nil, errSelectorTooLarge
	}
	if s == nil {
		return labels.Nothing(), nil
	}
	converted := &metav1.LabelSelector{MatchLabels: s.MatchLabels}
	for i := range s.MatchExpressions {
		r := &s.MatchExpressions[i]
		converted.MatchExpressions = append(converted.MatchExpressions, metav1.LabelSelectorRequirement{
			Key: r.Key, Operator: metav1.LabelSelectorOperator(r.Operator), Values: r.Values,
		})
	}
	return metav1.LabelSelectorAsSelector(converted)
}

// Matches reports whether the selector selects labels. It costs much less than Parse, because it does not check the
// form of keys and values. A nil selector, and one that is larger than its bounds, selects nothing.
func (s *LabelSelector) Matches(set map[string]string) bool {
	if s == nil || s.TooLarge() {
		return false
	}
	for key, want := range s.MatchLabels {
		if value, ok := set[key]; !ok || value != want {
			return false
		}
	}
	return !slices.ContainsFunc(s.MatchExpressions, func(r LabelSelectorRequirement) bool { return !r.matches(set) })
}

func (r *LabelSelectorRequirement) matches(set map[string]string) bool {
	value, has := set[r.Key]
	switch metav1.LabelSelectorOperator(r.Operator) {
	case metav1.LabelSelectorOpIn:
		return has && slices.Contains(r.Values, value)
	case metav1.LabelSelectorOpNotIn:
		return len(r.Values) > 0 && (!has || !slices.Contains(r.Values, value))
	case metav1.LabelSelectorOpExists:
		return has && len(r.Values) == 0
	case metav1.LabelSelectorOpDoesNotExist:
		return !has && len(r.Values) == 0
	}
	return false
}
