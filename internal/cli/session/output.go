package session

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"sigs.k8s.io/yaml"

	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/internal/view"
)

// Document is the answer of a verb in every format.
type Document struct {
	// Object is printed as JSON and YAML. It has an apiVersion and a kind, such as view.Meta.
	Object any
	// Text returns the lines for people. Wide is true with --output wide.
	Text func(style view.Style, wide bool) []string
	// Names are printed with --output name, one a line, such as rollout/checkout.
	Names []string
}

// Print prints a document in the format that --output selects.
func (s *Session) Print(d Document) error {
	switch s.Flags.Output {
	case JSON:
		encoder := json.NewEncoder(s.Out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(d.Object)
	case YAML:
		text, err := yaml.Marshal(d.Object)
		if err != nil {
			return err
		}
		_, err = s.Out.Write(text)
		return err
	case Name:
		return s.Lines(d.Names...)
	}
	return s.Lines(d.Text(s.Style(), s.Flags.Output == Wide)...)
}

// PrintLine prints a document on one line: JSON without line breaks, for a program that reads a stream.
func (s *Session) PrintLine(d Document) error {
	if s.Flags.Output != JSON {
		return s.Print(d)
	}
	encoder := json.NewEncoder(s.Out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(d.Object)
}

// Lines prints lines of text.
func (s *Session) Lines(lines ...string) error { return writeLines(s.Out, lines) }

// Remark prints lines that are not part of the answer on the error output, unless --quiet is set.
func (s *Session) Remark(lines ...string) error {
	if s.Flags.Quiet {
		return nil
	}
	return writeLines(s.Err, lines)
}

// Confirm asks a question if somebody can answer it, and --yes is not set. It returns an error unless the answer is
// yes. The time limit of the command does not run meanwhile.
func (s *Session) Confirm(ctx context.Context, question string) error {
	if s.Flags.Yes || s.Interactive == nil || !s.Interactive() {
		return nil
	}
	s.limit.stop()
	defer s.limit.restart()
	if _, err := fmt.Fprint(s.Err, question+" [y/N] "); err != nil {
		return err
	}
	answers := make(chan string, 1)
	go func() {
		text, err := bufio.NewReader(s.In).ReadString('\n')
		if err != nil && text == "" {
			fmt.Fprintln(s.Err) //nolint:errcheck // the answer is no, whether it is shown or not
		}
		answers <- strings.ToLower(strings.TrimSpace(text))
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case answer := <-answers:
		if answer == "y" || answer == "yes" {
			return nil
		}
		return exit.Errorf(exit.Interrupted, "nothing was changed")
	}
}

func writeLines(w io.Writer, lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	_, err := fmt.Fprintln(w, strings.Join(lines, "\n"))
	return err
}

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
