package act

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/internal/cli/session"
	"github.com/kuberik/kuberik/internal/version"
	"github.com/kuberik/kuberik/internal/view"
)

// scene is what a verb knows before it changes something.
type scene struct {
	*session.Session
	*session.Target
	facts view.Facts
}

// look finds the target of a verb and reads what is known about it.
func look(ctx context.Context, s *session.Session, arg string) (*scene, error) {
	t, err := s.Target(ctx, arg)
	if err != nil {
		return nil, err
	}
	facts, _, err := s.Facts(ctx, t)
	return &scene{s, t, facts}, err
}

// lookAtRelease finds a release that has an object.
func lookAtRelease(ctx context.Context, s *session.Session, arg string) (*scene, error) {
	at, err := look(ctx, s, arg)
	switch {
	case err != nil:
		return nil, err
	case at.Release == nil:
		return nil, exit.With(exit.Usage, fmt.Errorf("%s names no release", arg),
			"write "+at.Rollout.Name+"@VERSION; "+at.newest())
	}
	return at, nil
}

// newest names some releases, for a hint.
func (at *scene) newest() string {
	const most = 5
	var tags []string
	for i := range at.Target.Releases[:min(len(at.Target.Releases), most)] {
		tags = append(tags, view.Clean(at.Target.Releases[i].Spec.Version.Tag))
	}
	if len(tags) == 0 {
		return "there are no releases yet"
	}
	return "the newest are " + strings.Join(tags, ", ")
}

// name of the Rollout, with its namespace.
func (at *scene) name() string { return at.Rollout.Namespace + "/" + at.Rollout.Name }

// tag of the release.
func (at *scene) tag() string { return view.Clean(at.Release.Spec.Version.Tag) }

// command returns a command of this program about the Rollout, for hints.
func (at *scene) command(verb, version, flags string) string {
	target := at.Rollout.Name
	if version != "" {
		target += "@" + version
	}
	return strings.TrimSpace(at.Program + " " + verb + " " + target + " -n " + at.Rollout.Namespace + " " + flags)
}

// mayPatch returns an error if the user may not patch the Rollout.
func (at *scene) mayPatch(ctx context.Context) error {
	return at.Require(ctx, view.Right{
		Verb: "patch", Group: v1alpha1.GroupVersion.Group, Resource: "rollouts", Namespace: at.Rollout.Namespace,
		Name: at.Rollout.Name,
	})
}

// refused returns an error with the reason why a command makes no change.
func refused(why string, hints ...string) error {
	return exit.With(exit.No, fmt.Errorf("%s", why), hints...)
}

// change is what a verb does.
type change struct {
	// plan describes the change before it is made.
	plan []string
	// question is asked on a terminal.
	question string
	// apply sends it and returns the object that was made or changed.
	apply func(context.Context, client.Client) (client.Object, error)
	// did is the past participle in the output, such as created.
	did string
	// next describes the consequences. It may be empty.
	next string
}

// do shows a change, asks, sends it, and prints what it made.
func (at *scene) do(ctx context.Context, ch change) error {
	if err := at.show(ch.plan); err != nil {
		return err
	}
	if at.Flags.DryRun == "none" {
		if err := at.Confirm(ctx, ch.question); err != nil {
			return err
		}
	}
	var c client.Client
	c, err := at.Client()
	if err != nil {
		return err
	}
	if at.Flags.DryRun == "server" {
		c = client.NewDryRunClient(c)
	}
	object, err := ch.apply(ctx, c)
	if err != nil {
		return err
	}
	return at.print(object, ch)
}

// show prints what will change: as a part of the answer for people, else as a remark.
func (at *scene) show(plan []string) error {
	var lines []string
	for _, line := range plan {
		lines = append(lines, view.Wrap(line, at.Style().Width)...)
	}
	switch {
	case at.Flags.Quiet:
		return nil
	case at.Flags.Output == session.Table || at.Flags.Output == session.Wide:
		return at.Lines(lines...)
	}
	return at.Remark(lines...)
}

