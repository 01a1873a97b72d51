package session

import (
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

const (
	beginFrame = ansi.SetModeSynchronizedOutput + ansi.CursorHomePosition
	endLine    = ansi.EraseLineRight + "\r\n"
	endFrame   = ansi.EraseLineRight + ansi.EraseScreenBelow + ansi.ResetModeSynchronizedOutput
	// The terminal cuts lines at its edge instead of wrapping them.
	enterScreen = ansi.SetModeAltScreenSaveCursor + ansi.ResetModeAutoWrap + ansi.ResetModeTextCursorEnable
	leaveScreen = ansi.SetModeTextCursorEnable + ansi.SetModeAutoWrap + ansi.ResetModeAltScreenSaveCursor
)

// Screen shows text that changes. On a terminal it draws over itself; everywhere else it prints again what changed.
type Screen struct {
	s     *Session
	live  bool
	shown []string
}

// NewScreen returns a Screen. The caller closes it.
func (s *Session) NewScreen() (*Screen, error) {
	live := s.Columns() > 0 && s.Getenv("TERM") != "dumb"
	screen := &Screen{s: s, live: live}
	if !live {
		return screen, nil
	}
	return screen, s.write(enterScreen)
}

// Show shows lines.
func (v *Screen) Show(lines []string) error {
	if slices.Equal(lines, v.shown) {
		return nil
	}
	separate := len(v.shown) > 0
	v.shown = slices.Clone(lines)
	if v.live {
		return v.s.write(beginFrame + strings.Join(lines, endLine) + endFrame)
	}
	if separate {
		lines = append([]string{""}, lines...)
	}
	return v.s.Lines(lines...)
}

// Close restores the terminal and leaves the last lines on it.
func (v *Screen) Close() error {
	if !v.live {
		return nil
	}
	v.live = false
	if err := v.s.write(leaveScreen); err != nil {
		return err
	}
	return v.s.Lines(v.shown...)
}

func (s *Session) write(text string) error {
	_, err := s.Out.Write([]byte(text))
	return err
}
