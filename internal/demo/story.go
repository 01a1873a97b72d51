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
	apicheck "github.com/kuberik/kuberik/internal/gate/http"
	"github.com/kuberik/kuberik/internal/view"
)

// people do what the story needs people for.
type people interface {
	// push publishes a version.
	push(ctx context.Context, tag string) error
	// approve says that a release may go out to production. Saying it again changes nothing.
	approve(ctx context.Context, w word) error
	// unblock lets a release follow one that failed in staging.
	unblock(ctx context.Context) error
	// allow tells the change calendar that a version may go out to production.
	allow(ctx context.Context, tag string) error
}

// audience sees scenes.
type audience interface {
	// now is the latest scene, and a channel that is closed when there is another.
	now() (scene, <-chan struct{})
}

// step is a part of the story: somebody acts, and something comes of it.
type step struct {
	// title says what is done.
	title string
	// command does the same by hand.
	command func(scene) string
	// act does it. It may be done again without harm.
	act func(ctx context.Context, s story, now scene) error
	// lacks says what is missing until the step is over, or "".
	lacks func(scene) string
}

// story is how steps are told.
type story struct {
	people   people
	scenes   audience
	narrator narrator
	// pace is the pause between steps.
	pace time.Duration
	// calendar is where the change calendar is.
	calendar string
}

// promotion stands for the gate that the Environment keeps, whatever its name is.
const promotion = "promotion"

// What is told of a gate that holds a release: its name, and why.
const (
	unapproved  = gateName + ": " + gate.ReasonAwaitingApproval
	notAllowed  = calendarName + ": " + apicheck.ReasonAnsweredNo
	notStaged   = promotion + ": " + environment.ReasonNotDeployedUpstream
	quarantined = promotion + ": " + environment.ReasonQuarantinedUpstream
)

// steps are the story. A step ends when the API server says what it was to bring about, no matter what ran or died meanwhile.
func (s story) steps() []step {
	return []step{
		pushing("1.0.0", author+" publishes a first version; staging takes it by itself", both(
			in(staging, becomes("1.0.0", v1alpha1.ReleaseAvailable)), in(production, waitsAt("1.0.0", unapproved)))),
		forging("1.0.0"),
		approving("1.0.0", becomes("1.0.0", v1alpha1.ReleaseAvailable)),
		pushing(broken, author+" publishes the next version; its pods will become ready, but it does not work", both(
			in(staging, fails(broken)), in(production, waitsAt(broken, quarantined, unapproved)))),
		pushing(mended, author+" publishes a version that mends it", both(
			in(staging, waitsFor(mended, v1alpha1.ReasonPreviousFailed)), in(production, waitsAt(mended, notAllowed, notStaged, unapproved)))),
		unblocking(approver+" lets the next version follow the failed one in staging", both(
			in(staging, becomes(mended, v1alpha1.ReleaseAvailable)), in(production, waitsAt(mended, notAllowed, unapproved)))),
		allowing(mended, s.calendar, waitsAt(mended, unapproved)),
		approving(mended, becomes(mended, v1alpha1.ReleaseAvailable)),
	}
}

func pushing(tag, title string, lacks func(scene) string) step {
	return step{
		title: title, lacks: lacks,
		command: func(scene) string { return "docker push registry/" + app + ":" + tag },
		act:     func(ctx context.Context, s story, _ scene) error { return s.people.push(ctx, tag) },
	}
}

func approving(tag string, lacks func(*place) string) step {
	said := func(now scene) word {
		rel := now.production.release(tag)
		return word{by: approver, user: approver, tag: tag, release: rel.Name, uid: string(rel.UID)}
	}
	return step{
		title: approver + " approves " + tag + " for production", lacks: in(production, lacks),
		command: func(now scene) string { return said(now).command() },
		act:     func(ctx context.Context, s story, now scene) error { return s.people.approve(ctx, said(now)) },
	}
}

