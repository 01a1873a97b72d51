package outbound

// Elements counts the elements of the list that a text in JSON is, and of all lists within it, without decoding it: what is small as text
// may be large once it is decoded. What stands under the key aside, in the elements of a list, is not counted; an empty key leaves
// nothing out. What it makes of a text that is no JSON does not matter, since nobody can decode that.
func Elements(text []byte, aside string) (elements, nested int) {
	m := meter{aside: aside}
	for _, c := range text {
		m.take(c)
	}
	return m.elements, m.nested
}

type meter struct {
	aside            string
	elements, nested int

	open []byte
	// text is the string that is being read or was read last, as far as it could be the key that is left out.
	text            []byte
	quoted, escaped bool
	// within says that what is read stands under that key.
	within bool
}

func (m *meter) take(c byte) {
	switch {
	case m.quoted:
		m.quote(c)
	case c == '"':
		m.quoted, m.text = true, m.text[:0]
	case c == '[' || c == '{':
		m.open = append(m.open, c)
		m.count(c == '[')
	case c == ']' || c == '}':
		m.open = m.open[:max(len(m.open)-1, 0)]
	case c == ',':
		m.within = m.within && len(m.open) != 2
		m.count(m.listed())
	case c == ':' && len(m.open) == 2:
		m.within = m.open[0] == '[' && string(m.text) == m.aside
	}
}

// listed says whether the innermost of what is open is a list.
func (m *meter) listed() bool { return len(m.open) > 0 && m.open[len(m.open)-1] == '[' }

func (m *meter) quote(c byte) {
	switch {
	case m.escaped:
		m.escaped = false
	case c == '\\':
		m.escaped = true
	case c == '"':
		m.quoted = false
		return
	}
	if len(m.text) <= len(m.aside) {
		m.text = append(m.text, c)
	}
}

// count counts one more element of the innermost list.
func (m *meter) count(listed bool) {
	switch {
	case !listed:
	case len(m.open) == 1:
		m.elements++
	case !m.within || m.aside == "":
		m.nested++
	}
}