// print prints an object that was made or changed.
func (at *scene) print(object client.Object, ch change) error {
	kind, err := apiutil.GVKForObject(object, session.Scheme())
	if err != nil {
		return err
	}
	object.GetObjectKind().SetGroupVersionKind(kind)
	object.SetManagedFields(nil)
	name := strings.ToLower(kind.Kind) + "/" + object.GetName()
	return at.Print(session.Document{Object: object, Names: []string{name}, Text: func(style view.Style, _ bool) []string {
		text := name + " " + ch.did
		if at.Flags.DryRun == "server" {
			text += " (server dry run: nothing was stored)"
		}
		if ch.next != "" {
			text += ": " + ch.next
		}
		return view.Wrap(text, style.Width)
	}})
}

// patch returns a change of the Rollout as it was shown: it is refused if the Rollout was created again since.
func (at *scene) patch(fields map[string]any) func(context.Context, client.Client) (client.Object, error) {
	return func(ctx context.Context, c client.Client) (client.Object, error) {
		metadata, ok := fields["metadata"].(map[string]any)
		if !ok {
			metadata = map[string]any{}
			fields["metadata"] = metadata
		}
		metadata["uid"] = at.Rollout.UID
		data, err := json.Marshal(fields)
		if err != nil {
			return nil, err
		}
		ro := at.Rollout.DeepCopy()
		err = c.Patch(ctx, ro, client.RawPatch("application/merge-patch+json", data))
		return ro, err
	}
}

// annotate returns a patch that sets annotations of the Rollout.
func (at *scene) annotate(annotations map[string]string) func(context.Context, client.Client) (client.Object, error) {
	return at.patch(map[string]any{"metadata": map[string]any{"annotations": annotations}})
}

// create creates an object. If its name is taken, it appends a number to the name.
func create[T client.Object](ctx context.Context, c client.Client, object T) (T, error) {
	const most = 100
	name := object.GetName()
	for i := 2; ; i++ {
		made, ok := object.DeepCopyObject().(T)
		if !ok {
			return object, fmt.Errorf("copying %T", object)
		}
		err := c.Create(ctx, made)
		if !apierrors.IsAlreadyExists(err) || i > most {
			return made, err
		}
		object.SetName(fmt.Sprintf("%s-%d", name, i))
	}
}

// maxName is how long the name of an object may be, so that a number can be added.
const maxName = 245

// objectName returns the name of an object that a user creates about a release.
func objectName(rel *v1alpha1.Release, user string) string {
	short := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, user)
	name := rel.Name + "-" + strings.Trim(short, "-")
	return strings.Trim(name[:min(len(name), maxName)], "-.")
}

// maxReason is how many bytes a reason may have in an annotation. The controller keeps as many.
const maxReason = 256

// reason validates the required flag --reason.
func reason(text string, most int) (string, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return "", exit.Errorf(exit.Usage, "--reason is missing: say why, for those who read the history")
	case len(text) > most:
		return "", exit.Errorf(exit.Usage, "--reason has %d bytes: at most %d are kept", len(text), most)
	case !utf8.ValidString(text) || version.Clean(text, most) != text:
		return "", exit.Errorf(exit.Usage, "--reason is one line of text without control characters")
	}
	return text, nil
}

// signed adds the user to a reason, where nothing else records who gave it.
func (at *scene) signed(why string) string {
	by := " (" + version.Clean(at.facts.You.User, maxReason/2) + ")"
	return version.Clean(why, maxReason-len(by)) + by
}

// holding lists what holds a release, one line each.
func holding(list []view.Obstacle) []string {
	var lines []string
	for _, o := range list {
		name := strings.TrimSpace(o.Kind + " " + o.Name)
		if o.Kind == "Rollout" {
			name = o.Reason
		}
		lines = append(lines, "  "+view.Clean(name)+": "+view.Clean(o.Message))
	}
	return lines
}
