package demo

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"

	"github.com/kuberik/kuberik/internal/view"
)

// The terminal cuts lines at its edge instead of wrapping them, and shows a frame as a whole if it can.
const (
	enterScreen = ansi.SetModeAltScreenSaveCursor + ansi.ResetModeAutoWrap + ansi.ResetModeTextCursorEnable
	leaveScreen = ansi.SetModeTextCursorEnable + ansi.SetModeAutoWrap + ansi.ResetModeAltScreenSaveCursor
	beginFrame  = ansi.SetModeSynchronizedOutput + ansi.CursorHomePosition
	endLine     = ansi.EraseLineRight + "\r\n"
	endFrame    = ansi.EraseLineRight + ansi.EraseScreenBelow + ansi.ResetModeSynchronizedOutput
)

const (
	// redraw is how often the screen is redrawn if anything changed.
	redraw = 100 * time.Millisecond
	// leastLog is how many lines of the log are shown at least.
	leastLog = 4
)

// screen shows one page that is drawn over itself: the state, the latest events and the next step.
type screen struct {
	out   *os.File
	style view.Style

	mu    sync.Mutex
	page  page
	shown []byte

	ended sync.WaitGroup
	end   chan struct{}
	once  sync.Once
}

// page is the content of a screen.
type page struct {
	began    time.Time
	snapshot snapshot
	log      []entry
	below    []string
}

// entry is a line of the log.
type entry struct {
	since time.Duration
	text  string
}

func newScreen(out *os.File) *screen {
	s := &screen{
		out: out, end: make(chan struct{}),
		page: page{began: time.Now(), below: []string{"Starting a local cluster."}},
	}
	s.style, _ = s.size()
	s.write([]byte(enterScreen))
	s.ended.Go(s.keepDrawing)
	return s
}

func (s *screen) keepDrawing() {
	tick := time.NewTicker(redraw)
	defer tick.Stop()
	for {
		s.draw()
		select {
		case <-tick.C:
		case <-s.end:
			return
		}
	}
}

func (s *screen) draw() {
	style, height := s.size()
	s.mu.Lock()
	defer s.mu.Unlock()
	frame := []byte(beginFrame + strings.Join(s.page.frame(style, height, time.Now()), endLine) + endFrame)
	if !bytes.Equal(frame, s.shown) {
		s.shown = frame
		s.write(frame)
	}
}

// size returns the style and the height for the current terminal. The last column is left free: a terminal that does
// not wrap would overwrite it with what ends the line.
func (s *screen) size() (view.Style, int) {
	width, height, err := term.GetSize(int(s.out.Fd()))
	if err != nil {
		width, height = 80, 24
	}
	return view.NewStyle(max(width-1, 1), os.Getenv), height
}

func (s *screen) write(text []byte) {
	// The demo does not depend on its output.
	_, _ = s.out.Write(text) //nolint:errcheck // see above
}

func (s *screen) showChange(c view.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.page.log = append(s.page.log, entry{time.Since(s.page.began), s.style.Line(c)})
}

func (s *screen) showStep(title, command string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.page.log = append(s.page.log, entry{time.Since(s.page.began), s.style.Strong(title)})
	s.page.below = []string{s.style.Strong(title), s.style.Paint(view.Idle, "$ "+command)}
}

func (s *screen) showState(now snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.page.snapshot = now
}

func (s *screen) showEnding(text []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.page.below = text
}

// close restores the terminal and leaves the log and the final state on it.
func (s *screen) close() {
	s.once.Do(func() {
		close(s.end)
		s.ended.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		var rest []string
		for _, e := range s.page.log {
			rest = append(rest, stamp(e.since)+e.text)
		}
		style, _ := s.size()
		rest = append(append(rest, ""), s.page.snapshot.finalState(style, time.Now())...)
		s.write([]byte(leaveScreen + strings.Join(rest, "\n") + "\n"))
	})
}

// frame lays the page out for a terminal: the state at the top, the next step at the bottom, and the end of the log
// between them.
func (p page) frame(style view.Style, height int, now time.Time) []string {
	bottom := []string{""}
	for _, line := range p.below {
		if strings.HasPrefix(line, "  ") || strings.Contains(line, "$ ") {
			bottom = append(bottom, command(line, style.Width)...)
			continue
		}
		bottom = append(bottom, view.Wrap(line, style.Width)...)
	}
	space := height - len(bottom) - leastLog
	top := p.top(style, everything, now)
	for _, d := range []detail{everything, active, notable, terse} {
		if len(top) > space {
			style.Brief = true
			top = p.top(style, d, now)
		}
	}
	if len(top) > space {
		top = append(top[:max(space-1, 0)], style.Paint(view.Idle, "…"))
	}
	var log []string
	for _, e := range p.log {
		for i, line := range view.Wrap(e.text, style.Width-stampWidth) {
			since := e.since
			if i > 0 {
				since = -1
			}
			log = append(log, style.Paint(view.Idle, stamp(since))+line)
		}
	}
	log = log[max(0, len(log)-max(height-len(top)-len(bottom), 0)):]
	filler := make([]string, max(height-len(top)-len(bottom)-len(log), 0))
	return slices.Concat(top, log, filler, bottom)[:max(height, 0)]
}

// top returns the title and the state.
func (p page) top(style view.Style, d detail, now time.Time) []string {
	title := style.Strong("Kuberik demo") + style.Paint(view.Idle, "  "+now.Sub(p.began).Truncate(time.Second).String())
	top := []string{title, ""}
	if picture := p.snapshot.picture(style, d, now); len(picture) > 0 {
		top = append(append(top, picture...), "")
	}
	return top
}

// command breaks a line that people may copy into a shell so that the shell reads it as one. It breaks at blanks only:
// anywhere else the blank before the backslash would change the command.
func command(line string, width int) []string {
	words := strings.Split(line, " ")
	pieces := words[:1:1]
	for _, word := range words[1:] {
		last := &pieces[len(pieces)-1]
		if view.Width(*last+" "+word+` \`) <= width {
			*last += " " + word
			continue
		}
		*last += ` \`
		pieces = append(pieces, word)
	}
	return pieces
}
