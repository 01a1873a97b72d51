package consent

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

// longest is how far ahead an Override may end.
const longest = 24 * time.Hour

// Said is what people have said of the releases of a Rollout.
type Said struct {
	// Approvals of its releases.
	Approvals []gate.Approval
	// Overrides of its releases, those that have expired among them.
	Overrides []release.Override
	// Unproven says why nothing proves who said it; empty: it is proved.
	Unproven string
}

// Reader reads what people have said.
type Reader struct {
	// From is the cache, with the Indexes, or the API server.
	From client.Reader
	// Live says that From is the API server, which has no indexes of ours.
	Live bool
	// Guard looks at the policies.
	Guard *Guard
}

// Indexes that a Reader of the cache needs.
func Indexes() []kube.Index {
	return []kube.Index{
		kube.IndexOf(&v1alpha1.Approval{}, kube.ByRelease, func(a *v1alpha1.Approval) []string { return []string{a.Spec.ReleaseName} }),
		kube.IndexOf(&v1alpha1.Override{}, kube.ByRollout, func(o *v1alpha1.Override) []string { return []string{o.Spec.RolloutName} }),
	}
}

// Misses returns why an Approval is not about the Release that has its name now; empty if it is.
func Misses(a *v1alpha1.Approval, rel *v1alpha1.Release) string {
	switch {
	case a.CreationTimestamp.Before(&rel.CreationTimestamp):
		return "the Approval is older than Release " + rel.Name + ": look at the Release, and approve again"
	case a.Spec.ReleaseUID != "" && a.Spec.ReleaseUID != string(rel.UID):
		return "spec.releaseUID is " + a.Spec.ReleaseUID + ", and the uid of Release " + rel.Name + " is " + string(rel.UID) +
			": look at the Release, and approve again"
	}
	return ""
}

// Releases lists the Release objects of a Rollout.
func Releases(ctx context.Context, from client.Reader, ro *v1alpha1.Rollout) ([]*v1alpha1.Release, error) {
	var list v1alpha1.ReleaseList
	if err := from.List(ctx, &list, client.InNamespace(ro.Namespace), client.MatchingFields{kube.ByRollout: ro.Name}); err != nil {
		return nil, fmt.Errorf("listing Releases: %w", err)
	}
	var owned []*v1alpha1.Release
	for i := range list.Items {
		if rel := &list.Items[i]; metav1.IsControlledBy(rel, ro) {
			owned = append(owned, rel)
		}
	}
	return owned, nil
}

// RolloutOf names the Rollout of the Release that an Approval is about. What is said of no Release does not count.
func RolloutOf(ctx context.Context, from client.Reader, a *v1alpha1.Approval) (key client.ObjectKey, found bool) {
	var rel v1alpha1.Release
	if err := from.Get(ctx, client.ObjectKey{Namespace: a.Namespace, Name: a.Spec.ReleaseName}, &rel); err != nil {
		return key, false
	}
	return client.ObjectKey{Namespace: rel.Namespace, Name: rel.Spec.RolloutRef.Name}, true
}

// Of reads what people have said of the releases of a Rollout, given as their objects. What cannot be listed is an error.
func (r Reader) Of(ctx context.Context, ro *v1alpha1.Rollout, releases []*v1alpha1.Release) (Said, error) {
	since, why, err := r.Guard.Proven(ctx)
	if err != nil {
		return Said{}, err
	}
	said := Said{Unproven: why}
	for _, rel := range releases {
		list, err := r.approvals(ctx, rel, since)
		if err != nil {
			return Said{}, err
		}
		said.Approvals = append(said.Approvals, list...)
	}
	said.Overrides, err = r.overrides(ctx, ro, releases, since)
	return said, err
}

