package gate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// Approval is an Approval object that refers to a release.
type Approval struct {
	// Name is that of the object.
	Name string
	// Release is the release that it refers to.
	Release v1alpha1.ReleaseIdentity
	// Gate is the gate that it is for; empty for every manual gate of the Rollout.
	Gate     string
	Decision v1alpha1.ApprovalDecision
	// User and Groups are those of the person. No user stands for Approvals that were not read, with the UntrustedReason.
	User   string
	Groups []string
	// At is when the object was created.
	At time.Time
	// UntrustedReason says why the Approval does not count for any gate; empty if it may.
	UntrustedReason string
}

// evaluateApprovals evaluates the Approvals of a release for a gate.
func evaluateApprovals(g *v1alpha1.RolloutGate, release v1alpha1.ReleaseIdentity, c Context) Verdict {
	policy := v1alpha1.ApprovalPolicy{}
	if g.Spec.Approvals != nil {
		policy = *g.Spec.Approvals
	}
	v := Verdict{
		Gate: g.Name, State: v1alpha1.GatePending, Reason: ReasonAwaitingApproval, ClearedBy: clearedBy(policy),
		Message: "waits for approval of " + release.Tag,
	}
	authors, read := c.authors(release)
	if why, reason := cannotCount(g, c, authors, read); why != "" {
		v.Reason = reason
		v.Message += ", and approvals are not counted: " + why
		return v
	}
	var given []Approval
	var discounted []string
	for _, a := range latestByUser(g, policy, release, c.Approvals) {
		switch why := discountedReason(policy, a, authors, c.Now); {
		case why != "" && a.Decision != v1alpha1.Approve && eligible(policy, a):
			v.Reason = ReasonUnverified
			v.Message = release.Tag + " was rejected in the name of " + a.User +
				", who is not verified any more: create the Approval again, or delete it"
			v.ClearedBy = a.User + ", or whoever may delete Approvals"
			return v
		case why != "":
			discounted = append(discounted, "; "+why)
		case a.Decision == v1alpha1.Approve:
			given = append(given, a)
		default:
			return Verdict{
				Gate: g.Name, State: v1alpha1.GateClosed, Reason: ReasonRejected, Since: a.At,
				Message: release.Tag + " is rejected by " + a.User, ClearedBy: a.User +
					", by approving it after all or deleting the Approval that rejects it",
			}
		}
	}
	v = requireApprovals(v, release, policy, given)
	v.Message += strings.Join(discounted, "")
	return v
}

// discountedReason returns why an Approval does not count, as a sentence that names the person; empty if it counts.
func discountedReason(policy v1alpha1.ApprovalPolicy, a Approval, authors string, now time.Time) string {
	switch {
	case a.User == "": // it stands for Approvals that were not read
		return a.UntrustedReason
	case a.UntrustedReason != "":
		return a.User + "'s Approval does not count: " + a.UntrustedReason
	case !eligible(policy, a) && strings.HasPrefix(a.User, serviceAccountPrefix):
		return a.User + "'s Approval does not count: a service account counts only where spec.approvals.from names it"
	case !eligible(policy, a):
		return notEligible(*policy.From, a)
	case a.Decision != v1alpha1.Approve:
		return ""
	case !policy.AllowAuthor && authored(authors, a.User):
		return a.User + " made the release and may not approve it (spec.approvals.allowAuthor is false)"
	case expired(policy, a, now):
		return a.User + "'s Approval has expired after " + string(*policy.ExpireAfter) + "; approve again"
	}
	return ""
}

// notEligible returns why spec.approvals.from does not select a person, and how to correct a mistake.
func notEligible(from v1alpha1.Approvers, a Approval) string {
	groups := strings.Join(from.Groups, ", ")
	switch {
	case len(from.Groups) == 0:
		return "the gate does not ask for " + a.User
	case len(a.Groups) == 0:
		return a.User + "'s Approval names no group; add groups: [" + groups + "]"
	}
	return a.User + "'s Approval names groups: [" + strings.Join(a.Groups, ", ") + "], and the gate asks for members of " +
		groups
}

// cannotCount returns why no Approval can be counted, as a message and a reason.
func cannotCount(g *v1alpha1.RolloutGate, c Context, authors string, read bool) (why, reason string) {
	switch {
	case c.UnverifiedReason != "":
		return c.UnverifiedReason, ReasonUnverified
	case g.Spec.Approvals == nil || g.Spec.Approvals.AllowAuthor:
		return "", ""
	case strings.HasSuffix(authors, "…"):
		return "the image lists more authors than are read (128 bytes), and authors may not approve: shorten the list in " +
			"its annotation " +
			"com.kuberik.author, or set spec.approvals.allowAuthor", ReasonAuthorUnknown
	case !read:
		return "the image was not read yet, so nobody knows who made it, and authors may not approve " +
			"(spec.approvals.allowAuthor)", ReasonAuthorUnknown
	}
	return "", ""
}

