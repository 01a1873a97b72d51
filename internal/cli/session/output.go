package session

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
	"sigs.k8s.io/yaml"

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

func writeLines(w io.Writer, lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	_, err := fmt.Fprintln(w, strings.Join(lines, "\n"))
	return err
}

// Confirm asks a question and reports whether the user says yes. It asks only on a terminal and without --yes; else it
// returns true.
func (s *Session) Confirm(question string) (bool, error) {
	in, isFile := s.In.(*os.File)
	if s.Flags.Yes || !isFile || !term.IsTerminal(int(in.Fd())) || s.Columns() == 0 {
		return true, nil
	}
	if _, err := fmt.Fprint(s.Err, question+" [y/N] "); err != nil {
		return false, err
	}
	line, err := bufio.NewReader(s.In).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", nil
}
