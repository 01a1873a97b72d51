package gate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// Reasons of verdicts about approvals.
const (
	// ReasonApproved: enough people approved.
	ReasonApproved = "Approved"
	// ReasonRejected: somebody whose approval would count rejected the release.
	ReasonRejected = "Rejected"
	// ReasonUnproven: nothing proves who approved.
	ReasonUnproven = "ApprovalsUnproven"
)

// Approval is what a person says of a release, proved by the API server.
type Approval struct {
	// Release that it is about.
	Release v1alpha1.ReleaseIdentity
	// Gate that it is for; empty: every manual gate of the Rollout.
	Gate string
	// Decision of the person.
	Decision v1alpha1.ApprovalDecision
	// User and the Groups the decision is given for.
	User   string
	Groups []string
	// At is when it was given.
	At time.Time
}

// Context is what a verdict may depend on besides the gate and the release.
type Context struct {
	// Now is the time of the question.
	Now time.Time
	// Approvals of releases of the Rollout.
	Approvals []Approval
	// Proven is whether the policy is in force that proves who approves.
	Proven bool
	// Authors of releases, as their images say.
	Authors map[v1alpha1.ReleaseIdentity]string
}

// approved counts the approvals of a release at a gate.
func approved(g *v1alpha1.RolloutGate, release v1alpha1.ReleaseIdentity, c Context) Verdict {
	policy := v1alpha1.ApprovalPolicy{Required: 1}
	if g.Spec.Approvals != nil {
		policy = *g.Spec.Approvals
	}
	v := Verdict{Gate: g.Name, State: v1alpha1.GatePending, Reason: ReasonAwaitingApproval, ClearedBy: clearedBy(g, policy)}
	if !c.Proven {
		v.Reason = ReasonUnproven
		v.Message = "waits for approval of " + release.Tag +
			", and approvals are not counted: the ValidatingAdmissionPolicy kuberik-actors, which proves who approves, is not in force"
		return v
	}
	var users []string
	for _, a := range newest(g, release, c) {
		switch {
		case !eligible(policy, a):
		case a.Decision == v1alpha1.Reject:
			return Verdict{
				Gate: g.Name, State: v1alpha1.GateClosed, Reason: ReasonRejected, Since: a.At,
				Message: release.Tag + " is rejected by " + a.User, ClearedBy: a.User + ", by deleting the Approval that rejects it",
			}
		case !policy.AllowAuthor && authored(c.Authors[release], a.User), expired(policy, a, c.Now):
		default:
			users = append(users, a.User)
			v.Since = later(v.Since, a.At)
			v.Until = earlier(v.Until, expiry(policy, a))
		}
	}
	required := int(max(1, policy.Required))
	if len(users) >= required {
		v.State, v.Reason, v.ClearedBy = v1alpha1.GateOpen, ReasonApproved, ""
		v.Message = release.Tag + " is approved by " + strings.Join(users, ", ")
		return v
	}
	v.Since, v.Until = time.Time{}, time.Time{}
	v.Message = "waits for approval of " + release.Tag
	if required > 1 {
		v.Message += fmt.Sprintf(": %d of %d given", len(users), required)
	}
	if len(users) > 0 {
		v.Message += " (" + strings.Join(users, ", ") + ")"
	}
	return v
}

// newest is the last word of each user about a release at a gate, in the order of their names. Of two words in the same second the
// rejection counts.
func newest(g *v1alpha1.RolloutGate, release v1alpha1.ReleaseIdentity, c Context) []Approval {
	last := map[string]Approval{}
	for _, a := range c.Approvals {
		if a.Release != release || a.Gate != "" && a.Gate != g.Name {
			continue
		}
		old, ok := last[a.User]
		if !ok || a.At.After(old.At) || a.At.Equal(old.At) && a.Decision == v1alpha1.Reject {
			last[a.User] = a
		}
	}
	list := make([]Approval, 0, len(last))
	for _, a := range last {
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b Approval) int { return strings.Compare(a.User, b.User) })
	return list
}

// eligible says whether the policy counts the word of a person.
func eligible(p v1alpha1.ApprovalPolicy, a Approval) bool {
	if p.From == nil {
		return true
	}
	return slices.Contains(p.From.Users, a.User) ||
		slices.ContainsFunc(p.From.Groups, func(g string) bool { return slices.Contains(a.Groups, g) })
}

// authored says whether a user is among the authors of a release: by the name, the address, or both, as in
// "Alice <alice@example.com>, Bob".
func authored(authors, user string) bool {
	for author := range strings.SplitSeq(authors, ",") {
		author = strings.TrimSpace(author)
		name, address, _ := strings.Cut(author, "<")
		address = strings.TrimSuffix(strings.TrimSpace(address), ">")
		for _, known := range []string{author, strings.TrimSpace(name), address} {
			if known != "" && strings.EqualFold(known, user) {
				return true
			}
		}
	}
	return false
}

func expiry(p v1alpha1.ApprovalPolicy, a Approval) time.Time {
	if p.ExpireAfter == nil {
		return time.Time{}
	}
	after, err := p.ExpireAfter.Parse()
	if err != nil {
		return a.At // what cannot be read expires at once
	}
	return a.At.Add(after)
}

func expired(p v1alpha1.ApprovalPolicy, a Approval, now time.Time) bool {
	end := expiry(p, a)
	return !end.IsZero() && !now.Before(end)
}

func clearedBy(g *v1alpha1.RolloutGate, p v1alpha1.ApprovalPolicy) string {
	who := "whoever may create approvals"
	if p.From != nil {
		var names []string
		if len(p.From.Users) > 0 {
			names = append(names, strings.Join(p.From.Users, ", "))
		}
		if len(p.From.Groups) > 0 {
			names = append(names, "members of "+strings.Join(p.From.Groups, ", "))
		}
		who = strings.Join(names, " or ")
	}
	if g.Spec.Approvals == nil {
		who += ", or whoever may list the tag in spec.allowedVersions of the gate"
	}
	return who
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
