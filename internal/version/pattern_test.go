package version

import (
	"regexp/syntax"
	"strings"
	"testing"
)

func TestNewFilter(t *testing.T) {
	for name, tt := range map[string]struct{ pattern, extract, want string }{
		"none":                   {"", "", ""},
		"usual":                  {`^main-[a-f0-9]+-(?P<ts>[0-9]+)$`, "$ts", ""},
		"a repeat":               {`^v[0-9]{1,3}\.[0-9]{1,3}$`, "", ""},
		"many alternatives":      {strings.TrimSuffix(strings.Repeat("release|", 128), "|"), "", ""},
		"invalid":                {"(", "", "no regular expression"},
		"many repeats":           {strings.Repeat(".{0,999}", 128), "", "repeats too much"},
		"repeats within repeats": {"((a{30}){30}){1}(b{900})(c{900})(d{900})(e{900})(f{900})", "", "repeats too much"},
		"an open repeat":         {strings.Repeat("(abcdefghij){500,}", 2), "", "repeats too much"},
		"a long pattern":         {strings.Repeat("a", maxPattern+1), "", "longer than 1024"},
		"a long extract":         {"(a)", strings.Repeat("$1", 200), "extract that is longer than 256"},
		"as long as it may be":   {strings.Repeat("a", maxPattern), strings.Repeat("$", maxExtract), ""},
	} {
		_, err := NewFilter(tt.pattern, tt.extract)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// The bound is computed before the program exists, so it must not be below the size of the program.
func TestStatesAreAnUpperBound(t *testing.T) {
	for _, pattern := range []string{
		"", "a", "abc", "a|b|c", "(a|bc)*d+e?", "a{3}", "a{3,}", "a{0,5}", "(a{2}b{0,3}){4,}", "[a-z0-9_]{7,40}", "(?i)main",
		`^main-[a-f0-9]+-(?P<ts>[0-9]+)$`, `\bx\B(?:y|z){0,9}$`, "(ab|cd|(ef){2,4}){5}", ".*", "[^a]{100}",
	} {
		parsed, err := syntax.Parse(pattern, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		bound := states(parsed)
		program, err := syntax.Compile(parsed.Simplify())
		if err != nil {
			t.Fatal(err)
		}
		// Each program begins with a failing state and ends with a match.
		if size := len(program.Inst) - 2; bound < size {
			t.Errorf("%q: states = %d, below the %d of its program", pattern, bound, size)
		}
	}
}

// Comparing two tags with an order of a pattern that is refused must not cost what the pattern would.
func TestOrderOfAHugePatternComparesNothing(t *testing.T) {
	o := orderOf(OrderAlphabetical, false, strings.Repeat(".{0,999}", 512), "")
	if _, ok := o.Compare("a", "b"); ok {
		t.Error("two tags are comparable by a pattern that is refused")
	}
}
