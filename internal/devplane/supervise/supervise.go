package supervise

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/kuberik/kuberik/internal/devplane/component"
)

// gracePeriod is how long a program has to end by itself before it is killed.
const gracePeriod = 10 * time.Second

// Options configure a Supervisor.
type Options struct {
	// Logs is the folder of log files.
	Logs string
	// State is the file that lists the running programs.
	State string
	// Client sends the readiness probes.
	Client *http.Client
}

// Supervisor runs programs.
type Supervisor struct {
	options Options
	spawner *spawner
	failed  chan error

	mu    sync.Mutex
	order []string
	all   map[string]*program
}

// program is one run of a process.
type program struct {
	process component.Process
	cmd     *exec.Cmd
	log     string
	// wanted is false once its end was requested.
	wanted bool
	// exited is closed when it has ended. ended is the error of Wait.
	exited chan struct{}
	ended  error
}

// New returns a Supervisor. It ends what an earlier one with the same state file left running.
func New(options Options) (*Supervisor, error) {
	if err := KillLeftovers(options.State); err != nil {
		return nil, fmt.Errorf("ending what an earlier run left: %w", err)
	}
	if err := os.MkdirAll(options.Logs, 0o755); err != nil {
		return nil, err
	}
	return &Supervisor{
		options: options,
		spawner: newSpawner(),
		failed:  make(chan error, 1),
		all:     map[string]*program{},
	}, nil
}

// Start runs a process and waits until it is ready.
func (s *Supervisor) Start(ctx context.Context, process component.Process) error {
	p, err := s.launch(process)
	if err != nil {
		return fmt.Errorf("starting %s: %w", process.Name, err)
	}
	if err := s.awaitReady(ctx, p); err != nil {
		return fmt.Errorf("starting %s: %w; %s", process.Name, err, logTail(p.log))
	}
	return nil
}

// Restart kills a process, if it runs, and starts it again.
func (s *Supervisor) Restart(ctx context.Context, name string) error {
	if err := s.Kill(name); err != nil {
		return err
	}
	s.mu.Lock()
	process := s.all[name].process
	s.mu.Unlock()
	return s.Start(ctx, process)
}

// Kill ends a process as a crash would and waits until it is gone.
func (s *Supervisor) Kill(name string) error {
	p, err := s.expectExit(name)
	if err != nil {
		return err
	}
	signalGroup(p.cmd, syscall.SIGKILL)
	<-p.exited
	return s.save()
}

// PID returns the process id of a process that was started.
func (s *Supervisor) PID(name string) (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.all[name]
	if !ok {
		return 0, false
	}
	return p.cmd.Process.Pid, true
}

// Failed delivers an error when a process ends by itself.
func (s *Supervisor) Failed() <-chan error { return s.failed }

// Close ends all processes, the last started first, and waits for them.
func (s *Supervisor) Close(ctx context.Context) error {
	s.mu.Lock()
	names := slices.Clone(s.order)
	s.mu.Unlock()
	slices.Reverse(names)
	var problems []error
	for _, name := range names {
		p, err := s.expectExit(name)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		p.end(ctx)
	}
	s.spawner.close()
	return errors.Join(append(problems, os.RemoveAll(s.options.State))...)
}

// end terminates the program and kills it if that takes too long.
func (p *program) end(ctx context.Context) {
	signalGroup(p.cmd, syscall.SIGTERM)
	// A stopped process does not handle SIGTERM.
	signalGroup(p.cmd, syscall.SIGCONT)
	select {
	case <-p.exited:
	case <-ctx.Done():
	case <-time.After(gracePeriod):
	}
	signalGroup(p.cmd, syscall.SIGKILL)
	<-p.exited
}

// expectExit returns a program whose end is expected from now on.
func (s *Supervisor) expectExit(name string) (*program, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.all[name]
	if !ok {
		return nil, fmt.Errorf("no component %q was started", name)
	}
	p.wanted = false
	return p, nil
}

// launch starts the program without waiting for it.
func (s *Supervisor) launch(process component.Process) (*program, error) {
	path := filepath.Join(s.options.Logs, process.Name+".log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()                                  //nolint:errcheck // the child has its own handle
	cmd := exec.Command(process.Path, process.Args...) //nolint:noctx // a component outlives whoever starts it, and is stopped by Stop
	cmd.Env = append(os.Environ(), process.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = attributes()
	if err := s.spawner.start(cmd); err != nil {
		return nil, err
	}
	p := &program{process: process, cmd: cmd, log: path, wanted: true, exited: make(chan struct{})}
	s.mu.Lock()
	if _, again := s.all[process.Name]; !again {
		s.order = append(s.order, process.Name)
	}
	s.all[process.Name] = p
	s.mu.Unlock()
	go s.watch(p)
	return p, s.save()
}

// watch waits for the end of the program and reports it if it was not expected.
func (s *Supervisor) watch(p *program) {
	err := p.cmd.Wait()
	s.mu.Lock()
	p.ended = err
	wanted := p.wanted
	s.mu.Unlock()
	close(p.exited)
	if !wanted {
		return
	}
	select {
	case s.failed <- fmt.Errorf("%s ended by itself: %s; %s", p.process.Name, outcome(err), logTail(p.log)):
	default: // an earlier failure is reported
	}
}

func outcome(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// signalGroup signals the program and its children.
func signalGroup(cmd *exec.Cmd, signal syscall.Signal) {
	_ = syscall.Kill(-cmd.Process.Pid, signal) //nolint:errcheck // it has ended already
}
