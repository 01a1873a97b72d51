package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/utils/ptr"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/gate/apicheck"
	"github.com/kuberik/kuberik/internal/view"
)

// actors do what people do in the demo.
type actors interface {
	// push publishes a version.
	push(ctx context.Context, tag string) error
	// approve approves a release for production. Repeating it changes nothing.
	approve(ctx context.Context, w attempt) error
	// unblock lets staging deploy the next release after a failure.
	unblock(ctx context.Context) error
	// allow makes the change calendar accept a version.
	allow(ctx context.Context, tag string) error
}

// snapshotSource provides snapshots.
type snapshotSource interface {
	// now returns the latest snapshot and a channel that is closed when there is a newer one.
	now() (snapshot, <-chan struct{})
}

// step is an action and its expected result.
type step struct {
	// title describes the action.
	title string
	// command returns a shell command that does the same.
	command func(snapshot) string
	// act performs the action. It is idempotent.
	act func(ctx context.Context, s scenario, now snapshot) error
	// unmet returns what is missing from the result, or "" once the step is done.
	unmet func(snapshot) string
}

// scenario runs steps.
type scenario struct {
	actors    actors
	snapshots snapshotSource
	display   display
	// pace is the pause between steps.
	pace time.Duration
	// calendar is the URL of the change calendar.
	calendar string
}

// promotion stands for the name of the gate that the Environment owns.
const promotion = "promotion"

// A gate that blocks a release, and the reason.
const (
	unapproved  = gateName + ": " + gate.ReasonAwaitingApproval
	notAllowed  = calendarName + ": " + apicheck.ReasonAnsweredNo
	notStaged   = promotion + ": " + environment.ReasonNotDeployedUpstream
	quarantined = promotion + ": " + environment.ReasonQuarantinedUpstream
)

// steps returns the steps of the demo. A step is done when the API server has its result, whatever crashed in between.
func (s scenario) steps() []step {
	return []step{
		pushing("1.0.0", author+" publishes a first version; staging takes it by itself", both(
			in(staging, becomes("1.0.0", v1alpha1.ReleaseAvailable)), in(production, waitsAt("1.0.0", unapproved)))),
		forging("1.0.0"),
		approving("1.0.0", becomes("1.0.0", v1alpha1.ReleaseAvailable)),
		pushing(broken, author+" publishes the next version; its pods will become ready, but it does not work", both(
			in(staging, fails(broken)), in(production, waitsAt(broken, quarantined, unapproved)))),
		pushing(fixed, author+" publishes a version that mends it", both(
			in(staging, waitsFor(fixed, v1alpha1.ReasonPreviousFailed)),
			in(production, waitsAt(fixed, notAllowed, notStaged, unapproved)))),
		unblocking(approver+" lets the next version follow the failed one in staging", both(
			in(staging, becomes(fixed, v1alpha1.ReleaseAvailable)), in(production, waitsAt(fixed, notAllowed, unapproved)))),
		allowing(fixed, s.calendar, waitsAt(fixed, unapproved)),
		approving(fixed, becomes(fixed, v1alpha1.ReleaseAvailable)),
	}
}

func pushing(tag, title string, unmet func(snapshot) string) step {
	return step{
		title: title, unmet: unmet,
		command: func(snapshot) string { return "docker push registry/" + app + ":" + tag },
		act:     func(ctx context.Context, s scenario, _ snapshot) error { return s.actors.push(ctx, tag) },
	}
}

func approving(tag string, unmet func(*namespaceState) string) step {
	approval := func(now snapshot) attempt {
		rel := now.production.release(tag)
		return attempt{by: approver, user: approver, tag: tag, release: rel.Name, uid: string(rel.UID)}
	}
	return step{
		title: approver + " approves " + tag + " for production", unmet: in(production, unmet),
		command: func(now snapshot) string { return approval(now).command() },
		act:     func(ctx context.Context, s scenario, now snapshot) error { return s.actors.approve(ctx, approval(now)) },
	}
}

// forging is a step in which a user whom the gate does not list approves in the name of one whom it lists.
func forging(tag string) step {
	approval := func(now snapshot) attempt {
		rel := now.production.release(tag)
		return attempt{by: impostor, user: approver, tag: tag, release: rel.Name, uid: string(rel.UID)}
	}
	return step{
		title:   fmt.Sprintf("%s, whom the gate does not ask, tries to approve %s as %s", impostor, tag, approver),
		command: func(now snapshot) string { return approval(now).command() },
		act: func(ctx context.Context, s scenario, now snapshot) error {
			why, err := refusal(s.actors.approve(ctx, approval(now)))
			if err == nil {
				s.display.showChange(view.Change{Tone: view.Bad, Text: "the API server refuses: " + why})
			}
			return err
		},
		unmet: in(production, waitsAt(tag, unapproved)),
	}
}

func allowing(tag, calendar string, unmet func(*namespaceState) string) step {
	return step{
		title: "the sale is over, and the change calendar lets " + tag + " into production", unmet: in(production, unmet),
		command: func(snapshot) string { return fmt.Sprintf("curl -X PUT '%s?tag=%s'", calendar, tag) },
		act:     func(ctx context.Context, s scenario, _ snapshot) error { return s.actors.allow(ctx, tag) },
	}
}

