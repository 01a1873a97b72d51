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

// Approval is what a person says of a release, proved by the API server.
type Approval struct {
	// Name of the object.
	Name string
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
	// UntrustedReason says why it does not count whoever gave it; empty if it does.
	UntrustedReason string
}

// approved counts the approvals of a release at a gate.
func approved(g *v1alpha1.RolloutGate, release v1alpha1.ReleaseIdentity, c Context) Verdict {
	policy := v1alpha1.ApprovalPolicy{}
	if g.Spec.Approvals != nil {
		policy = *g.Spec.Approvals
	}
	v := Verdict{
		Gate: g.Name, State: v1alpha1.GatePending, Reason: ReasonAwaitingApproval, ClearedBy: clearedBy(policy),
		Message: "waits for approval of " + release.Tag,
	}
	authors, read := c.authors(release)
	if why, reason := unsure(g, c, authors, read); why != "" {
		v.Reason = reason
		v.Message += ", and approvals are not counted: " + why
		return v
	}
	var given []Approval
	var doubts []string
	for _, a := range newest(g, policy, release, c.Approvals) {
		switch why := discounted(policy, a, authors, c.Now); {
		case why != "" && a.Decision != v1alpha1.Approve && eligible(policy, a):
			v.Reason = ReasonUnproven
			v.Message = release.Tag + " was rejected in the name of " + a.User + ", and nothing proves it any more: they say it again, or take it back"
			v.ClearedBy = a.User + ", or whoever may delete Approvals"
			return v
		case why != "":
			doubts = append(doubts, "; "+why)
		case a.Decision == v1alpha1.Approve:
			given = append(given, a)
		default:
			return Verdict{
				Gate: g.Name, State: v1alpha1.GateClosed, Reason: ReasonRejected, Since: a.At,
				Message: release.Tag + " is rejected by " + a.User, ClearedBy: a.User + ", by approving it after all or deleting the Approval that rejects it",
			}
		}
	}
	v = count(v, release, policy, given)
	v.Message += strings.Join(doubts, "")
	return v
}

// discounted says why an Approval does not count, as a sentence that names the person; empty if it counts.
func discounted(policy v1alpha1.ApprovalPolicy, a Approval, authors string, now time.Time) string {
	switch {
	case a.UntrustedReason != "":
		return a.User + "'s Approval does not count: " + a.UntrustedReason
	case !eligible(policy, a) && strings.HasPrefix(a.User, serviceAccount):
		return a.User + "'s Approval does not count: a service account counts only where spec.approvals.from names it"
	case !eligible(policy, a):
		return unasked(*policy.From, a)
	case a.Decision != v1alpha1.Approve:
		return ""
	case !policy.AllowAuthor && authored(authors, a.User):
		return a.User + " made the release and may not approve it (spec.approvals.allowAuthor is false)"
	case expired(policy, a, now):
		return a.User + "'s Approval has expired after " + string(*policy.ExpireAfter) + "; approve again"
	}
	return ""
}

// unasked says why the gate does not ask for a person, and what to write if that is a mistake.
func unasked(from v1alpha1.Approvers, a Approval) string {
	groups := strings.Join(from.Groups, ", ")
	switch {
	case len(from.Groups) == 0:
		return "the gate does not ask for " + a.User
	case len(a.Groups) == 0:
		return a.User + "'s Approval names no group; add groups: [" + groups + "]"
	}
	return a.User + "'s Approval names groups: [" + strings.Join(a.Groups, ", ") + "], and the gate asks for members of " + groups
}

// unsure says why approvals cannot be counted, with the reason in one word.
func unsure(g *v1alpha1.RolloutGate, c Context, authors string, read bool) (why, reason string) {
	switch {
	case c.UnverifiedReason != "":
		return c.UnverifiedReason, ReasonUnproven
	case g.Spec.Approvals == nil || g.Spec.Approvals.AllowAuthor:
		return "", ""
	case strings.HasSuffix(authors, "…"):
		return "the image lists more authors than are read (128 bytes), and authors may not approve: shorten the list in its annotation " +
			"com.kuberik.author, or set spec.approvals.allowAuthor", ReasonAuthorUnknown
	case !read:
		return "the image was not read yet, so nobody knows who made it, and authors may not approve (spec.approvals.allowAuthor)", ReasonAuthorUnknown
	}
	return "", ""
}

// count says whether enough approvals are given.
func count(v Verdict, release v1alpha1.ReleaseIdentity, policy v1alpha1.ApprovalPolicy, given []Approval) Verdict {
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
	v.Since, v.Until = holds(policy, given, required)
	return v
}

// holds says since when enough approvals are given, and until when; zero if for ever.
func holds(policy v1alpha1.ApprovalPolicy, given []Approval, required int) (since, until time.Time) {
	slices.SortFunc(given, func(a, b Approval) int { return a.At.Compare(b.At) })
	// They all last equally long, so that they end in the order in which they were given.
	return given[required-1].At, expiry(policy, given[len(given)-required])
}

func (c Context) authors(release v1alpha1.ReleaseIdentity) (string, bool) {
	if c.Authors == nil {
		return "", false
	}
	return c.Authors(release)
}

// newest is the last word of each user about a release at a gate, in the order of their names. Of two words in the same second the
// rejection counts.
//
// A word that does not count never opens anything. It takes back no rejection that counts, and an approval that does not count takes away
// none that does: who forgot to name a group says it again.
func newest(g *v1alpha1.RolloutGate, policy v1alpha1.ApprovalPolicy, release v1alpha1.ReleaseIdentity, said []Approval) []Approval {
	words := slices.DeleteFunc(slices.Clone(said), func(a Approval) bool {
		return a.Release != release || a.Gate != "" && a.Gate != g.Name
	})
	slices.SortFunc(words, func(a, b Approval) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(weight(policy, a), weight(policy, b)), cmp.Compare(a.UntrustedReason, b.UntrustedReason),
			slices.Compare(a.Groups, b.Groups))
	})
	last := map[string]Approval{}
	for _, a := range words {
		old, ok := last[a.User]
		if is, was := weight(policy, a), weight(policy, old); ok && !counted(is) && counted(was) && is < was {
			continue
		}
		last[a.User] = a
	}
	return slices.SortedFunc(maps.Values(last), func(a, b Approval) int { return cmp.Compare(a.User, b.User) })
}

// weight orders words of the same second: rejections outweigh approvals, and of each kind those that count the others. A rejection that
// nothing proves any more still weighs, since dropping it would let out what somebody stopped; an approval does not.
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

// counted says whether a word of a weight counts.
func counted(weight int) bool { return weight%2 == 1 }

// serviceAccount begins the user name of every service account.
const serviceAccount = "system:serviceaccount:"

// eligible says whether the policy counts the word of a person. Whoever may create tokens has as many service accounts as they like, and
// is one person: a service account counts only where the policy names it, or a group of its own. The groups system:*, which Kubernetes
// puts service accounts in, name none.
func eligible(p v1alpha1.ApprovalPolicy, a Approval) bool {
	machine := strings.HasPrefix(a.User, serviceAccount)
	if p.From == nil {
		return !machine
	}
	return slices.Contains(p.From.Users, a.User) || slices.ContainsFunc(p.From.Groups, func(g string) bool {
		return slices.Contains(a.Groups, g) && (!machine || !strings.HasPrefix(g, "system:"))
	})
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
