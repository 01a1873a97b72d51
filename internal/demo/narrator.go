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

// narrator tells people what happens. It may be called from anywhere.
type narrator interface {
	// say tells that something happened.
	say(view.Change)
	// chapter tells what the story does next, and how to do it by hand.
	chapter(title, command string)
	// show shows how things stand.
	show(scene)
	// ending tells what people can do, or should know, after the story.
	ending(text []string)
	// close ends the telling with how things stand. It may be called more than once.
	close()
}

// newNarrator draws on a terminal, and writes lines to everything else.
func newNarrator(out io.Writer) narrator {
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		return newScreen(f)
	}
	return &lines{out: out, began: time.Now()}
}

// progress hands on the progress of the local cluster.
type progress struct{ narrator }

// Write takes whole lines, as the local cluster writes them.
func (p progress) Write(text []byte) (int, error) {
	for line := range strings.Lines(string(text)) {
		p.say(view.Change{Text: strings.TrimRight(line, "\n")})
	}
	return len(text), nil
}

// lines tells everything in lines that are only ever added, with the time since the beginning.
type lines struct {
	out   io.Writer
	began time.Time

	mu   sync.Mutex
	last scene
	once sync.Once
}

func (l *lines) say(c view.Change) {
	l.print(stamp(time.Since(l.began)) + view.Style{}.Line(c))
}

func (l *lines) chapter(title, command string) {
	l.print("", stamp(time.Since(l.began))+title, stamp(-1)+"$ "+command)
}

func (l *lines) show(s scene) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = s
}

func (l *lines) ending(text []string) {
	l.print(append([]string{""}, text...)...)
}

// close shows how things stand at the end.
func (l *lines) close() {
	l.once.Do(func() {
		l.mu.Lock()
		end := l.last.ending(view.Style{}, time.Now())
		l.mu.Unlock()
		if len(end) > 0 {
			l.print(append([]string{""}, end...)...)
		}
	})
}

func (l *lines) print(text ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Nothing depends on anybody reading it.
	_, _ = fmt.Fprintln(l.out, strings.Join(text, "\n")) //nolint:errcheck // see above
}

// stamp is the time since the beginning, or as many blanks.
func stamp(since time.Duration) string {
	if since < 0 {
		return strings.Repeat(" ", stampWidth)
	}
	return fmt.Sprintf("%6.1fs  ", since.Seconds())
}

const stampWidth = 9
