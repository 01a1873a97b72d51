package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"time"

	"github.com/kuberik/kuberik/internal/devplane"
	"github.com/kuberik/kuberik/internal/devplane/component"
	"github.com/kuberik/kuberik/internal/devplane/port"
	"github.com/kuberik/kuberik/internal/devplane/supervise"
	"github.com/kuberik/kuberik/internal/view"
)

// controllerName names the program, its log file and its service account.
const controllerName = "kuberik-controller"

// controller runs the controller as a process of its own.
type controller struct {
	supervisor *supervise.Supervisor
	process    component.Process
	ports      *port.Pool
}

// startController starts the program with a kubeconfig and waits until it is ready.
func startController(ctx context.Context, plane *devplane.Plane, program, kubeconfig string) (*controller, error) {
	c := &controller{ports: &port.Pool{}}
	probes, err := c.ports.Take()
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", probes)
	c.process = component.Process{
		Name: controllerName,
		Path: program,
		Args: []string{
			"--kubeconfig=" + kubeconfig, "--metrics-bind-address=0", "--health-probe-bind-address=" + address,
			"--log-encoding=console", "--allow-networks=127.0.0.0/8", "--settle-time=2s",
		},
		ReadyURL: "http://" + address + "/readyz",
	}
	c.supervisor, err = supervise.New(supervise.Options{
		Logs: plane.Logs(), State: filepath.Join(plane.Dir(), controllerName+".json"), Client: &http.Client{},
	})
	if err != nil {
		return nil, err
	}
	return c, c.supervisor.Start(ctx, c.process)
}

// failed delivers an error with the end of the log when the controller ends by itself.
func (c *controller) failed() <-chan error { return c.supervisor.Failed() }

func (c *controller) close(ctx context.Context) error {
	defer c.ports.Release()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	return c.supervisor.Close(ctx)
}

// killRepeatedly kills and restarts the controller until ctx ends: at random moments, and right after a change, when
// the controller is likely to be in the middle of its work.
func (c *controller) killRepeatedly(ctx context.Context, watched snapshotSource, n display) error {
	for i := 1; ; i++ {
		time.Sleep(300 * time.Millisecond) // with less the controller makes no progress
		_, changed := watched.now()
		if i%2 == 0 {
			changed = nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(rand.N(3 * time.Second)):
		case <-changed:
			time.Sleep(rand.N(30 * time.Millisecond))
		}
		n.showChange(view.Change{Tone: view.Idle, Text: fmt.Sprintf("the controller is killed (%d) and started again", i)})
		if err := c.supervisor.Restart(ctx, controllerName); err != nil && ctx.Err() == nil {
			return err
		}
	}
}
