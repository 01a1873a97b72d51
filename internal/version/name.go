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

// ReleaseName is the name of the Release object of a release: <rollout>-<tag made safe>-<first 8 of the digest>. Tags that
// become the same text when made safe get different names.
func ReleaseName(rollout string, id v1alpha1.ReleaseIdentity) string {
	safe := safeLabel(id.Tag)
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

// LabelValue makes a name fit to be the value of a label. A name that is too long is cut and ends in a hash.
func LabelValue(name string) string {
	return shorten(name, maxLabel, name)
}

// shorten cuts a name that is longer than limit and ends it in a hash of what makes it unique.
func shorten(name string, limit int, unique string) string {
	if len(name) <= limit {
		return name
	}
	return strings.TrimRight(name[:limit-hashLen-1], "-._") + "-" + hash(name+"\x00"+unique)
}

// safeLabel turns a tag into what a DNS name may hold.
func safeLabel(tag string) string {
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

// Distinct makes a name that something else has taken unique.
func Distinct(name, unique string) string {
	return shorten(name, maxName-hashLen-1, name) + "-" + hash(unique)
}
