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
	// shortestSecret is the length from which a value is taken for a secret: a shorter one is part of too many words.
	shortestSecret = 4
)

var (
	userinfo = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^\s/?#"'<>]*@`)
	query    = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^\s?#"'<>]*)[?#][^\s"'<>]*`)
)

// Redactor takes secrets out of texts. The zero value knows none, and takes out what URLs carry beside host and path.
type Redactor struct {
	replacer *strings.Replacer
}

// NewRedactor takes out these values, as they are and in the forms that they are sent and quoted in.
func NewRedactor(values ...string) *Redactor {
	var forms []string
	for _, v := range values {
		if len(strings.TrimSpace(v)) >= shortestSecret {
			forms = append(forms, spellings(v)...)
		}
	}
	// Of two forms that begin at the same place the longer one has to go, or its end would stay.
	slices.SortFunc(forms, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	var pairs []string
	for _, f := range slices.Compact(forms) {
		pairs = append(pairs, f, redacted)
	}
	return &Redactor{replacer: strings.NewReplacer(pairs...)}
}

// spellings are the forms in which a value may turn up in a text.
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
	return slices.DeleteFunc(forms, func(f string) bool { return len(f) < shortestSecret })
}

// Text is the text without secrets, and without user, query and fragment of the URLs in it.
func (r *Redactor) Text(s string) string {
	if r.replacer != nil {
		s = r.replacer.Replace(s)
	}
	s = userinfo.ReplaceAllString(s, "$1")
	return query.ReplaceAllString(s, "$1")
}

// String keeps a Redactor from being printed with what it knows.
func (r *Redactor) String() string { return "Redactor" }

// GoString is String.
func (r *Redactor) GoString() string { return r.String() }

// error redacts what a person will read of an error of this package.
func (r *Redactor) error(err error) error {
	switch e := err.(type) { //nolint:errorlint // they come from explain, which wraps nothing
	case *NoAnswerError:
		return &NoAnswerError{r.Text(e.message)}
	case *RefusedError:
		return &RefusedError{r.Text(e.message)}
	}
	return err
}
