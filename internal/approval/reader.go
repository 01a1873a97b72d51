package approval

import (
	"cmp"
	"context"
	"fmt"
	"iter"
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

// maxOverride is the longest time that an Override may last.
const maxOverride = 24 * time.Hour

const (
	// perPage is how many objects are read from the API server at once.
	perPage = 50
	// MaxApprovals is how many Approvals of one Release are read. If there are more, none of them counts.
	MaxApprovals = 1000
	// MaxOverrides is how many Overrides of one Rollout are read, those of deleted Releases included. If there are more,
	// none of them counts.
	MaxOverrides = 5000
)

// Approvals are the Approvals and Overrides of the releases of a Rollout.
type Approvals struct {
	Approvals []gate.Approval
	// Overrides includes expired ones.
	Overrides []release.Override
	// UnverifiedReason says why the users are not verified; empty if they are.
	UnverifiedReason string
}

// Reader reads Approvals and Overrides.
type Reader struct {
	// From is the cache, with the Indexes, or the API server.
	From client.Reader
	// Live is true if From is the API server, which knows field selectors and no indexes.
	Live bool
	// Policies verifies the admission policies.
	Policies *PolicyVerifier
}

// Indexes returns the indexes that a Reader needs in the cache.
func Indexes() []kube.Index {
	return []kube.Index{
		kube.IndexOf(&v1alpha1.Approval{}, kube.ByRelease,
			func(a *v1alpha1.Approval) []string { return []string{a.Spec.ReleaseRef.Name} }),
		kube.IndexOf(&v1alpha1.Override{}, kube.ByRelease,
			func(o *v1alpha1.Override) []string { return []string{o.Spec.ReleaseRef.Name} }),
		kube.IndexOf(&v1alpha1.Override{}, kube.ByRollout,
			func(o *v1alpha1.Override) []string { return []string{o.Spec.RolloutRef.Name} }),
	}
}

// Mismatch returns why an Approval or an Override, of a kind and with a spec.releaseRef.uid, does not refer to the
// Release that has this name now; empty if it does.
func Mismatch(kind string, o client.Object, uid string, rel *v1alpha1.Release) string {
	at := o.GetCreationTimestamp()
	switch {
	case at.Before(&rel.CreationTimestamp):
		return "the " + kind + " is older than Release " + rel.Name + ": look at the Release, and create another " + kind
	case uid != "" && uid != string(rel.UID):
		return "spec.releaseRef.uid is " + uid + ", and the uid of Release " + rel.Name + " is " + string(rel.UID) +
			": look at the Release, and create another " + kind
	}
	return ""
}

// Releases lists the Release objects of a Rollout. They may share memory with the cache and must not be changed.
func Releases(ctx context.Context, from client.Reader, ro *v1alpha1.Rollout) ([]*v1alpha1.Release, error) {
	var list v1alpha1.ReleaseList
	err := from.List(ctx, &list, client.InNamespace(ro.Namespace),
		client.MatchingFields{kube.ByRollout: ro.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
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

// RolloutFor returns the key of the Rollout whose Release an Approval names. Found is false if the Release does not
// exist.
func RolloutFor(ctx context.Context, from client.Reader, a *v1alpha1.Approval) (key client.ObjectKey, found bool) {
	var rel v1alpha1.Release
	if err := from.Get(ctx, client.ObjectKey{Namespace: a.Namespace, Name: a.Spec.ReleaseRef.Name}, &rel); err != nil {
		return key, false
	}
	return client.ObjectKey{Namespace: rel.Namespace, Name: rel.Spec.RolloutRef.Name}, true
}

// Read returns the Approvals and Overrides of Releases of a Rollout. It fails if it cannot list all of them.
func (r Reader) Read(ctx context.Context, ro *v1alpha1.Rollout, releases []*v1alpha1.Release) (Approvals, error) {
	since, why, err := r.Policies.VerifiedSince(ctx)
	if err != nil {
		return Approvals{}, err
	}
	found := Approvals{UnverifiedReason: why}
	for _, rel := range releases {
		list, err := r.approvals(ctx, rel, since)
		if err != nil {
			return Approvals{}, err
		}
		found.Approvals = append(found.Approvals, list...)
	}
	found.Overrides, err = r.overrides(ctx, ro, releases, since)
	return found, err
}

func (r Reader) approvals(ctx context.Context, rel *v1alpha1.Release, since time.Time) ([]gate.Approval, error) {
	var found []gate.Approval
	read := 0
	for list, err := range pages[v1alpha1.ApprovalList](ctx, r, rel.Namespace, kube.ByRelease, kube.SelectRelease,
		rel.Name) {
		if err != nil {
			return nil, fmt.Errorf("listing Approvals: %w", err)
		}
		if read += len(list.Items); read > MaxApprovals {
			return []gate.Approval{tooMany(rel)}, nil
		}
		for i := range list.Items {
			if a := &list.Items[i]; refersTo("Approval", a, a.Spec.ReleaseRef.UID, rel) {
				found = append(found, given(a, rel, since))
			}
		}
	}
	return found, nil
}

// given returns an Approval of a Release.
func given(a *v1alpha1.Approval, rel *v1alpha1.Release, since time.Time) gate.Approval {
	g := gate.Approval{
		Name: a.Name, Release: version.Identity(rel.Spec.Version), Gate: a.Spec.GateName(), Decision: a.Spec.Decision,
		User: a.Spec.User, Groups: a.Spec.Groups, At: a.CreationTimestamp.Time,
	}
	switch {
	case g.At.Before(since):
		g.UntrustedReason = "it was given before the policy that proves who gave it was in force; give it again"
	case maybeOlder(a, a.Spec.ReleaseRef.UID, rel):
		g.UntrustedReason = "it was given in the second in which the Release was created, and may be older; give it " +
			"again, or set releaseRef.uid"
	}
	return g
}

// tooMany stands for the Approvals of a Release that has more of them than are read.
func tooMany(rel *v1alpha1.Release) gate.Approval {
	return gate.Approval{
		Release: version.Identity(rel.Spec.Version), Decision: v1alpha1.Approve,
		UntrustedReason: fmt.Sprintf("Release %s has more than %d Approvals, so none of them counts: delete some", rel.Name,
			MaxApprovals),
	}
}

func (r Reader) overrides(
	ctx context.Context, ro *v1alpha1.Rollout, releases []*v1alpha1.Release, since time.Time,
) ([]release.Override, error) {
	var found []release.Override
	read := 0
	for list, err := range pages[v1alpha1.OverrideList](ctx, r, ro.Namespace, kube.ByRollout, kube.SelectRolloutName,
		ro.Name) {
		if err != nil {
			return nil, fmt.Errorf("listing Overrides: %w", err)
		}
		for i := range list.Items {
			if made, ok := made(&list.Items[i], releases, since); ok && len(found) < MaxOverrides {
				found = append(found, made)
			}
		}
		if read += len(list.Items); read > MaxOverrides {
			distrust(found, fmt.Sprintf("Rollout %s has more than %d Overrides, so none of them counts: delete some", ro.Name,
				MaxOverrides))
			break
		}
	}
	slices.SortFunc(found, func(a, b release.Override) int { return cmp.Compare(a.Name, b.Name) })
	return found, nil
}

func distrust(list []release.Override, reason string) {
	for i := range list {
		list[i].UntrustedReason = reason
	}
}

// made returns an Override of one of the Releases. It returns false if it is of none of them.
func made(o *v1alpha1.Override, releases []*v1alpha1.Release, since time.Time) (release.Override, bool) {
	at := slices.IndexFunc(releases, func(rel *v1alpha1.Release) bool {
		return rel.Name == o.Spec.ReleaseRef.Name && refersTo("Override", o, o.Spec.ReleaseRef.UID, rel)
	})
	if at < 0 {
		return release.Override{}, false
	}
	return release.Override{
		UntrustedReason: untrustedReason(o, releases[at], since),
		Release:         version.Identity(releases[at].Spec.Version),
		UsedOverride: v1alpha1.UsedOverride{
			Name: o.Name, UID: string(o.UID), User: o.Spec.User, Reason: o.Spec.Reason, Bypass: o.Spec.Bypass,
			ExpiresAt: o.Spec.ExpiresAt,
		},
	}, true
}

// untrustedReason returns why an Override does not count; empty if it may count.
func untrustedReason(o *v1alpha1.Override, rel *v1alpha1.Release, since time.Time) string {
	switch {
	case o.CreationTimestamp.Time.Before(since):
		return "it was made before the policy that proves who made it was in force; make it again"
	case o.Spec.ExpiresAt.After(o.CreationTimestamp.Add(maxOverride)):
		return "it is for longer than a day"
	case maybeOlder(o, o.Spec.ReleaseRef.UID, rel):
		return "it was made in the second in which the Release was created, and may be older; make it again, or set " +
			"releaseRef.uid"
	}
	return ""
}

// pages lists objects of a namespace by an index of the cache, or page by page by the equivalent field selector of the
// API server. Of the pages, only the current one is in memory.
func pages[T any, L interface {
	*T
	client.ObjectList
}](ctx context.Context, r Reader, namespace, index, field, value string) iter.Seq2[L, error] {
	if r.Live {
		return kube.Pages[T, L](ctx, r.From, perPage, client.InNamespace(namespace), client.MatchingFields{field: value})
	}
	return func(yield func(L, error) bool) {
		list := L(new(T))
		err := r.From.List(ctx, list, client.InNamespace(namespace),
			client.MatchingFields{index: value}, client.UnsafeDisableDeepCopy)
		yield(list, err)
	}
}

// refersTo reports whether an Approval or Override is not being deleted and refers to a Release as it is now.
func refersTo(kind string, o client.Object, uid string, rel *v1alpha1.Release) bool {
	return o.GetDeletionTimestamp().IsZero() && Mismatch(kind, o, uid, rel) == ""
}

// maybeOlder reports whether an Approval or Override may be older than its Release: the API server stores times in
// seconds. The uid of a Release is random, so an object that names it was created after the Release.
func maybeOlder(obj client.Object, uid string, rel *v1alpha1.Release) bool {
	at := obj.GetCreationTimestamp()
	return uid == "" && at.Equal(&rel.CreationTimestamp)
}
