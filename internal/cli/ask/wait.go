package ask

import (
	"context"
	"errors"
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

// defaultWait is how long wait waits.
const defaultWait = 30 * time.Minute

// NewWait returns the verb wait.
func NewWait(p *session.Process) *cobra.Command {
	var w waiter
	var goal string
	var failWhenHeld time.Duration
	c := &cobra.Command{
		Use:   "wait ROLLOUT | RELEASE",
		Short: "Wait until a release is out, and print only what changes",
		Long: `Waits for a release, for CI. Without --version and --commit it is the newest release at the start. A release that is not
known yet is waited for.

  --for=discovered  the release is known
  --for=deployed    Flux has applied it and every check is healthy
  --for=available   it has passed its bake
  --for=failed      it has failed
  --for=held        something holds it: a gate, a schedule, a person, health
  --for=settled     nothing moves by itself any more; the exit code says how it stands

Exit codes: 0 reached, 1 it failed, 3 it is held (settled, --fail-when-held), 4 timed out, 5 another release replaced
it.`,
		Example: `  kuberik wait checkout -n shop --version 1.9.0 --for=available --timeout 2h
  kuberik wait checkout -n shop --commit 4f1c2ab --fail-when-held 30m
  kuberik wait checkout -n shop --for=settled -o json`,
		Args: cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&goal, "for", string(view.GoalAvailable),
		"discovered, deployed, available, failed, held or settled")
	c.Flags().StringVar(&w.version, "version", "", "tag or digest of the release (default: the newest)")
	c.Flags().StringVar(&w.commit, "commit", "", "commit that the release was built from, 7 digits or more")
	c.Flags().DurationVar(&failWhenHeld, "fail-when-held", -1, "give up with code 3 if only people can clear what "+
		"holds the release, and it lasts this long")
	var goals []string
	for _, g := range view.Goals() {
		goals = append(goals, string(g))
	}
	return session.Command(p, c, session.Options{
		Target: true, Timeout: defaultWait, Completes: session.Releases,
		CompleteFlags: map[string]session.Completion{"version": session.Versions}, Words: map[string][]string{"for": goals},
	}, func(ctx context.Context, s *session.Session, args []string) error {
		w := w
		w.Session, w.goal, w.failWhenHeld = s, view.Goal(goal), failWhenHeld
		if !slices.Contains(view.Goals(), w.goal) {
			return exit.Errorf(exit.Usage, "--for is %q: write discovered, deployed, available, failed, held or settled", goal)
		}
		return w.wait(ctx, args[0])
	})
}

// waiter waits for one release.
type waiter struct {
	*session.Session
	goal            view.Goal
	version, commit string
	failWhenHeld    time.Duration

	// target is the Rollout, as namespace/name.
	target string
	// release is empty until it is known.
	release v1alpha1.ReleaseIdentity
	before  *v1alpha1.Rollout
	held    time.Time
	last    string
	outcome view.Outcome
}

func (w *waiter) wait(ctx context.Context, arg string) error {
	if w.version != "" && w.commit != "" {
		return exit.Errorf(exit.Usage, "--version and --commit contradict each other")
	}
	if n := len(w.commit); w.commit != "" && n < minCommit {
		return exit.Errorf(exit.Usage, "--commit %s has %d digits: write at least %d", w.commit, n, minCommit)
	}
	t, err := w.first(ctx, arg)
	if err != nil {
		return err
	}
	w.target = t.Rollout.Namespace + "/" + t.Rollout.Name
	kinds := []client.ObjectList{&v1alpha1.RolloutList{}, &v1alpha1.ReleaseList{}}
	err = w.Follow(ctx, t.Rollout.Namespace, kinds, w.tick(), func() (bool, error) { return w.look(ctx) })
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return exit.With(exit.TimedOut, fmt.Errorf("timed out after %s: %s", w.Flags.Timeout, w.state()),
			"--timeout allows more time")
	}
	return err
}

