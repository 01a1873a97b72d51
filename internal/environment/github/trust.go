package github

import (
	"strconv"
	"strings"
	"time"

	"k8s.io/utils/ptr"
)

// untrustedReason returns why a deployment is no evidence, or "" if it is.
func (b *Backend) untrustedReason(name string, r *record) string {
	signature := ""
	if k := r.payload.Kuberik; k != nil {
		signature = k.Signature
	}
	return b.o.UntrustedReason(b.self, "made", r.creator, signature, func() []string {
		return b.signedDeployment(name, r.environment, r.payload)
	})
}

// untrustedStatusReason returns why a status is no evidence, or "" if it is.
func (b *Backend) untrustedStatusReason(name string, r *record, s status) string {
	return b.o.UntrustedReason(b.self, "reported", s.creator, s.report.signature, func() []string {
		return b.signedReport(name, r, s.report)
	})
}

// missingStatusReason returns why no status of a deployment is evidence.
func (b *Backend) missingStatusReason(name string, r *record, s status) string {
	switch {
	case r.readAt.IsZero():
		return "its statuses have not been read yet"
	case s.id == 0:
		return "it has no status yet"
	}
	return b.untrustedStatusReason(name, r, s)
}

// signedDeployment returns the fields that the signature of a deployment covers.
func (b *Backend) signedDeployment(name, environment string, p *payload) []string {
	return append([]string{"kuberik deployment 1"}, b.identity(name, environment, p)...)
}

// signedReport returns the fields that the signature of a status covers.
func (b *Backend) signedReport(name string, r *record, s statusReport) []string {
	fields := append([]string{"kuberik status 1"}, b.identity(name, r.environment, r.payload)...)
	return append(fields, string(s.state), unix(s.since), s.quarantine, unix(s.attempt), strconv.FormatInt(s.number, 10))
}

// identity returns the fields that identify a deployment, so that a signature is not valid for another environment,
// version or repository.
func (b *Backend) identity(name, environment string, p *payload) []string {
	return []string{
		strings.ToLower(b.o.Project), name, environment, p.key(), p.Version.Tag, p.Version.Digest,
		ptr.Deref(p.Version.Revision, ""),
	}
}

func unix(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.Unix(), 10)
}
