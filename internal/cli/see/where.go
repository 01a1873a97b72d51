package see

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/internal/cli/session"
	"github.com/kuberik/kuberik/internal/view"
)

// NewWhere returns the verb where.
func NewWhere(p *session.Process) *cobra.Command {
	return session.Command(p, &cobra.Command{
		Use:   "where COMMIT | DIGEST | TAG | ROLLOUT@TAG",
		Short: "Say in which environments a commit or a version is, and since when",
		Long: `Says in which environments a release is, in which phase and since when, and when the others can have it. It looks in
every namespace that you may read, and at what the Environments know of other clusters.

Exit codes: 0 it is everywhere, 1 it failed somewhere, 3 it waits somewhere, 6 it is not known.`,
		Example: `  kuberik where 4f1c2ab
  kuberik where 1.9.0
  kuberik where checkout@1.9.0`,
		Args: cobra.ExactArgs(1),
	}, session.Options{Target: true, Completes: session.Releases},
		func(ctx context.Context, s *session.Session, args []string) error {
			return where(ctx, s, args[0])
		})
}

func where(ctx context.Context, s *session.Session, arg string) error {
	search := view.ParseSearch(arg)
	world, everywhere, err := readWorld(ctx, s)
	if err != nil {
		return err
	}
	found := search.Find(world.Releases)
	place := "in any namespace"
	if !everywhere {
		place = "in namespace " + s.Namespace()
		if err := s.Remark("You may not read other namespaces, so only " + s.Namespace() + " is searched."); err != nil {
			return err
		}
	}
	if len(found) == 0 {
		return exit.With(exit.NotFound, fmt.Errorf("no release %s is known %s", arg, place), newest(world)...)
	}
	answers := view.Where(world, found)
	worst := exit.OK
	var names []string
	for _, a := range answers {
		if code := standings[a.Standing()]; worst == exit.OK || code == exit.No {
			worst = code
		}
		names = append(names, a.Subject+"@"+a.Tag)
	}
	err = s.Print(session.Document{
		Object: view.List[view.Whereabouts]{Meta: view.NewMeta("WhereaboutsList"), Items: answers}, Names: names,
		Text: func(style view.Style, _ bool) []string {
			var lines []string
			for i, a := range answers {
				if i > 0 {
					lines = append(lines, "")
				}
				lines = append(lines, a.Lines(s.Clock(), style)...)
			}
			return lines
		},
	})
	if err != nil {
		return err
	}
	return exit.Silently(worst)
}

// readWorld reads every namespace, and only that of the flags if the user may not read the others.
func readWorld(ctx context.Context, s *session.Session) (view.World, bool, error) {
	world, err := readNamespace(ctx, s, "")
	if apierrors.IsForbidden(err) && s.Namespace() != "" {
		world, err = readNamespace(ctx, s, s.Namespace())
		return world, false, err
	}
	return world, true, err
}

func readNamespace(ctx context.Context, s *session.Session, namespace string) (view.World, error) {
	c, err := s.Client()
	if err != nil {
		return view.World{}, err
	}
	var rollouts v1alpha1.RolloutList
	var releases v1alpha1.ReleaseList
	var places environments.EnvironmentList
	group, inner := errgroup.WithContext(ctx)
	for _, list := range []client.ObjectList{&rollouts, &releases, &places} {
		group.Go(func() error {
			err := c.List(inner, list, client.InNamespace(namespace))
			if _, optional := list.(*environments.EnvironmentList); optional && apierrors.IsForbidden(err) && namespace != "" {
				return nil
			}
			return err
		})
	}
	err = group.Wait()
	return view.World{Rollouts: rollouts.Items, Releases: releases.Items, Environments: places.Items, Clock: s.Clock()},
		err
}

// newest lists the newest release of each Rollout, so that people see how far the cluster is.
func newest(w view.World) []string {
	const most = 10
	hints := []string{"the newest that are known:"}
	for i := range w.Rollouts {
		ro := &w.Rollouts[i]
		var own []v1alpha1.Release
		for k := range w.Releases {
			if w.Releases[k].Namespace == ro.Namespace && w.Releases[k].Spec.RolloutRef.Name == ro.Name {
				own = append(own, w.Releases[k])
			}
		}
		list := view.Releases(ro, own)
		if len(list) == 0 || i >= most {
			continue
		}
		line := "  " + ro.Namespace + "/" + ro.Name + "  " + view.Clean(list[0].Spec.Version.Tag)
		if commit := view.Commit(&list[0]); commit != "" {
			line += "  commit " + view.Clean(commit[:min(len(commit), 12)])
		}
		hints = append(hints, strings.TrimRight(line, " "))
	}
	if len(hints) == 1 {
		return []string{"no release is known at all"}
	}
	return hints
}
