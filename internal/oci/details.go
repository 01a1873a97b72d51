package oci

import (
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	keyVersion       = "org.opencontainers.image.version"
	keyRevision      = "org.opencontainers.image.revision"
	keyCreated       = "org.opencontainers.image.created"
	keySource        = "org.opencontainers.image.source"
	keyTitle         = "org.opencontainers.image.title"
	keyDescription   = "org.opencontainers.image.description"
	keyAuthors       = "org.opencontainers.image.authors"
	keyAuthor        = "com.kuberik.author"
	keyRollbackFloor = "com.kuberik.rollback-floor"
)

const (
	maxShort = 128
	maxLong  = 512
	maxError = 256
)

// Details is the metadata of an image. It is not verified, but safe to display.
type Details struct {
	// Digest of the manifest or index that was read.
	Digest string
	// Version, Revision, Source, Title and Description are the values of the standard annotations, or empty.
	Version, Revision, Source, Title, Description string
	// ArtifactType is the media type of the artifact.
	ArtifactType string
	// Authors is the value of com.kuberik.author, or else of the standard annotation.
	Authors string
	// RollbackFloor is the oldest tag that the release may be rolled back to, or empty.
	RollbackFloor string
	// Created is the build time, or zero.
	Created time.Time
}

// cleaners maps each key to the function that makes its value safe. A value that becomes empty counts as missing.
var cleaners = map[string]func(string) string{
	keyVersion:       short,
	keyRevision:      short,
	keyCreated:       timestamp,
	keySource:        link,
	keyTitle:         short,
	keyDescription:   func(s string) string { return clean(s, maxLong) },
	keyAuthors:       authors,
	keyAuthor:        authors,
	keyRollbackFloor: short,
}

// values are the values by key. The first one of a key is kept.
type values map[string]string

func (v values) add(from map[string]string) {
	for key, cleanValue := range cleaners {
		if v[key] != "" {
			continue
		}
		if s := cleanValue(from[key]); s != "" {
			v[key] = s
		}
	}
}

func (v values) complete() bool { return len(v) == len(cleaners) }

func (v values) details() Details {
	d := Details{
		Version:       v[keyVersion],
		Revision:      v[keyRevision],
		Source:        v[keySource],
		Title:         v[keyTitle],
		Description:   v[keyDescription],
		Authors:       v[keyAuthor],
		RollbackFloor: v[keyRollbackFloor],
	}
	if d.Authors == "" {
		d.Authors = v[keyAuthors]
	}
	if t, err := time.Parse(time.RFC3339, v[keyCreated]); err == nil {
		d.Created = t.UTC()
	}
	return d
}

func short(s string) string { return clean(s, maxShort) }

// authors cuts a list of authors. It marks the cut with "…", because the missing one may matter.
func authors(s string) string {
	if list := clean(s, maxShort+1); len(list) <= maxShort && len(s) <= 8*maxShort {
		return list
	}
	return clean(s, maxShort-len("…")) + "…"
}

func timestamp(s string) string {
	if _, err := time.Parse(time.RFC3339, s); err != nil {
		return ""
	}
	return s
}

// link returns a URL that is safe to render as a link, or "". A long URL is dropped, because a cut one would lead
// elsewhere. The user and the password are removed, because build systems put tokens there.
func link(s string) string {
	u, err := url.Parse(clean(s, maxShort+1))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	u.User = nil
	if s = u.String(); len(s) > maxShort {
		return ""
	}
	return s
}

// clean makes a text fit for one line of a status, a terminal or a YAML file. It removes control and formatting
// characters, among them those that change the direction of the surrounding text, and line separators. It cuts the text
// to at most limit bytes, between characters.
func clean(s string, limit int) string {
	s = s[:min(len(s), 8*limit)]
	s = strings.Map(printable, strings.ToValidUTF8(s, ""))
	s = strings.TrimSpace(s)
	if len(s) <= limit {
		return s
	}
	end := limit
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.TrimSpace(s[:end])
}

func printable(r rune) rune {
	switch {
	case r == '\n', r == '\t', r == '\r':
		return ' '
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co):
		return -1
	default:
		return r
	}
}
