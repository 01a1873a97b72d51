package see

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"github.com/kuberik/kuberik/internal/cli/session"
	"github.com/kuberik/kuberik/internal/view"
)

// NewEvents returns the verb events.
func NewEvents(p *session.Process) *cobra.Command {
	return session.Command(p, &cobra.Command{
		Use:   "events [ROLLOUT | RELEASE]",
		Short: "Show what happened to Rollouts and releases, oldest first",
		Long: `Shows the events of the objects of Kuberik, oldest first: of a Rollout with its releases, of one release, or of all. The
API server keeps events for an hour by default; "history" has the deployments of the past.`,
		Example: `  kuberik events checkout -n shop
  kuberik events -A -w`,
		Args: cobra.MaximumNArgs(1),
	}, session.Options{List: true, Watch: true, Completes: session.Releases},
		func(ctx context.Context, s *session.Session, args []string) error {
			concerns := func(*corev1.Event) bool { return true }
			if len(args) == 1 {
				t, err := s.Target(ctx, args[0])
				if err != nil {
					return err
				}
				s.Flags.Select(t.Rollout.Namespace)
				concerns = about(t)
			}
			r := resource{name: "events", list: &corev1.EventList{}, read: func(ctx context.Context, q query) (listing, error) {
				return events(ctx, q, concerns)
			}}
			q, err := newQuery(s, nil, "")
			if err != nil {
				return err
			}
			if s.Flags.Watch {
				return watchList(ctx, q, r)
			}
			l, err := r.read(ctx, q)
			if err != nil {
				return err
			}
			if len(l.items) == 0 && (s.Flags.Output == session.Table || s.Flags.Output == session.Wide) {
				return s.Remark("No events " + q.where() + ". The API server keeps them for an hour by default.")
			}
			return q.Print(session.Document{Object: l.object, Names: l.names, Text: func(style view.Style, wide bool) []string {
				return gridLines(s, q.grid(l, wide), style)
			}})
		})
}

// about reports whether an event is about a Rollout or its releases, or about one release.
func about(t *session.Target) func(*corev1.Event) bool {
	return func(e *corev1.Event) bool {
		o := e.InvolvedObject
		if t.Release != nil {
			related := e.Related != nil && e.Related.Kind == "Release" && e.Related.Name == t.Release.Name
			return o.Kind == "Release" && o.Name == t.Release.Name || related
		}
		return o.Kind == "Rollout" && o.Name == t.Rollout.Name || o.Kind == "Release" && hasRelease(t, o.Name)
	}
}

func hasRelease(t *session.Target, name string) bool {
	for i := range t.Releases {
		if t.Releases[i].Name == name {
			return true
		}
	}
	return false
}

func events(ctx context.Context, q query, concerns func(*corev1.Event) bool) (listing, error) {
	var list corev1.EventList
	if err := q.list(ctx, &list); err != nil {
		return listing{}, err
	}
	items := slices.DeleteFunc(list.Items, func(e corev1.Event) bool {
		group, _, _ := strings.Cut(e.InvolvedObject.APIVersion, "/")
		return !strings.HasSuffix(group, "kuberik.com") || !concerns(&e)
	})
	return listingOf("EventList", "event", view.Events(items), func(r view.EventRow) string { return r.Name },
		view.EventTable), nil
}
