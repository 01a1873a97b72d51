package version

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

const (
	maxName  = 253
	maxLabel = 63
	hashLen  = 10
)

// ReleaseName returns the name of the Release object of a release: <rollout>-<tag>-<first 8 digits of the digest>. If
// characters of the tag are not allowed in a name, they are replaced and a hash of the tag is appended.
func ReleaseName(rollout string, id v1alpha1.ReleaseIdentity) string {
	safe := sanitizeTag(id.Tag)
	name := rollout + "-" + safe
	if id.Digest != "" {
		_, hex, _ := strings.Cut(id.Digest, ":")
		name += "-" + hex[:min(8, len(hex))]
	}
	if safe != id.Tag {
		return shorten(name+"-"+hash(id.Tag), maxName, id.Tag+id.Digest)
	}
	return shorten(name, maxName, id.Tag+id.Digest)
}

// LabelValue returns the label value for the name of an object. A name longer than 63 bytes is cut and ends in a hash.
func LabelValue(name string) string {
	return shorten(name, maxLabel, name)
}

// shorten returns a name of at most limit bytes. A longer name is cut and ends in a hash of name and unique.
func shorten(name string, limit int, unique string) string {
	if len(name) <= limit {
		return name
	}
	return strings.TrimRight(name[:limit-hashLen-1], "-._") + "-" + hash(name+"\x00"+unique)
}

// sanitizeTag replaces the characters of a tag that a DNS-1123 subdomain may not contain.
func sanitizeTag(tag string) string {
	s := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '.':
			return r
		case r >= 'A' && r <= 'Z':
			return r + ('a' - 'A')
		}
		return '-'
	}, tag)
	s = strings.ReplaceAll(s, "..", "-.")
	s = strings.ReplaceAll(strings.ReplaceAll(s, ".-", "--"), "-.", "--")
	return strings.Trim(s, "-.")
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])[:hashLen]
}

// UniqueName returns a valid object name: name, shortened if necessary, with a hash of unique as its suffix.
func UniqueName(name, unique string) string {
	return shorten(name, maxName-hashLen-1, name) + "-" + hash(unique)
}
