package act

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/internal/cli/session"
	"github.com/kuberik/kuberik/internal/view"
)

// NewApprove returns the verb approve.
func NewApprove(p *session.Process) *cobra.Command {
	v := verdict{decision: v1alpha1.Approve}
	c := session.Command(p, &cobra.Command{
		Use:   "approve RELEASE",
		Short: "Approve a release that waits for people",
		Long: `Creates an Approval in your name, for exactly the release that is shown: its digest and its UID. It counts at every
manual gate that asks for you, or only at --gate.

It is refused, with exit code 7, if no gate would count it.`,
		Example: `  kuberik approve checkout@1.9.0 -n shop --comment "dashboards look fine"
  kuberik approve checkout@sha256:8c2e -n shop --gate release-manager
  kuberik approve checkout@1.9.0 -n shop --dry-run=server -o yaml`,
		Args: cobra.ExactArgs(1),
	}, session.Options{Target: true, Acts: true}, v.run)
	c.Flags().StringVar(&v.comment, "comment", "", "a line for other people")
	c.Flags().StringVar(&v.gate, "gate", "", "approve at this gate only; the default is every manual gate")
	return c
}

// NewReject returns the verb reject.
func NewReject(p *session.Process) *cobra.Command {
	v := verdict{decision: v1alpha1.Reject}
	c := session.Command(p, &cobra.Command{
		Use:   "reject RELEASE",
		Short: "Reject a release: gates that ask for you stay closed for it",
		Long: `Creates an Approval with the decision Reject in your name. One rejection closes a gate for the release, whatever others
approve. To withdraw it, approve the release.`,
		Example: `  kuberik reject checkout@1.9.0 -n shop --reason "the load test fails"`,
		Args:    cobra.ExactArgs(1),
	}, session.Options{Target: true, Acts: true}, v.run)
	c.Flags().StringVar(&v.comment, "reason", "", "why, for other people; required")
	c.Flags().StringVar(&v.gate, "gate", "", "reject at this gate only; the default is every manual gate")
	return c
}

// verdict is a call of approve or reject.
type verdict struct {
	decision      v1alpha1.ApprovalDecision
	comment, gate string
}

// maxComment is how long a comment may be.
const maxComment = 1024

func (v *verdict) run(ctx context.Context, s *session.Session, args []string) error {
	if v.decision == v1alpha1.Reject || v.comment != "" {
		comment, err := reason(v.comment, maxComment)
		if err != nil {
			return err
		}
		v.comment = comment
	}
	at, err := lookAtRelease(ctx, s, args[0])
	if err != nil {
		return err
	}
	gates, err := v.gates(at)
	if err != nil {
		return err
	}
	right := view.Right{
		Verb: "create", Group: v1alpha1.GroupVersion.Group, Resource: "approvals", Namespace: at.Rollout.Namespace,
	}
	if err := at.Require(ctx, right, discounted(gates)...); err != nil {
		return err
	}
	counting := slices.DeleteFunc(slices.Clone(gates), func(g view.Asking) bool { return g.Why != "" })
	if len(counting) == 0 {
		return exit.With(exit.Refused, fmt.Errorf("%s of %s would not count", v.noun(), view.Clean(at.facts.You.User)),
			discounted(gates)...)
	}
	if done := v.already(counting); done != nil {
		return at.print(done, change{did: "exists", next: "you have " + v.past() + " " + at.tag() + " already"})
	}
	return at.do(ctx, change{
		plan: v.plan(at, counting), question: v.verb() + " " + at.tag() + "?", did: "created", next: v.next(at, counting),
		apply: func(ctx context.Context, c client.Client) (client.Object, error) {
			return v.send(ctx, c, at, counting)
		},
	})
}

// gates returns the gates that the decision is for.
func (v *verdict) gates(at *scene) ([]view.Asking, error) {
	if at.Release.Name == "" {
		return nil, refused(at.tag()+" has no Release object any more",
			at.command("deploy", at.tag(), `--reason "…"`)+" deploys it by hand")
	}
	if !at.facts.WaitsAtGates(at.Release) {
		err := fmt.Errorf("%s does not wait at a gate: it is %s", at.tag(), at.Release.Status.Phase)
		code := exit.No
		if at.Release.Status.Phase == v1alpha1.ReleaseSuperseded || at.Release.Status.Phase == v1alpha1.ReleaseCancelled {
			code = exit.Replaced
		}
		return nil, exit.With(code, err, at.command("why", at.tag(), "")+" says more")
	}
	gates := at.facts.Asking(at.Release, v.decision)
	if v.gate != "" {
		names := names(gates)
		gates = slices.DeleteFunc(gates, func(g view.Asking) bool { return g.Gate != v.gate })
		if len(gates) == 0 {
			return nil, exit.With(exit.NotFound, fmt.Errorf("%s has no gate %q that counts approvals", at.name(), v.gate),
				"gates that do: "+none(names))
		}
	}
	if len(gates) == 0 {
		return nil, refused("no gate of "+at.name()+" counts approvals",
			at.command("why", at.tag(), "")+" says what holds it")
	}
	return gates, nil
}

func names(gates []view.Asking) (list []string) {
	for _, g := range gates {
		list = append(list, g.Gate)
	}
	return list
}

