package view

import (
	"strings"
	"unicode/utf8"
)

// Style says how a picture becomes text.
type Style struct {
	// Color marks tones with the colours of a terminal.
	Color bool
	// Width is where lines are wrapped; 0: nowhere.
	Width int
	// Brief cuts at Width what would be wrapped there.
	Brief bool
}

const (
	// narrowest is the least room that a note is given, however narrow the terminal.
	narrowest = 20
	// widestTitle is how far short titles are moved to stand below long ones.
	widestTitle = 36
)

var signs = map[Tone]string{Idle: "○", Good: "✓", Bad: "✗", Busy: "◆", Held: "●"}

// colours are those of every terminal; how they look is the user's choice.
var colours = map[Tone]string{Idle: "2", Good: "32", Bad: "31", Busy: "36", Held: "33"}

// Render turns a picture into lines.
func Render(n Node, s Style) []string {
	return s.lines(n, "", "", columns{})
}

// Line is one change as a line.
func (s Style) Line(c Change) string {
	if sign := signs[c.Tone]; sign != "" {
		return s.Paint(c.Tone, sign) + " " + c.Text
	}
	return c.Text
}

// Paint marks text with the colour of a tone.
func (s Style) Paint(t Tone, text string) string {
	if c := colours[t]; s.Color && c != "" && text != "" {
		return "\x1b[" + c + "m" + text + "\x1b[0m"
	}
	return text
}

// Strong makes text stand out.
func (s Style) Strong(text string) string {
	if s.Color {
		return "\x1b[1m" + text + "\x1b[0m"
	}
	return text
}

// columns are how wide the titles and states of neighbours are.
type columns struct{ title, state int }

func widths(nodes []Node) columns {
	var c columns
	for _, n := range nodes {
		c.title, c.state = max(c.title, min(Width(n.Title), widestTitle)), max(c.state, Width(n.State))
	}
	return c
}

// lines renders a node; lead goes before its first line and rest before all others.
func (s Style) lines(n Node, lead, rest string, c columns) []string {
	head := lead
	if sign := signs[n.Tone]; sign != "" {
		head += s.Paint(n.Tone, sign) + " "
	}
	if n.Title != "" {
		head += pad(n.Title, c.title) + "  "
	}
	if n.State != "" {
		head += s.Paint(n.Tone, pad(n.State, c.state)) + "  "
	}
	below := rest
	if len(n.Children) > 0 {
		below += "│"
	}
	out := s.note(strings.TrimRight(head, " "), head, below, n)
	inner := widths(n.Children)
	for i, child := range n.Children {
		branch, trunk := "├─ ", "│  "
		if i == len(n.Children)-1 {
			branch, trunk = "└─ ", "   "
		}
		out = append(out, s.lines(child, rest+branch, rest+trunk, inner)...)
	}
	return out
}

// note puts a note behind a head, wrapped into the column where it begins.
func (s Style) note(bare, head, below string, n Node) []string {
	if n.Note == "" {
		return []string{bare}
	}
	column := Width(head)
	room := 0
	if s.Width > 0 {
		room = max(s.Width-column, narrowest)
	}
	var out []string
	text := Wrap(n.Note, room)
	if s.Brief && len(text) > 1 {
		text = []string{cut(n.Note, room-1) + "…"}
	}
	for i, line := range text {
		if n.Tone == Plain {
			line = s.Paint(Idle, line)
		}
		if i == 0 {
			out = append(out, head+line)
			continue
		}
		out = append(out, pad(below, column)+line)
	}
	return out
}

// Wrap breaks text into lines of at most width columns, between words where that is possible; 0 breaks nowhere. Colours take no
// room.
func Wrap(text string, width int) []string {
	if width <= 0 || Width(text) <= width {
		return []string{text}
	}
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && Width(line)+1+Width(word) <= width {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for Width(word) > width {
			head := cut(word, width)
			lines, word = append(lines, head), word[len(head):]
		}
		line = word
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}

// cut is as much of a text as fits into width columns, but at least a character.
func cut(text string, width int) string {
	used := 0
	for i, r := range text {
		if used += columnsOf(r); used > width && i > 0 {
			return text[:i]
		}
	}
	return text
}

// Width is how many columns a text takes on a terminal.
func Width(text string) int {
	n := 0
	for _, r := range strip(text) {
		n += columnsOf(r)
	}
	return n
}

// wide are the scripts whose characters take two columns, roughly, as first and last character.
var wide = [][2]rune{
	{0x1100, 0x115f}, {0x2e80, 0xa4cf}, {0xac00, 0xd7a3}, {0xf900, 0xfaff}, {0xfe30, 0xfe6f}, {0xff00, 0xff60}, {0x1f300, 0x3fffd},
}

func columnsOf(r rune) int {
	for _, w := range wide {
		if r >= w[0] && r <= w[1] {
			return 2
		}
	}
	return 1
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-Width(text)))
}

// strip takes the colours out of a text.
func strip(text string) string {
	if !strings.Contains(text, "\x1b") {
		return text
	}
	var out strings.Builder
	for text != "" {
		if strings.HasPrefix(text, "\x1b[") {
			if end := strings.IndexByte(text, 'm'); end >= 0 {
				text = text[end+1:]
				continue
			}
		}
		r, size := utf8.DecodeRuneInString(text)
		out.WriteRune(r)
		text = text[size:]
	}
	return out.String()
}