// requireApprovals opens a verdict if enough Approvals are given.
func requireApprovals(
	v Verdict, release v1alpha1.ReleaseIdentity, policy v1alpha1.ApprovalPolicy, given []Approval,
) Verdict {
	required := int(max(1, policy.Required))
	var users []string
	for _, a := range given {
		users = append(users, a.User)
	}
	if len(given) < required {
		if required > 1 {
			v.Message += fmt.Sprintf(": %d of %d given", len(given), required)
		}
		if len(users) > 0 {
			v.Message += " (" + strings.Join(users, ", ") + ")"
		}
		return v
	}
	v.State, v.Reason, v.ClearedBy = v1alpha1.GateOpen, ReasonApproved, ""
	v.Message = release.Tag + " is approved by " + strings.Join(users, ", ")
	v.Since, v.Until = period(policy, given, required)
	return v
}

// period returns since when enough Approvals are given, and until when; zero if without end.
func period(policy v1alpha1.ApprovalPolicy, given []Approval, required int) (since, until time.Time) {
	slices.SortFunc(given, func(a, b Approval) int { return a.At.Compare(b.At) })
	// All last equally long, so they expire in the order of their creation.
	return given[required-1].At, expiry(policy, given[len(given)-required])
}

func (c Context) authors(release v1alpha1.ReleaseIdentity) (string, bool) {
	if c.Authors == nil {
		return "", false
	}
	return c.Authors(release)
}

// latestByUser returns the last Approval of each user for a release at a gate, sorted by user. Of two in the same
// second, the rejection is taken.
//
// An Approval that does not count replaces neither a rejection nor an approval that counts: somebody who forgot to name
// a group can approve again.
func latestByUser(
	g *v1alpha1.RolloutGate, policy v1alpha1.ApprovalPolicy, release v1alpha1.ReleaseIdentity, all []Approval,
) []Approval {
	approvals := slices.DeleteFunc(slices.Clone(all), func(a Approval) bool {
		return a.Release != release || a.Gate != "" && a.Gate != g.Name
	})
	slices.SortFunc(approvals, func(a, b Approval) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(weight(policy, a), weight(policy, b)),
			cmp.Compare(a.UntrustedReason, b.UntrustedReason),
			slices.Compare(a.Groups, b.Groups))
	})
	last := map[string]Approval{}
	for _, a := range approvals {
		old, ok := last[a.User]
		if is, was := weight(policy, a), weight(policy, old); ok && !hasCount(is) && hasCount(was) && is < was {
			continue
		}
		last[a.User] = a
	}
	return slices.SortedFunc(maps.Values(last), func(a, b Approval) int { return cmp.Compare(a.User, b.User) })
}

// weight orders Approvals of the same second: rejections before approvals, and those that count before others. A
// rejection of a user who is not verified any more still counts, since ignoring it would deploy a rejected release.
func weight(p v1alpha1.ApprovalPolicy, a Approval) int {
	w := 0
	if a.Decision != v1alpha1.Approve {
		w = 2
	}
	if eligible(p, a) && (a.UntrustedReason == "" || w > 0) {
		w++
	}
	return w
}

// hasCount reports whether an Approval of a weight counts.
func hasCount(weight int) bool { return weight%2 == 1 }

// serviceAccountPrefix is the prefix of the user name of every service account.
const serviceAccountPrefix = "system:serviceaccount:"

// eligible reports whether the policy counts Approvals of a user. One person may own many service accounts, so a
// service account counts only if the policy names it or one of its groups. The groups system:* do not count, since
// Kubernetes adds every service account to them.
func eligible(p v1alpha1.ApprovalPolicy, a Approval) bool {
	machine := strings.HasPrefix(a.User, serviceAccountPrefix)
	if p.From == nil {
		return !machine
	}
	return slices.Contains(p.From.Users, a.User) || slices.ContainsFunc(p.From.Groups, func(g string) bool {
		return slices.Contains(a.Groups, g) && (!machine || !strings.HasPrefix(g, "system:"))
	})
}

// authored reports whether a user is an author of a release: by the name, the address, or both, as in
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
		return a.At // an invalid duration expires at once
	}
	return a.At.Add(after)
}

func expired(p v1alpha1.ApprovalPolicy, a Approval, now time.Time) bool {
	end := expiry(p, a)
	return !end.IsZero() && !now.Before(end)
}

func clearedBy(p v1alpha1.ApprovalPolicy) string {
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
	return who + ", or whoever may list the tag in spec.allowedVersions of the gate"
}

// WouldCount returns why an Approval that a user has not created yet would not count at a gate. It returns "" if it
// would, as far as the gate, the user and the authors of the release decide.
func WouldCount(g *v1alpha1.RolloutGate, a Approval, authors string) string {
	policy := v1alpha1.ApprovalPolicy{AllowAuthor: true}
	if g.Spec.Approvals != nil {
		policy = *g.Spec.Approvals
	}
	if policy.From != nil && !eligible(policy, a) && len(policy.From.Groups) > 0 {
		return a.User + " is in none of the groups that the gate asks for: " + strings.Join(policy.From.Groups, ", ")
	}
	return discountedReason(policy, a, authors, a.At)
}