// forging: somebody who may approve, but whom the gate does not ask, does so in the name of somebody whom it does ask.
func forging(tag string) step {
	said := func(now scene) word {
		rel := now.production.release(tag)
		return word{by: impostor, user: approver, tag: tag, release: rel.Name, uid: string(rel.UID)}
	}
	return step{
		title:   fmt.Sprintf("%s, whom the gate does not ask, tries to approve %s as %s", impostor, tag, approver),
		command: func(now scene) string { return said(now).command() },
		act: func(ctx context.Context, s story, now scene) error {
			why, err := refusal(s.people.approve(ctx, said(now)))
			if err == nil {
				s.narrator.say(view.Change{Tone: view.Bad, Text: "the API server refuses: " + why})
			}
			return err
		},
		lacks: in(production, waitsAt(tag, unapproved)),
	}
}

func allowing(tag, calendar string, lacks func(*place) string) step {
	return step{
		title: "the sale is over, and the change calendar lets " + tag + " into production", lacks: in(production, lacks),
		command: func(scene) string { return fmt.Sprintf("curl -X PUT '%s?tag=%s'", calendar, tag) },
		act:     func(ctx context.Context, s story, _ scene) error { return s.people.allow(ctx, tag) },
	}
}

func unblocking(title string, lacks func(scene) string) step {
	return step{
		title: title, lacks: lacks,
		command: func(scene) string {
			return fmt.Sprintf("kubectl --as %s annotate rollout %s -n %s %s=true", approver, app, staging, v1alpha1.AnnotationUnblockFailed)
		},
		act: func(ctx context.Context, s story, _ scene) error { return s.people.unblock(ctx) },
	}
}

// in says what is missing in a namespace.
func in(namespace string, lacks func(*place) string) func(scene) string {
	return func(s scene) string {
		at := slices.Index(namespaces(), namespace)
		if missing := lacks(s.places()[at]); missing != "" {
			return namespace + ": " + missing
		}
		return ""
	}
}

// both says what is missing in the one, else in the other.
func both(one, other func(scene) string) func(scene) string {
	return func(s scene) string { return cmp.Or(one(s), other(s)) }
}

// waitsAt: the release is known and held by these gates, each for its reason, and by nothing else.
func waitsAt(tag string, gates ...string) func(*place) string {
	return func(p *place) string {
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

// held lists the gates that hold the release that comes next, each with its reason.
func (p *place) held() []string {
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

// waitsFor: the release is known and held for a reason.
func waitsFor(tag, reason string) func(*place) string {
	return func(p *place) string {
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

// becomes: the release came to that, and the Deployment runs it.
func becomes(tag string, phase v1alpha1.ReleasePhase) func(*place) string {
	return func(p *place) string {
		if got := p.release(tag).Status.Phase; got != phase {
			return fmt.Sprintf("release %s is %q, not %s: %s", tag, got, phase, blockers(p.rollout.Status))
		}
		if want := app + ":" + tag; p.image() != want {
			return fmt.Sprintf("the Deployment runs %s, not %s", p.image(), want)
		}
		return ""
	}
}

// fails: the release failed and is quarantined, although the Deployment runs it and all of its pods are ready.
func fails(tag string) func(*place) string {
	return func(p *place) string {
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

// tell tells the steps one after the other.
func (s story) tell(ctx context.Context, steps []step) error {
	for i, st := range steps {
		now, _ := s.scenes.now()
		s.narrator.chapter(fmt.Sprintf("%d/%d %s", i+1, len(steps), st.title), st.command(now))
		if err := st.act(ctx, s, now); err != nil {
			return fmt.Errorf("%s: %w", st.title, err)
		}
		if err := s.await(ctx, st.lacks); err != nil {
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

// unexpected names a release that failed although only the broken one is to fail: waiting would not help.
func unexpected(now scene) string {
	for i, p := range now.places() {
		for _, e := range p.rollout.Status.History {
			if e.Version.Tag != broken && ptr.Deref(e.BakeStatus, "") == string(v1alpha1.BakeFailed) {
				return fmt.Sprintf("%s failed in %s: %s", e.Version.Tag, namespaces()[i], ptr.Deref(e.BakeStatusMessage, "no reason is given"))
			}
		}
	}
	return ""
}

// await waits until nothing is missing.
func (s story) await(ctx context.Context, lacks func(scene) string) error {
	for {
		now, changed := s.scenes.now()
		missing := lacks(now)
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
