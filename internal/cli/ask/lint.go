package ask

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kuberik/kuberik/internal/cli/exit"
	"github.com/kuberik/kuberik/internal/cli/session"
	"github.com/kuberik/kuberik/internal/lint"
	"github.com/kuberik/kuberik/internal/view"
)

// findings is the answer of lint.
type findings struct {
	view.Meta `json:",inline"`
	// Objects is how many objects the files have.
	Objects int            `json:"objects"`
	Items   []lint.Finding `json:"items"`
}

// NewLint returns the verb lint.
func NewLint(p *session.Process) *cobra.Command {
	var o lint.Options
	c := session.Command(p, &cobra.Command{
		Use:   "lint FILE…",
		Short: "Find mistakes in manifests, without a cluster",
		Long: `lint checks manifests with the schemas and rules of the CRDs, as the API server does, and with what only
Kuberik knows: a schedule that never opens, a gate whose class nobody evaluates, a selector that selects nothing.

FILE is a file, a folder, or - for the standard input. Of a folder, all .yaml, .yml and .json files are read.
The exit code is 1 if there are findings.`,
		Example: `  kuberik lint deploy/
  kuberik lint rollout.yaml gates.yaml -o json
  kustomize build deploy/ | kuberik lint -`,
		Args: cobra.MinimumNArgs(1),
	}, session.Options{}, func(_ context.Context, s *session.Session, args []string) error {
		sources, err := read(s.In, args)
		if err != nil {
			return err
		}
		o.Now = s.Now()
		result := lint.Run(sources, o)
		if err := s.Print(lintDocument(s, result)); err != nil || len(result.Findings) == 0 {
			return err
		}
		return exit.Silently(exit.No)
	})
	c.Flags().StringSliceVar(&o.GateClasses, "gate-class", nil, "a class of gates that a controller of yours evaluates")
	c.Flags().StringSliceVar(&o.HealthClasses, "health-class", nil, "a class of health checks that a controller of "+
		"yours reports on")
	return c
}

func lintDocument(s *session.Session, result lint.Result) session.Document {
	d := session.Document{Object: findings{Meta: view.NewMeta("FindingList"), Objects: result.Objects,
		Items: append([]lint.Finding{}, result.Findings...)}}
	for _, f := range result.Findings {
		d.Names = append(d.Names, fmt.Sprintf("%s %s:%d", f.ID, f.File, f.Line))
	}
	d.Text = func(style view.Style, _ bool) []string {
		lines := findingLines(result.Findings, style)
		if !s.Flags.Quiet {
			lines = append(lines, fmt.Sprintf("%s in %s", count(len(result.Findings), "finding"), count(result.Objects,
				"object")))
		}
		return lines
	}
	return d
}

// findingLines renders findings, one a line.
func findingLines(list []lint.Finding, style view.Style) []string {
	where := 0
	for _, f := range list {
		where = max(where, view.Width(position(f)))
	}
	tones := map[lint.Severity]view.Tone{lint.Error: view.Bad, lint.Warning: view.Held}
	var lines []string
	for _, f := range list {
		subject := f.Object
		if subject != "" {
			subject += ": "
		}
		place := position(f)
		lines = append(lines, fmt.Sprintf("%s%s  %s  %s  %s", place, strings.Repeat(" ", where-view.Width(place)),
			style.Paint(tones[f.Severity], fmt.Sprintf("%-7s", f.Severity)), f.ID, view.Clean(subject+f.Message)))
	}
	return lines
}

func position(f lint.Finding) string { return fmt.Sprintf("%s:%d", view.Clean(f.File), f.Line) }

// count returns a number with a noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// stdin is the argument for the standard input.
const stdin = "-"

// read reads files, all manifests of folders, and the standard input.
func read(in io.Reader, args []string) (sources []lint.Source, err error) {
	for _, arg := range args {
		found, err := readOne(in, arg)
		if err != nil {
			return nil, exit.With(exit.Usage, err)
		}
		if len(found) == 0 {
			return nil, exit.Errorf(exit.Usage, "%s has no .yaml, .yml or .json file", arg)
		}
		sources = append(sources, found...)
	}
	return sources, nil
}

func readOne(in io.Reader, arg string) (sources []lint.Source, err error) {
	if arg == stdin {
		text, err := io.ReadAll(in)
		return []lint.Source{{Name: "stdin", Text: text}}, err
	}
	err = filepath.WalkDir(arg, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != arg && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case entry.IsDir() || path != arg && !isManifest(path):
			return nil
		}
		text, err := os.ReadFile(path)
		sources = append(sources, lint.Source{Name: filepath.ToSlash(path), Text: text})
		return err
	})
	return sources, err
}

func isManifest(path string) bool {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}
