package outbound

import (
	"net/url"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

func TestMaySend(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ hosts, to, says string }{
		"allowed":                      {"github.example.com", "https://github.example.com/api/v3/", ""},
		"with its port":                {"github.example.com:8443", "https://github.example.com:8443/", ""},
		"nothing is said":              {"", "https://github.example.com/", "annotate it with"},
		"another":                      {"a.example.com", "https://github.example.com/", "add github.example.com"},
		"in the clear":                 {"github.example.com", "http://github.example.com/", "without TLS"},
		"in the clear, and that wide":  {"*.example.com", "http://github.example.com/", "without TLS"},
		"in the clear, and so allowed": {"a.example.com, http://github.example.com:80", "http://github.example.com/", ""},
		"in the clear, port only":      {"github.example.com:80", "http://github.example.com/", "or add http://github.example.com:80 to its annotation"},
		"in the clear, another port":   {"http://github.example.com:8080", "http://github.example.com/", "without TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			to, err := url.Parse(tc.to)
			if err != nil {
				t.Fatal(err)
			}
			s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s", Annotations: map[string]string{v1alpha1.AnnotationAllowedHosts: tc.hosts}}}
			err = MaySend(s, to)
			if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestPermitted(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		allowed, host string
		want          bool
	}{
		"Exact":          {"hello.test", "hello.test:443", true},
		"Case":           {"Hello.TEST", "hellO.test:443", true},
		"Dot":            {"hello.test", "hello.test.:443", true},
		"List":           {"a.test , hello.test,b.test", "hello.test:443", true},
		"Port":           {"hello.test:8443", "hello.test:8443", true},
		"OtherPort":      {"hello.test:1", "hello.test:443", false},
		"Scheme":         {"https://hello.test", "hello.test:443", true},
		"ClearText":      {"http://hello.test:443", "hello.test:443", false},
		"Wild":           {"*.demo.test", "hello.demo.test:443", true},
		"WildPort":       {"*.demo.test:8443", "hello.demo.test:8443", true},
		"WildTooDeep":    {"*.demo.test", "hello.more.demo.test:443", false},
		"WildItself":     {"*.demo.test", "demo.test:443", false},
		"WildSuffix":     {"*.demo.test", "hellodemo.test:443", false},
		"WildAll":        {"*", "hello.test:443", false},
		"WildMiddle":     {"hello.*.test", "hello.demo.test:443", false},
		"WildDouble":     {"*.*.test", "hello.demo.test:443", false},
		"Suffix":         {"test", "hello.test:443", false},
		"Prefix":         {"hello.test.evil", "hello.test:443", false},
		"Empty":          {" , ,", "hello.test:443", false},
		"Address":        {"127.0.0.1", "127.0.0.1:443", true},
		"WildAddress":    {"*.0.0.1", "127.0.0.1:443", false},
		"AddressMapped":  {"127.0.0.1", "[::ffff:127.0.0.1]:443", false},
		"AddressMapped2": {"::ffff:127.0.0.1", "[::ffff:127.0.0.1]:443", true},
		"AddressPort":    {"[::ffff:127.0.0.1]:8443", "[::ffff:127.0.0.1]:8443", true},
	} {
		if got := permitted(tc.allowed, "https", tc.host); got != tc.want {
			t.Errorf("%s: %s for %s: %t", name, tc.allowed, tc.host, got)
		}
	}
}
