package supervise

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	// patience is how long a program may take to be ready. A laptop that
	// compiles beside it is slow.
	patience = 2 * time.Minute
	// step is how often a program is asked.
	step = 50 * time.Millisecond
	// tailLines and tailBytes bound what of a log is quoted in an error.
	tailLines = 12
	tailBytes = 4096
)

// awaitReady asks the program until it is ready, has ended, or time is up.
func (s *Supervisor) awaitReady(ctx context.Context, p *program) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not ready after %s", patience))
	defer cancel()
	tick := time.NewTicker(step)
	defer tick.Stop()
	answer := "it was not asked"
	for {
		select {
		case <-p.gone:
			return fmt.Errorf("it ended: %s", outcome(p.ended))
		case <-ctx.Done():
			return fmt.Errorf("%w (%s)", context.Cause(ctx), answer)
		case <-tick.C:
		}
		var ready bool
		if ready, answer = s.ask(ctx, p.process.ReadyURL); ready {
			return nil
		}
	}
}

// ask returns whether the program is ready, and what it answered.
func (s *Supervisor) ask(ctx context.Context, url string) (bool, string) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false, err.Error()
	}
	response, err := s.options.Client.Do(request)
	if err != nil {
		return false, err.Error()
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK, url + " answers " + response.Status
}

// quote names a log and shows its end.
func quote(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Sprintf("its log %s can not be read: %v", path, err)
	}
	if len(data) > tailBytes {
		data = data[len(data)-tailBytes:]
	}
	text := strings.TrimSpace(string(data))
	if text == "" {
		return fmt.Sprintf("its log %s is empty", path)
	}
	lines := strings.Split(text, "\n")
	if len(lines) > tailLines {
		lines = lines[len(lines)-tailLines:]
	}
	return fmt.Sprintf("its log %s ends:\n  %s", path, strings.Join(lines, "\n  "))
}
