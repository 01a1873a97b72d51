package env

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kuberik/kuberik/internal/controller"
)

// Environment variables that make a test binary run the controllers.
const (
	processNamespace  = "KUBERIK_TEST_PROCESS_NAMESPACE"
	processKubeconfig = "KUBERIK_TEST_PROCESS_KUBECONFIG"
)

// Process is the controllers for the namespace of a test in a separate process, which can be stopped and killed.
type Process struct {
	w   *World
	cmd *exec.Cmd
}

// RunProcess starts the controllers in a separate process. They stop at the end of the test.
func (w *World) RunProcess() *Process {
	w.T.Helper()
	cmd := exec.CommandContext(w.Ctx(), os.Args[0])
	cmd.Env = append(os.Environ(), processNamespace+"="+w.Namespace, processKubeconfig+"="+w.kubeconfig)
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
	})
	if err != nil {
		return err
	}
	return mgr.Start(ctx)
}
