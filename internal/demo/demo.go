package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Options say how the story is told.
type Options struct {
	// Once ends when the story is told, well or badly. Else the local cluster stays up until ctx ends.
	Once bool
	// KillController kills the controller again and again while the story is told, and starts it anew each time.
	KillController bool
	// Timeout bounds the story. Default 4 minutes.
	Timeout time.Duration
	// Program is how the person at the terminal calls kuberik.
	Program string
	// Controller is the program that is run. Default: kuberik-controller beside the executable.
	Controller string
	// Out is where the story is told. A terminal is drawn on, everything else gets a line for each thing that happens.
	Out io.Writer
}

// pace is how long people have to read what happened before the story goes on.
const pace = 3 * time.Second

func (o Options) complete() (Options, error) {
	if o.Timeout == 0 {
		o.Timeout = 4 * time.Minute
	}
	if o.Program == "" {
		o.Program = "kuberik"
	}
	if o.Controller == "" {
		executable, err := os.Executable()
		if err != nil {
			return o, err
		}
		o.Controller = filepath.Join(filepath.Dir(executable), controllerName)
	}
	if _, err := os.Stat(o.Controller); err != nil {
		return o, fmt.Errorf("the controller is not built, run: make build (there is no %s)", o.Controller)
	}
	return o, nil
}

// Run tells the story.
func Run(ctx context.Context, o Options) error {
	_, err := perform(ctx, o)
	switch {
	case ctx.Err() == nil:
		return err
	case o.Once:
		return errors.New("interrupted before the story was over")
	}
	return nil // somebody has seen enough
}

// perform tells the story and returns what was found at its end.
func perform(ctx context.Context, o Options) (found []string, err error) {
	o, err = o.complete()
	if err != nil {
		return nil, err
	}
	n := newNarrator(o.Out)
	defer n.close()
	w, err := build(ctx, o, n)
	if err != nil {
		return nil, err
	}
	found, err = w.live(ctx, o, n)
	n.close()
	last := []string{"", "Stopping the local cluster."}
	if err == nil && o.Once {
		last = slices.Concat([]string{"", "All of it happened:"}, indented(found), last)
	}
	_, printed := fmt.Fprintln(o.Out, strings.Join(last, "\n"))
	return found, errors.Join(err, printed, w.close(ctx, err != nil && ctx.Err() == nil))
}

func indented(text []string) []string {
	var list []string
	for _, line := range text {
		list = append(list, "  "+line)
	}
	return list
}

// live lets everything run beside each other until the story has ended, or something breaks.
func (w *world) live(ctx context.Context, o Options, n narrator) ([]string, error) {
	ctx, finish := context.WithCancel(ctx)
	defer finish()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return w.scenes.run(ctx) })
	group.Go(func() error { return w.watchOver(ctx) })
	if o.KillController {
		group.Go(func() error { return w.controller.torment(ctx, w.scenes, n) })
	}
	var found []string
	group.Go(func() (err error) {
		defer finish()
		if found, err = w.tell(ctx, o, n); err != nil || o.Once {
			return err
		}
		n.ending(w.next(o.Program))
		<-ctx.Done()
		return nil
	})
	return found, group.Wait()
}

// tell tells the story and looks whether it happened.
func (w *world) tell(ctx context.Context, o Options, n narrator) ([]string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, o.Timeout, fmt.Errorf("the story was not over after %s", o.Timeout))
	defer cancel()
	s := story{people: w, scenes: w.scenes, narrator: n, calendar: w.calendar()}
	if !o.Once {
		s.pace = pace
	}
	if err := s.tell(ctx, s.steps()); err != nil {
		return nil, fmt.Errorf("%w; the logs are in %s", err, w.plane.Logs())
	}
	found, err := w.settle(ctx, n)
	if err != nil {
		return found, fmt.Errorf("%w; the logs are in %s", err, w.plane.Logs())
	}
	return found, nil
}

// watchOver ends with an error when something ends that nobody ended.
func (w *world) watchOver(ctx context.Context) error {
	select {
	case err := <-w.plane.Failed():
		return err
	case err := <-w.controller.failed():
		return err
	case err := <-w.endpoint.Failed():
		return err
	case <-ctx.Done():
		return nil
	}
}

// next says what can be done once the story is told.
func (w *world) next(program string) []string {
	const tag = "1.3.0"
	release := fmt.Sprintf("$(kubectl get rel -n %s -o name | grep -o '%s-%s-.*')", production, app, tag)
	return []string{
		"The local cluster stays up. In another terminal:",
		"  export KUBECONFIG=" + w.plane.Kubeconfig(),
		"  kubectl get ro,rel,gate,appr,check,env -A",
		"  kubectl describe ro " + app + " -n " + production,
		"  " + program + " demo push " + tag,
		"  " + word{by: approver, user: approver, tag: tag, release: release}.command(),
		"Logs are in " + w.plane.Logs() + ". Press Ctrl-C to stop.",
	}
}
