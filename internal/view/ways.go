package view

import (
	"fmt"
	"slices"
	"strings"

	apimeta "k8s.io/apimachinery/pkg/api/meta"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

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
				right: Right{
					Verb: "patch", Group: "kustomize.toolkit.fluxcd.io", Resource: "kustomizations", Namespace: f.Rollout.Namespace,
					Name: b.Name,
				},
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
	case v1alpha1.ReasonRolledBack, v1alpha1.ReasonDowngrade, v1alpha1.ReasonNotNewer, v1alpha1.ReasonDeployedByHand,
		v1alpha1.ReasonWithdrawn:
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
	return f.way("override", id, " --bypass "+bypass+placeholder, "let this release past "+bypass+" (break-glass)",
		Right{Verb: "create", Resource: "overrides"})
}

// way returns a command of kuberik about the Rollout or, if id is set, about a release.
func (f Facts) way(verb string, id v1alpha1.ReleaseIdentity, flags, does string, right Right) Way {
	right.Group, right.Namespace = v1alpha1.GroupVersion.Group, f.Rollout.Namespace
	target := f.Rollout.Name
	if id.Tag != "" {
		target += "@" + f.address(id)
	}
	return Way{
		Command: fmt.Sprintf("%s %s %s -n %s%s", f.program(), verb, target, f.Rollout.Namespace, flags), Does: does,
		verb: verb, right: right,
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
	if d := f.decision(g, rel, f.You.User); d != nil && d.Spec.Decision == v1alpha1.Approve {
		return "you have approved it already"
	}
	return f.wouldNotCount(g, rel, v1alpha1.Approve)
}

// wouldNotCount returns why a decision of the person who asks would not count at a gate.
func (f Facts) wouldNotCount(g *v1alpha1.RolloutGate, rel *v1alpha1.Release, d v1alpha1.ApprovalDecision) string {
	authors := ""
	if rel.Status.Details != nil {
		authors = rel.Status.Details.Authors
	}
	yours := gate.Approval{
		Release: version.Identity(rel.Spec.Version), User: f.You.User, Groups: f.You.Groups, Decision: d, At: f.Clock.Now,
	}
	return clean(gate.WouldCount(g, yours, authors))
}

// decision returns the newest Approval of a user that a gate counts for a release, as far as it is known. It returns
// nil if there is none.
func (f Facts) decision(g *v1alpha1.RolloutGate, rel *v1alpha1.Release, user string) *v1alpha1.Approval {
	var last *v1alpha1.Approval
	for i := range f.Approvals {
		a := &f.Approvals[i]
		if a.Spec.ReleaseRef.Name != rel.Name || a.Spec.User != user || a.Spec.GateName() != "" &&
			a.Spec.GateName() != g.Name {
			continue
		}
		if apimeta.IsStatusConditionFalse(a.Status.Conditions, v1alpha1.ConditionCounted) {
			continue
		}
		if last == nil || !a.CreationTimestamp.Before(&last.CreationTimestamp) {
			last = a
		}
	}
	return last
}

// Asking is a manual gate that counts approvals of a release.
type Asking struct {
	// Gate is the name of the gate.
	Gate string
	// Required is how many people have to approve.
	Required int
	// From lists whose approvals count. It is empty if everybody's do.
	From []string
	// Approved and Rejected list the people who have decided.
	Approved, Rejected []string
	// Yours is what the person who asks has decided already. It is nil if they have not.
	Yours *v1alpha1.Approval
	// Groups are those of the person that the gate asks for.
	Groups []string
	// Why says why a decision of the person would not count. It is empty if it would.
	Why string
}

// Asking returns the manual gates that count the decisions of people about a release.
func (f Facts) Asking(rel *v1alpha1.Release, d v1alpha1.ApprovalDecision) []Asking {
	var list []Asking
	for i := range f.Gates {
		g := &f.Gates[i]
		if gate.CountsNone(g) != "" {
			continue
		}
		a := Asking{
			Gate: g.Name, Required: 1, From: asked(g), Yours: f.decision(g, rel, f.You.User), Why: f.wouldNotCount(g, rel, d),
		}
		if p := g.Spec.Approvals; p != nil {
			a.Required = int(max(1, p.Required))
			if p.From != nil {
				a.Groups = slices.DeleteFunc(slices.Clone(p.From.Groups),
					func(group string) bool { return !slices.Contains(f.You.Groups, group) })
			}
		}
		a.Approved, a.Rejected = f.decided(g, rel)
		list = append(list, a)
	}
	return list
}

// decided returns who has approved and who has rejected a release at a gate.
func (f Facts) decided(g *v1alpha1.RolloutGate, rel *v1alpha1.Release) (approved, rejected []string) {
	var users []string
	for i := range f.Approvals {
		if user := f.Approvals[i].Spec.User; !slices.Contains(users, user) {
			users = append(users, user)
		}
	}
	slices.Sort(users)
	for _, user := range users {
		switch d := f.decision(g, rel, user); {
		case d == nil:
		case d.Spec.Decision == v1alpha1.Approve:
			approved = append(approved, user)
		default:
			rejected = append(rejected, user)
		}
	}
	return approved, rejected
}

// Opens reports whether a gate is open for the release once the person who asks has approved it, and how many have
// approved then.
func (a Asking) Opens(you string) (count int, opens bool) {
	approved := a.Approved
	if !slices.Contains(approved, you) {
		approved = append(slices.Clone(approved), you)
	}
	rejected := slices.DeleteFunc(slices.Clone(a.Rejected), func(user string) bool { return user == you })
	return len(approved), len(approved) >= a.Required && len(rejected) == 0
}

// WaitsAtGates reports whether gates have a say about a release: it is pending, or a rollback to it is.
func (f Facts) WaitsAtGates(rel *v1alpha1.Release) bool {
	if e := release.Gated(f.Rollout); e != nil &&
		version.Matches(version.Identity(e.Version), version.Identity(rel.Spec.Version)) {
		return true
	}
	return rel.Status.Phase == "" || rel.Status.Phase == v1alpha1.ReleasePending
}

// Holding returns what holds a release.
func (f Facts) Holding(rel *v1alpha1.Release) []Obstacle { return Why(f, rel).Blockers }

// healthReasons are the reasons of blockers that an Override of Health skips.
var healthReasons = []string{
	v1alpha1.ReasonUnhealthyHealthChecks, v1alpha1.ReasonPreviousFailed, v1alpha1.ReasonRolledBack,
	v1alpha1.ReasonBelowRollbackFloor,
}

// SkippedBy divides what holds a release into what an Override skips and what holds it still.
func (f Facts) SkippedBy(rel *v1alpha1.Release, bypass []v1alpha1.Bypass) (skipped, left []Obstacle) {
	for _, o := range f.Holding(rel) {
		kind := v1alpha1.Bypass("")
		switch {
		case o.Kind == "RolloutGate" && f.scheduled(o.Name):
			kind = v1alpha1.BypassSchedules
		case o.Kind == "RolloutGate":
			kind = v1alpha1.BypassGates
		case slices.Contains(healthReasons, o.Reason):
			kind = v1alpha1.BypassHealth
		}
		if slices.Contains(bypass, kind) {
			skipped = append(skipped, o)
		} else {
			left = append(left, o)
		}
	}
	return skipped, left
}

// scheduled reports whether a gate belongs to a schedule.
func (f Facts) scheduled(name string) bool {
	return slices.ContainsFunc(f.Gates,
		func(g v1alpha1.RolloutGate) bool { return g.Name == name && gate.IsScheduled(&g) })
}

// Describe returns a release in one line: tag, digest, commit, authors, and since when it is known.
func (f Facts) Describe(rel *v1alpha1.Release) string {
	parts := []string{clean(rel.Spec.Version.Tag)}
	if d := Digest(rel); d != "" {
		parts[0] += "  " + clean(ShortDigest(d))
	}
	if c := Commit(rel); c != "" {
		text := "commit " + clean(c[:min(len(c), shortCommit)])
		if d := rel.Status.Details; d != nil && d.Authors != "" {
			text += " by " + clean(d.Authors)
		}
		parts = append(parts, text)
	}
	if !rel.CreationTimestamp.IsZero() {
		parts = append(parts, "found "+f.Clock.At(rel.CreationTimestamp.Time))
	}
	return strings.Join(append(parts, f.upstream(rel)...), ", ")
}

// shortCommit is how many characters of a commit are shown.
const shortCommit = 7

// upstream returns where a release is deployed, in the environments that are connected with this one.
func (f Facts) upstream(rel *v1alpha1.Release) (list []string) {
	for i := range f.Environments {
		if f.Environments[i].Spec.RolloutRef.Name != f.Rollout.Name {
			continue
		}
		for _, info := range f.Environments[i].Status.EnvironmentInfos {
			if text := f.runsIn(&info, rel); text != "" {
				list = append(list, text)
			}
		}
	}
	return list
}

// runsIn says that a release is the newest deployment of another environment. It returns "" if it is not.
func (f Facts) runsIn(info *environments.EnvironmentInfo, rel *v1alpha1.Release) string {
	if len(info.History) == 0 || info.Environment == f.environment() {
		return ""
	}
	e := info.History[0]
	if e.BakeStatus == nil || !version.Matches(version.Identity(e.Version), version.Identity(rel.Spec.Version)) {
		return ""
	}
	state := strings.ToLower(*e.BakeStatus)
	if *e.BakeStatus == string(v1alpha1.BakeSucceeded) {
		state = "Available"
	}
	return state + " in " + clean(info.Environment) + ", where it was deployed " + f.Clock.Age(&e.Timestamp) + " ago"
}

// Runs returns the release that runs. It returns nil if none does.
func (f Facts) Runs() *v1alpha1.Release {
	if e := f.running(); e != nil {
		return f.release(version.Identity(e.Version))
	}
	return nil
}

// Quarantine returns why a release is not deployed automatically. It returns nil if it is not quarantined.
func (f Facts) Quarantine(rel *v1alpha1.Release) *v1alpha1.Quarantine {
	for i, q := range f.Rollout.Status.Quarantined {
		if version.Matches(q.ReleaseIdentity, version.Identity(rel.Spec.Version)) {
			return &f.Rollout.Status.Quarantined[i]
		}
	}
	return nil
}

// DeployProblem returns why a deployment by hand of a release would not happen. It returns "" if it would.
func (f Facts) DeployProblem(rel *v1alpha1.Release) string {
	id, tag := version.Identity(rel.Spec.Version), clean(rel.Spec.Version.Tag)
	known := f.Rollout.Status.AvailableReleases
	newest := version.Index(known, v1alpha1.ReleaseIdentity{Tag: id.Tag})
	switch pin := f.Rollout.Spec.WantedVersion; {
	case pin != nil && *pin != "":
		return "spec.wantedVersion pins " + clean(*pin)
	case newest < 0:
		return tag + " is not in status.availableReleases any more"
	case !version.Matches(version.Identity(known[newest]), id):
		return "the tag " + tag + " was pushed again, and its newest release would be deployed: " +
			clean(ShortDigest(known[newest].Digest))
	case f.settled(id):
		return tag + " is what runs already"
	}
	return ""
}

// settled reports whether a release is the newest deployment, and another deployment of it changes nothing.
func (f Facts) settled(id v1alpha1.ReleaseIdentity) bool {
	st := f.Rollout.Status
	if len(st.History) == 0 || !version.Matches(version.Identity(st.History[0].Version), id) {
		return false
	}
	h := &st.History[0]
	inFlight := release.InFlight(h) && h.PausedTime == nil && release.Gated(f.Rollout) != h
	return inFlight || h.BakeStatus != nil && *h.BakeStatus == string(v1alpha1.BakeSucceeded)
}

// RetryProblem returns why there is nothing to retry. It returns "" if there is.
func (f Facts) RetryProblem() string {
	st := f.Rollout.Status
	if len(st.History) == 0 {
		return "nothing was deployed yet"
	}
	h := st.History[0]
	if h.PausedTime != nil || h.BakeStatus != nil && *h.BakeStatus == string(v1alpha1.BakeFailed) {
		return ""
	}
	return "the newest deployment, " + clean(h.Version.Tag) + ", has not failed"
}

// LastGood returns the release that a rollback by hand goes back to: the last one that became Available before the
// newest deployment and is not quarantined. It returns nil if there is none.
func (f Facts) LastGood() *v1alpha1.Release {
	if e := release.LastGood(&f.Rollout.Status); e != nil {
		return f.release(version.Identity(e.Version))
	}
	return nil
}

// BelowFloor returns the rollback floor that a release is below. It returns "" if it is below none.
func (f Facts) BelowFloor(rel *v1alpha1.Release) string {
	var details []release.Details
	for i := range f.Releases {
		if d := f.Releases[i].Status.Details; d != nil {
			details = append(details, release.Details{Release: version.Identity(f.Releases[i].Spec.Version), ReleaseDetails: *d})
		}
	}
	return release.BelowFloor(f.Rollout.Spec, f.Rollout.Status, details, rel.Spec.Version)
}

// Newest returns the newest release that is known. It returns nil if there is none.
func (f Facts) Newest() *v1alpha1.Release {
	if list := f.Rollout.Status.AvailableReleases; len(list) > 0 {
		return f.release(version.Identity(list[len(list)-1]))
	}
	return nil
}
