package env

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kuberik/kuberik/internal/controller"
)

// Environment variables that make a test binary run the controllers.
const (
	processNamespace  = "KUBERIK_TEST_PROCESS_NAMESPACE"
	processKubeconfig = "KUBERIK_TEST_PROCESS_KUBECONFIG"
	processReplica    = "KUBERIK_TEST_PROCESS_REPLICA"
)

// ReplicaLease holds the times of the lease of replicas.
var ReplicaLease = controller.Lease{
	Duration: 4 * time.Second, RenewDeadline: 2 * time.Second, RetryPeriod: 500 * time.Millisecond,
}

// Process is the controllers for the namespace of a test in a separate process, which can be stopped and killed.
type Process struct {
	w   *World
	cmd *exec.Cmd
}

// RunProcess starts the controllers in a separate process. They stop at the end of the test.
func (w *World) RunProcess() *Process {
	w.T.Helper()
	return w.start(exec.CommandContext(w.Ctx(), os.Args[0]))
}

// RunReplica starts the controllers as one of several replicas, of which only the leader works. The name is its user
// agent.
func (w *World) RunReplica(name string) *Process {
	w.T.Helper()
	cmd := exec.CommandContext(w.Ctx(), os.Args[0])
	cmd.Args[0], cmd.Env = name, []string{processReplica + "=true"}
	return w.start(cmd)
}

func (w *World) start(cmd *exec.Cmd) *Process {
	w.T.Helper()
	cmd.Env = append(append(os.Environ(), cmd.Env...), processNamespace+"="+w.Namespace,
		processKubeconfig+"="+w.kubeconfig)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		w.T.Fatal(err)
	}
	p := &Process{w: w, cmd: cmd}
	w.T.Cleanup(p.Kill)
	return p
}

// Pause stops the process with SIGSTOP.
func (p *Process) Pause() { p.signal(syscall.SIGSTOP) }

// Continue resumes the process with SIGCONT.
func (p *Process) Continue() { p.signal(syscall.SIGCONT) }

// Terminate asks the process to stop, and waits for it.
func (p *Process) Terminate() {
	p.w.T.Helper()
	p.signal(syscall.SIGTERM)
	p.AwaitEnd()
}

// AwaitEnd waits until the process has ended, and returns its exit code.
func (p *Process) AwaitEnd() int {
	p.w.T.Helper()
	ended := make(chan struct{})
	go func() {
		p.cmd.Wait() //nolint:errcheck // the state of the process has the exit code
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(Timeout):
		p.w.T.Fatal("the process does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// Kill kills the process and waits for it.
func (p *Process) Kill() {
	p.w.T.Helper()
	if p.cmd.ProcessState != nil {
		return
	}
	p.signal(syscall.SIGKILL)
	var ended *exec.ExitError
	if err := p.cmd.Wait(); err != nil && !errors.As(err, &ended) {
		p.w.T.Error(err)
	}
}

func (p *Process) signal(s syscall.Signal) {
	p.w.T.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.w.T.Errorf("sending %s to the controllers: %v", s, err)
	}
}

// runAsProcess runs the controllers in a process that RunProcess started. It returns the exit code.
func runAsProcess(namespace string) int {
	if err := runControllers(namespace); err != nil {
		fmt.Fprintln(os.Stderr, "running the controllers:", err)
		return 1
	}
	return 0
}

func runControllers(namespace string) error {
	cfg, err := clientcmd.BuildConfigFromFlags("", os.Getenv(processKubeconfig))
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	ctx := ctrl.SetupSignalHandler()
	mgr, err := controller.NewManager(ctx, cfg, controller.Settings{
		MetricsAddress: "0", ProbeAddress: "0", Namespace: "kuberik-system", Namespaces: []string{namespace},
		LeaderElection: os.Getenv(processReplica) != "", Lease: ReplicaLease,
	})
	if err != nil {
		return err
	}
	return mgr.Start(ctx)
}
