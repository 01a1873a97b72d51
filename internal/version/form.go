package version

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// Form is the part of a release that is written to a Flux object. The zero value is treated as FormTag.
type Form string

const (
	// FormTag is the tag alone. It does not identify the content, because a tag can be pushed again.
	FormTag Form = "tag"
	// FormDigest is the digest alone.
	FormDigest Form = "digest"
	// FormTagDigest is the tag and the digest. Container runtimes pull by the digest.
	FormTagDigest Form = "tag@digest"
)

// ParseForm parses the name of a Form. It returns an error if the form is not one of allowed. An empty name is FormTag.
func ParseForm(name string, allowed ...Form) (Form, error) {
	if name == "" {
		return FormTag, nil
	}
	if !slices.Contains(allowed, Form(name)) {
		names := make([]string, 0, len(allowed))
		for _, f := range allowed {
			names = append(names, string(f))
		}
		return FormTag, fmt.Errorf("%q is not one of %s", Clean(name, 64), strings.Join(names, ", "))
	}
	return Form(name), nil
}

// HasDigest reports whether the form identifies the content of a release.
func (f Form) HasDigest() bool { return f == FormDigest || f == FormTagDigest }

// Of returns the value for a release, or "" if the form needs a digest and the release has none.
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
