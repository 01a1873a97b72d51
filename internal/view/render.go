package view

import (
	"strings"

	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"
	"charm.land/lipgloss/v2/tree"
	"github.com/charmbracelet/x/ansi"
)

const (
	// indent is how many columns a level of the tree takes.
	indent = 3
	// minNote is how many columns a note needs to stand beside its title. With less it goes below.
	minNote = 20
	// maxTitle is how wide the titles of siblings are padded at most.
	maxTitle = 36
	// minTable is the width below which a table is cut at the edge of the terminal instead of made narrower.
	minTable = 40
	// gap is how many columns are between the columns of a table.
	gap = 3
)

// Render turns a tree into lines. No line is wider than the Style allows.
func Render(n Node, s Style) []string {
	last := func(c tree.Children, i int) bool { return i == c.Length()-1 }
	t := s.tree(n, columns{}, 0).
		Enumerator(func(c tree.Children, i int) string {
			if last(c, i) {
				return "└─"
			}
			return "├─"
		}).
		Indenter(func(c tree.Children, i int) string {
			if last(c, i) {
				return "  "
			}
			return "│ "
		})
	return s.lines(t.String())
}

func (s Style) tree(n Node, c columns, depth int) *tree.Tree {
	t := tree.Root(s.item(n, c, depth))
	inner := widths(n.Children)
	for _, child := range n.Children {
		t.Child(s.tree(child, inner, depth+1))
	}
	return t
}

// columns are how wide the titles and states of siblings are.
type columns struct{ title, state int }

func widths(nodes []Node) columns {
	var c columns
	for _, n := range nodes {
		c.title, c.state = max(c.title, min(Width(n.Title), maxTitle)), max(c.state, Width(n.State))
	}
	return c
}

// item renders a node without its children. If it has any, a line on the left leads to them.
func (s Style) item(n Node, c columns, depth int) string {
	head := s.sign(n.Tone)
	if n.Title != "" {
		head += pad(n.Title, c.title) + "  "
	}
	if n.State != "" {
		head += pad(s.Paint(n.Tone, n.State), c.state) + "  "
	}
	left := ""
	if len(n.Children) > 0 {
		left = "│"
	}
	lines, column := s.note(n, s.Width-indent*depth, Width(head))
	return head + strings.Join(lines, "\n"+pad(left, column))
}

// note returns the lines of a note for a line of that width, of which the title takes some columns, and the column in
// which all of its lines but the first begin. The first is empty if the note has to go below the title.
func (s Style) note(n Node, width, title int) (lines []string, column int) {
	switch {
	case n.Note == "":
		return []string{""}, 0
	case s.Width <= 0 || s.Brief:
		return []string{s.shade(n.Tone, n.Note)}, 0
	case n.Title != "" && width-title < minNote:
		lines, column = []string{""}, indent
	default:
		column = title
	}
	for _, line := range Wrap(n.Note, max(width-column, 1)) {
		lines = append(lines, s.shade(n.Tone, line))
	}
	return lines, column
}

// shade dims the note of a line that has no sign.
func (s Style) shade(t Tone, note string) string {
	if t == Plain {
		return s.Paint(Idle, note)
	}
	return note
}

// Table renders rows below a heading. On a terminal that is too narrow, cells of the widest columns are cut.
func Table(heading []string, rows [][]string, s Style) []string {
	t := table.New().Headers(heading...).Wrap(false).Border(lipgloss.Border{}).
		BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).BorderHeader(false).BorderColumn(false).
		StyleFunc(func(_, column int) lipgloss.Style {
			if column == len(heading)-1 {
				return lipgloss.NewStyle()
			}
			return lipgloss.NewStyle().PaddingRight(gap)
		})
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = clean(cell)
		}
		t.Row(cells...)
	}
	if text := t.Render(); s.Width > 0 && lipgloss.Width(text) > s.Width {
		t.Width(max(s.Width, minTable))
	}
	return s.lines(t.Render())
}

// lines splits text into lines, without blanks at their ends, and cuts those that are wider than the Style allows.
func (s Style) lines(text string) []string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if s.Width > 0 {
			line = ansi.Truncate(line, s.Width, "…")
		}
		lines[i] = strings.TrimRight(line, " ")
	}
	return lines
}

// Grid is a table.
type Grid struct {
	Heading []string
	Rows    [][]string

	text int
}

const (
	// minCell is how many columns of free text stand in a row at least. With less, the text goes below the row.
	minCell = 24
	// cellGap is how many columns are between the columns of a Grid.
	cellGap = 2
)

// Lines renders a table. On a terminal that is too narrow, the free text is cut. If too little of it would be left, it
// goes below its row.
func (g Grid) Lines(s Style) []string {
	rows := [][]string{g.Heading}
	for _, row := range g.Rows {
		cleaned := make([]string, len(row))
		for i, cell := range row {
			cleaned[i] = clean(cell)
		}
		rows = append(rows, cleaned)
	}
	widths, below := g.fit(rows, s.Width)
	var lines []string
	for i, row := range rows {
		lines = append(lines, g.line(row, widths, below, s))
		if below && i > 0 && row[g.text] != missing {
			lines = append(lines, indented(row[g.text], s)...)
		}
	}
	return s.lines(strings.Join(lines, "\n"))
}

// indented returns text that is wrapped below a line.
func indented(text string, s Style) []string {
	width := 0
	if s.Width > 0 {
		width = max(s.Width-indent, 1)
	}
	lines := Wrap(text, width)
	for i, line := range lines {
		lines[i] = strings.Repeat(" ", indent) + line
	}
	return lines
}

// fit returns how wide the columns are on a terminal of a width, and whether the free text goes below the rows.
func (g Grid) fit(rows [][]string, terminal int) (widths []int, below bool) {
	widths = make([]int, len(g.Heading))
	total := -cellGap
	for i := range widths {
		for _, row := range rows {
			widths[i] = max(widths[i], Width(row[i]))
		}
		total += widths[i] + cellGap
	}
	if terminal == 0 || g.text < 0 || total <= terminal {
		return widths, false
	}
	room := widths[g.text] - (total - terminal)
	below = room < min(minCell, widths[g.text])
	widths[g.text] = max(room, 0)
	return widths, below
}

// missing stands in cells that have no value.
const missing = "–"

// line renders a row, without the free text if that goes below.
func (g Grid) line(row []string, widths []int, below bool, s Style) string {
	var b strings.Builder
	for i, cell := range row {
		switch {
		case i == g.text && below:
			continue
		case i == g.text && Width(cell) > widths[i]:
			cell = ansi.Truncate(cell, widths[i], "…")
		}
		b.WriteString(s.cell(cell) + strings.Repeat(" ", max(0, widths[i]-Width(cell))+cellGap))
	}
	return strings.TrimRight(b.String(), " ")
}

// cell gives a cell that begins with the sign of a tone its colour.
func (s Style) cell(text string) string {
	for tone, sign := range signs {
		if strings.HasPrefix(text, sign+" ") {
			return s.Paint(tone, text)
		}
	}
	return text
}
