package session

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/internal/view"
)

// Session is one call of a verb.
type Session struct {
	*Process
	// Flags are the values of the common flags.
	Flags *Flags

	client client.WithWatch
}

// Run is what a verb does.
type Run func(ctx context.Context, s *Session, args []string) error

// Command completes the command of a verb: it declares the common flags, and calls run with a Session. A mistake in the
// arguments has the code exit.Usage, and errors get the hints that help.
func Command(p *Process, c *cobra.Command, o Options, run Run) *cobra.Command {
	f := newFlags()
	f.bind(c.Flags(), o)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.complete(o); err != nil {
			return err
		}
		s := &Session{Process: p, Flags: f}
		limit := f.Timeout
		if f.Watch && !c.Flags().Changed("timeout") {
			limit = 0
		}
		ctx, cancel := withLimit(c.Context(), limit)
		defer cancel()
		err := run(ctx, s, args)
		if c.Context().Err() != nil && err != nil {
			return exit.Silently(exit.Interrupted)
		}
		if errors.Is(ctx.Err(), context.DeadlineExceeded) && err != nil && exit.Of(err) != exit.TimedOut {
			err = context.DeadlineExceeded
		}
		return s.explain(err, limit)
	}
	return c
}

func withLimit(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if limit == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, limit)
}

// Client returns the client of the cluster. It has no cache, so that the user needs no right to watch.
func (s *Session) Client() (client.WithWatch, error) {
	if s.client != nil {
		return s.client, nil
	}
	c, err := s.Connect(s.Flags)
	if err != nil {
		return nil, err
	}
	s.client = c
	return c, nil
}

// Namespace returns the namespace to look in: that of the flags, else that of the context. It is "" with
// --all-namespaces.
func (s *Session) Namespace() string {
	if s.Flags.AllNamespaces {
		return ""
	}
	return s.Flags.namespace()
}

// Style returns how text is printed.
func (s *Session) Style() view.Style {
	style := s.style()
	if s.Flags.NoColor {
		style.Color = false
	}
	return style
}

// Clock returns the time and the time zone for printing.
func (s *Session) Clock() view.Clock {
	zone := s.Zone
	if s.Flags.UTC || zone == nil {
		zone = time.UTC
	}
	return view.Clock{Now: s.Now(), Zone: zone}
}

// Kubeconfig returns the path that --kubeconfig or the environment names, for hints.
func (s *Session) kubeconfig() string {
	if s.Flags.Config.KubeConfig != nil && *s.Flags.Config.KubeConfig != "" {
		return *s.Flags.Config.KubeConfig
	}
	if path := s.Getenv("KUBECONFIG"); path != "" {
		return path
	}
	return os.ExpandEnv("$HOME/.kube/config")
}
