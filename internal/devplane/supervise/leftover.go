package supervise

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"
)

// record is a program in the state file.
type record struct {
	Name string `json:"name"`
	PID  int    `json:"pid"`
	// Command is the whole command line, because the system reuses process ids.
	Command string `json:"command"`
}

// save records what runs, for the cleanup after a crash.
func (s *Supervisor) save() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var records []record
	for _, name := range s.order {
		p := s.all[name]
		if !p.wanted {
			continue
		}
		command := strings.Join(append([]string{p.process.Path}, p.process.Args...), " ")
		records = append(records, record{Name: name, PID: p.cmd.Process.Pid, Command: command})
	}
	data, err := json.MarshalIndent(records, "", "  ")
	if err != nil {
		return err
	}
	fresh := s.options.State + ".new"
	if err := os.WriteFile(fresh, data, 0o600); err != nil {
		return fmt.Errorf("recording what runs: %w", err)
	}
	return os.Rename(fresh, s.options.State)
}

// KillLeftovers ends the programs of a state file that still run.
func KillLeftovers(state string) error {
	data, err := os.ReadFile(state)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var records []record
	if err := json.Unmarshal(data, &records); err != nil {
		return fmt.Errorf("reading %s: %w", state, err)
	}
	for _, r := range records {
		if err := r.kill(); err != nil {
			return err
		}
	}
	return os.Remove(state)
}

// kill ends the recorded program, if the process is still the same, and waits for its end.
func (r record) kill() error {
	deadline := time.Now().Add(gracePeriod)
	for commandLine(r.PID) == r.Command {
		if err := syscall.Kill(-r.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("ending %s (process %d): %w", r.Name, r.PID, err)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s (process %d) does not end", r.Name, r.PID)
		}
		time.Sleep(probeInterval)
	}
	return nil
}
