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

// Options configure the demo.
type Options struct {
	// Once ends the demo after the last step, with an error if a step failed. Otherwise the local cluster runs until
	// ctx ends.
	Once bool
	// KillController kills and restarts the controller again and again.
	KillController bool
	// Timeout bounds all steps together. Defaults to 4 minutes.
	Timeout time.Duration
	// Program is how the user calls kuberik. Defaults to "kuberik".
	Program string
	// Controller is the path of the controller. Defaults to kuberik-controller beside the executable.
	Controller string
	// Out receives the output. A terminal shows one page that is redrawn; everything else gets one line per event.
	Out io.Writer
}

// pace is the pause between steps, so that people can read what happened.
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

// Run runs the demo.
func Run(ctx context.Context, o Options) error {
	_, err := perform(ctx, o)
	switch {
	case ctx.Err() == nil:
		return err
	case o.Once:
		return errors.New("interrupted before the last step")
	}
	return nil // the user ended it
}

// perform runs the demo and returns the facts that it found at the end.
func perform(ctx context.Context, o Options) (found []string, err error) {
	o, err = o.complete()
	if err != nil {
		return nil, err
	}
	return performOn(ctx, o, newDisplay(o.Out))
}

// performOn runs the demo on a display.
func performOn(ctx context.Context, o Options, n display) (found []string, err error) {
	defer n.close()
	w, err := build(ctx, o, n)
	if err != nil {
		return nil, err
	}
	found, err = w.run(ctx, o, n)
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

// run runs everything concurrently until the last step is done or something fails.
func (w *demoCluster) run(ctx context.Context, o Options, n display) ([]string, error) {
	ctx, finish := context.WithCancel(ctx)
	defer finish()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return w.snapshots.run(ctx) })
	group.Go(func() error { return w.watchOver(ctx) })
	if o.KillController {
		group.Go(func() error { return w.controller.killRepeatedly(ctx, w.snapshots, n) })
	}
	var found []string
	group.Go(func() (err error) {
		defer finish()
		if found, err = w.runSteps(ctx, o, n); err != nil || o.Once {
			return err
		}
		n.showEnding(w.next(o.Program))
		<-ctx.Done()
		return nil
	})
	return found, group.Wait()
}

// runSteps runs the steps and checks their result.
func (w *demoCluster) runSteps(ctx context.Context, o Options, n display) ([]string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, o.Timeout, fmt.Errorf("the steps took longer than %s", o.Timeout))
	defer cancel()
	s := scenario{actors: w, snapshots: w.snapshots, display: n, calendar: w.calendar()}
	if !o.Once {
		s.pace = pace
	}
	if err := s.runSteps(ctx, s.steps()); err != nil {
		return nil, fmt.Errorf("%w; the logs are in %s", err, w.plane.Logs())
	}
	found, err := w.settle(ctx, n)
	if err != nil {
		return found, fmt.Errorf("%w; the logs are in %s", err, w.plane.Logs())
	}
	return found, nil
}

// watchOver returns an error when a component ends by itself.
func (w *demoCluster) watchOver(ctx context.Context) error {
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

// next returns what the user can try after the last step.
func (w *demoCluster) next(program string) []string {
	const tag = "1.3.0"
	release := fmt.Sprintf("$(kubectl get rel -n %s -o name | grep -o '%s-%s-.*')", production, app, tag)
	return []string{
		"The local cluster stays up. In another terminal:",
		"  export KUBECONFIG=" + w.plane.Kubeconfig(),
		"  kubectl get ro,rel,gate,appr,check,env -A",
		"  kubectl describe ro " + app + " -n " + production,
		"  " + program + " demo push " + tag,
		"  " + attempt{by: approver, user: approver, tag: tag, release: release}.command(),
		"Logs are in " + w.plane.Logs() + ". Press Ctrl-C to stop.",
	}
}
