package version

import (
	"errors"
	"fmt"
	"regexp/syntax"
)

const (
	// maxPattern and maxExtract limit the length of the pattern of an ImagePolicy and of its extraction, in bytes.
	maxPattern = 1 << 10
	maxExtract = 256
	// maxStates limits the size of the program of a regular expression. Matching takes at most that size times the length
	// of the text.
	maxStates = 5_000
)

// CheckFilter returns an error if a tag filter of an ImagePolicy is invalid, or too large to be evaluated.
func CheckFilter(pattern, extract string) error {
	if len(pattern) > maxPattern {
		return fmt.Errorf("is longer than %d characters", maxPattern)
	}
	if len(extract) > maxExtract {
		return fmt.Errorf("has an extract that is longer than %d characters", maxExtract)
	}
	return CheckPattern(pattern)
}

// CheckPattern returns an error if a regular expression is invalid or its program is too large. A short pattern such as
// (a{1000}b){1000} may have a large program, so the size is computed before anything is compiled. The caller limits the
// length of the pattern.
func CheckPattern(pattern string) error {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return errors.New("is no regular expression")
	}
	if states(parsed) > maxStates {
		return errors.New("repeats too much")
	}
	return nil
}

// states returns an upper bound for the size of the program of a regular expression. Above maxStates it is not exact.
func states(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)
	if re.Op == syntax.OpCharClass {
		n = 1
	}
	for _, sub := range re.Sub {
		n = min(n+states(sub), maxStates+1)
	}
	if re.Op == syntax.OpRepeat {
		n = min(n*max(re.Min+1, re.Max), maxStates+1)
	}
	return n + 1
}
