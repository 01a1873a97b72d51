package approval

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/release"
)

// releaseCreated is when the Release was created, an hour after the policies.
var releaseCreated = policiesCreated.Add(time.Hour)

var (
	ro  = &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "app"}}
	rel = &v1alpha1.Release{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "app-1.1.0", UID: "uid-1", CreationTimestamp: metav1.NewTime(releaseCreated)},
		Spec:       v1alpha1.ReleaseSpec{Version: v1alpha1.VersionInfo{Tag: "1.1.0", Digest: "sha256:a"}},
	}
	identity = v1alpha1.ReleaseIdentity{Tag: "1.1.0", Digest: "sha256:a"}
)

func meta(name string, at time.Time) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID("uid-" + name), CreationTimestamp: metav1.NewTime(at)}
}

func setDeleting(o client.Object) {
	o.SetDeletionTimestamp(&metav1.Time{Time: releaseCreated.Add(time.Hour)})
	o.SetFinalizers([]string{"example.com/hold"})
}

// newCluster returns a client with policies, Approvals and Overrides. It has the indexes of the cache, or the field selectors of the API
// server.
func newCluster(t *testing.T, live bool, installed map[string]installedPolicy, objects ...client.Object) *fake.ClientBuilder {
	t.Helper()
	b := fake.NewClientBuilder().WithScheme(scheme(t)).WithObjects(policyObjects(installed)...).WithObjects(objects...)
	for _, i := range Indexes() {
		key := i.Key
		if live {
			key = map[string]string{kube.ByRelease: kube.SelectRelease, kube.ByRollout: kube.SelectRolloutName}[key]
		}
		b = b.WithIndex(i.Object, key, i.Values)
	}
	return b
}

