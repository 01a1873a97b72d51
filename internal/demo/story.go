package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	apicheck "github.com/kuberik/kuberik/internal/gate/http"
	"github.com/kuberik/kuberik/internal/view"
)

// people do what the story needs people for.
type people interface {
	// push publishes a version.
	push(ctx context.Context, tag string) error
	// approve says that a release may go out. Saying it again changes nothing.
	approve(ctx context.Context, w word) error
	// unblock lets a release follow one that failed.
	unblock(ctx context.Context) error
	// allow tells the change calendar that a version may go out.
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

// What is told of a gate that holds a release: its name, and why.
const (
	unapproved = gateName + ": " + gate.ReasonAwaitingApproval
	notAllowed = calendarName + ": " + apicheck.ReasonAnsweredNo
)

// steps are the story. A step ends when the API server says what it was to bring about, no matter what ran or died meanwhile.
func (s story) steps() []step {
	return []step{
		pushing("1.0.0", author+" publishes a first version", waitsAt("1.0.0", unapproved)),
		forging("1.0.0"),
		approving("1.0.0", approver+" approves 1.0.0", becomes("1.0.0", v1alpha1.ReleaseAvailable)),
		pushing("1.1.0", author+" publishes the next version; its pods will become ready, but it does not work",
			waitsAt("1.1.0", notAllowed, unapproved)),
		allowing("1.1.0", s.calendar, waitsAt("1.1.0", unapproved)),
		approving("1.1.0", approver+" approves 1.1.0, as nobody knows yet that it does not work", fails("1.1.0")),
		pushing("1.2.0", author+" publishes a version that mends it", waitsFor("1.2.0", v1alpha1.ReasonPreviousFailed)),
		unblocking(approver+" lets the next version follow the failed one", waitsAt("1.2.0", unapproved)),
		approving("1.2.0", approver+" approves 1.2.0", becomes("1.2.0", v1alpha1.ReleaseAvailable)),
	}
}

func pushing(tag, title string, lacks func(scene) string) step {
	return step{
		title: title, lacks: lacks,
		command: func(scene) string { return "docker push registry/" + app + ":" + tag },
		act:     func(ctx context.Context, s story, _ scene) error { return s.people.push(ctx, tag) },
	}
}

func approving(tag, title string, lacks func(scene) string) step {
	said := func(now scene) word {
		return word{by: approver, user: approver, tag: tag, release: now.release(tag).Name}
	}
	return step{
		title: title, lacks: lacks,
		command: func(now scene) string { return said(now).command() },
		act:     func(ctx context.Context, s story, now scene) error { return s.people.approve(ctx, said(now)) },
	}
}

// forging: somebody who may approve, but whom the gate does not ask, does so in the name of somebody whom it does ask.
func forging(tag string) step {
	said := func(now scene) word {
		return word{by: impostor, user: approver, tag: tag, release: now.release(tag).Name}
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
		lacks: waitsAt(tag, unapproved),
	}
}

func allowing(tag, calendar string, lacks func(scene) string) step {
	return step{
		title: "the sale is over, and the change calendar lets " + tag + " pass", lacks: lacks,
		command: func(scene) string { return fmt.Sprintf("curl -X PUT '%s?tag=%s'", calendar, tag) },
		act:     func(ctx context.Context, s story, _ scene) error { return s.people.allow(ctx, tag) },
	}
}

func unblocking(title string, lacks func(scene) string) step {
	return step{
		title: title, lacks: lacks,
		command: func(scene) string {
			return fmt.Sprintf("kubectl --as %s annotate rollout %s -n %s %s=true", approver, app, namespace, v1alpha1.AnnotationUnblockFailed)
		},
		act: func(ctx context.Context, s story, _ scene) error { return s.people.unblock(ctx) },
	}
}

// waitsAt: the release is known and held by these gates, each for its reason, and by nothing else.
func waitsAt(tag string, gates ...string) func(scene) string {
	return func(s scene) string {
		if got := s.release(tag).Status.Phase; got != v1alpha1.ReleasePending {
			return fmt.Sprintf("release %s is %q, not Pending", tag, got)
		}
		var held []string
		for _, b := range s.rollout.Status.BlockedBy {
			held = append(held, b.Name+": "+b.Reason)
		}
		if s.rollout.Status.PendingVersion != tag || !slices.Equal(held, gates) {
			return fmt.Sprintf("%s does not wait at %s: %s", tag, strings.Join(gates, " and "), blockers(s.rollout.Status))
		}
		return ""
	}
}

// waitsFor: the release is known and held for a reason.
func waitsFor(tag, reason string) func(scene) string {
	return func(s scene) string {
		if got := s.release(tag).Status.Phase; got != v1alpha1.ReleasePending {
			return fmt.Sprintf("release %s is %q, not Pending", tag, got)
		}
		st := s.rollout.Status
		if st.PendingVersion != tag || len(st.BlockedBy) == 0 || st.BlockedBy[0].Reason != reason {
			return fmt.Sprintf("%s does not wait for %s: %s", tag, reason, blockers(st))
		}
		return ""
	}
}

// becomes: the release came to that, and the Deployment runs it.
func becomes(tag string, phase v1alpha1.ReleasePhase) func(scene) string {
	return func(s scene) string {
		if got := s.release(tag).Status.Phase; got != phase {
			return fmt.Sprintf("release %s is %q, not %s: %s", tag, got, phase, blockers(s.rollout.Status))
		}
		if want := app + ":" + tag; s.image() != want {
			return fmt.Sprintf("the Deployment runs %s, not %s", s.image(), want)
		}
		return ""
	}
}

// fails: the release failed and is quarantined, although the Deployment runs it and all of its pods are ready.
func fails(tag string) func(scene) string {
	return func(s scene) string {
		if missing := becomes(tag, v1alpha1.ReleaseFailed)(s); missing != "" {
			return missing
		}
		if s.release(tag).Status.Quarantine == nil || s.rollout.Status.Phase != v1alpha1.PhaseFailed {
			return "release " + tag + " failed but is not halted and quarantined"
		}
		if want, ready := s.replicas(); want == 0 || ready != want {
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

// await waits until nothing is missing.
func (s story) await(ctx context.Context, lacks func(scene) string) error {
	for {
		now, changed := s.scenes.now()
		missing := lacks(now)
		if missing == "" {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", context.Cause(ctx), missing)
		}
	}
}
