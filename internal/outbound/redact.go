package outbound

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

const (
	redacted = "[redacted]"
	// minSecret is the minimum length of a redacted value, because shorter ones are part of too many words.
	minSecret = 4
)

var (
	userinfo = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^\s/?#"'<>]*@`)
	query    = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^\s?#"'<>]*)[?#][^\s"'<>]*`)
)

// Redactor removes secrets from texts. The zero value removes only the user, the query and the fragment of URLs.
type Redactor struct {
	replacer *strings.Replacer
}

// NewRedactor returns a Redactor that removes values, also in the encodings in which they are sent and quoted.
func NewRedactor(values ...string) *Redactor {
	var forms []string
	for _, v := range values {
		if len(strings.TrimSpace(v)) >= minSecret {
			forms = append(forms, spellings(v)...)
		}
	}
	// The longer of two forms comes first, because otherwise its end would stay.
	slices.SortFunc(forms, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	var pairs []string
	for _, f := range slices.Compact(forms) {
		pairs = append(pairs, f, redacted)
	}
	return &Redactor{replacer: strings.NewReplacer(pairs...)}
}

// spellings returns the encodings in which a value may appear in a text.
func spellings(v string) []string {
	raw := []byte(v)
	forms := []string{
		v, strings.TrimSpace(v),
		base64.StdEncoding.EncodeToString(raw), base64.RawStdEncoding.EncodeToString(raw),
		base64.URLEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw),
		url.QueryEscape(v), url.PathEscape(v), hex.EncodeToString(raw),
	}
	if quoted, err := json.Marshal(v); err == nil {
		forms = append(forms, string(quoted[1:len(quoted)-1]))
	}
	return slices.DeleteFunc(forms, func(f string) bool { return len(f) < minSecret })
}

// Text returns the text without secrets, and without the user, the query and the fragment of URLs.
func (r *Redactor) Text(s string) string {
	if r.replacer != nil {
		s = r.replacer.Replace(s)
	}
	s = userinfo.ReplaceAllString(s, "$1")
	return query.ReplaceAllString(s, "$1")
}

// String keeps the values from being printed.
func (r *Redactor) String() string { return "Redactor" }

// GoString is String.
func (r *Redactor) GoString() string { return r.String() }

// error redacts the text of an error of this package.
func (r *Redactor) error(err error) error {
	switch e := err.(type) { //nolint:errorlint // they come from explain, which wraps nothing
	case *NoResponseError:
		return &NoResponseError{r.Text(e.message)}
	case *RefusedError:
		return &RefusedError{r.Text(e.message)}
	}
	return err
}
