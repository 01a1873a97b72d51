package version

import (
	"errors"
	"fmt"
	"regexp"
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

// Filter is the tag filter of an ImagePolicy. The zero value matches every tag.
type Filter struct {
	pattern *regexp.Regexp
	extract string
}

// NewFilter returns the filter of a pattern, which matches every tag if it is empty, and of an extraction, which is the
// whole tag if it is empty. It returns an error if the pattern is invalid, or too large to be evaluated.
func NewFilter(pattern, extract string) (Filter, error) {
	if len(pattern) > maxPattern {
		return Filter{}, fmt.Errorf("is longer than %d characters", maxPattern)
	}
	if len(extract) > maxExtract {
		return Filter{}, fmt.Errorf("has an extract that is longer than %d characters", maxExtract)
	}
	if pattern == "" {
		return Filter{extract: extract}, nil
	}
	if err := CheckPattern(pattern); err != nil {
		return Filter{}, err
	}
	compiled, err := regexp.Compile(pattern)
	return Filter{compiled, extract}, err
}

// value returns the text by which a tag is compared. It returns false if the tag does not match the pattern.
func (f Filter) value(tag string) (string, bool) {
	if f.pattern == nil {
		return tag, true
	}
	match := f.pattern.FindStringSubmatchIndex(tag)
	if match == nil || f.extract == "" {
		return tag, match != nil
	}
	return string(f.pattern.ExpandString(nil, f.extract, tag, match)), true
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
