package version

import "testing"

func TestOrder(t *testing.T) {
	t.Parallel()
	build := `^main-[a-f0-9]+-(?P<ts>[0-9]+)$`
	for name, c := range map[string]struct {
		reason string
		order  *Order
		a, b   string
		want   int
		ok     bool
	}{
		"semver": {"1.10 is above 1.9", orderOf(OrderSemver, false, "", ""), "1.10.0", "1.9.0", 1, true},
		"semver with v": {
			"a leading v is ignored", orderOf(OrderSemver, false, "", ""), "v1.0.0", "1.0.0", 0, true,
		},
		"semver pre-release": {
			"comes before the release", orderOf(OrderSemver, false, "", ""), "1.0.0-rc.1", "1.0.0", -1, true,
		},
		"not semver": {"Flux ignores it", orderOf(OrderSemver, false, "", ""), "1.0", "1.0.0", 0, false},
		"alphabetical": {
			"the greatest text is selected", orderOf(OrderAlphabetical, false, "", ""), "b", "a", 1, true,
		},
		"alphabetical, desc": {
			"the smallest text is selected", orderOf(OrderAlphabetical, true, "", ""), "b", "a", -1, true,
		},
		"numerical": {
			"numbers are not compared as text", orderOf(OrderNumerical, false, "", ""), "10", "9", 1, true,
		},
		"numerical, desc": {"the smallest is selected", orderOf(OrderNumerical, true, "", ""), "10", "9", -1, true},
		"not a number":    {"Flux rejects it", orderOf(OrderNumerical, false, "", ""), "x", "9", 0, false},
		"extracted": {
			"only the extracted text is compared", orderOf(OrderNumerical, false, build, "$ts"), "main-a-9", "main-f-10", -1,
			true,
		},
		"extracted, no match": {
			"a tag that does not match is not comparable", orderOf(OrderNumerical, false, build, "$ts"), "main-a-9",
			"dev-f-10", 0, false,
		},
		"pattern without extract": {
			"the tag itself is compared", orderOf(OrderSemver, false, `^1\.`, ""), "1.2.0", "1.1.0", 1, true,
		},
		"invalid pattern": {
			"an invalid pattern compares nothing", orderOf(OrderSemver, false, "(", ""), "1.2.0", "1.1.0", 0, false,
		},
		"no policy": {"a nil order compares nothing", nil, "2", "1", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, ok := c.order.Compare(c.a, c.b); got != c.want || ok != c.ok {
				t.Errorf("%s: %d, %t; want %d, %t", c.reason, got, ok, c.want, c.ok)
			}
			if got, _ := c.order.Compare(c.b, c.a); got != -c.want {
				t.Errorf("reversed: %d, want %d", got, -c.want)
			}
		})
	}
}

// orderOf returns an order with a filter; nil if the filter is refused.
func orderOf(ordering Ordering, descending bool, pattern, extract string) *Order {
	filter, err := NewFilter(pattern, extract)
	if err != nil {
		return nil
	}
	return NewOrder(ordering, descending, filter)
}
