package outbound

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// keyReadTimeout is the timeout for reading a Secret or a ConfigMap. It does not count towards the timeout of the
// request.
const keyReadTimeout = 10 * time.Second

// Keys reads the Secrets and ConfigMaps of requests.
type Keys interface {
	Secret(ctx context.Context, key types.NamespacedName) (*corev1.Secret, error)
	ConfigMap(ctx context.Context, key types.NamespacedName) (*corev1.ConfigMap, error)
}

// Live returns Keys that read from the API server for each request, so that rotated keys are used immediately. The
// reader must not be cached, because it would watch every Secret.
func Live(reader client.Reader) Keys { return live{reader} }

type live struct{ reader client.Reader }

// Secret implements Keys.
func (l live) Secret(ctx context.Context, key types.NamespacedName) (*corev1.Secret, error) {
	var s corev1.Secret
	return &s, l.reader.Get(ctx, key, &s)
}

// ConfigMap implements Keys.
func (l live) ConfigMap(ctx context.Context, key types.NamespacedName) (*corev1.ConfigMap, error) {
	var m corev1.ConfigMap
	return &m, l.reader.Get(ctx, key, &m)
}

// secretReader reads the Secrets and ConfigMaps of one namespace for one request.
type secretReader struct {
	keys      Keys
	namespace string
}

func (v secretReader) secret(ctx context.Context, name string) (*corev1.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, keyReadTimeout)
	defer cancel()
	s, err := v.keys.Secret(ctx, types.NamespacedName{Namespace: v.namespace, Name: name})
	return s, missing(err, "Secret", name)
}

func (v secretReader) configMap(ctx context.Context, name string) (*corev1.ConfigMap, error) {
	ctx, cancel := context.WithTimeout(ctx, keyReadTimeout)
	defer cancel()
	m, err := v.keys.ConfigMap(ctx, types.NamespacedName{Namespace: v.namespace, Name: name})
	return m, missing(err, "ConfigMap", name)
}

func missing(err error, kind, name string) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err):
		return &RefusedError{fmt.Sprintf("%s %s does not exist", kind, name)}
	case apierrors.IsForbidden(err):
		return &RefusedError{fmt.Sprintf("%s %s may not be read by the controller", kind, name)}
	}
	return fmt.Errorf("reading %s %q: %w", kind, name, err)
}

// header is a header from a Secret, and the hosts that it may be sent to.
type header struct {
	name, value string
	// secret is the name of the Secret, and hosts its annotation.
	secret, hosts string
}

// headers reads the headers from Secrets.
func (v secretReader) headers(ctx context.Context, from []v1alpha1.HeaderFrom) ([]header, error) {
	var list []header
	read := map[string]*corev1.Secret{}
	for _, f := range from {
		ref := f.SecretKeyRef
		if read[ref.Name] == nil {
			s, err := v.secret(ctx, ref.Name)
			if err != nil {
				return nil, err
			}
			read[ref.Name] = s
		}
		h, err := headerFrom(f, read[ref.Name])
		if err != nil {
			return nil, err
		}
		list = append(list, h)
	}
	return list, nil
}

// maxSecretHeader is the maximum length of a header from a Secret, in bytes. The redactor keeps several encodings of
// each.
const maxSecretHeader = 8 << 10

func headerFrom(f v1alpha1.HeaderFrom, s *corev1.Secret) (header, error) {
	ref := f.SecretKeyRef
	// Most token files end with a line break that is not part of the token.
	value := strings.TrimRight(string(s.Data[ref.Key]), "\r\n")
	switch {
	case value == "":
		return header{}, &RefusedError{fmt.Sprintf("Secret %s has no key %s, or it is empty", ref.Name, ref.Key)}
	case len(value) > maxSecretHeader:
		return header{}, &RefusedError{fmt.Sprintf("key %s of Secret %s is longer than %d KiB and cannot be sent as a header",
			ref.Key, ref.Name, maxSecretHeader>>10)}
	case !validName(f.Header):
		return header{}, &RefusedError{"headersFrom names a header that cannot be sent"}
	case strings.EqualFold(f.Header, "Host"):
		return header{}, &RefusedError{"the header Host cannot come from a Secret"}
	case !validValue(f.Prefix + value):
		return header{}, &RefusedError{
			fmt.Sprintf("key %s of Secret %s cannot be sent as a header: it has a control character in it", ref.Key, ref.Name),
		}
	}
	return header{
		name: f.Header, value: f.Prefix + value, secret: ref.Name,
		hosts: s.Annotations[v1alpha1.AnnotationAllowedHosts],
	}, nil
}

