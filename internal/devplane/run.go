package devplane

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Run runs a local cluster until ctx ends or a component ends by itself. It writes to out how to reach the cluster.
func Run(ctx context.Context, options Options, out io.Writer) error {
	if options.Log == nil {
		options.Log = out
	}
	plane, err := Start(ctx, options)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprint(out, plane.instructions()); err != nil {
		return errors.Join(err, plane.Stop(ctx))
	}
	select {
	case <-ctx.Done():
		plane.logf("Stopping the local cluster.")
		err = nil
	case err = <-plane.Failed():
		plane.keepDir = true
	}
	return errors.Join(err, plane.Stop(ctx))
}

func (p *Plane) instructions() string {
	return fmt.Sprintf(`
  export KUBECONFIG=%s

  registry  %s (HTTP, in memory)
  logs      %s
  audit     %s

Press Ctrl-C to stop it.
`, p.Kubeconfig(), p.Registry(), p.Logs(), p.AuditLog())
}
