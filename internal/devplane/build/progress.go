package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"
)

// progress shows how far a build is: as one bar on a terminal, which is drawn over itself, and as a line now and then
// elsewhere.
type progress struct {
	out     io.Writer
	weights map[string]int64
	// programs are the files that exist once they are linked.
	programs []string
	total    int64
	began    time.Time
	// width returns how many columns the terminal has, or 0 if there is none.
	width func() int

	mu      sync.Mutex
	done    int64
	current string
	ended   sync.WaitGroup
	end     chan struct{}
	once    sync.Once
}

// newProgress shows the progress of compiling packages of those weights and of linking programs until it is closed.
func newProgress(out io.Writer, weights map[string]int64, programs []string) *progress {
	p := &progress{
		out: out, weights: weights, programs: programs, total: int64(len(programs)) * linkWeight,
		began: time.Now(), end: make(chan struct{}), current: "starting",
		width: func() int { return columns(out) },
	}
	for _, weight := range weights {
		p.total += weight
	}
	interval := 30 * time.Second
	if p.width() > 0 {
		interval = 500 * time.Millisecond
	}
	p.ended.Go(func() { p.show(interval) })
	return p
}

// columns returns the width of a terminal, or 0 if out is not one.
func columns(out io.Writer) int {
	f, ok := out.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

func (p *progress) show(interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			p.print(p.text(now.Sub(p.began), p.width()))
		case <-p.end:
			return
		}
	}
}

// text describes the progress after a time, in at most width columns; 0 means no limit and no bar.
func (p *progress) text(elapsed time.Duration, width int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	done := p.done
	for _, program := range p.programs {
		if _, err := os.Stat(program); err == nil {
			done += linkWeight
		}
	}
	share := float64(done) / float64(max(p.total, 1))
	text := fmt.Sprintf("%3.0f%%  %s", 100*share, elapsed.Round(time.Second))
	// Before that, the estimate jumps.
	if share > 0.03 && elapsed > 10*time.Second {
		left := time.Duration(float64(elapsed) * (1 - share) / share)
		text += fmt.Sprintf(", about %s left", left.Round(roundTo(left)))
	}
	if len(p.weights) == 0 {
		p.current = "linking"
	}
	text += "  " + p.current
	if width <= 0 {
		return text + "\n"
	}
	const cells = 20
	full := int(share * cells)
	text = strings.Repeat("█", full) + strings.Repeat("░", cells-full) + " " + text
	return "\r" + ansi.Truncate(text, width-1, "…") + ansi.EraseLineRight
}

// roundTo is how precise an estimate of that length is shown.
func roundTo(left time.Duration) time.Duration {
	if left > 2*time.Minute {
		return time.Minute
	}
	return 10 * time.Second
}

// compiling notes that a package is being compiled.
func (p *progress) compiling(pkg string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += p.weights[pkg]
	delete(p.weights, pkg)
	p.current = pkg
}

// downloading notes that a module is being downloaded.
func (p *progress) downloading(module string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current = "downloading " + module
}

// close ends the display. It may be called more than once.
func (p *progress) close() {
	p.once.Do(func() {
		close(p.end)
		p.ended.Wait()
		if p.width() > 0 {
			p.print("\r" + ansi.EraseLineRight)
		}
	})
}

func (p *progress) print(text string) {
	// The build does not depend on its log.
	_, _ = io.WriteString(p.out, text) //nolint:errcheck // see above
}
