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
		"in the clear, and so allowed": {"a.example.com, github.example.com:80", "http://github.example.com/", ""},
		"in the clear, another port":   {"github.example.com:8080", "http://github.example.com/", "without TLS"},
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
