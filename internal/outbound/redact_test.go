package outbound_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/kuberik/kuberik/internal/outbound"
)

func TestRedact(t *testing.T) {
	const secret = "s3cr3t/+ ~\"väl"
	quoted, err := json.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	r := outbound.NewRedactor(secret, "Bearer "+secret)
	cases := map[string]struct{ in, want string }{
		"Raw":        {"token " + secret + ".", "token [redacted]."},
		"Twice":      {secret + secret, "[redacted][redacted]"},
		"Prefix":     {"Authorization: Bearer " + secret, "Authorization: [redacted]"},
		"Base64":     {"x=" + base64.StdEncoding.EncodeToString([]byte(secret)), "x=[redacted]"},
		"RawBase64":  {"x=" + base64.RawStdEncoding.EncodeToString([]byte(secret)) + "!", "x=[redacted]!"},
		"URLBase64":  {base64.URLEncoding.EncodeToString([]byte(secret)), "[redacted]"},
		"Query":      {"a?b=" + url.QueryEscape(secret) + "&c", "a?b=[redacted]&c"},
		"Path":       {"/a/" + url.PathEscape(secret) + "/c", "/a/[redacted]/c"},
		"Hex":        {hex.EncodeToString([]byte(secret)), "[redacted]"},
		"JSON":       {string(quoted), `"[redacted]"`},
		"None":       {"answered 200", "answered 200"},
		"Userinfo":   {"Get http://me:pass@host/path: no", "Get http://host/path: no"},
		"AtSigns":    {"http://me:p@ss@host/", "http://host/"},
		"URLQuery":   {`Get "https://host/a?token=1#b": no`, `Get "https://host/a": no`},
		"URLAlone":   {"see https://host/a.", "see https://host/a."},
		"SeveralURL": {"http://a@b/?c http://d@e/#f", "http://b/ http://e/"},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			if got := r.Text(tc.in); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	// A value that is part of every other word would leave nothing to read.
	if got := outbound.NewRedactor("20", "").Text("answered 200"); got != "answered 200" {
		t.Errorf("short: got %q", got)
	}
	if got := outbound.NewRedactor("abcdef", "abcdefgh").Text("abcdefgh abcdef"); got != "[redacted] [redacted]" {
		t.Errorf("one within the other: got %q", got)
	}
	if got := new(outbound.Redactor).Text("http://a:b@c/d?e"); got != "http://c/d" {
		t.Errorf("zero value: got %q", got)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, r); strings.Contains(got, "s3cr3t") {
			t.Errorf("%s prints the secret: %s", verb, got)
		}
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("hunter2-hunter2", "password hunter2-hunter2 is wrong")
	f.Add("a b+c/d=", "x=a+b%2Bc%2Fd%3D")
	f.Add("tok\nen", "http://u:p@host/?q=tok\nen")
	f.Fuzz(func(t *testing.T, secret, around string) {
		// What is made of the marker itself cannot be taken out with it.
		if len(strings.TrimSpace(secret)) < 4 || strings.ContainsAny(secret, "[]") || strings.Contains("[redacted]", strings.TrimSpace(secret)) {
			t.Skip()
		}
		r := outbound.NewRedactor(secret)
		raw := []byte(secret)
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw), url.QueryEscape(secret)} {
			got := r.Text(around + form + around)
			if strings.Contains(got, form) {
				t.Errorf("%q holds %q", got, form)
			}
			if again := r.Text(got); strings.Contains(again, form) {
				t.Errorf("%q holds %q after two rounds", again, form)
			}
		}
	})
}
