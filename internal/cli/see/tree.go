package see

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/cli/session"
	"github.com/kuberik/kuberik/internal/view"
)

// redraw is how often ages are brought up to date while nothing changes.
const redraw = time.Second

// NewTree returns the verb tree.
func NewTree(p *session.Process) *cobra.Command {
	return session.Command(p, &cobra.Command{
		Use:   "tree ROLLOUT",
		Short: "Show the releases of a Rollout, and everything that decides about them",
		Long: `Shows the releases of a Rollout with what blocks them, its gates, its health checks and the Flux objects that carry the
version. With --watch, the tree stays on the terminal and follows what happens.`,
		Example: `  kuberik tree checkout -n shop
  kuberik tree checkout -n shop -w`,
		Args: cobra.ExactArgs(1),
	}, session.Options{Target: true, Watch: true, Completes: session.Rollouts},
		func(ctx context.Context, s *session.Session, args []string) error {
			t, err := s.Target(ctx, args[0])
			if err != nil {
				return err
			}
			if s.Flags.Watch {
				return watchTree(ctx, s, t)
			}
			return s.Print(treeDocument(s, t))
		})
}

// treeObject is a tree as JSON.
type treeObject struct {
	view.Meta `json:",inline"`
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	Root      view.Node `json:"root"`
}

func treeDocument(s *session.Session, t *session.Target) session.Document {
	root := view.Tree(t.Rollout, t.Releases, s.Now())
	return session.Document{
		Object: treeObject{view.NewMeta("Tree"), t.Rollout.Namespace, t.Rollout.Name, root},
		Names:  []string{"rollout/" + t.Rollout.Name},
		Text:   func(style view.Style, _ bool) []string { return view.Render(root, style) },
	}
}

func watchTree(ctx context.Context, s *session.Session, t *session.Target) (err error) {
	screen, err := s.NewScreen()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, screen.Close()) }()
	kinds := []client.ObjectList{&v1alpha1.RolloutList{}, &v1alpha1.ReleaseList{}}
	name, tick, last := t.Rollout.Namespace+"/"+t.Rollout.Name, time.Duration(0), ""
	if s.Columns() > 0 {
		tick = redraw
	}
	return s.Follow(ctx, t.Rollout.Namespace, kinds, tick, func() (bool, error) {
		t, err := s.Target(ctx, name)
		if err != nil {
			return false, err
		}
		d := treeDocument(s, t)
		if s.Flags.Output != session.Table && s.Flags.Output != session.Wide {
			return false, s.PrintLine(d)
		}
		// Without a terminal, only changes are printed, and a new age is none.
		before := last
		if last = shape(t); tick == 0 && last == before {
			return false, nil
		}
		return false, screen.Show(d.Text(s.Style(), false))
	})
}

// shape identifies a tree without its ages.
func shape(t *session.Target) string {
	return strings.Join(view.Render(view.Tree(t.Rollout, t.Releases, time.Time{}), view.Style{}), "\n")
}
