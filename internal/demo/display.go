package demo

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/kuberik/kuberik/internal/view"
)

// display shows what happens. It is safe for concurrent use.
type display interface {
	// showChange shows a change.
	showChange(view.Change)
	// showStep shows the next step and the command that does the same.
	showStep(title, command string)
	// showState shows the current state.
	showState(snapshot)
	// showEnding shows what the user can try after the last step.
	showEnding(text []string)
	// close ends the display with the final state. It may be called more than once.
	close()
}

// newDisplay returns a screen for a terminal and lines for everything else.
func newDisplay(out io.Writer) display {
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		return newScreen(f)
	}
	return &lines{out: out, began: time.Now()}
}

// progress shows the progress of the local cluster.
type progress struct{ display }

// Write takes whole lines, as the local cluster writes them.
func (p progress) Write(text []byte) (int, error) {
	for line := range strings.Lines(string(text)) {
		p.showChange(view.Change{Text: strings.TrimRight(line, "\n")})
	}
	return len(text), nil
}

// lines writes a line for each event, with the time since the start.
type lines struct {
	out   io.Writer
	began time.Time

	mu   sync.Mutex
	last snapshot
	once sync.Once
}

func (l *lines) showChange(c view.Change) {
	l.print(stamp(time.Since(l.began)) + view.Style{}.Line(c))
}

func (l *lines) showStep(title, command string) {
	l.print("", stamp(time.Since(l.began))+title, stamp(-1)+"$ "+command)
}

func (l *lines) showState(s snapshot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = s
}

func (l *lines) showEnding(text []string) {
	l.print(append([]string{""}, text...)...)
}

// close writes the final state.
func (l *lines) close() {
	l.once.Do(func() {
		l.mu.Lock()
		end := l.last.finalState(view.Style{}, time.Now())
		l.mu.Unlock()
		if len(end) > 0 {
			l.print(append([]string{""}, end...)...)
		}
	})
}

func (l *lines) print(text ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// The demo does not depend on its output.
	_, _ = fmt.Fprintln(l.out, strings.Join(text, "\n")) //nolint:errcheck // see above
}

// stamp formats the time since the start. A negative one becomes blanks.
func stamp(since time.Duration) string {
	if since < 0 {
		return strings.Repeat(" ", stampWidth)
	}
	return fmt.Sprintf("%6.1fs  ", since.Seconds())
}

const stampWidth = 9
