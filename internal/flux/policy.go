package flux

import (
	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"

	"github.com/kuberik/kuberik/internal/release"
)

// Policy reads what an ImagePolicy selected. Nil: it does not exist.
func Policy(p *imagev1.ImagePolicy) release.Policy {
	if p == nil {
		return release.Policy{}
	}
	out := release.Policy{Found: true, Problem: notReady(p.Status.Conditions)}
	if ref := p.Status.LatestRef; ref != nil {
		out.Tag, out.Digest = ref.Tag, ref.Digest
	}
	return out
}

// Image is the repository that an ImagePolicy selects from, or "".
func Image(p *imagev1.ImagePolicy) string {
	if p == nil || p.Status.LatestRef == nil {
		return ""
	}
	return p.Status.LatestRef.Name
}
