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
		known  bool
	}{
		"semver":                  {"1.10 is above 1.9", NewOrder(OrderSemver, false, "", ""), "1.10.0", "1.9.0", 1, true},
		"semver with v":           {"the v says nothing", NewOrder(OrderSemver, false, "", ""), "v1.0.0", "1.0.0", 0, true},
		"semver pre-release":      {"comes before the release", NewOrder(OrderSemver, false, "", ""), "1.0.0-rc.1", "1.0.0", -1, true},
		"no semver":               {"Flux passes over it", NewOrder(OrderSemver, false, "", ""), "1.0", "1.0.0", 0, false},
		"alphabetical":            {"the greatest text is selected", NewOrder(OrderAlphabetical, false, "", ""), "b", "a", 1, true},
		"alphabetical, desc":      {"the smallest text is selected", NewOrder(OrderAlphabetical, true, "", ""), "b", "a", -1, true},
		"numerical":               {"numbers are no text", NewOrder(OrderNumerical, false, "", ""), "10", "9", 1, true},
		"numerical, desc":         {"the smallest is selected", NewOrder(OrderNumerical, true, "", ""), "10", "9", -1, true},
		"no number":               {"Flux refuses it", NewOrder(OrderNumerical, false, "", ""), "x", "9", 0, false},
		"extracted":               {"only what is extracted counts", NewOrder(OrderNumerical, false, build, "$ts"), "main-a-9", "main-f-10", -1, true},
		"extracted, of another":   {"a tag that does not match is not ordered", NewOrder(OrderNumerical, false, build, "$ts"), "main-a-9", "dev-f-10", 0, false},
		"pattern without extract": {"the tag itself is compared", NewOrder(OrderSemver, false, `^1\.`, ""), "1.2.0", "1.1.0", 1, true},
		"no pattern at all":       {"what Flux cannot read orders nothing", NewOrder(OrderSemver, false, "(", ""), "1.2.0", "1.1.0", 0, false},
		"no policy":               {"nothing is known", nil, "2", "1", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, known := c.order.Compare(c.a, c.b); got != c.want || known != c.known {
				t.Errorf("%s: %d, %t; want %d, %t", c.reason, got, known, c.want, c.known)
			}
			if got, _ := c.order.Compare(c.b, c.a); got != -c.want {
				t.Errorf("the other way round: %d, want %d", got, -c.want)
			}
		})
	}
}
