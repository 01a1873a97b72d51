package demo

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/kuberik/kuberik/config"
)

// pages lists the files that show what commands print.
func pages(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../../docs/guides/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no guides: %v", err)
	}
	texts := map[string]string{}
	for _, file := range append(files, "../../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(file)] = string(text)
	}
	return texts
}

// blocks lists the code blocks of a page that have no language: what commands print.
func blocks(text string) []string {
	var list []string
	for i, part := range strings.Split("\n"+text, "\n```") {
		if block, bare := strings.CutPrefix(part, "\n"); i%2 == 1 && bare {
			list = append(list, block+"\n")
		}
	}
	return list
}

// gap is what kubectl puts between two columns, at the least.
var gap = regexp.MustCompile(` {3,}`)

// printedColumns lists what kubectl get prints of each kind, by the first column that is its own, without those of -o wide.
func printedColumns(t *testing.T) map[string][]string {
	t.Helper()
	files, err := fs.Glob(config.Install, "crd/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no CRDs: %v", err)
	}
	kinds := map[string][]string{}
	for _, file := range files {
		data, err := config.Install.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var crd struct {
			Spec struct {
				Names    struct{ Plural string }
				Versions []struct {
					AdditionalPrinterColumns []struct {
						Name     string
						Priority int
					}
				}
			}
		}
		if err := yaml.Unmarshal(data, &crd); err != nil {
			t.Fatal(err)
		}
		var columns []string
		for _, c := range crd.Spec.Versions[0].AdditionalPrinterColumns {
			if c.Priority == 0 {
				columns = append(columns, strings.ToUpper(c.Name))
			}
		}
		kinds[crd.Spec.Names.Plural] = columns
	}
	return kinds
}

// TestTablesOfTheGuides holds what the guides show of kubectl get against what it prints: the columns that the kinds have, in their order, and
// every value below its heading.
func TestTablesOfTheGuides(t *testing.T) {
	t.Parallel()
	kinds := printedColumns(t)
	tables := 0
	for page, text := range pages(t) {
		for _, block := range blocks(text) {
			var header string
			for line := range strings.Lines(block) {
				line = strings.TrimRight(line, "\n")
				switch {
				case strings.HasPrefix(line, "NAME ") || strings.HasPrefix(line, "NAMESPACE "):
					header = line
					tables++
					own := slices.DeleteFunc(gap.Split(strings.TrimSpace(line), -1), func(c string) bool { return c == "NAMESPACE" || c == "NAME" })
					if !known(kinds, own) {
						t.Errorf("%s: no kind is printed with the columns %v", page, own)
					}
				case line == "" || strings.HasPrefix(line, "$"):
					header = ""
				case header != "":
					aligned(t, page, header, line)
				}
			}
		}
	}
	if tables < 2 {
		t.Errorf("%d tables were found", tables)
	}
}

// known reports whether kubectl get prints these columns for a kind.
func known(kinds map[string][]string, columns []string) bool {
	for _, all := range kinds {
		if slices.Equal(all, columns) {
			return true
		}
	}
	return false
}

// aligned fails the test if a value of a row does not begin where its heading does, or runs into the next.
func aligned(t *testing.T, page, header, line string) {
	t.Helper()
	starts := []int{0}
	for _, at := range gap.FindAllStringIndex(header, -1) {
		starts = append(starts, at[1])
	}
	cells := []rune(line)
	for i, start := range starts {
		if start >= len(cells) {
			return
		}
		end := len(cells)
		if i+1 < len(starts) {
			end = min(end, starts[i+1])
		}
		value := string(cells[start:end])
		blank := strings.TrimSpace(value) == ""
		if i > 0 && strings.TrimSpace(string(cells[start-3:start])) != "" || !blank && strings.HasPrefix(value, " ") {
			t.Errorf("%s: in this line, column %d does not begin below its heading:\n%s\n%s", page, i+1, header, line)
			return
		}
	}
}

// TestGuideSaysHowTheDemoEnds compares what the guide shows of the end of make demo with what a run has to end with.
func TestGuideSaysHowTheDemoEnds(t *testing.T) {
	t.Parallel()
	want := "All of it happened:\n" + strings.Join(indented(expected()), "\n") + "\n"
	if !slices.Contains(blocks(pages(t)["first-five-minutes.md"]), want) {
		t.Errorf("docs/guides/first-five-minutes.md does not show this:\n%s", want)
	}
}