func unblocking(title string, unmet func(snapshot) string) step {
	return step{
		title: title, unmet: unmet,
		command: func(snapshot) string {
			return fmt.Sprintf("kubectl --as %s annotate rollout %s -n %s %s=true", approver, app, staging,
				v1alpha1.AnnotationUnblockFailed)
		},
		act: func(ctx context.Context, s scenario, _ snapshot) error { return s.actors.unblock(ctx) },
	}
}

// in returns what is missing in a namespace.
func in(namespace string, unmet func(*namespaceState) string) func(snapshot) string {
	return func(s snapshot) string {
		at := slices.Index(namespaces(), namespace)
		if missing := unmet(s.namespaceStates()[at]); missing != "" {
			return namespace + ": " + missing
		}
		return ""
	}
}

// both returns what is missing in the first, else in the second.
func both(one, other func(snapshot) string) func(snapshot) string {
	return func(s snapshot) string { return cmp.Or(one(s), other(s)) }
}

// waitsAt expects a release to be blocked by exactly these gates, each for its reason.
func waitsAt(tag string, gates ...string) func(*namespaceState) string {
	return func(p *namespaceState) string {
		if got := p.release(tag).Status.Phase; got != v1alpha1.ReleasePending {
			return fmt.Sprintf("release %s is %q, not Pending", tag, got)
		}
		held := p.held()
		if p.rollout.Status.PendingVersion != tag || !slices.Equal(held, gates) {
			return fmt.Sprintf("%s does not wait at %s: %s", tag, strings.Join(gates, " and "), blockers(p.rollout.Status))
		}
		return ""
	}
}

// held lists the gates that block the next release, each with its reason.
func (p *namespaceState) held() []string {
	var held []string
	for _, b := range p.rollout.Status.BlockedBy {
		name := b.Name
		if ref := p.environment.Status.RolloutGateRef; ref != nil && ref.Name == name {
			name = promotion
		}
		held = append(held, name+": "+b.Reason)
	}
	return held
}

// waitsFor expects a release to be blocked for a reason.
func waitsFor(tag, reason string) func(*namespaceState) string {
	return func(p *namespaceState) string {
		if got := p.release(tag).Status.Phase; got != v1alpha1.ReleasePending {
			return fmt.Sprintf("release %s is %q, not Pending", tag, got)
		}
		st := p.rollout.Status
		if st.PendingVersion != tag || len(st.BlockedBy) == 0 || st.BlockedBy[0].Reason != reason {
			return fmt.Sprintf("%s does not wait for %s: %s", tag, reason, blockers(st))
		}
		return ""
	}
}

// becomes expects a release to reach a phase and the Deployment to run it.
func becomes(tag string, phase v1alpha1.ReleasePhase) func(*namespaceState) string {
	return func(p *namespaceState) string {
		if got := p.release(tag).Status.Phase; got != phase {
			return fmt.Sprintf("release %s is %q, not %s: %s", tag, got, phase, blockers(p.rollout.Status))
		}
		if want := app + ":" + tag; p.image() != want {
			return fmt.Sprintf("the Deployment runs %s, not %s", p.image(), want)
		}
		return ""
	}
}

// fails expects a release to fail and to be quarantined although all of its pods are ready.
func fails(tag string) func(*namespaceState) string {
	return func(p *namespaceState) string {
		if missing := becomes(tag, v1alpha1.ReleaseFailed)(p); missing != "" {
			return missing
		}
		if p.release(tag).Status.Quarantine == nil || p.rollout.Status.Phase != v1alpha1.PhaseFailed {
			return "release " + tag + " failed but is not halted and quarantined"
		}
		if want, ready := p.replicas(); want == 0 || ready != want {
			return fmt.Sprintf("release %s failed with %d of %d pods ready", tag, ready, want)
		}
		return ""
	}
}

func blockers(st v1alpha1.RolloutStatus) string {
	text := "the Rollout is " + string(st.Phase)
	for _, b := range st.BlockedBy {
		text += fmt.Sprintf(", waits for %s %s (%s: %s)", b.Kind, b.Name, b.Reason, b.Message)
	}
	return text
}

// runSteps runs the steps in order.
func (s scenario) runSteps(ctx context.Context, steps []step) error {
	for i, st := range steps {
		now, _ := s.snapshots.now()
		s.display.showStep(fmt.Sprintf("%d/%d %s", i+1, len(steps), st.title), st.command(now))
		if err := st.act(ctx, s, now); err != nil {
			return fmt.Errorf("%s: %w", st.title, err)
		}
		if err := s.await(ctx, st.unmet); err != nil {
			return fmt.Errorf("%s: %w", st.title, err)
		}
		select {
		case <-time.After(s.pace):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// unexpected names a release that failed although only the broken one should fail. Waiting for it would not help.
func unexpected(now snapshot) string {
	for i, p := range now.namespaceStates() {
		for _, e := range p.rollout.Status.History {
			if e.Version.Tag != broken && ptr.Deref(e.BakeStatus, "") == string(v1alpha1.BakeFailed) {
				return fmt.Sprintf("%s failed in %s: %s", e.Version.Tag, namespaces()[i],
					ptr.Deref(e.BakeStatusMessage, "no reason is given"))
			}
		}
	}
	return ""
}

// await waits until nothing is missing.
func (s scenario) await(ctx context.Context, unmet func(snapshot) string) error {
	for {
		now, changed := s.snapshots.now()
		missing := unmet(now)
		if missing == "" {
			return nil
		}
		if failed := unexpected(now); failed != "" {
			return errors.New(failed)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", context.Cause(ctx), missing)
		}
	}
}
