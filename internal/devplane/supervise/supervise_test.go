package supervise_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kuberik/kuberik/internal/devplane/component"
	"github.com/kuberik/kuberik/internal/devplane/supervise"
)

// roleEnv makes the test binary play a component.
const roleEnv = "KUBERIK_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "server":
		serve(os.Args[1])
	case "failure":
		fmt.Println("first line")
		fmt.Println("no such flag: --nonsense")
		os.Exit(3)
	default:
		os.Exit(m.Run())
	}
}

func serve(address string) {
	fmt.Println("serving", address)
	if err := http.ListenAndServe(address, http.NotFoundHandler()); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func newSupervisor(t *testing.T, dir string) *supervise.Supervisor {
	t.Helper()
	s, err := supervise.New(supervise.Options{
		Logs:   filepath.Join(dir, "logs"),
		State:  filepath.Join(dir, "processes.json"),
		Client: &http.Client{Transport: answerAll{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// answerAll takes any answer for readiness: the fake component has no more.
type answerAll struct{}

func (answerAll) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		response.StatusCode = http.StatusOK
	}
	return response, err
}

func server(t *testing.T) component.Process {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return component.Process{
		Name: "server", Path: os.Args[0], Args: []string{address},
		Env: []string{roleEnv + "=server"}, ReadyURL: "http://" + address,
	}
}

func TestLife(t *testing.T) {
	dir := t.TempDir()
	s := newSupervisor(t, dir)
	if err := s.Start(t.Context(), server(t)); err != nil {
		t.Fatal(err)
	}
	first, _ := s.PID("server")
	if err := s.Restart(t.Context(), "server"); err != nil {
		t.Fatal(err)
	}
	second, _ := s.PID("server")
	if first == second || exited(second) || !exited(first) {
		t.Errorf("process %d was to end and %d to run", first, second)
	}
	select {
	case err := <-s.Failed():
		t.Errorf("a restart was reported as a failure: %v", err)
	default:
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !exited(second) {
		t.Errorf("process %d outlived Close", second)
	}
	if _, err := os.Stat(filepath.Join(dir, "processes.json")); !os.IsNotExist(err) {
		t.Errorf("the state file outlived Close: %v", err)
	}
	if err := s.Restart(t.Context(), "server"); err == nil {
		t.Error("a process was started after Close")
	}
}

func exited(pid int) bool { return syscall.Kill(pid, 0) != nil }

func TestFrozenProcessIsStopped(t *testing.T) {
	s := newSupervisor(t, t.TempDir())
	if err := s.Start(t.Context(), server(t)); err != nil {
		t.Fatal(err)
	}
	pid, _ := s.PID("server")
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil || !exited(pid) {
		t.Errorf("process %d: gone %t, %v", pid, exited(pid), err)
	}
}

func TestFailureToStartQuotesTheLog(t *testing.T) {
	s := newSupervisor(t, t.TempDir())
	process := server(t)
	process.Env = []string{roleEnv + "=failure"}
	err := s.Start(t.Context(), process)
	if err == nil {
		t.Fatal("it was started")
	}
	for _, want := range []string{"starting server", "exit status 3", "server.log", "no such flag: --nonsense"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error has no %q:\n%v", want, err)
		}
	}
}

func TestUnexpectedEndIsTold(t *testing.T) {
	s := newSupervisor(t, t.TempDir())
	if err := s.Start(t.Context(), server(t)); err != nil {
		t.Fatal(err)
	}
	pid, _ := s.PID("server")
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-s.Failed():
		if !strings.Contains(err.Error(), "server ended by itself") {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("nothing was told")
	}
}

func TestLeftoversAreEndedByExactCommand(t *testing.T) {
	left := exec.Command("sleep", "300")
	left.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := left.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- left.Wait() }()
	state := filepath.Join(t.TempDir(), "processes.json")
	note := func(command string) {
		data, err := json.Marshal([]map[string]any{{"name": "sleep", "pid": left.Process.Pid, "command": command}})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(state, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	note("sleep 301")
	if err := supervise.KillLeftovers(state); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
		t.Fatal("a process of another command line was ended")
	default:
	}

	note("sleep 300")
	if err := supervise.KillLeftovers(state); err != nil {
		t.Fatal(err)
	}
	<-ended
	if _, err := os.Stat(state); !os.IsNotExist(err) {
		t.Errorf("the state file is still there: %v", err)
	}
}
