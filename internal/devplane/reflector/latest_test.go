package reflector

import (
	"errors"
	"testing"

	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"
	"github.com/google/go-cmp/cmp"
)

func TestLatest(t *testing.T) {
	semver := func(r string) imagev1.ImagePolicyChoice {
		return imagev1.ImagePolicyChoice{SemVer: &imagev1.SemVerPolicy{Range: r}}
	}
	alphabetical := func(order string) imagev1.ImagePolicyChoice {
		return imagev1.ImagePolicyChoice{Alphabetical: &imagev1.AlphabeticalPolicy{Order: order}}
	}
	numerical := func(order string) imagev1.ImagePolicyChoice {
		return imagev1.ImagePolicyChoice{Numerical: &imagev1.NumericalPolicy{Order: order}}
	}
	for name, c := range map[string]struct {
		reason string
		policy imagev1.ImagePolicyChoice
		filter *imagev1.TagFilter
		tags   []string
		want   string
		err    error
	}{
		"semver": {
			reason: "the highest version is the latest, not the last pushed or the last by name",
			policy: semver(">=1.0.0"), tags: []string{"1.9.0", "1.10.0", "1.2.0"}, want: "1.10.0",
		},
		"semver range": {
			reason: "a tag outside of the range is not selected",
			policy: semver("1.x"), tags: []string{"1.2.0", "2.0.0"}, want: "1.2.0",
		},
		"semver pre-release": {
			reason: "a range without a pre-release selects none",
			policy: semver(">=1.0.0"), tags: []string{"1.0.0", "1.1.0-rc.1"}, want: "1.0.0",
		},
		"semver pre-release wanted": {
			reason: "a range with a pre-release does",
			policy: semver(">=1.0.0-0"), tags: []string{"1.0.0", "1.1.0-rc.1"}, want: "1.1.0-rc.1",
		},
		"semver with v": {
			reason: "a leading v is ignored, and stays in the tag",
			policy: semver("*"), tags: []string{"v1.0.0", "v1.1.0"}, want: "v1.1.0",
		},
		"semver of other tags": {
			reason: "tags that are not full versions are ignored",
			policy: semver("*"), tags: []string{"latest", "7", "8.1", "1.0.0"}, want: "1.0.0",
		},
		"semver without a match": {
			reason: "no tag in the range is an error",
			policy: semver(">=2"), tags: []string{"1.0.0"}, err: errNoMatch,
		},
		"semver range wrong": {
			reason: "an invalid range stays invalid until the policy changes",
			policy: semver("one point oh"), tags: []string{"1.0.0"}, err: errInvalidPolicy,
		},
		"alphabetical": {
			reason: "by default the last by name",
			policy: alphabetical(""), tags: []string{"b", "c", "a"}, want: "c",
		},
		"alphabetical descending": {
			reason: "descending means the first by name",
			policy: alphabetical("desc"), tags: []string{"b", "c", "a"}, want: "a",
		},
		"alphabetical order wrong": {
			reason: "an unknown order stays invalid until the policy changes",
			policy: alphabetical("up"), tags: []string{"a"}, err: errInvalidPolicy,
		},
		"alphabetical of nothing": {
			reason: "no tags, no latest",
			policy: alphabetical("asc"), err: errNoMatch,
		},
		"numerical": {
			reason: "numbers compare as numbers",
			policy: numerical("asc"), tags: []string{"9", "100", "20"}, want: "100",
		},
		"numerical descending": {
			reason: "descending means the smallest",
			policy: numerical("desc"), tags: []string{"9", "-1", "20"}, want: "-1",
		},
		"filter": {
			reason: "only matching tags compete",
			policy: alphabetical("asc"), filter: &imagev1.TagFilter{Pattern: "^main-"},
			tags: []string{"main-1", "main-2", "topic-3"}, want: "main-2",
		},
		"filter and extract": {
			reason: "the extracted value is compared, the whole tag is the result",
			policy: numerical("asc"),
			filter: &imagev1.TagFilter{Pattern: `^main-[a-f0-9]+-(?P<ts>\d+)$`, Extract: "$ts"},
			tags:   []string{"main-ff-9", "main-aa-10", "main-bb"}, want: "main-aa-10",
		},
		"filter wrong": {
			reason: "an invalid pattern stays invalid until the policy changes",
			policy: alphabetical("asc"), filter: &imagev1.TagFilter{Pattern: "("}, tags: []string{"a"}, err: errInvalidPolicy,
		},
		"no rule": {
			reason: "a policy without a rule selects nothing",
			tags:   []string{"a"}, err: errInvalidPolicy,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := latest(imagev1.ImagePolicySpec{Policy: c.policy, FilterTags: c.filter}, c.tags)
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("%s: got %q, %v; want %q, %v", c.reason, got, err, c.want, c.err)
			}
		})
	}
}

func TestNumericalRefusesTagsThatAreNotNumbers(t *testing.T) {
	spec := imagev1.ImagePolicySpec{Policy: imagev1.ImagePolicyChoice{Numerical: &imagev1.NumericalPolicy{}}}
	if got, err := latest(spec, []string{"1", "latest"}); err == nil || errors.Is(err, errInvalidPolicy) {
		t.Errorf("got %q, %v; want an error that another tag can correct", got, err)
	}
}

func TestAllowed(t *testing.T) {
	got, err := withoutExcluded([]string{`^.*\.sig$`, "^1.0.2$"}, []string{"2.0.0", "sha256-ab.sig", "1.0.2", "1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1.0.0", "2.0.0"}, got); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	if _, err := withoutExcluded([]string{"("}, nil); err == nil {
		t.Error("an invalid pattern was accepted")
	}
}
