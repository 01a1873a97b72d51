package view

import (
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kuberik/kuberik/internal/version"
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

// Node is a line of a tree and the nodes below it.
type Node struct {
	// Tone of the line.
	Tone Tone `json:"tone,omitempty"`
	// Title names the object. Titles of siblings are padded to the same width.
	Title string `json:"title,omitempty"`
	// State in one word. States of siblings are padded to the same width.
	State string `json:"state,omitempty"`
	// Note is free text. It is wrapped at the end of the line.
	Note string `json:"note,omitempty"`
	// Children are shown below the line.
	Children []Node `json:"children,omitempty"`
}

// maxText is how many bytes of a text that comes from outside are shown.
const maxText = 400

// clean makes text that comes from outside safe to print.
func clean(s string) string { return version.Clean(s, maxText) }

// Clean makes text that comes from outside safe to print: it has no control characters and is of limited length.
func Clean(s string) string { return clean(s) }

// age formats a length of time as kubectl does. A negative one, which a clock that is behind produces, counts as none.
func age(d time.Duration) string { return duration.HumanDuration(max(d, 0)) }

// between formats the time from one moment to another. It returns "" if either is unknown.
func between(from, to *metav1.Time) string {
	if from == nil || to == nil {
		return ""
	}
	return age(to.Sub(from.Time))
}

// APIVersion is the version of the JSON that the command line and the dashboard show. Fields are only added.
const APIVersion = "view.kuberik.com/v1alpha1"

// Meta identifies the kind of a document.
type Meta struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
}

// NewMeta returns the Meta of a kind.
func NewMeta(kind string) Meta { return Meta{APIVersion, kind} }

// Clock is the time and the time zone of a reader.
type Clock struct {
	Now  time.Time
	Zone *time.Location
}

const (
	day = 24 * time.Hour
	// weekdays is how far a time may be away to be shown with the name of its day.
	weekdays = 6 * day
)

// At formats a time: 14:00 today, Tue 09:12 within six days, else 2026-05-04 12:00.
func (c Clock) At(t time.Time) string {
	zone := c.Zone
	if zone == nil {
		zone = time.UTC
	}
	t, now := t.In(zone), c.Now.In(zone)
	switch away := t.Sub(now).Abs(); {
	case away < day && t.YearDay() == now.YearDay():
		return t.Format("15:04")
	case away < weekdays:
		return t.Format("Mon 15:04")
	}
	return t.Format("2006-01-02 15:04")
}

// Age returns how long ago a time was, such as 2h. It returns "" if the time is unknown.
func (c Clock) Age(t *metav1.Time) string {
	if t.IsZero() {
		return ""
	}
	return age(c.Now.Sub(t.Time))
}

// Left returns how long it is until a time, such as 2h. It returns "" if the time is unknown.
func (c Clock) Left(t *metav1.Time) string {
	if t.IsZero() {
		return ""
	}
	return age(t.Sub(c.Now))
}

// AtTime formats a time that may be unknown. It returns "" if it is.
func (c Clock) AtTime(t *metav1.Time) string {
	if t.IsZero() {
		return ""
	}
	return c.At(t.Time)
}
