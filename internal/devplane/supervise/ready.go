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
	// readyTimeout is how long a program may take to become ready, on a machine that may be busy compiling.
	readyTimeout = 2 * time.Minute
	// probeInterval is the interval between probes.
	probeInterval = 50 * time.Millisecond
	// tailLines and tailBytes limit the part of a log that an error quotes.
	tailLines = 12
	tailBytes = 4096
)

// awaitReady probes the program until it is ready, has ended, or the time is up.
func (s *Supervisor) awaitReady(ctx context.Context, p *program) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("not ready after %s", readyTimeout))
	defer cancel()
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	result := "it was not probed"
	for {
		select {
		case <-p.exited:
			return fmt.Errorf("it ended: %s", outcome(p.ended))
		case <-ctx.Done():
			return fmt.Errorf("%w (%s)", context.Cause(ctx), result)
		case <-tick.C:
		}
		var ready bool
		if ready, result = s.probe(ctx, p.process.ReadyURL); ready {
			return nil
		}
	}
}

// probe reports whether the program is ready, and its response.
func (s *Supervisor) probe(ctx context.Context, url string) (bool, string) {
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

// logTail returns the path and the end of a log.
func logTail(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Sprintf("its log %s cannot be read: %v", path, err)
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