// minCommit is how many digits identify a commit.
const minCommit = 7

// tick returns how often to look although nothing changes.
func (w *waiter) tick() time.Duration {
	if w.failWhenHeld < 0 {
		return 0
	}
	return min(max(w.failWhenHeld, time.Second), 10*time.Second)
}

func (w *waiter) state() string {
	if w.outcome.Message == "" {
		return w.wanted() + " is not known yet"
	}
	return w.outcome.Message
}

// wanted names the release that is not known yet.
func (w *waiter) wanted() string {
	switch {
	case w.commit != "":
		return "a release of commit " + w.commit
	case w.version != "":
		return w.version
	}
	return "a release"
}

// first finds the Rollout and, if it is known, the release.
func (w *waiter) first(ctx context.Context, arg string) (*session.Target, error) {
	rollout, ver, hasVersion := strings.Cut(arg, "@")
	if hasVersion && (w.version != "" || w.commit != "") {
		return nil, exit.Errorf(exit.Usage, "%s names a version already: leave out --version and --commit", arg)
	}
	if hasVersion {
		w.version = ver
	}
	t, err := w.Target(ctx, rollout)
	if err != nil {
		return nil, err
	}
	if t.Release != nil { // the argument is the name of a Release
		w.release = version.Identity(t.Release.Spec.Version)
		return t, nil
	}
	return t, w.find(t)
}

// find looks for the release among those that are known.
func (w *waiter) find(t *session.Target) error {
	var found []*v1alpha1.Release
	for i := range t.Releases {
		if w.isWanted(&t.Releases[i]) {
			found = append(found, &t.Releases[i])
		}
	}
	if len(found) == 0 {
		return nil
	}
	if len(found) > 1 && w.version != "" {
		hints := []string{"name one of them by its digest:"}
		for _, r := range found {
			hints = append(hints, "  --version "+view.ShortDigest(view.Digest(r)))
		}
		return exit.With(exit.Usage, fmt.Errorf("%d releases are %s", len(found), w.version), hints...)
	}
	w.release = version.Identity(found[0].Spec.Version)
	return nil
}

func (w *waiter) isWanted(r *v1alpha1.Release) bool {
	switch {
	case w.commit != "":
		return strings.HasPrefix(view.Commit(r), strings.ToLower(w.commit))
	case strings.HasPrefix(w.version, "sha256:"), strings.HasPrefix(w.version, "sha512:"):
		return strings.HasPrefix(view.Digest(r), strings.ToLower(w.version))
	case w.version != "":
		return r.Spec.Version.Tag == w.version
	}
	return true
}

// look reads the state, prints what changed and decides whether the wait is over.
func (w *waiter) look(ctx context.Context) (done bool, err error) {
	t, err := w.Target(ctx, w.target)
	if err != nil {
		return false, err
	}
	if w.release.Tag == "" {
		if err := w.find(t); err != nil {
			return false, err
		}
	}
	facts := view.Facts{Rollout: t.Rollout, Releases: t.Releases, Clock: w.Clock(), Program: w.Program}
	rel := w.known(t)
	if rel != nil {
		w.outcome = view.Progress(facts, rel, w.goal)
	}
	if err := w.changes(t.Rollout); err != nil {
		return false, err
	}
	if rel == nil {
		return false, w.say(view.Change{Tone: view.Held, Text: w.wanted() + " is not known yet"})
	}
	if w.outcome.Done {
		return true, w.end()
	}
	return w.stuck(view.HeldByPeople(facts, rel))
}

// known returns the release that is waited for. It returns nil if it is not known yet.
func (w *waiter) known(t *session.Target) *v1alpha1.Release {
	for i := range t.Releases {
		if w.release.Tag != "" && version.Matches(version.Identity(t.Releases[i].Spec.Version), w.release) {
			return &t.Releases[i]
		}
	}
	return nil
}