// none joins names. It returns "none" if there are none.
func none(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

// discounted says, for each gate, whom it asks for and why a decision of the user would not count.
func discounted(gates []view.Asking) (hints []string) {
	for _, g := range gates {
		if g.Why != "" {
			hints = append(hints, "asked   "+g.Gate+" asks for "+from(g, " or ")+": "+g.Why)
		}
	}
	return hints
}

// from says whose approvals a gate counts.
func from(g view.Asking, last string) string {
	if len(g.From) == 0 {
		return "everybody who may create Approvals"
	}
	clean := make([]string, 0, len(g.From))
	for _, who := range g.From {
		clean = append(clean, view.Clean(who))
	}
	if len(clean) == 1 {
		return clean[0]
	}
	return strings.Join(clean[:len(clean)-1], ", ") + last + clean[len(clean)-1]
}

// already returns the Approval with which the user has decided the same at all of the gates before. It returns nil if
// there is none.
func (v *verdict) already(gates []view.Asking) *v1alpha1.Approval {
	for _, g := range gates {
		if g.Yours == nil || g.Yours.Spec.Decision != v.decision {
			return nil
		}
	}
	return gates[0].Yours
}

// object returns the Approval to create.
func (v *verdict) object(at *scene, gates []view.Asking) *v1alpha1.Approval {
	a := &v1alpha1.Approval{}
	a.Namespace, a.Name = at.Rollout.Namespace, objectName(at.Release, at.facts.You.User)
	a.Spec = v1alpha1.ApprovalSpec{Decision: v.decision, Comment: v.comment, User: at.facts.You.User}
	a.Spec.ReleaseRef = v1alpha1.ReleaseReference{Name: at.Release.Name, UID: string(at.Release.UID)}
	if v.gate != "" {
		a.Spec.GateRef = &corev1.LocalObjectReference{Name: v.gate}
	}
	for _, g := range gates {
		a.Spec.Groups = append(a.Spec.Groups, g.Groups...)
	}
	slices.Sort(a.Spec.Groups)
	a.Spec.Groups = slices.Compact(a.Spec.Groups)
	return a
}

// send creates the Approval. Times have seconds, and of two decisions in the same second the rejection counts. So an
// approval that follows a rejection of the user too soon is created again.
func (v *verdict) send(ctx context.Context, c client.Client, at *scene, gates []view.Asking) (client.Object, error) {
	for {
		made, err := create(ctx, c, v.object(at, gates))
		if err != nil || at.Flags.DryRun != "none" || !v.tooSoon(made, gates) {
			return made, err
		}
		select {
		case <-ctx.Done():
			return made, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// tooSoon reports whether an approval is from the same second as a rejection of the user.
func (v *verdict) tooSoon(made *v1alpha1.Approval, gates []view.Asking) bool {
	return v.decision == v1alpha1.Approve && slices.ContainsFunc(gates, func(g view.Asking) bool {
		return g.Yours != nil && g.Yours.Spec.Decision == v1alpha1.Reject && !made.CreationTimestamp.IsZero() &&
			!made.CreationTimestamp.After(g.Yours.CreationTimestamp.Time)
	})
}

// plan says who the user is, whom the gates ask for, and which release it is.
func (v *verdict) plan(at *scene, gates []view.Asking) []string {
	lines := []string{"You are " + view.Clean(at.facts.You.User) + "."}
	for _, g := range gates {
		text := fmt.Sprintf("Gate %s asks for %d of %s", g.Gate, g.Required, from(g, ", "))
		if len(g.Approved) > 0 {
			text += "; approved by " + view.Clean(strings.Join(g.Approved, ", "))
		}
		if len(g.Rejected) > 0 {
			text += "; rejected by " + view.Clean(strings.Join(g.Rejected, ", "))
		}
		lines = append(lines, text+".")
	}
	lines = append(lines, at.facts.Describe(at.Release))
	if runs := at.facts.Runs(); runs != nil {
		lines = append(lines, "now runs "+at.facts.Describe(runs))
	}
	return lines
}

// next says what comes of the decision.
func (v *verdict) next(at *scene, gates []view.Asking) string {
	if v.decision == v1alpha1.Reject {
		return at.tag() + " is held at " + strings.Join(names(gates), ", ") + " until you approve it"
	}
	var counts, opened []string
	for _, g := range gates {
		count, opens := g.Opens(at.facts.You.User)
		counts = append(counts, fmt.Sprintf("%d of %d", count, g.Required))
		if opens {
			opened = append(opened, g.Gate)
		}
	}
	text := strings.Join(counts, ", ") + ". " + at.tag()
	left := slices.DeleteFunc(at.facts.Holding(at.Release), func(o view.Obstacle) bool {
		return o.Kind == "RolloutGate" && slices.Contains(opened, o.Name)
	})
	if len(left) == 0 {
		return text + " goes out now."
	}
	return text + " now waits for " + strings.TrimSpace(holding(left[:1])[0]) + more(len(left)-1) + "."
}

// more says how many more there are.
func more(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (and %d more)", n)
}

func (v *verdict) noun() string {
	if v.decision == v1alpha1.Reject {
		return "a rejection"
	}
	return "an approval"
}

func (v *verdict) verb() string { return string(v.decision) }

func (v *verdict) past() string {
	if v.decision == v1alpha1.Reject {
		return "rejected"
	}
	return "approved"
}
