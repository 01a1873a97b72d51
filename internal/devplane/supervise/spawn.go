package supervise

import (
	"errors"
	"os/exec"
	"runtime"
	"sync"
)

// spawner starts all programs from one thread that lives as long as it does.
// The kernel's promise to kill a child when its parent dies looks at the thread
// that started it, not at the process, and Go ends threads as it likes.
type spawner struct {
	jobs chan job
	quit chan struct{}
	once sync.Once
}

type job struct {
	cmd  *exec.Cmd
	done chan error
}

func newSpawner() *spawner {
	s := &spawner{jobs: make(chan job), quit: make(chan struct{})}
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for {
			select {
			case j := <-s.jobs:
				j.done <- j.cmd.Start()
			case <-s.quit:
				return
			}
		}
	}()
	return s
}

func (s *spawner) start(cmd *exec.Cmd) error {
	j := job{cmd: cmd, done: make(chan error, 1)}
	select {
	case s.jobs <- j:
		return <-j.done
	case <-s.quit:
		return errors.New("the local cluster was stopped")
	}
}

func (s *spawner) close() { s.once.Do(func() { close(s.quit) }) }
