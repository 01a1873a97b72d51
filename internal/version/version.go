package version

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"sigs.k8s.io/yaml"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

var (
	// tagPattern is the grammar of the OCI distribution specification.
	tagPattern    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	digestPattern = regexp.MustCompile(`^sha256:[a-f0-9]{64}$|^sha512:[a-f0-9]{128}$`)
)

// CheckTag returns an error if a tag is not a valid OCI tag.
func CheckTag(tag string) error {
	if !tagPattern.MatchString(tag) {
		return fmt.Errorf("%q is not a valid image tag: use up to 128 letters, digits, '_', '.' and '-', "+
			"and do not start with '.' or '-'", Clean(tag, 140))
	}
	return nil
}

// CheckDigest returns an error if a digest is neither sha256 nor sha512. An empty digest is valid, because not every
// ImagePolicy reflects digests.
func CheckDigest(digest string) error {
	if digest != "" && !digestPattern.MatchString(digest) {
		return fmt.Errorf("%q is not a sha256 or sha512 digest", Clean(digest, 140))
	}
	return nil
}

// Identity returns the identity of a version: its tag and its digest.
func Identity(v v1alpha1.VersionInfo) v1alpha1.ReleaseIdentity {
	return v1alpha1.ReleaseIdentity{Tag: v.Tag, Digest: v.Digest}
}

// Matches reports whether two identities have the same tag and no different digests. A missing digest matches any. A
// tag that was pushed again is another release if both digests are known. The package documentation says when to use
// it.
func Matches(a, b v1alpha1.ReleaseIdentity) bool {
	return a.Tag == b.Tag && (a.Digest == b.Digest || a.Digest == "" || b.Digest == "")
}

// Index returns the position of the newest entry of list that matches id, or -1.
func Index(list []v1alpha1.VersionInfo, id v1alpha1.ReleaseIdentity) int {
	for i := len(list) - 1; i >= 0; i-- {
		if Matches(Identity(list[i]), id) {
			return i
		}
	}
	return -1
}

// NotYAMLString reports whether YAML parses an unquoted tag as something other than a string: 1.10 becomes the number
// 1.1 and "no" a boolean. The controller cannot see whether a manifest quotes its variables, so it warns about such
// tags.
func NotYAMLString(tag string) bool {
	var v any
	if err := yaml.Unmarshal([]byte(tag), &v); err != nil {
		return true
	}
	_, isString := v.(string)
	return !isString
}

// Clean returns untrusted text in a form that is safe to display, of at most limit bytes. It drops control characters
// and characters that change the direction of text, replaces line breaks with spaces and cuts longer text between
// characters. It reads at most eight times limit bytes.
func Clean(s string, limit int) string {
	long := len(s) > 8*limit
	if long {
		s = s[:8*limit]
	}
	s = strings.Map(displayable, s)
	if len(s) <= limit && !long {
		return s
	}
	cut := min(len(s), limit-len("…"))
	for cut > 0 && cut < len(s) && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:max(cut, 0)] + "…"
}

// displayable is a mapping for strings.Map.
func displayable(r rune) rune {
	switch {
	case r == '\n' || r == '\t':
		return ' '
	case r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029':
		return -1
	}
	return r
}
