package view

import (
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// Tone says how something stands. It is shown as a sign and a colour.
type Tone int

const (
	// Plain text has no sign.
	Plain Tone = iota
	// Idle means known, with nothing going on.
	Idle
	// Good means passed.
	Good
	// Bad means failed.
	Bad
	// Busy means in progress.
	Busy
	// Held means waiting for something or somebody.
	Held
)

var signs = map[Tone]string{Idle: "○", Good: "✓", Bad: "✗", Busy: "◆", Held: "●"}

// toneNames are the words for tones in JSON.
var toneNames = map[Tone]string{Plain: "", Idle: "idle", Good: "good", Bad: "bad", Busy: "busy", Held: "held"}

// MarshalText returns the word for a tone.
func (t Tone) MarshalText() ([]byte, error) { return []byte(toneNames[t]), nil }

// paints use the basic colours only, so that the user's theme decides how they look.
var paints = map[Tone]lipgloss.Style{
	Idle: lipgloss.NewStyle().Faint(true),
	Good: lipgloss.NewStyle().Foreground(lipgloss.Green),
	Bad:  lipgloss.NewStyle().Foreground(lipgloss.Red),
	Busy: lipgloss.NewStyle().Foreground(lipgloss.Cyan),
	Held: lipgloss.NewStyle().Foreground(lipgloss.Yellow),
}

// Style says how to turn a view into text. The zero Style is for files and pipes: no colour, and nothing is cut.
type Style struct {
	// Color enables the colours of a terminal.
	Color bool
	// Width is how many columns a line may take. Defaults to 0: no limit.
	Width int
	// Brief cuts notes at Width instead of wrapping them.
	Brief bool
}

// NewStyle returns the Style for a terminal with that many columns, or for an output that is not a terminal if columns
// is 0. It follows the environment variables NO_COLOR, whatever its value, and TERM=dumb.
func NewStyle(columns int, getenv func(string) string) Style {
	return Style{Color: columns > 0 && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb", Width: columns}
}

// Line renders a change as one line.
func (s Style) Line(c Change) string { return s.sign(c.Tone) + c.Text }

func (s Style) sign(t Tone) string {
	if sign := signs[t]; sign != "" {
		return s.Paint(t, sign) + " "
	}
	return ""
}

// Paint gives text the colour of a tone.
func (s Style) Paint(t Tone, text string) string {
	if paint, ok := paints[t]; ok && s.Color {
		return paint.Render(text)
	}
	return text
}

// Strong makes text bold.
func (s Style) Strong(text string) string {
	if s.Color {
		return lipgloss.NewStyle().Bold(true).Render(text)
	}
	return text
}

// Width returns how many columns text takes on a terminal.
func Width(text string) int { return ansi.StringWidth(text) }

// Names contain hyphens and are copied as a whole, and ansi.Wrap breaks at each hyphen but at no other dash.
var (
	hideHyphens = strings.NewReplacer("-", "\u2011")
	showHyphens = strings.NewReplacer("\u2011", "-")
)

// Wrap breaks text into lines of at most width columns, between words where possible. It does not break if width is 0.
func Wrap(text string, width int) []string {
	if width <= 0 || Width(text) <= width {
		return []string{text}
	}
	return strings.Split(showHyphens.Replace(lipgloss.Wrap(hideHyphens.Replace(text), width, "")), "\n")
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-Width(text)))
}
