package remote

import (
	"strings"
	"testing"
)

func TestSignaturesOfDifferentFieldsDiffer(t *testing.T) {
	trust := Trust{SignatureKey: []byte(strings.Repeat("k", 32))}
	if trust.Sign("ab", "c") == trust.Sign("a", "bc") || trust.Sign("a", "") == trust.Sign("a") {
		t.Error("two lists have the same signature")
	}
	if got := (Trust{}).Sign("a"); got != "" {
		t.Errorf("without a key the signature is %q", got)
	}
}

func TestUntrustedReason(t *testing.T) {
	key := []byte(strings.Repeat("k", 32))
	fields := func() []string { return []string{"a", "b"} }
	signature := Trust{SignatureKey: key}.Sign(fields()...)
	for name, tc := range map[string]struct {
		trust            Trust
		login, signature string
		want             string
	}{
		"self":    {Trust{}, "KuberIK", "", ""},
		"trusted": {Trust{TrustedActors: []string{"bot"}}, "Bot", "", ""},
		"another login": {
			Trust{TrustedActors: []string{"bot"}}, "mallory", "", "made by mallory, who is not trusted",
		},
		"nobody": {
			Trust{TrustedActors: []string{""}, UnsignedActors: []string{""}}, "", "", "made by nobody, who is not trusted",
		},
		"control character": {Trust{}, "mal\u202elory", "", "made by mallory, who is not trusted"},
		"signed":            {Trust{SignatureKey: key}, "kuberik", signature, ""},
		"self, unsigned":    {Trust{SignatureKey: key}, "kuberik", "", "made by kuberik without the right signature"},
		"self, another signature": {
			Trust{SignatureKey: key}, "kuberik", signature + "x", "made by kuberik without the right signature",
		},
		"may be unsigned":       {Trust{SignatureKey: key, UnsignedActors: []string{"bot"}}, "bot", "", ""},
		"signed, not trusted":   {Trust{SignatureKey: key}, "mallory", signature, "made by mallory, who is not trusted"},
		"signature, but no key": {Trust{}, "kuberik", signature, ""},
		"trusted, unsigned": {
			Trust{SignatureKey: key, TrustedActors: []string{"bot"}}, "bot", "", "made by bot without the right signature",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.trust.UntrustedReason("kuberik", "made", tc.login, tc.signature, fields); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
