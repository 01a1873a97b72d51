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

// Trust says whose writes are evidence.
type Trust struct {
	// TrustedActors are the logins whose writes are evidence, in addition to that of the credentials.
	TrustedActors []string
	// SignatureKey signs what is written. If it is set, only what is signed with it is evidence. At least 32 bytes.
	SignatureKey []byte
	// UnsignedActors are logins whose writes are evidence without a signature.
	UnsignedActors []string
}

// UntrustedReason returns why something that a login did is no evidence, or "" if it is. Self is the login of the credentials, did is a
// verb, as in "made", and signature is the one that came with it, if fields are what it signs.
func (t Trust) UntrustedReason(self, did, login, signature string, fields func() []string) string {
	unsigned := hasLogin(t.UnsignedActors, login)
	switch {
	case login == "" || !strings.EqualFold(login, self) && !hasLogin(t.TrustedActors, login) && !unsigned:
		return did + " by " + cmp.Or(version.Clean(login, maxLoginText), "nobody") + ", who is not trusted"
	case t.SignatureKey != nil && !unsigned && !hmac.Equal([]byte(signature), []byte(t.Sign(fields()...))):
		return did + " by " + version.Clean(login, maxLoginText) + " without the right signature"
	}
	return ""
}

// Sign returns the signature of the fields, or "" without a key. It covers their lengths, so that no two lists of fields have the same.
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

// hasLogin compares logins as GitHub and GitLab do.
func hasLogin(list []string, login string) bool {
	return slices.ContainsFunc(list, func(name string) bool { return strings.EqualFold(name, login) })
}
