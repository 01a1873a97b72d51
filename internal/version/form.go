package version

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// Form is what a Flux object carries of a release. The zero value is FormTag.
type Form string

const (
	// FormTag is the tag alone, which says nothing about the content: a tag can be pushed again.
	FormTag Form = "tag"
	// FormDigest is the digest alone.
	FormDigest Form = "digest"
	// FormTagDigest is the tag and the digest. A container runtime pulls by the digest.
	FormTagDigest Form = "tag@digest"
)

// ParseForm returns the form that a text names, out of those that are legal. No text is FormTag.
func ParseForm(text string, legal ...Form) (Form, error) {
	if text == "" {
		return FormTag, nil
	}
	if !slices.Contains(legal, Form(text)) {
		names := make([]string, 0, len(legal))
		for _, f := range legal {
			names = append(names, string(f))
		}
		return FormTag, fmt.Errorf("%q is not one of %s", Clean(text, 64), strings.Join(names, ", "))
	}
	return Form(text), nil
}

// HasDigest reports whether the form identifies the content of a release.
func (f Form) HasDigest() bool { return f == FormDigest || f == FormTagDigest }

// Of returns the text for a release, or "" if the form needs a digest and the release has none.
func (f Form) Of(v v1alpha1.VersionInfo) string {
	switch {
	case !f.HasDigest():
		return v.Tag
	case v.Digest == "" || v.Tag == "":
		return ""
	case f == FormDigest:
		return v.Digest
	}
	return v.Tag + "@" + v.Digest
}