func (r Reader) approvals(ctx context.Context, rel *v1alpha1.Release, since time.Time) ([]gate.Approval, error) {
	var list v1alpha1.ApprovalList
	if err := r.list(ctx, &list, rel.Namespace, kube.ByRelease, kube.SelectRelease, rel.Name); err != nil {
		return nil, fmt.Errorf("listing Approvals: %w", err)
	}
	var found []gate.Approval
	for i := range list.Items {
		a := &list.Items[i]
		if !about(a, a.Spec.ReleaseUID, rel) {
			continue
		}
		given := gate.Approval{
			Name: a.Name, Release: version.Identity(rel.Spec.Version), Gate: a.Spec.GateName, Decision: a.Spec.Decision,
			User: a.Spec.User, Groups: a.Spec.Groups, At: a.CreationTimestamp.Time,
		}
		switch {
		case given.At.Before(since):
			given.Doubt = "it was given before the policy that proves who gave it was in force; give it again"
		case unordered(a, a.Spec.ReleaseUID, rel):
			given.Doubt = "it was given in the second in which the Release was created, and may be older; give it again, or set releaseUID"
		}
		found = append(found, given)
	}
	return found, nil
}

func (r Reader) overrides(ctx context.Context, ro *v1alpha1.Rollout, releases []*v1alpha1.Release, since time.Time) ([]release.Override, error) {
	var list v1alpha1.OverrideList
	if err := r.list(ctx, &list, ro.Namespace, kube.ByRollout, kube.SelectRolloutName, ro.Name); err != nil {
		return nil, fmt.Errorf("listing Overrides: %w", err)
	}
	var found []release.Override
	for i := range list.Items {
		o := &list.Items[i]
		at := slices.IndexFunc(releases, func(rel *v1alpha1.Release) bool {
			return rel.Name == o.Spec.ReleaseName && about(o, o.Spec.ReleaseUID, rel)
		})
		if at < 0 {
			continue
		}
		found = append(found, release.Override{
			Doubt:   doubt(o, releases[at], since),
			Release: version.Identity(releases[at].Spec.Version),
			UsedOverride: v1alpha1.UsedOverride{
				Name: o.Name, UID: string(o.UID), User: o.Spec.User, Reason: o.Spec.Reason, Bypass: o.Spec.Bypass, ExpiresAt: o.Spec.ExpiresAt,
			},
		})
	}
	slices.SortFunc(found, func(a, b release.Override) int { return cmp.Compare(a.Name, b.Name) })
	return found, nil
}

// doubt says why an Override does not count; empty if it may.
func doubt(o *v1alpha1.Override, rel *v1alpha1.Release, since time.Time) string {
	switch {
	case o.CreationTimestamp.Time.Before(since):
		return "it was made before the policy that proves who made it was in force; make it again"
	case o.Spec.ExpiresAt.After(o.CreationTimestamp.Add(longest)):
		return "it is for longer than a day"
	case unordered(o, o.Spec.ReleaseUID, rel):
		return "it was made in the second in which the Release was created, and may be older; make it again, or set releaseUID"
	}
	return ""
}

// list lists objects of a namespace by an index of the cache, or by a field that the API server knows.
func (r Reader) list(ctx context.Context, list client.ObjectList, namespace, index, field, value string) error {
	if r.Live {
		index = field
	}
	return r.From.List(ctx, list, client.InNamespace(namespace), client.MatchingFields{index: value})
}

// about reports whether what a person said can be about a Release as it is now: it names the uid of that Release or none, it is not older
// than the Release, and it is not being deleted.
func about(said client.Object, uid string, rel *v1alpha1.Release) bool {
	at := said.GetCreationTimestamp()
	return (uid == "" || uid == string(rel.UID)) && !at.Before(&rel.CreationTimestamp) && said.GetDeletionTimestamp().IsZero()
}

// unordered reports whether nobody can know which is older, what a person said or the Release: the API server keeps times in seconds. The
// uid of a Release is random, so whoever names it has seen the Release.
func unordered(said client.Object, uid string, rel *v1alpha1.Release) bool {
	at := said.GetCreationTimestamp()
	return uid == "" && at.Equal(&rel.CreationTimestamp)
}
