package act

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/internal/cli/session"
	"github.com/kuberik/kuberik/internal/version"
	"github.com/kuberik/kuberik/internal/view"
)

// override is a call of the verb override.
type override struct {
	bypass []string
	reason string
	ends   time.Duration
	kinds  []v1alpha1.Bypass
}

const (
	// maxOverride is how long an Override may be in force.
	maxOverride = 24 * time.Hour
	// minReason is how many characters the reason of an Override has at least.
	minReason = 8
)

// bypasses are the values of --bypass.
var bypasses = map[string]v1alpha1.Bypass{
	"gates": v1alpha1.BypassGates, "schedules": v1alpha1.BypassSchedules, "health": v1alpha1.BypassHealth,
}

// NewOverride returns the verb override.
func NewOverride(p *session.Process) *cobra.Command {
	o := &override{}
	c := session.Command(p, &cobra.Command{
		Use:   "override RELEASE --bypass gates,schedules,health --reason TEXT",
		Short: "Let a release past gates, schedules or health in an emergency (break-glass)",
		Long: `Creates an Override in your name, for exactly the release that is shown. It expires by itself, and the history records it
with your name and the reason. What --bypass does not list still holds the release.`,
		Example: `  kuberik override checkout@1.9.1 -n shop --bypass gates,schedules --reason "INC-4711: checkout is down, 1.9.1 fixes it"
  kuberik override checkout@1.9.1 -n shop --bypass health --reason "INC-4711: 1.9.1 repairs the probe" --for 15m`,
		Args: cobra.ExactArgs(1),
	}, session.Options{Target: true, Acts: true}, o.run)
	c.Flags().StringSliceVar(&o.bypass, "bypass", nil, "what to go past: gates, schedules, health; required")
	c.Flags().StringVar(&o.reason, "reason", "", "why, at least 8 characters; required")
	c.Flags().DurationVar(&o.ends, "for", time.Hour, "how long it is in force, at most 24h")
	return c
}

// check checks the flags.
func (o *override) check() (err error) {
	if o.reason, err = reason(o.reason, maxComment); err != nil {
		return err
	}
	if len([]rune(o.reason)) < minReason {
		return exit.Errorf(exit.Usage, "--reason has %d characters: it needs at least %d", len([]rune(o.reason)), minReason)
	}
	if o.ends < time.Second || o.ends > maxOverride {
		return exit.Errorf(exit.Usage, "--for is %s: it is from 1s to %s", o.ends, maxOverride)
	}
	if len(o.bypass) == 0 {
		return exit.Errorf(exit.Usage, "--bypass is missing: list what to go past: gates, schedules, health")
	}
	for _, name := range o.bypass {
		kind, ok := bypasses[strings.ToLower(strings.TrimSpace(name))]
		if !ok {
			return exit.Errorf(exit.Usage, "--bypass is %q: list gates, schedules or health", name)
		}
		if !slices.Contains(o.kinds, kind) {
			o.kinds = append(o.kinds, kind)
		}
	}
	return nil
}

func (o *override) run(ctx context.Context, s *session.Session, args []string) error {
	if err := o.check(); err != nil {
		return err
	}
	at, err := lookAtRelease(ctx, s, args[0])
	if err != nil {
		return err
	}
	if err := at.mayBeOverridden(); err != nil {
		return err
	}
	right := view.Right{
		Verb: "create", Group: v1alpha1.GroupVersion.Group, Resource: "overrides", Namespace: at.Rollout.Namespace,
	}
	if err := at.Require(ctx, right); err != nil {
		return err
	}
	ends := at.Now().Add(o.ends)
	skipped, left := at.facts.SkippedBy(at.Release, o.kinds)
	return at.do(ctx, change{
		plan: o.plan(at, skipped, left, ends), question: "Override " + o.names() + " for " + at.tag() + "?", did: "created",
		next: at.after(left),
		apply: func(ctx context.Context, c client.Client) (client.Object, error) {
			return create(ctx, c, o.object(at, ends))
		},
	})
}

// mayBeOverridden returns an error if an Override would not be in force for the release.
func (at *scene) mayBeOverridden() error {
	rel := at.Release
	switch {
	case rel.Name == "":
		return refused(at.tag() + " has no Release object")
	case at.facts.Quarantine(rel) != nil:
		return refused(at.tag()+" is quarantined, and no Override skips that",
			at.command("lift", at.tag(), `--reason "…"`)+" takes it out of quarantine")
	case at.facts.WaitsAtGates(rel):
		return nil
	case rel.Status.Phase == v1alpha1.ReleaseSuperseded || rel.Status.Phase == v1alpha1.ReleaseCancelled:
		return exit.Errorf(exit.Replaced, "%s does not wait: it is %s", at.tag(), rel.Status.Phase)
	}
	return refused(fmt.Sprintf("%s does not wait: it is %s", at.tag(), rel.Status.Phase),
		at.command("why", at.tag(), "")+" says more")
}

// plan says what the Override goes past and what holds the release still.
func (o *override) plan(at *scene, skipped, left []view.Obstacle, ends time.Time) []string {
	lines := []string{
		"You are " + view.Clean(at.facts.You.User) + ". The Override of " + o.names() + " ends at " + at.Clock().At(ends) +
			".", at.facts.Describe(at.Release),
	}
	if len(skipped) == 0 {
		lines = append(lines, "Now, nothing that it skips holds the release.")
	} else {
		lines = append(append(lines, "It goes past:"), holding(skipped)...)
	}
	if len(left) > 0 {
		lines = append(append(lines, "What holds the release still:"), holding(left)...)
	}
	return lines
}

// names of what the Override skips.
func (o *override) names() string {
	names := make([]string, 0, len(o.kinds))
	for _, kind := range o.kinds {
		names = append(names, string(kind))
	}
	return strings.Join(names, ", ")
}

// object returns the Override to create.
func (o *override) object(at *scene, ends time.Time) *v1alpha1.Override {
	made := &v1alpha1.Override{}
	made.Namespace, made.Name = at.Rollout.Namespace, objectName(at.Release, at.facts.You.User)
	made.Spec = v1alpha1.OverrideSpec{
		Bypass: o.kinds, Reason: o.reason, ExpiresAt: metav1.Time{Time: ends}, User: at.facts.You.User,
	}
	made.Spec.RolloutRef.Name = at.Rollout.Name
	made.Spec.ReleaseRef = v1alpha1.ReleaseReference{Name: at.Release.Name, UID: string(at.Release.UID)}
	return made
}

// after says what becomes of the release once only some things hold it.
func (at *scene) after(left []view.Obstacle) string {
	if len(left) == 0 {
		return at.tag() + " goes out now."
	}
	return at.tag() + " now waits for " + strings.TrimSpace(holding(left[:1])[0]) + more(len(left)-1) + "."
}

// suspended says that nothing happens while the Rollout is suspended. It returns nothing if it is not.
func (at *scene) suspended() []string {
	if !at.Rollout.Spec.Suspend {
		return nil
	}
	return []string{
		at.name() + " is suspended: nothing happens before it is resumed (" + at.command("resume", "", "") + ").",
	}
}

// address returns how to name a release: by its tag, else by its digest.
func address(rel *v1alpha1.Release) string {
	return version.Clean(rel.Spec.Version.Tag, maxReason)
}
