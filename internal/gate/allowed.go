package gate

import (
	"slices"
	"strings"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// BindDigests returns status.allowedVersions of a gate: the digest of each tag that the spec lists without a digest. It
// is the first digest of the tag that Kuberik discovered, so that a tag that is pushed again does not pass. Known lists
// the releases of the Rollout in the order of their discovery.
func BindDigests(g *v1alpha1.RolloutGate, known []v1alpha1.VersionInfo) []v1alpha1.AllowedVersion {
	if g.Spec.AllowedVersions == nil {
		return nil
	}
	var bound []v1alpha1.AllowedVersion
	for _, entry := range *g.Spec.AllowedVersions {
		if strings.Contains(entry, "@") || boundTo(bound, entry) != "" {
			continue
		}
		digest := boundTo(g.Status.AllowedVersions, entry)
		if digest == "" {
			digest = firstDigest(known, entry)
		}
		if digest != "" {
			bound = append(bound, v1alpha1.AllowedVersion{Tag: entry, Digest: digest})
		}
	}
	return bound
}

// firstDigest returns the first digest of a tag, or "".
func firstDigest(known []v1alpha1.VersionInfo, tag string) string {
	i := slices.IndexFunc(known, func(v v1alpha1.VersionInfo) bool { return v.Tag == tag && v.Digest != "" })
	if i < 0 {
		return ""
	}
	return known[i].Digest
}

// boundTo returns the digest that a tag is bound to, or "".
func boundTo(list []v1alpha1.AllowedVersion, tag string) string {
	i := slices.IndexFunc(list, func(a v1alpha1.AllowedVersion) bool { return a.Tag == tag })
	if i < 0 {
		return ""
	}
	return list[i].Digest
}

// evaluateAllowed evaluates spec.allowedVersions for a release. The verdict is open if the release is listed.
func evaluateAllowed(g *v1alpha1.RolloutGate, release v1alpha1.ReleaseIdentity) Verdict {
	list, with := *g.Spec.AllowedVersions, release.Tag+"@"+release.Digest
	bound := boundTo(g.Status.AllowedVersions, release.Tag)
	v := Verdict{
		Gate: g.Name, State: v1alpha1.GateClosed, Reason: ReasonNotAllowed,
		Message:   "the gate does not list " + release.Tag + " in spec.allowedVersions",
		ClearedBy: "whoever may edit spec.allowedVersions of the gate",
	}
	// other is an entry for the tag with a digest.
	other := slices.IndexFunc(list, func(entry string) bool { return strings.HasPrefix(entry, release.Tag+"@") })
	switch bare := slices.Contains(list, release.Tag); {
	case release.Digest != "" && slices.Contains(list, with), bare && bound == release.Digest:
		return Verdict{
			Gate: g.Name, State: v1alpha1.GateOpen, Reason: ReasonAllowed, Message: "the gate lists " + release.Tag,
		}
	case bare && bound == "":
		v.State, v.Reason, v.ClearedBy = v1alpha1.GatePending, ReasonDigestUnrecorded, "the controller of Kuberik"
		v.Message = "the gate lists " + release.Tag + ", and the digest that it stands for is not recorded yet"
	case bare:
		v.Reason, v.ClearedBy = ReasonOtherDigest, addsDigest(with)
		v.Message = "the gate lists " + release.Tag + " for " + short(bound) + ", the first digest of the tag; " +
			pushedAgain(release)
	case other >= 0:
		v.Reason, v.ClearedBy = ReasonOtherDigest, addsDigest(with)
		_, digest, _ := strings.Cut(list[other], "@")
		v.Message = "the gate lists " + release.Tag + " for " + short(digest) + "; " + pushedAgain(release)
	}
	return v
}

func pushedAgain(release v1alpha1.ReleaseIdentity) string {
	if release.Digest == "" {
		return "this release has no digest on record"
	}
	return "this release has " + short(release.Digest)
}

func addsDigest(entry string) string {
	if strings.HasSuffix(entry, "@") {
		return "whoever may edit spec.allowedVersions of the gate"
	}
	return "whoever adds " + entry + " to spec.allowedVersions of the gate"
}

// short returns the beginning of a digest for a message.
func short(digest string) string {
	algorithm, hex, found := strings.Cut(digest, ":")
	if !found {
		return digest
	}
	return algorithm + ":" + hex[:min(len(hex), 12)]
}
