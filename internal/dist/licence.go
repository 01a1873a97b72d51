package dist

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// licenceNames begin the names of the files that have to go with a program.
var licenceNames = []string{"LICENSE", "LICENCE", "COPYING", "NOTICE"}

// Licences returns the licences of a program and of every module in it, by path: licenses/<module>/<file>.
func (s Source) Licences(ctx context.Context, program string, t Target) (map[string][]byte, error) {
	own, err := os.ReadFile(filepath.Join(s.Root, "LICENSE"))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{"licenses/LICENSE": own}
	list, err := command(ctx, s.Root, t.env(), "go", "list", "-deps",
		"-f", "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Dir}}{{end}}{{end}}", "./cmd/"+program)
	if err != nil {
		return nil, fmt.Errorf("listing the modules of %s: %w", program, err)
	}
	for line := range strings.Lines(list) {
		module, dir, found := strings.Cut(strings.TrimSpace(line), "\t")
		if !found {
			continue
		}
		if err := addLicences(files, module, dir); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// addLicences adds those of one module, which is an error if it has none.
func addLicences(files map[string][]byte, module, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	found := false
	for _, e := range entries {
		if !e.Type().IsRegular() || !isLicence(e.Name()) {
			continue
		}
		found = true
		if files[path.Join("licenses", module, e.Name())], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("module %s has no licence in %s", module, dir)
	}
	return nil
}

func isLicence(name string) bool {
	for _, prefix := range licenceNames {
		if strings.HasPrefix(strings.ToUpper(name), prefix) && !strings.HasSuffix(name, ".go") {
			return true
		}
	}
	return false
}
