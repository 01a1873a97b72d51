package version

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Ordering is the kind of order that an ImagePolicy uses.
type Ordering string

// The orderings that Flux supports.
const (
	OrderSemver       Ordering = "semver"
	OrderAlphabetical Ordering = "alphabetical"
	OrderNumerical    Ordering = "numerical"
)

// Order compares tags as an ImagePolicy does, which selects the greatest.
type Order struct {
	ordering   Ordering
	descending bool
	pattern    *regexp.Regexp
	extract    string
}

// NewOrder returns the order of an ImagePolicy, or nil if CheckFilter refuses its filter. Only tags that match the
// pattern are comparable. They are compared by the expansion of extract, or as they are if extract is empty. An empty
// pattern matches every tag.
func NewOrder(ordering Ordering, descending bool, pattern, extract string) *Order {
	o := &Order{ordering: ordering, descending: descending, extract: extract}
	if CheckFilter(pattern, extract) != nil {
		return nil
	}
	if pattern != "" {
		var err error
		if o.pattern, err = regexp.Compile(pattern); err != nil {
			return nil
		}
	}
	return o
}

// Compare returns a negative number if a is below b and a positive number if it is above. It returns false if the tags
// are not comparable. A nil Order compares nothing.
func (o *Order) Compare(a, b string) (int, bool) {
	if o == nil {
		return 0, false
	}
	a, okA := o.value(a)
	b, okB := o.value(b)
	if !okA || !okB {
		return 0, false
	}
	n, ok := o.ordering.compare(a, b)
	if o.descending {
		n = -n
	}
	return n, ok
}

// value returns the text by which a tag is compared. It returns false if the tag does not match the pattern.
func (o *Order) value(tag string) (string, bool) {
	if o.pattern == nil {
		return tag, true
	}
	match := o.pattern.FindStringSubmatchIndex(tag)
	if match == nil || o.extract == "" {
		return tag, match != nil
	}
	return string(o.pattern.ExpandString(nil, o.extract, tag, match)), true
}

func (k Ordering) compare(a, b string) (int, bool) {
	switch k {
	case OrderSemver:
		x, errX := semver.StrictNewVersion(strings.TrimPrefix(a, "v"))
		y, errY := semver.StrictNewVersion(strings.TrimPrefix(b, "v"))
		if errX != nil || errY != nil {
			return 0, false
		}
		return x.Compare(y), true
	case OrderNumerical:
		x, errX := strconv.ParseFloat(a, 64)
		y, errY := strconv.ParseFloat(b, 64)
		if errX != nil || errY != nil {
			return 0, false
		}
		return cmp.Compare(x, y), true
	case OrderAlphabetical:
		return strings.Compare(a, b), true
	}
	return 0, false
}
