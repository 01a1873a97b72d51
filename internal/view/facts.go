package view

import (
	"fmt"
	"slices"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
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
		return slices.ContainsFunc(list, func(r v1alpha1.Release) bool { return version.Matches(version.Identity(r.Spec.Version), id) })
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

// Person is a user, as the API server knows them.
type Person struct {
	User   string   `json:"user"`
	Groups []string `json:"groups,omitempty"`
}

// Right is a right of RBAC.
type Right struct {
	Verb      string `json:"verb"`
	Group     string `json:"group"`
	Resource  string `json:"resource"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
}

// Way is a command that changes what holds a release.
type Way struct {
	// Command is what to type.
	Command string `json:"command"`
	// Does is what it does, as the end of the sentence "you may …".
	Does string `json:"does"`
	// May is true if the person who asks may do it.
	May bool `json:"may"`
	// Why they may not.
	Why string `json:"why,omitempty"`

	verb  string
	right Right
}

// placeholder stands for the reason that a person has to give.
const placeholder = ` --reason "…"`

// waysOf returns the commands that clear a blocker of a release. The first is the usual one.
func (f Facts) waysOf(b v1alpha1.Blocker, id v1alpha1.ReleaseIdentity) []Way {
	switch b.Kind {
	case "RolloutGate":
		return f.gateWays(b, id)
	case "Kustomization":
		if b.Reason == v1alpha1.ReasonTargetSuspended {
			return []Way{{
				Command: "flux resume kustomization " + b.Name + " -n " + f.Rollout.Namespace, Does: "let Flux apply the version",
				right: Right{Verb: "patch", Group: "kustomize.toolkit.fluxcd.io", Resource: "kustomizations", Namespace: f.Rollout.Namespace, Name: b.Name},
			}}
		}
		return nil
	}
	return f.rolloutWays(b.Reason, id)
}

func (f Facts) gateWays(b v1alpha1.Blocker, id v1alpha1.ReleaseIdentity) []Way {
	switch b.Reason {
	case gate.ReasonAwaitingApproval:
		return []Way{f.way("approve", id, "", "approve it", Right{Verb: "create", Resource: "approvals"})}
	case gate.ReasonScheduleClosed:
		return []Way{f.override(id, "schedules")}
	case gate.ReasonNoGate, gate.ReasonDigestUnrecorded, gate.ReasonAuthorUnknown:
		return nil
	}
	return []Way{f.override(id, "gates")}
}

// rolloutWays returns the commands for a reason that the Rollout itself, its health or its ImagePolicy gives.
func (f Facts) rolloutWays(reason string, id v1alpha1.ReleaseIdentity) []Way {
	patch := Right{Verb: "patch", Resource: "rollouts", Name: f.Rollout.Name}
	none := v1alpha1.ReleaseIdentity{}
	failed := f.head()
	switch reason {
	case v1alpha1.ReasonSuspended:
		return []Way{f.way("resume", none, "", "let the Rollout decide again", patch)}
	case v1alpha1.ReasonPinned, v1alpha1.ReasonUnknownVersion:
		return []Way{f.way("unpin", none, "", "remove the pin", patch)}
	case v1alpha1.ReasonPreviousFailed, v1alpha1.ReasonPaused, v1alpha1.ReasonBelowRollbackFloor:
		ways := []Way{f.way("retry", none, placeholder, "run "+clean(failed.Tag)+" again", patch)}
		if id != failed {
			ways = append(ways, f.deploy(id, patch))
		}
		return append(ways, f.back(patch)...)
	case v1alpha1.ReasonRolledBack, v1alpha1.ReasonDowngrade, v1alpha1.ReasonNotNewer, v1alpha1.ReasonDeployedByHand, v1alpha1.ReasonWithdrawn:
		if id == failed {
			return nil
		}
		return []Way{f.deploy(id, patch)}
	case v1alpha1.ReasonQuarantined:
		return []Way{f.way("lift", id, placeholder, "take it out of quarantine", patch)}
	case v1alpha1.ReasonUnhealthyHealthChecks:
		return []Way{f.override(id, "health")}
	}
	return nil
}

func (f Facts) deploy(id v1alpha1.ReleaseIdentity, patch Right) Way {
	return f.way("deploy", id, placeholder, "deploy "+clean(id.Tag)+" now", patch)
}

// back returns the command for a rollback if there is a version to go back to.
func (f Facts) back(patch Right) []Way {
	for _, e := range f.Rollout.Status.History[min(1, len(f.Rollout.Status.History)):] {
		if e.BakeStatus != nil && *e.BakeStatus == string(v1alpha1.BakeSucceeded) {
			return []Way{f.way("rollback", v1alpha1.ReleaseIdentity{}, placeholder, "go back to "+clean(e.Version.Tag), patch)}
		}
	}
	return nil
}

func (f Facts) override(id v1alpha1.ReleaseIdentity, bypass string) Way {
	return f.way("override", id, " --bypass "+bypass+placeholder, "let this release past "+bypass+" (break-glass)", Right{Verb: "create", Resource: "overrides"})
}

// way returns a command of kuberik about the Rollout or, if id is set, about a release.
func (f Facts) way(verb string, id v1alpha1.ReleaseIdentity, flags, does string, right Right) Way {
	right.Group, right.Namespace = v1alpha1.GroupVersion.Group, f.Rollout.Namespace
	target := f.Rollout.Name
	if id.Tag != "" {
		target += "@" + f.address(id)
	}
	return Way{
		Command: fmt.Sprintf("%s %s %s -n %s%s", f.program(), verb, target, f.Rollout.Namespace, flags), Does: does, verb: verb, right: right,
	}
}

// address returns the version in a target: the tag, or the digest if the tag was pushed more than once.
func (f Facts) address(id v1alpha1.ReleaseIdentity) string {
	same := 0
	for i := range f.Releases {
		if f.Releases[i].Spec.Version.Tag == id.Tag {
			same++
		}
	}
	if same > 1 && id.Digest != "" {
		return clean(ShortDigest(id.Digest))
	}
	return clean(id.Tag)
}

func (f Facts) program() string {
	if f.Program == "" {
		return "kuberik"
	}
	return f.Program
}

// head returns the release of the newest deployment.
func (f Facts) head() v1alpha1.ReleaseIdentity {
	if len(f.Rollout.Status.History) == 0 {
		return v1alpha1.ReleaseIdentity{}
	}
	return version.Identity(f.Rollout.Status.History[0].Version)
}

// judge says whether the person who asks may use a way.
func (f Facts) judge(w Way, b v1alpha1.Blocker, id v1alpha1.ReleaseIdentity) Way {
	w.May = f.May[w.right]
	if !w.May {
		w.Why = "you may not " + w.right.Verb + " " + w.right.Resource + " in " + w.right.Namespace
		return w
	}
	if w.verb != "approve" {
		return w
	}
	for i := range f.Gates {
		if f.Gates[i].Name == b.Name {
			w.Why = f.cannotApprove(&f.Gates[i], id)
			w.May = w.Why == ""
		}
	}
	return w
}

// cannotApprove returns why an approval of the person who asks would not count.
func (f Facts) cannotApprove(g *v1alpha1.RolloutGate, id v1alpha1.ReleaseIdentity) string {
	rel := f.release(id)
	given := slices.ContainsFunc(f.Approvals, func(a v1alpha1.Approval) bool {
		return a.Spec.ReleaseRef.Name == rel.Name && a.Spec.User == f.You.User && a.Spec.Decision == v1alpha1.Approve &&
			(a.Spec.GateName() == "" || a.Spec.GateName() == g.Name) && !apimeta.IsStatusConditionFalse(a.Status.Conditions, v1alpha1.ConditionCounted)
	})
	if given {
		return "you have approved it already"
	}
	authors := ""
	if rel.Status.Details != nil {
		authors = rel.Status.Details.Authors
	}
	yours := gate.Approval{Release: id, User: f.You.User, Groups: f.You.Groups, Decision: v1alpha1.Approve, At: f.Clock.Now}
	return clean(gate.WouldCount(g, yours, authors))
}
