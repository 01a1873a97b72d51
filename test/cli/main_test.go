package cli

import (
	"bytes"
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"k8s.io/utils/ptr"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/cli"
	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/internal/cli/session"
	"github.com/kuberik/kuberik/test/env"
)

func TestMain(m *testing.M) { os.Exit(env.Main(m, nil)) }

// result is what a call of the command did.
type result struct {
	out, err string
	code     exit.Code
}

// person calls the command as a user of the API server.
type person struct {
	w    *env.World
	name string
	// ahead is how far the clock of the person is ahead.
	ahead time.Duration
}

// someone binds ClusterRoles to a user in the namespace of the world.
func someone(w *env.World, user string, roles ...string) person {
	w.T.Helper()
	w.As(user, roles...)
	return person{w: w, name: w.Namespace + ":" + user}
}

// runs calls the command in the namespace of the world.
func (p person) runs(args ...string) result {
	p.w.T.Helper()
	var out, err output
	code := p.start(p.w.Ctx(), &out, &err, args...)
	return result{out.String(), err.String(), code}
}

// start calls the command until it ends or the context does.
func (p person) start(ctx context.Context, out, err *output, args ...string) exit.Code {
	process := session.NewProcess()
	process.Out, process.Err, process.In = out, err, &bytes.Buffer{}
	process.Columns = func() int { return 0 }
	process.Zone = time.UTC
	process.Now = func() time.Time { return time.Now().Add(p.ahead) }
	process.Has = func(string) bool { return true }
	flags := []string{"--kubeconfig", p.w.Plane.Kubeconfig(), "--as", p.name, "--as-group", "system:authenticated", "-n", p.w.Namespace}
	return cli.Run(ctx, process, append(args, flags...))
}

// output is the output of a command that may still run.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// waiting creates a Rollout that runs 1.0.0 and whose next release, 1.1.0, waits for an approval of alice. It returns
// the next release.
func waiting(w *env.World) (*v1alpha1.Rollout, *v1alpha1.Release) {
	w.T.Helper()
	w.Run()
	w.SimulateFlux()
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	w.Gate("manager", "app", func(s *v1alpha1.RolloutGateSpec) {
		s.Approvals = &v1alpha1.ApprovalPolicy{
			Required: 1, AllowAuthor: true, From: &v1alpha1.Approvers{Users: []string{w.Namespace + ":alice"}},
		}
	})
	w.Await(ro, "knows its gate", func() error { return knowsGate(ro, "manager") })
	w.Select("app", "1.1.0", env.Digest("1.1.0"))
	w.AwaitBlocked(ro, "RolloutGate", "AwaitingApproval")
	return ro, w.AwaitRelease(ro, "1.1.0", v1alpha1.ReleasePending)
}

func knowsGate(ro *v1alpha1.Rollout, name string) error {
	for _, g := range ro.Status.Gates {
		if g.Name == name && !ptr.Deref(g.Passing, true) {
			return nil
		}
	}
	return errNoGate
}