// changes prints what changed since the last look.
func (w *waiter) changes(ro *v1alpha1.Rollout) error {
	before := w.before
	w.before = ro.DeepCopy()
	first := before == nil
	if first { // the past is of no interest
		before = ro.DeepCopy()
		before.Status.BlockedBy, before.Status.PendingVersion = nil, ""
	}
	var printed bool
	for _, c := range oneWait(view.Changes(before, ro)) {
		if err := w.say(c); err != nil {
			return err
		}
		printed = true
	}
	if first && !printed && w.outcome.Message != "" && !w.outcome.Done {
		return w.say(view.Change{Tone: view.Busy, Text: w.outcome.Message})
	}
	return nil
}

// oneWait keeps the first of several lines about what a release waits for.
func oneWait(list []view.Change) []view.Change {
	var kept []view.Change
	waits := 0
	for _, c := range list {
		if c.Tone == view.Held {
			if waits++; waits > 1 {
				continue
			}
		}
		kept = append(kept, c)
	}
	if more := waits - 1; more > 0 {
		for i := range kept {
			if kept[i].Tone == view.Held {
				kept[i].Text += fmt.Sprintf(" (and %d more)", more)
			}
		}
	}
	return kept
}

// event is a line of wait as JSON.
type event struct {
	view.Meta `json:",inline"`
	Time      metav1.Time   `json:"time"`
	Tone      view.Tone     `json:"tone"`
	Message   string        `json:"message"`
	Done      bool          `json:"done,omitempty"`
	Standing  view.Standing `json:"standing,omitempty"`
}

// say prints a line unless the line before is the same.
func (w *waiter) say(c view.Change) error {
	if c.Text == w.last {
		return nil
	}
	w.last = c.Text
	return w.print(c, event{})
}

func (w *waiter) print(c view.Change, e event) error {
	now := w.Clock().Now
	e.Meta, e.Time, e.Tone, e.Message = view.NewMeta("WaitEvent"), metav1.NewTime(now), c.Tone, c.Text
	return w.PrintLine(session.Document{Object: e, Text: func(style view.Style, _ bool) []string {
		return []string{now.In(w.Clock().Zone).Format(time.TimeOnly) + "  " + style.Line(c)}
	}})
}

// end prints the outcome and returns the exit code.
func (w *waiter) end() error {
	code := codeOf(w.outcome, w.goal)
	c := view.Change{Tone: view.Good, Text: w.outcome.Message}
	if code != exit.OK {
		c.Tone = view.Bad
	}
	// The line about what the release waits for has said it, with more detail.
	said := c.Text == w.last || w.outcome.Standing == view.Waits && w.goal != view.GoalDiscovered && w.last != ""
	if !said || w.Flags.Output == session.JSON {
		if err := w.print(c, event{Done: true, Standing: w.outcome.Standing}); err != nil {
			return err
		}
	}
	return exit.Silently(code)
}

func codeOf(o view.Outcome, goal view.Goal) exit.Code {
	ofStanding := map[view.Standing]exit.Code{view.Failed: exit.No, view.Waits: exit.Held, view.Replaced: exit.Replaced}
	switch {
	case o.Reached && goal != view.GoalSettled:
		return exit.OK
	case !o.Reached && o.Standing == view.Fine:
		return exit.No // it became Available, and something else was waited for
	}
	return ofStanding[o.Standing]
}

// stuck gives up if only people can help, and that lasts.
func (w *waiter) stuck(byPeople bool) (done bool, err error) {
	now := w.Now()
	switch {
	case w.failWhenHeld < 0:
		return false, nil
	case !byPeople:
		w.held = time.Time{}
		return false, nil
	case w.held.IsZero():
		w.held = now
	}
	if now.Sub(w.held) < w.failWhenHeld {
		return false, nil
	}
	return true, exit.With(exit.Held, fmt.Errorf("only people can clear what holds the release: %s", w.outcome.Message),
		w.Program+" why "+w.target+" says who")
}
