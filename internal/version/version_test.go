package version

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

func TestCheckTag(t *testing.T) {
	cases := map[string]struct {
		reason string
		tag    string
		valid  bool
	}{
		"semver":          {"the usual tag", "1.2.3", true},
		"underscore":      {"may come first", "_1", true},
		"longest":         {"128 characters are allowed", strings.Repeat("a", 128), true},
		"empty":           {"an empty text is not a tag", "", false},
		"too long":        {"129 characters are not", strings.Repeat("a", 129), false},
		"dot first":       {"a tag cannot start with a dot", ".1", false},
		"dash first":      {"a tag cannot start with a dash", "-1", false},
		"path":            {"a path is not a tag", "../evil", false},
		"build metadata":  {"a plus is valid in semver, not in a tag", "1.2.3+x", false},
		"line feed":       {"a line feed ends a YAML value", "1.0\nprivileged: true", false},
		"trailing line":   {"$ must not match before a line feed", "1.0\n", false},
		"carriage return": {"a YAML line break that Flux does not strip", "1.0\rprivileged: true", false},
		"next line":       {"a YAML line break that Flux does not strip", "1.0\u0085privileged: true", false},
		"line separator":  {"a YAML line break that Flux does not strip", "1.0\u2028privileged: true", false},
		"variable":        {"Flux would expand it again", "${VERSION}", false},
		"space":           {"a tag contains no space", "1 0", false},
		"fullwidth":       {"only ASCII is valid", "\uff11.0", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if err := CheckTag(tc.tag); (err == nil) != tc.valid {
				t.Errorf("%s: CheckTag(%q) = %v", tc.reason, tc.tag, err)
			}
		})
	}
}

func TestCheckDigest(t *testing.T) {
	cases := map[string]struct {
		reason, digest string
		valid          bool
	}{
		"none":      {"not every policy reflects digests", "", true},
		"sha256":    {"the usual one", "sha256:" + strings.Repeat("a", 64), true},
		"sha512":    {"allowed as well", "sha512:" + strings.Repeat("0", 128), true},
		"short":     {"a prefix is ambiguous", "sha256:abc", false},
		"uppercase": {"digests are compared as text, so only lowercase is valid", "sha256:" + strings.Repeat("A", 64), false},
		"md5":       {"md5 is not collision resistant", "md5:" + strings.Repeat("a", 32), false},
		"tail":      {"no text may follow the digest", "sha256:" + strings.Repeat("a", 64) + "\nx: y", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if err := CheckDigest(tc.digest); (err == nil) != tc.valid {
				t.Errorf("%s: CheckDigest(%q) = %v", tc.reason, tc.digest, err)
			}
		})
	}
}

func TestMatches(t *testing.T) {
	id := func(tag, digest string) v1alpha1.ReleaseIdentity {
		return v1alpha1.ReleaseIdentity{Tag: tag, Digest: digest}
	}
	cases := map[string]struct {
		reason string
		a, b   v1alpha1.ReleaseIdentity
		want   bool
	}{
		"equal":          {"tag and digest agree", id("1", "x"), id("1", "x"), true},
		"moved":          {"a moved tag is another release", id("1", "x"), id("1", "y"), false},
		"one unknown":    {"a missing digest matches any", id("1", "x"), id("1", ""), true},
		"both unknown":   {"only the tags can be compared", id("1", ""), id("1", ""), true},
		"another tag":    {"the same image under another tag is another release", id("1", "x"), id("2", "x"), false},
		"no tag, digest": {"the tags differ", id("", "x"), id("1", "x"), false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := Matches(tc.a, tc.b); got != tc.want || Matches(tc.b, tc.a) != got {
				t.Errorf("%s: Matches(%v, %v) = %v", tc.reason, tc.a, tc.b, got)
			}
		})
	}
}

func TestIndexReturnsTheNewest(t *testing.T) {
	list := []v1alpha1.VersionInfo{{Tag: "1", Digest: "x"}, {Tag: "2"}, {Tag: "1", Digest: "y"}}
	got := []int{
		Index(list, v1alpha1.ReleaseIdentity{Tag: "1"}), Index(list, v1alpha1.ReleaseIdentity{Tag: "1", Digest: "x"}),
		Index(list, v1alpha1.ReleaseIdentity{Tag: "1", Digest: "z"}), Index(nil, v1alpha1.ReleaseIdentity{Tag: "1"}),
	}
	if diff := cmp.Diff([]int{2, 0, -1, -1}, got); diff != "" {
		t.Error(diff)
	}
}

func TestNotYAMLString(t *testing.T) {
	for tag, want := range map[string]bool{
		"1.10": true, "1e3": true, "0x1F": true, "017": true, "1_000": true,
		"true": true, "null": true, "no": true, "yes": true,
		"1.2.3": false, "v1": false, "latest": false,
	} {
		if got := NotYAMLString(tag); got != want {
			t.Errorf("NotYAMLString(%q) = %v", tag, got)
		}
	}
}

func TestClean(t *testing.T) {
	cases := map[string]struct {
		reason, in string
		limit      int
		want       string
	}{
		"plain":     {"plain text is unchanged", "all is well", 20, "all is well"},
		"lines":     {"line breaks and tabs become spaces", "a\nb\tc", 20, "a b c"},
		"control":   {"control characters are dropped", "a\x1b[31mb\x00", 20, "a[31mb"},
		"direction": {"characters that change the direction are dropped", "a\u202eb", 20, "ab"},
		"invalid":   {"invalid UTF-8 is dropped", "a\xff\xfeb", 20, "ab"},
		"long":      {"long text is cut between characters", "ääää", 7, "ää…"},
		"tiny":      {"only the ellipsis fits", "abcdef", 2, "…"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Clean(tc.in, tc.limit)); diff != "" {
				t.Errorf("%s: %s", tc.reason, diff)
			}
		})
	}
}

func TestReleaseName(t *testing.T) {
	long := strings.Repeat("x", 250)
	ids := []v1alpha1.ReleaseIdentity{
		{Tag: "1.2.3"}, {Tag: "1.2.3", Digest: "sha256:0123456789"}, {Tag: "V1"}, {Tag: "v1"}, {Tag: "v_1"}, {Tag: "v-1"},
		{Tag: "_"}, {Tag: "1..2"}, {Tag: "1.-2"}, {Tag: "a."}, {Tag: strings.Repeat("t", 128), Digest: "sha256:01"},
	}
	seen := map[string]v1alpha1.ReleaseIdentity{}
	for _, rollout := range []string{"app", long} {
		for _, id := range ids {
			name := ReleaseName(rollout, id)
			if other, taken := seen[name]; taken {
				t.Errorf("%v and %v are both named %s", other, id, name)
			}
			seen[name] = id
			if len(name) > 253 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" ||
				strings.Contains(name, "..") || strings.Contains(name, ".-") ||
				strings.Contains(name, "-.") || strings.HasSuffix(name, "-") {
				t.Errorf("%q of %v is not a valid object name", name, id)
			}
		}
	}
	if got := ReleaseName("app", ids[1]); got != "app-1.2.3-01234567" {
		t.Errorf("got %s, want app-1.2.3-01234567", got)
	}
	if got := LabelValue(long); len(got) > 63 || got == LabelValue(long+"y") {
		t.Errorf("label value %s is too long or not unique", got)
	}
}
