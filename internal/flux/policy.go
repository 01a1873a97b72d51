package flux

import (
	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"

	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

// Policy reads what an ImagePolicy selected. Nil: it does not exist.
func Policy(p *imagev1.ImagePolicy) release.Policy {
	if p == nil {
		return release.Policy{}
	}
	out := release.Policy{Found: true, Problem: notReady(p.Status.Conditions), Order: order(p.Spec)}
	if ref := p.Status.LatestRef; ref != nil {
		out.Tag, out.Digest = ref.Tag, ref.Digest
	}
	return out
}

// order is the order in which an ImagePolicy puts tags; nil if it has none.
func order(spec imagev1.ImagePolicySpec) *version.Order {
	var pattern, extract string
	if f := spec.FilterTags; f != nil {
		pattern, extract = f.Pattern, f.Extract
	}
	const descending = "desc"
	switch c := spec.Policy; {
	case c.SemVer != nil:
		return version.NewOrder(version.OrderSemver, false, pattern, extract)
	case c.Alphabetical != nil:
		return version.NewOrder(version.OrderAlphabetical, c.Alphabetical.Order == descending, pattern, extract)
	case c.Numerical != nil:
		return version.NewOrder(version.OrderNumerical, c.Numerical.Order == descending, pattern, extract)
	}
	return nil
}

// Image is the repository that an ImagePolicy selects from, or "".
func Image(p *imagev1.ImagePolicy) string {
	if p == nil || p.Status.LatestRef == nil {
		return ""
	}
	return p.Status.LatestRef.Name
}
