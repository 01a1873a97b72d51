package reflector

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"
)

// errInvalidPolicy is an error that only a change of the policy can correct.
var errInvalidPolicy = errors.New("invalid policy")

// errNoMatch means that the policy selects none of the tags.
var errNoMatch = errors.New("no tag matches the policy")

const (
	ascending  = "asc"
	descending = "desc"
)

// candidate is a tag and the value that is compared.
type candidate struct {
	tag, value string
}

// latest returns the tag that the policy selects.
func latest(spec imagev1.ImagePolicySpec, tags []string) (string, error) {
	choose, err := chooser(spec.Policy)
	if err != nil {
		return "", err
	}
	candidates, err := filter(spec.FilterTags, tags)
	if err != nil {
		return "", err
	}
	return choose(candidates)
}

// chooser returns the function that implements the rule of the policy.
func chooser(policy imagev1.ImagePolicyChoice) (func([]candidate) (string, error), error) {
	switch {
	case policy.SemVer != nil:
		constraint, err := semver.NewConstraint(policy.SemVer.Range)
		if err != nil {
			return nil, fmt.Errorf("%w: semver range %q: %w", errInvalidPolicy, policy.SemVer.Range, err)
		}
		return func(c []candidate) (string, error) { return bySemver(constraint, c) }, nil
	case policy.Alphabetical != nil:
		sign, err := direction(policy.Alphabetical.Order)
		return func(c []candidate) (string, error) { return alphabetically(sign, c) }, err
	case policy.Numerical != nil:
		sign, err := direction(policy.Numerical.Order)
		return func(c []candidate) (string, error) { return numerically(sign, c) }, err
	default:
		return nil, fmt.Errorf("%w: one of semver, alphabetical, numerical has to be set", errInvalidPolicy)
	}
}

// direction returns 1 for ascending and -1 for descending order.
func direction(order string) (int, error) {
	switch order {
	case "", ascending:
		return 1, nil
	case descending:
		return -1, nil
	default:
		return 0, fmt.Errorf("%w: order %q is neither asc nor desc", errInvalidPolicy, order)
	}
}

// filter returns the tags that match, sorted by name, with the values to compare.
func filter(rule *imagev1.TagFilter, tags []string) ([]candidate, error) {
	tags = slices.Sorted(slices.Values(tags))
	candidates := make([]candidate, 0, len(tags))
	if rule == nil || rule.Pattern == "" {
		for _, tag := range tags {
			candidates = append(candidates, candidate{tag: tag, value: tag})
		}
		return candidates, nil
	}
	pattern, err := regexp.Compile(rule.Pattern)
	if err != nil {
		return nil, fmt.Errorf("%w: filterTags pattern: %w", errInvalidPolicy, err)
	}
	for _, tag := range tags {
		match := pattern.FindStringSubmatchIndex(tag)
		if match == nil {
			continue
		}
		value := tag
		if rule.Extract != "" {
			value = string(pattern.ExpandString(nil, rule.Extract, tag, match))
		}
		candidates = append(candidates, candidate{tag: tag, value: value})
	}
	return candidates, nil
}

// bySemver returns the highest version that meets the constraint. It ignores a leading v, and tags that are not full
// semantic versions.
func bySemver(constraint *semver.Constraints, candidates []candidate) (string, error) {
	var best *semver.Version
	var tag string
	for _, c := range candidates {
		version, err := semver.StrictNewVersion(strings.TrimPrefix(c.value, "v"))
		if err != nil || !constraint.Check(version) {
			continue
		}
		if best == nil || version.GreaterThan(best) {
			best, tag = version, c.tag
		}
	}
	if best == nil {
		return "", errNoMatch
	}
	return tag, nil
}

func alphabetically(sign int, candidates []candidate) (string, error) {
	if len(candidates) == 0 {
		return "", errNoMatch
	}
	best := slices.MaxFunc(candidates, func(a, b candidate) int { return sign * strings.Compare(a.value, b.value) })
	return best.tag, nil
}

// numerically returns the tag with the greatest or smallest number. Like Flux, it fails for a tag that is not a number:
// spec.filterTags excludes such tags.
func numerically(sign int, candidates []candidate) (string, error) {
	if len(candidates) == 0 {
		return "", errNoMatch
	}
	var best float64
	var tag string
	for i, c := range candidates {
		number, err := strconv.ParseFloat(c.value, 64)
		if err != nil {
			return "", fmt.Errorf("value %q of tag %q is not a number", c.value, c.tag)
		}
		if i == 0 || float64(sign)*(number-best) > 0 {
			best, tag = number, c.tag
		}
	}
	return tag, nil
}

// withoutExcluded returns the sorted tags that no exclusion matches.
func withoutExcluded(exclusions, tags []string) ([]string, error) {
	included := slices.Sorted(slices.Values(tags))
	for _, exclusion := range exclusions {
		pattern, err := regexp.Compile(exclusion)
		if err != nil {
			return nil, fmt.Errorf("exclusionList: %w", err)
		}
		included = slices.DeleteFunc(included, pattern.MatchString)
	}
	return included, nil
}
