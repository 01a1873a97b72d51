package supervise

import (
	"errors"
	"os/exec"
	"runtime"
	"sync"
)

// spawner starts all programs from one thread that it keeps. The kernel kills a child when the thread that started it
// ends, not the process, and Go ends threads at any time.
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
