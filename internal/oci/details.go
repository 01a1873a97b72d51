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

// Details is what an image says about itself. None of it is verified; all of it is safe to show.
type Details struct {
	// Digest is the content that was read.
	Digest string
	// Version, Revision, Source, Title and Description are the image's own words, empty where it has none.
	Version, Revision, Source, Title, Description string
	// ArtifactType is the media type that tells one sort of artifact from another.
	ArtifactType string
	// Authors is who made the release: com.kuberik.author where set, else the image's authors.
	Authors string
	// RollbackFloor is the oldest version it may be rolled back to.
	RollbackFloor string
	// Created is the build time, zero where the image names none.
	Created time.Time
}

// cleaners lists every key that is read, with what makes its value safe; a value that cleans to nothing counts as absent.
var cleaners = map[string]func(string) string{
	keyVersion:       short,
	keyRevision:      short,
	keyCreated:       timestamp,
	keySource:        link,
	keyTitle:         short,
	keyDescription:   func(s string) string { return clean(s, maxLong) },
	keyAuthors:       people,
	keyAuthor:        people,
	keyRollbackFloor: short,
}

// values collects what is found; the first to say something about a key wins.
type values map[string]string

func (v values) add(from map[string]string) {
	for key, cleaned := range cleaners {
		if v[key] != "" {
			continue
		}
		if s := cleaned(from[key]); s != "" {
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

// people marks a list of authors that is cut, with "…" at its end: the last of them may be the one who matters.
func people(s string) string {
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

// link keeps a URL that is safe to render as one. A long one is dropped, since cut it would lead elsewhere; user and
// password are removed, since build systems put tokens there.
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

// clean makes foreign text fit for one line of a status, a terminal or a YAML file: no control or formatting
// characters (which include those that reverse the direction of the text around them), no line separators, at most
// limit bytes, whole characters only.
func clean(s string, limit int) string {
	s = s[:min(len(s), 8*limit)]
	s = strings.Map(visible, strings.ToValidUTF8(s, ""))
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

func visible(r rune) rune {
	switch {
	case r == '\n', r == '\t', r == '\r':
		return ' '
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co):
		return -1
	default:
		return r
	}
}
