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
	limit  *limit
}

// Run is what a verb does.
type Run func(ctx context.Context, s *Session, args []string) error

// Command completes the command of a verb: it declares the common flags, and calls run with a Session. A mistake in the
// arguments has the code exit.Usage, and errors get the hints that help.
func Command(p *Process, c *cobra.Command, o Options, run Run) *cobra.Command {
	f := newFlags()
	f.bind(c.Flags(), o)
	completions(c, &Session{Process: p, Flags: f}, o)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.complete(o); err != nil {
			return err
		}
		s := &Session{Process: p, Flags: f}
		timeout := f.Timeout
		if f.Watch && !c.Flags().Changed("timeout") {
			timeout = 0
		}
		inner, cancel := context.WithCancelCause(c.Context())
		defer cancel(nil)
		ctx := limited{inner}
		s.limit = newLimit(timeout, func() { cancel(context.DeadlineExceeded) })
		defer s.limit.stop()
		err := run(ctx, s, args)
		if c.Context().Err() != nil && err != nil {
			return exit.Silently(exit.Interrupted)
		}
		if errors.Is(ctx.Err(), context.DeadlineExceeded) && err != nil && exit.Of(err) != exit.TimedOut {
			err = context.DeadlineExceeded
		}
		return s.explain(err, timeout)
	}
	return c
}

// limited is a context whose error is the cause of its end.
type limited struct{ context.Context } //nolint:containedctx // it is a context

// Err returns context.DeadlineExceeded once the time limit is over.
func (l limited) Err() error { return context.Cause(l.Context) }

// limit is the time that a command may take. It does not run while a person is asked.
type limit struct {
	timer *time.Timer
	after time.Duration
}

// newLimit calls expire after a time. Zero is no limit.
func newLimit(after time.Duration, expire func()) *limit {
	l := &limit{after: after}
	if after > 0 {
		l.timer = time.AfterFunc(after, expire)
	}
	return l
}

func (l *limit) stop() {
	if l.timer != nil {
		l.timer.Stop()
	}
}

// restart starts the time again.
func (l *limit) restart() {
	if l.timer != nil {
		l.timer.Reset(l.after)
	}
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
