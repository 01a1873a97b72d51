package version

import (
	"cmp"
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
	filter     Filter
}

// NewOrder returns the order of an ImagePolicy. Only tags that match the filter are comparable.
func NewOrder(ordering Ordering, descending bool, filter Filter) *Order {
	return &Order{ordering, descending, filter}
}

// Compare returns a negative number if a is below b and a positive number if it is above. It returns false if the tags
// are not comparable. A nil Order compares nothing.
func (o *Order) Compare(a, b string) (int, bool) {
	if o == nil {
		return 0, false
	}
	a, okA := o.filter.value(a)
	b, okB := o.filter.value(b)
	if !okA || !okB {
		return 0, false
	}
	n, ok := o.ordering.compare(a, b)
	if o.descending {
		n = -n
	}
	return n, ok
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
