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

// keyTime bounds the reading of one object. It is no part of the time that an endpoint has to answer.
const keyTime = 10 * time.Second

// Keys reads what requests are made with.
type Keys interface {
	Secret(ctx context.Context, key types.NamespacedName) (*corev1.Secret, error)
	ConfigMap(ctx context.Context, key types.NamespacedName) (*corev1.ConfigMap, error)
}

// Live reads keys from the API server each time they are used, so that what was rotated counts at once. The reader must not be a
// cached one: it would watch every Secret there is.
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

// vault reads the keys of one namespace for one request.
type vault struct {
	keys      Keys
	namespace string
}

func (v vault) secret(ctx context.Context, name string) (*corev1.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, keyTime)
	defer cancel()
	s, err := v.keys.Secret(ctx, types.NamespacedName{Namespace: v.namespace, Name: name})
	return s, missing(err, "Secret", name)
}

func (v vault) configMap(ctx context.Context, name string) (*corev1.ConfigMap, error) {
	ctx, cancel := context.WithTimeout(ctx, keyTime)
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

// header is a header whose value is secret, and where it may be sent.
type header struct {
	name, value string
	// secret is the name of the Secret, hosts the list in its annotation.
	secret, hosts string
}

// headers reads the headers that come from Secrets.
func (v vault) headers(ctx context.Context, from []v1alpha1.HeaderFrom) ([]header, error) {
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

// maxSecretHeader is the maximum length of a header from a Secret, in bytes. The redactor keeps several encodings of each.
const maxSecretHeader = 8 << 10

func headerFrom(f v1alpha1.HeaderFrom, s *corev1.Secret) (header, error) {
	ref := f.SecretKeyRef
	// Most files of tokens end in a line break that is no part of the token.
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
		return header{}, &RefusedError{fmt.Sprintf("key %s of Secret %s cannot be sent as a header: it has a control character in it", ref.Key, ref.Name)}
	}
	return header{
		name: f.Header, value: f.Prefix + value, secret: ref.Name,
		hosts: s.Annotations[v1alpha1.AnnotationAllowedHosts],
	}, nil
}

// allow returns why the value may not be sent with a request. What the request calls itself counts as much as where it goes: behind one
// address there may be hosts of several owners, told apart by the Host header or by the name in the TLS handshake.
func (h header) allow(req *http.Request, serverName string) error {
	to := authority(req.URL)
	_, port := split(to)
	called := []string{to}
	for _, alias := range []string{req.Host, serverName} {
		if alias == "" || strings.EqualFold(alias, req.URL.Host) || strings.EqualFold(alias, req.URL.Hostname()) {
			continue
		}
		if name, own := split(alias); own == "" {
			alias = net.JoinHostPort(name, port)
		}
		called = append(called, alias)
	}
	for _, host := range called {
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

// authority is the host of a URL with its port.
func authority(u *url.URL) string {
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	return net.JoinHostPort(u.Hostname(), port)
}

// permitted reports whether an annotation allows a host and port. An entry without a port is for all ports; one that begins with "*." is
// for every name that has one label in its place. Without TLS only an entry http://host:port counts: that a Secret goes out in clear
// text is for its owner to decide, not for whoever writes the URL.
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

// split takes host and port apart, and brings the host to one spelling.
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

// validName reports whether a name can stand in a request as that of a header.
func validName(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return r >= 0x7f || r <= ' ' || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	}) < 0
}

// validValue reports whether a value can stand in a request as that of a header.
func validValue(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) < 0
}

// maxAuthorities is the maximum size of a certificate bundle, in bytes. The public authorities of Mozilla take about 220 KiB.
const maxAuthorities = 256 << 10

// authorities reads the certificates that a server may be signed by, as PEM. There are none if the system's are to be used.
func (v vault) authorities(ctx context.Context, from *v1alpha1.CAFrom) (pem []byte, err error) {
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
