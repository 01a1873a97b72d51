package view

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

// Facts are what an answer about a Rollout is made of. What the person may not read is left empty.
type Facts struct {
	Rollout *v1alpha1.Rollout
	// Releases of the Rollout, as Releases returns them.
	Releases     []v1alpha1.Release
	Gates        []v1alpha1.RolloutGate
	Approvals    []v1alpha1.Approval
	Environments []environments.Environment
	Clock        Clock
	// You is the person who asks, and May which of the Rights they have.
	You Person
	May map[Right]bool
	// Program is how people call the command. Defaults to kuberik.
	Program string
	// Has reports whether the program has a verb. Defaults to every verb.
	Has func(verb string) bool
}

// Releases returns the releases of a Rollout, newest first. A known release without an object is derived from the
// Rollout and has no name.
func Releases(ro *v1alpha1.Rollout, objects []v1alpha1.Release) []v1alpha1.Release {
	list := slices.Clone(objects)
	known := func(id v1alpha1.ReleaseIdentity) bool {
		return slices.ContainsFunc(list,
			func(r v1alpha1.Release) bool { return version.Matches(version.Identity(r.Spec.Version), id) })
	}
	derive := func(v v1alpha1.VersionInfo, found metav1.Time) {
		if known(version.Identity(v)) {
			return
		}
		rel := v1alpha1.Release{Spec: v1alpha1.ReleaseSpec{Version: v}}
		rel.Namespace, rel.Spec.RolloutRef.Name, rel.CreationTimestamp = ro.Namespace, ro.Name, found
		rel.Status = release.StatusOf(ro, &rel)
		list = append(list, rel)
	}
	for _, v := range ro.Status.AvailableReleases {
		derive(v, metav1.Time{})
	}
	for i := range ro.Status.History {
		derive(ro.Status.History[i].Version, ro.Status.History[i].Timestamp)
	}
	order := func(r v1alpha1.Release) int {
		return version.Index(ro.Status.AvailableReleases, version.Identity(r.Spec.Version))
	}
	slices.SortStableFunc(list, func(a, b v1alpha1.Release) int {
		if x, y := order(a), order(b); x != y {
			return y - x
		}
		return b.CreationTimestamp.Compare(a.CreationTimestamp.Time)
	})
	return list
}

// Digest returns the digest of a release: the one that was discovered, else that of the image that was read.
func Digest(r *v1alpha1.Release) string {
	if d := version.Identity(r.Spec.Version).Digest; d != "" {
		return d
	}
	if r.Status.Details != nil {
		return r.Status.Details.Digest
	}
	return ""
}

// ShortDigest shortens a digest to what people compare, and leaves other text as it is.
func ShortDigest(digest string) string { return shortDigest(digest) }

// release returns a release of the Rollout. It has no name if it is not known.
func (f Facts) release(id v1alpha1.ReleaseIdentity) *v1alpha1.Release {
	for i := range f.Releases {
		if v := version.Identity(f.Releases[i].Spec.Version); v == id {
			return &f.Releases[i]
		}
	}
	for i := range f.Releases {
		if v := version.Identity(f.Releases[i].Spec.Version); v.Tag == id.Tag && (id.Digest == "" || v.Digest == "") {
			return &f.Releases[i]
		}
	}
	return &v1alpha1.Release{Spec: v1alpha1.ReleaseSpec{Version: v1alpha1.VersionInfo{Tag: id.Tag, Digest: id.Digest}}}
}

// pending returns the release that waits to be deployed. Its tag is "" if none does.
func (f Facts) pending() v1alpha1.ReleaseIdentity {
	st := f.Rollout.Status
	for _, v := range st.ReleaseCandidates {
		if v.Tag == st.PendingVersion {
			return version.Identity(v)
		}
	}
	if st.PendingVersion == "" {
		return v1alpha1.ReleaseIdentity{}
	}
	return version.Identity(f.release(v1alpha1.ReleaseIdentity{Tag: st.PendingVersion}).Spec.Version)
}

// environment returns the name of the environment of the Rollout. It returns "" if there is none.
func (f Facts) environment() string {
	for i := range f.Environments {
		e := &f.Environments[i]
		if e.Namespace == f.Rollout.Namespace && e.Spec.RolloutRef.Name == f.Rollout.Name {
			return e.Spec.Environment
		}
	}
	return ""
}

// place returns where the Rollout runs, for a sentence: its environment, else its name.
func (f Facts) place() string {
	if e := f.environment(); e != "" {
		return clean(e)
	}
	return f.Rollout.Namespace + "/" + f.Rollout.Name
}

// running returns the deployment of the version that runs. It returns nil if there is none.
func (f Facts) running() *v1alpha1.DeploymentHistoryEntry {
	for i := range f.Rollout.Status.History {
		e := &f.Rollout.Status.History[i]
		if e.Version.Tag == f.Rollout.Status.CurrentVersion {
			return e
		}
	}
	return nil
}

// bake returns the bake time. Before it, applying the version takes about as long as it usually did; known is false if
// no deployment tells how long that is.
func (f Facts) bake() (takes, bake time.Duration, known bool) {
	const most = 5
	if f.Rollout.Spec.BakeTime != nil {
		if d, err := f.Rollout.Spec.BakeTime.Parse(); err == nil {
			bake = d
		}
	}
	count := 0
	for i := range f.Rollout.Status.History {
		e := &f.Rollout.Status.History[i]
		if e.BakeStartTime == nil || count == most {
			continue
		}
		takes += max(e.BakeStartTime.Sub(e.Timestamp.Time), 0)
		count++
	}
	if count == 0 {
		return 0, bake, false
	}
	return takes / time.Duration(count), bake, true
}