func TestApprovalsOfARelease(t *testing.T) {
	t.Parallel()
	counts := gate.Approval{
		Name: "a", Release: identity, Gate: "g", Decision: v1alpha1.Approve, User: "ann", Groups: []string{"ops"}, At: releaseCreated.Add(time.Minute),
	}
	untrusted := counts
	untrusted.UntrustedReason = "it was given before the policy that proves who gave it was in force; give it again"
	at := func(when time.Time, g gate.Approval) *gate.Approval {
		g.At = when
		return &g
	}
	maybeOlder := at(releaseCreated, counts)
	maybeOlder.UntrustedReason = "it was given in the second in which the Release was created, and may be older; give it again, or set releaseRef.uid"
	late := policiesCreated.Add(2 * time.Hour)
	for name, tc := range map[string]struct {
		edit func(*v1alpha1.Approval)
		// since is when the policies were made; zero: before the Release.
		since time.Time
		want  *gate.Approval
	}{
		"refers to the Release":     {edit: func(*v1alpha1.Approval) {}, want: &counts},
		"of it, by its uid":         {edit: func(a *v1alpha1.Approval) { a.Spec.ReleaseRef.UID = "uid-1" }, want: &counts},
		"in the second it was made": {edit: func(a *v1alpha1.Approval) { a.CreationTimestamp = metav1.NewTime(releaseCreated) }, want: maybeOlder},
		"in that second, by its uid": {edit: func(a *v1alpha1.Approval) {
			a.CreationTimestamp, a.Spec.ReleaseRef.UID = metav1.NewTime(releaseCreated), "uid-1"
		}, want: at(releaseCreated, counts)},
		"in the next second":   {edit: func(a *v1alpha1.Approval) { a.CreationTimestamp = metav1.NewTime(releaseCreated.Add(time.Second)) }, want: at(releaseCreated.Add(time.Second), counts)},
		"before it was made":   {edit: func(a *v1alpha1.Approval) { a.CreationTimestamp = metav1.NewTime(releaseCreated.Add(-time.Second)) }},
		"of one before it":     {edit: func(a *v1alpha1.Approval) { a.Spec.ReleaseRef.UID = "uid-0" }},
		"being deleted":        {edit: func(a *v1alpha1.Approval) { setDeleting(a) }},
		"of another":           {edit: func(a *v1alpha1.Approval) { a.Spec.ReleaseRef.Name = "app-1.2.0" }},
		"of another namespace": {edit: func(a *v1alpha1.Approval) { a.Namespace = "other" }},
		"of nothing":           {edit: func(a *v1alpha1.Approval) { a.Spec.ReleaseRef.Name = "" }},
		"before the policies":  {edit: func(*v1alpha1.Approval) {}, since: late, want: &untrusted},
		"before they had settled": {edit: func(a *v1alpha1.Approval) {
			a.CreationTimestamp = metav1.NewTime(late.Add(propagationDelay - time.Second))
		}, since: late, want: at(late.Add(propagationDelay-time.Second), untrusted)},
		"once they had settled":         {edit: func(a *v1alpha1.Approval) { a.CreationTimestamp = metav1.NewTime(late.Add(propagationDelay)) }, since: late, want: at(late.Add(propagationDelay), counts)},
		"being deleted, by a finalizer": {edit: func(a *v1alpha1.Approval) { setDeleting(a) }, since: late},
	} {
		for _, live := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				a := &v1alpha1.Approval{ObjectMeta: meta("a", releaseCreated.Add(time.Minute)), Spec: v1alpha1.ApprovalSpec{
					ReleaseRef: v1alpha1.ReleaseReference{Name: "app-1.1.0"}, GateRef: &corev1.LocalObjectReference{Name: "g"}, Decision: v1alpha1.Approve, User: "ann", Groups: []string{"ops"},
				}}
				tc.edit(a)
				got := read(t, live, tc.since, a)
				var want []gate.Approval
				if tc.want != nil {
					want = []gate.Approval{*tc.want}
				}
				if diff := cmp.Diff(Approvals{Approvals: want}, got, cmp.Transformer("utc", time.Time.UTC)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestOverridesOfARollout(t *testing.T) {
	t.Parallel()
	given := releaseCreated.Add(time.Minute)
	for name, tc := range map[string]struct {
		edit   func(*v1alpha1.Override)
		since  time.Time
		found  bool
		reason string
	}{
		"of it":                     {func(*v1alpha1.Override) {}, time.Time{}, true, ""},
		"for a day":                 {func(o *v1alpha1.Override) { o.Spec.ExpiresAt = metav1.NewTime(given.Add(maxOverride)) }, time.Time{}, true, ""},
		"for a day and a second":    {func(o *v1alpha1.Override) { o.Spec.ExpiresAt = metav1.NewTime(given.Add(maxOverride + time.Second)) }, time.Time{}, true, "longer than a day"},
		"that is over":              {func(o *v1alpha1.Override) { o.Spec.ExpiresAt = metav1.NewTime(given) }, time.Time{}, true, ""}, // the rules look at that
		"of another Rollout":        {func(o *v1alpha1.Override) { o.Spec.RolloutRef.Name = "other" }, time.Time{}, false, ""},
		"of another Release":        {func(o *v1alpha1.Override) { o.Spec.ReleaseRef.Name = "app-1.2.0" }, time.Time{}, false, ""},
		"of another namespace":      {func(o *v1alpha1.Override) { o.Namespace = "other" }, time.Time{}, false, ""},
		"before the Release":        {func(o *v1alpha1.Override) { o.CreationTimestamp = metav1.NewTime(releaseCreated.Add(-time.Second)) }, time.Time{}, false, ""},
		"in the second it was made": {func(o *v1alpha1.Override) { o.CreationTimestamp = metav1.NewTime(releaseCreated) }, time.Time{}, true, "may be older"},
		"in that second, by its uid": {func(o *v1alpha1.Override) {
			o.CreationTimestamp, o.Spec.ReleaseRef.UID = metav1.NewTime(releaseCreated), "uid-1"
		}, time.Time{}, true, ""},
		"of one before it":    {func(o *v1alpha1.Override) { o.Spec.ReleaseRef.UID = "uid-0" }, time.Time{}, false, ""},
		"being deleted":       {func(o *v1alpha1.Override) { setDeleting(o) }, time.Time{}, false, ""},
		"before the policies": {func(*v1alpha1.Override) {}, given, true, "make it again"},
	} {
		for _, live := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				o := &v1alpha1.Override{ObjectMeta: meta("o", given), Spec: v1alpha1.OverrideSpec{
					RolloutRef: corev1.LocalObjectReference{Name: "app"}, ReleaseRef: v1alpha1.ReleaseReference{Name: "app-1.1.0"}, User: "ann", Reason: "the shop is down",
					Bypass: []v1alpha1.Bypass{v1alpha1.BypassGates}, ExpiresAt: metav1.NewTime(given.Add(time.Hour)),
				}}
				tc.edit(o)
				var want []release.Override
				if tc.found {
					want = []release.Override{{Release: identity, UsedOverride: v1alpha1.UsedOverride{
						Name: "o", UID: "uid-o", User: "ann", Reason: "the shop is down", Bypass: []v1alpha1.Bypass{v1alpha1.BypassGates}, ExpiresAt: o.Spec.ExpiresAt,
					}}}
				}
				got := read(t, live, tc.since, o)
				for i := range got.Overrides {
					if why := got.Overrides[i].UntrustedReason; !strings.Contains(why, tc.reason) || (why == "") != (tc.reason == "") {
						t.Errorf("untrusted reason: %q", why)
					}
					got.Overrides[i].UntrustedReason = ""
				}
				if diff := cmp.Diff(Approvals{Overrides: want}, got, cmp.Transformer("utc", time.Time.UTC)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
}

// read reads an object in a cluster whose policies were created at a time; zero: before the Release.
func read(t *testing.T, live bool, since time.Time, obj client.Object) Approvals {
	t.Helper()
	installed := shippedPolicies(t)
	if !since.IsZero() {
		installed["kuberik-actors"].binding.CreationTimestamp = metav1.NewTime(since)
	}
	c := newCluster(t, live, installed, obj).Build()
	got, err := Reader{From: c, Live: live, Policies: newVerifier(t, c)}.Read(t.Context(), ro, []*v1alpha1.Release{rel})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestOverridesAreInTheOrderOfTheirNames(t *testing.T) {
	t.Parallel()
	var list []client.Object
	for _, name := range []string{"c", "a", "b"} {
		list = append(list, &v1alpha1.Override{ObjectMeta: meta(name, releaseCreated), Spec: v1alpha1.OverrideSpec{
			RolloutRef: corev1.LocalObjectReference{Name: "app"}, ReleaseRef: v1alpha1.ReleaseReference{Name: "app-1.1.0"}, ExpiresAt: metav1.NewTime(releaseCreated.Add(time.Hour)),
		}})
	}
	c := newCluster(t, false, shippedPolicies(t), list...).Build()
	got, err := Reader{From: c, Policies: newVerifier(t, c)}.Read(t.Context(), ro, []*v1alpha1.Release{rel})
	var names []string
	for _, o := range got.Overrides {
		names = append(names, o.Name)
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, names); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// Without the policies, Approvals are still read, with the reason why they do not count.
func TestApprovalsWithoutThePolicies(t *testing.T) {
	t.Parallel()
	c := newCluster(t, false, nil, &v1alpha1.Approval{ObjectMeta: meta("a", releaseCreated), Spec: v1alpha1.ApprovalSpec{ReleaseRef: v1alpha1.ReleaseReference{Name: "app-1.1.0"}, User: "ann"}}).Build()
	got, err := Reader{From: c, Policies: newVerifier(t, c)}.Read(t.Context(), ro, []*v1alpha1.Release{rel})
	if err != nil || got.UnverifiedReason == "" || len(got.Approvals) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// A list that fails is an error and not an empty list: a rejection would be missing from it.
func TestReadFailsIfAListFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("the API server is down")
	for i := range 2 {
		calls := 0
		c := newCluster(t, false, shippedPolicies(t)).WithInterceptorFuncs(interceptor.Funcs{
			List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
				if calls++; calls > i {
					return broken
				}
				return c.List(ctx, list, opts...)
			},
		}).Build()
		if _, err := (Reader{From: c, Policies: newVerifier(t, c)}).Read(t.Context(), ro, []*v1alpha1.Release{rel}); !errors.Is(err, broken) {
			t.Errorf("after %d lists: %v", i, err)
		}
	}
	c := newCluster(t, false, shippedPolicies(t)).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return broken
		},
	}).Build()
	if _, err := (Reader{From: c, Policies: newVerifier(t, c)}).Read(t.Context(), ro, nil); !errors.Is(err, broken) {
		t.Errorf("without the policies: %v", err)
	}
}

// shelf serves many copies of an Approval or an Override, a page at a time where that is asked for.
type shelf struct {
	client.Client
	approvals, overrides int
	// lists is how often something was listed, and most how many objects there were in an answer.
	lists, most int
}

func (s *shelf) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	var o client.ListOptions
	o.ApplyOptions(opts)
	from, _ := strconv.Atoi(o.Continue)
	until := func(n int) int {
		if o.Limit > 0 {
			return min(n, from+int(o.Limit))
		}
		return n
	}
	var next int
	switch list := list.(type) {
	case *v1alpha1.ApprovalList:
		next = until(s.approvals)
		for i := from; i < next; i++ {
			list.Items = append(list.Items, v1alpha1.Approval{ObjectMeta: meta(fmt.Sprint("a-", i), releaseCreated.Add(time.Minute)), Spec: v1alpha1.ApprovalSpec{
				ReleaseRef: v1alpha1.ReleaseReference{Name: rel.Name}, Decision: v1alpha1.Approve, User: "ann",
			}})
		}
		if next < s.approvals {
			list.Continue = strconv.Itoa(next)
		}
	case *v1alpha1.OverrideList:
		next = until(s.overrides)
		for i := from; i < next; i++ {
			list.Items = append(list.Items, v1alpha1.Override{ObjectMeta: meta(fmt.Sprint("o-", i), releaseCreated.Add(time.Minute)), Spec: v1alpha1.OverrideSpec{
				RolloutRef: corev1.LocalObjectReference{Name: "app"}, ReleaseRef: v1alpha1.ReleaseReference{Name: rel.Name}, User: "ann", ExpiresAt: metav1.NewTime(releaseCreated.Add(time.Hour)),
			}})
		}
		if next < s.overrides {
			list.Continue = strconv.Itoa(next)
		}
	default:
		return s.Client.List(ctx, list, opts...)
	}
	s.lists, s.most = s.lists+1, max(s.most, next-from)
	return nil
}

// TestManyApprovalsAndOverrides: whoever may create them may create very many. They are read from the API server in pages, no more than the
// limit of them, and if there are more, none counts.
func TestManyApprovalsAndOverrides(t *testing.T) {
	t.Parallel()
	for _, live := range []bool{false, true} {
		for name, c := range map[string]struct {
			approvals, overrides         int
			approvalsCount, overridesToo bool
		}{
			"few":            {3, 3, true, true},
			"the limit":      {MaxApprovals, MaxOverrides, true, true},
			"many Approvals": {MaxApprovals + 1, 1, false, true},
			"many Overrides": {1, MaxOverrides + 1, true, false},
			"very many":      {3 * MaxApprovals, 3 * MaxOverrides, false, false},
		} {
			t.Run(fmt.Sprint(name, live), func(t *testing.T) {
				t.Parallel()
				s := &shelf{Client: newCluster(t, live, shippedPolicies(t)).Build(), approvals: c.approvals, overrides: c.overrides}
				got, err := Reader{From: s, Live: live, Policies: newVerifier(t, s)}.Read(t.Context(), ro, []*v1alpha1.Release{rel})
				if err != nil || got.UnverifiedReason != "" {
					t.Fatal(err, got.UnverifiedReason)
				}
				if live && (s.most > perPage || s.lists > (MaxApprovals+MaxOverrides)/perPage+4) {
					t.Errorf("%d lists of at most %d objects", s.lists, s.most)
				}
				verdict := gate.Evaluate(&v1alpha1.RolloutGate{}, identity, gate.Context{Now: releaseCreated.Add(time.Minute), Approvals: got.Approvals})
				if verdict.Open() != c.approvalsCount {
					t.Errorf("the gate is %s: %s", verdict.State, verdict.Message)
				}
				if !c.approvalsCount && !strings.Contains(verdict.Message, "Release app-1.1.0 has more than 1000 Approvals, so none of them counts: delete some") {
					t.Errorf("the gate says %q", verdict.Message)
				}
				if len(got.Overrides) == 0 || len(got.Overrides) > MaxOverrides {
					t.Errorf("%d Overrides are kept", len(got.Overrides))
				}
				for _, o := range got.Overrides {
					if (o.UntrustedReason == "") != c.overridesToo {
						t.Fatalf("Override %s: %q", o.Name, o.UntrustedReason)
					}
				}
			})
		}
	}
}
