package remote

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/kuberik/kuberik/internal/version"
)

const (
	// minSignatureKey is the length of a key, in bytes, that makes HMAC-SHA256 as strong as its hash.
	minSignatureKey = 32
	maxLoginText    = 100
)

// Trust defines whose writes are evidence.
type Trust struct {
	// TrustedActors are the logins whose writes are evidence, in addition to that of the credentials.
	TrustedActors []string
	// SignatureKey signs the writes. If it is set, only signed writes are evidence. At least 32 bytes.
	SignatureKey []byte
	// UnsignedActors are logins whose writes are evidence without a signature.
	UnsignedActors []string
}

// UntrustedReason returns why a write of a login is no evidence, or "" if it is. Self is the login of the credentials,
// and verb is that of the reason, such as made. Signature is that of the write, which has to sign the fields.
func (t Trust) UntrustedReason(self, verb, login, signature string, fields func() []string) string {
	unsigned := hasLogin(t.UnsignedActors, login)
	switch {
	case login == "" || !strings.EqualFold(login, self) && !hasLogin(t.TrustedActors, login) && !unsigned:
		return verb + " by " + cmp.Or(version.Clean(login, maxLoginText), "nobody") + ", who is not trusted"
	case t.SignatureKey != nil && !unsigned && !hmac.Equal([]byte(signature), []byte(t.Sign(fields()...))):
		return verb + " by " + version.Clean(login, maxLoginText) + " without the right signature"
	}
	return ""
}

// Sign returns the signature of the fields, or "" without a key. It covers their lengths, so that different lists have
// different signatures.
func (t Trust) Sign(fields ...string) string {
	if t.SignatureKey == nil {
		return ""
	}
	h := hmac.New(sha256.New, t.SignatureKey)
	for _, f := range fields {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(f))))
		h.Write([]byte(f))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

func (t Trust) validate() error {
	if t.SignatureKey != nil && len(t.SignatureKey) < minSignatureKey {
		return fmt.Errorf("the signature key has %d bytes: it needs %d", len(t.SignatureKey), minSignatureKey)
	}
	return nil
}

// hasLogin reports whether a list contains a login. The case does not matter, as at GitHub and GitLab.
func hasLogin(list []string, login string) bool {
	return slices.ContainsFunc(list, func(name string) bool { return strings.EqualFold(name, login) })
}