// allow returns why the value may not be sent with a request. The Host header and the TLS server name have to be
// allowed too, because one address may serve hosts of several owners.
func (h header) allow(req *http.Request, serverName string) error {
	to := authority(req.URL)
	_, port := split(to)
	names := []string{to}
	for _, alias := range []string{req.Host, serverName} {
		if alias == "" || strings.EqualFold(alias, req.URL.Host) || strings.EqualFold(alias, req.URL.Hostname()) {
			continue
		}
		if name, own := split(alias); own == "" {
			alias = net.JoinHostPort(name, port)
		}
		names = append(names, alias)
	}
	for _, host := range names {
		if !permitted(h.hosts, req.URL.Scheme, host) {
			return h.refuse(req.URL.Scheme, host)
		}
	}
	return nil
}

func (h header) refuse(scheme, host string) error {
	name, _ := split(host)
	where, without := name, ""
	if scheme != "https" {
		where, without = "http://"+host, " without TLS: use https, or"
		name = host
	}
	todo := fmt.Sprintf("annotate it with %s: %s", v1alpha1.AnnotationAllowedHosts, where)
	if h.hosts != "" {
		todo = fmt.Sprintf("add %s to its annotation %s", where, v1alpha1.AnnotationAllowedHosts)
	}
	return &RefusedError{fmt.Sprintf("Secret %s may not be sent to %s%s %s", h.secret, name, cmp.Or(without, ":"), todo)}
}

// MaySend returns why the content of a Secret may not be sent to the host of a URL; nil if its annotation allows it.
func MaySend(s *corev1.Secret, to *url.URL) error {
	h := header{secret: s.Name, hosts: s.Annotations[v1alpha1.AnnotationAllowedHosts]}
	if host := authority(to); !permitted(h.hosts, to.Scheme, host) {
		return h.refuse(to.Scheme, host)
	}
	return nil
}

// authority returns the host of a URL with its port.
func authority(u *url.URL) string {
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	return net.JoinHostPort(u.Hostname(), port)
}

// permitted reports whether an annotation allows a host and port. An entry without a port allows all ports; one that
// begins with "*." allows every name with one label in its place. Without TLS, only an entry http://host:port counts,
// because the owner of a Secret, and not the author of the URL, decides whether it is sent in clear text.
func permitted(annotation, scheme, host string) bool {
	name, port := split(host)
	for entry := range strings.SplitSeq(strings.ToLower(annotation), ",") {
		entry, plain := strings.CutPrefix(strings.TrimSpace(entry), "http://")
		allowed, only := split(strings.TrimPrefix(entry, "https://"))
		if allowed == "" || only != "" && only != port || plain != (scheme != "https") || plain && only == "" {
			continue
		}
		if allowed == name {
			return true
		}
		if suffix, wild := strings.CutPrefix(allowed, "*."); wild && belongs(name, suffix) {
			return true
		}
	}
	return false
}

func belongs(name, suffix string) bool {
	label, rest, ok := strings.Cut(name, ".")
	_, err := netip.ParseAddr(name)
	return ok && err != nil && label != "" && rest == suffix
}

// split returns the normalized host and the port.
func split(host string) (name, port string) {
	switch {
	case strings.HasPrefix(host, "["):
		name, port, _ = strings.Cut(host[1:], "]")
		port = strings.TrimPrefix(port, ":")
	case strings.Count(host, ":") == 1:
		name, port, _ = strings.Cut(host, ":")
	default: // with more than one colon it is an IPv6 address
		name = host
	}
	return strings.TrimSuffix(strings.ToLower(name), "."), port
}

// validName reports whether a text is a valid name of a header.
func validName(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return r >= 0x7f || r <= ' ' || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	}) < 0
}

// validValue reports whether a text is a valid value of a header.
func validValue(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) < 0
}

// maxAuthorities is the maximum size of a certificate bundle, in bytes. The public authorities of Mozilla take about
// 220 KiB.
const maxAuthorities = 256 << 10

// authorities reads the certificate authorities of a server as PEM; nil for those of the system.
func (v secretReader) authorities(ctx context.Context, from *v1alpha1.CAFrom) (pem []byte, err error) {
	switch {
	case from == nil:
		return nil, nil
	case from.SecretKeyRef != nil:
		s, err := v.secret(ctx, from.SecretKeyRef.Name)
		if err != nil {
			return nil, err
		}
		pem = s.Data[from.SecretKeyRef.Key]
	case from.ConfigMapKeyRef != nil:
		m, err := v.configMap(ctx, from.ConfigMapKeyRef.Name)
		if err != nil {
			return nil, err
		}
		if pem = m.BinaryData[from.ConfigMapKeyRef.Key]; pem == nil {
			pem = []byte(m.Data[from.ConfigMapKeyRef.Key])
		}
	}
	if len(pem) == 0 {
		return nil, &RefusedError{"tls.caFrom names no certificates: the key is missing or empty"}
	}
	if len(pem) > maxAuthorities {
		return nil, &RefusedError{fmt.Sprintf("tls.caFrom holds more than %d KiB of certificates", maxAuthorities>>10)}
	}
	return pem, nil
}
