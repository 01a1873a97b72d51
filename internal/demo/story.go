package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// people do what the story needs people for.
type people interface {
	push(ctx context.Context, tag string) error
	approve(ctx context.Context, tag string) error
	unblock(ctx context.Context) error
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
	command string
	// act does it. It may be done again without harm.
	act func(context.Context, people) error
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
}

// steps are the story. A step ends when the API server says what it was to bring about, no matter what ran or died meanwhile.
func steps() []step {
	return []step{
		pushing("1.0.0", "a first version is published", waitsAtGate("1.0.0")),
		approving("1.0.0", "alice approves 1.0.0", becomes("1.0.0", v1alpha1.ReleaseAvailable)),
		pushing("1.1.0", "the next version is published; its pods will become ready, but it does not work", waitsAtGate("1.1.0")),
		approving("1.1.0", "alice approves 1.1.0, as nobody knows that yet", fails("1.1.0")),
		pushing("1.2.0", "a version that mends it is published", waitsFor("1.2.0", v1alpha1.ReasonPreviousFailed)),
		{
			title: "alice lets the next version follow the failed one",
			command: fmt.Sprintf("kubectl --as %s annotate rollout %s -n %s %s=true", approver, app, namespace,
				v1alpha1.AnnotationUnblockFailed),
			act:   func(ctx context.Context, p people) error { return p.unblock(ctx) },
			lacks: waitsAtGate("1.2.0"),
		},
		approving("1.2.0", "alice approves 1.2.0", becomes("1.2.0", v1alpha1.ReleaseAvailable)),
	}
}

func pushing(tag, title string, lacks func(scene) string) step {
	return step{
		title: title, command: "docker push registry/" + app + ":" + tag, lacks: lacks,
		act: func(ctx context.Context, p people) error { return p.push(ctx, tag) },
	}
}

func approving(tag, title string, lacks func(scene) string) step {
	return step{
		title: title, command: approveCommand("--as "+approver+" ", tag), lacks: lacks,
		act: func(ctx context.Context, p people) error { return p.approve(ctx, tag) },
	}
}

func approveCommand(as, tag string) string {
	return fmt.Sprintf("kubectl %spatch gate %s -n %s --type merge -p '%s'", as, gateName, namespace, approval(tag))
}

// waitsAtGate: the release is known and held by the gate, and by nothing else.
func waitsAtGate(tag string) func(scene) string {
	return func(s scene) string {
		if got := s.release(tag).Status.Phase; got != v1alpha1.ReleasePending {
			return fmt.Sprintf("release %s is %q, not Pending", tag, got)
		}
		st := s.rollout.Status
		if st.PendingVersion != tag || len(st.BlockedBy) != 1 || st.BlockedBy[0].Kind != "RolloutGate" || st.BlockedBy[0].Name != gateName {
			return fmt.Sprintf("%s does not wait at the gate %s: %s", tag, gateName, blockers(st))
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
		s.narrator.chapter(fmt.Sprintf("%d/%d %s", i+1, len(steps), st.title), st.command)
		if err := st.act(ctx, s.people); err != nil {
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
