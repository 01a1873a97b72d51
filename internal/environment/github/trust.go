package github

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/version"
)

// doubt says why a deployment is no evidence; empty if it is.
func (b *Backend) doubt(name string, r *record) string {
	return b.suspect("made", r.creator, func() bool {
		k := r.payload.Kuberik
		return k != nil && equal(k.Signature, signDeployment(b.o.SignatureKey, b.subject(name, r.environment, r.payload)))
	})
}

// doubtStatus says why a status is no evidence; empty if it is.
func (b *Backend) doubtStatus(name string, r *record, s status) string {
	return b.suspect("said", s.creator, func() bool {
		return equal(s.word.signature, signWord(b.o.SignatureKey, b.subject(name, r.environment, r.payload), s.word))
	})
}

func (b *Backend) suspect(did, creator string, signed func() bool) string {
	unsigned := names(b.o.UnsignedActors, creator)
	switch {
	case creator == "" || !strings.EqualFold(creator, b.self) && !names(b.o.TrustedActors, creator) && !unsigned:
		return did + " by " + cmp.Or(version.Clean(creator, maxName), "nobody") + ", who is not trusted"
	case b.o.SignatureKey != nil && !unsigned && !signed():
		return did + " by " + version.Clean(creator, maxName) + " without the right signature"
	}
	return ""
}

// names compares logins as GitHub does.
func names(list []string, login string) bool {
	return slices.ContainsFunc(list, func(name string) bool { return strings.EqualFold(name, login) })
}

// silence says why nothing that was said of a deployment counts.
func (b *Backend) silence(name string, r *record, said status) string {
	switch {
	case r.asked.IsZero():
		return "its statuses have not been read yet"
	case said.id == 0:
		return "nothing was said of it yet"
	}
	return b.doubtStatus(name, r, said)
}

func (b *Backend) subject(name, environment string, p *payload) subject {
	return subject{project: b.o.Project, name: name, environment: environment, key: p.key(), version: *p.Version}
}

// subject is what a signature is about: a deployment cannot be passed off as that of another environment, version or repository.
type subject struct {
	project, name, environment, key string
	version                         v1alpha1.VersionInfo
}

func (s subject) fields() []string {
	revision := ""
	if s.version.Revision != nil {
		revision = *s.version.Revision
	}
	return []string{strings.ToLower(s.project), s.name, s.environment, s.key, s.version.Tag, s.version.Digest, revision}
}

// signDeployment signs that the deployment was made.
func signDeployment(key []byte, s subject) string {
	return mac(key, append([]string{"kuberik deployment 1"}, s.fields()...))
}

// signWord signs what is said of it.
func signWord(key []byte, s subject, w word) string {
	return mac(key, append(append([]string{"kuberik status 1"}, s.fields()...),
		string(w.state), unix(w.since), w.quarantine, unix(w.attempt), strconv.FormatInt(w.number, 10)))
}

func unix(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.Unix(), 10)
}

// mac is over the fields with their lengths, so that no two lists of fields look the same.
func mac(key []byte, fields []string) string {
	h := hmac.New(sha256.New, key)
	for _, f := range fields {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(f))))
		h.Write([]byte(f))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// equal compares in constant time.
func equal(a, b string) bool { return hmac.Equal([]byte(a), []byte(b)) }
