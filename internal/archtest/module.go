package archtest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Module is the source of one Go module, parsed but not type-checked.
type Module struct {
	Path     string
	GoMod    string
	Makefile string
	Packages []*Package
}

// Package is one directory of Go files.
type Package struct {
	// Path is relative to the module root, "." for the root itself.
	Path string
	// Files are the files of the package without its tests.
	Files []*File
}

// File is a hand-written or generated Go file.
type File struct {
	Path      string
	Syntax    *ast.File
	Lines     int
	Generated bool
	// Imports maps the name of a package in this file to its path.
	Imports map[string]string
	set     *token.FileSet
}

// Load parses the module in root, without nested modules, testdata and hidden directories.
func Load(root fs.FS) (*Module, error) {
	mod, err := fs.ReadFile(root, "go.mod")
	if err != nil {
		return nil, err
	}
	m := &Module{GoMod: string(mod)}
	for line := range strings.Lines(m.GoMod) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "module "); ok {
			m.Path = name
		}
	}
	makefile, err := fs.ReadFile(root, "Makefile")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	m.Makefile = string(makefile)
	return m, fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if p != "." && isExcluded(root, p) {
			return fs.SkipDir
		}
		return m.loadPackage(root, p)
	})
}

func isExcluded(root fs.FS, dir string) bool {
	base := path.Base(dir)
	if base == "testdata" || base == "node_modules" || dir == "bin" || base[0] == '.' || base[0] == '_' {
		return true
	}
	_, err := fs.Stat(root, path.Join(dir, "go.mod"))
	return err == nil
}

func (m *Module) loadPackage(root fs.FS, dir string) error {
	names, err := fs.Glob(root, path.Join(dir, "*.go"))
	if err != nil || len(names) == 0 {
		return err
	}
	pkg := &Package{Path: dir}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parse(root, name)
		if err != nil {
			return err
		}
		pkg.Files = append(pkg.Files, f)
	}
	m.Packages = append(m.Packages, pkg)
	return nil
}

func parse(root fs.FS, name string) (*File, error) {
	src, err := fs.ReadFile(root, name)
	if err != nil {
		return nil, err
	}
	set := token.NewFileSet()
	syntax, err := parser.ParseFile(set, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", name, err)
	}
	f := &File{
		Path: name, Syntax: syntax, set: set, Imports: map[string]string{},
		Lines: set.File(syntax.FileStart).LineCount(), Generated: ast.IsGenerated(syntax),
	}
	for _, spec := range syntax.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("parsing %s: import %s: %w", name, spec.Path.Value, err)
		}
		f.Imports[localName(spec, target)] = target
	}
	return f, nil
}

// localName returns the name of an import in a file. For a blank or dot import it returns the path, so that all are
// kept.
func localName(spec *ast.ImportSpec, target string) string {
	if spec.Name == nil {
		base := path.Base(target)
		if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
			base = path.Base(path.Dir(target))
		}
		return base
	}
	if spec.Name.Name == "_" || spec.Name.Name == "." {
		return target
	}
	return spec.Name.Name
}

// local returns the path of a package relative to the module, or false if it belongs to another module.
func (m *Module) local(target string) (string, bool) {
	return strings.CutPrefix(target, m.Path+"/")
}

// imports returns the sorted imports of the package without its tests.
func (p *Package) imports() []string {
	var all []string
	for _, f := range p.Files {
		for _, target := range f.Imports {
			all = append(all, target)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// eachFunction calls visit for every function declaration in hand-written code.
func (m *Module) eachFunction(visit func(p *Package, f *File, fn *ast.FuncDecl)) {
	for _, p := range m.Packages {
		for _, f := range p.Files {
			for _, fn := range f.functions() {
				visit(p, f, fn)
			}
		}
	}
}

func (f *File) functions() (all []*ast.FuncDecl) {
	if f.Generated {
		return nil
	}
	for _, decl := range f.Syntax.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Body != nil {
			all = append(all, fn)
		}
	}
	return all
}

// subject returns the name of a function in waivers.txt: file:Type.Method.
func (f *File) subject(fn *ast.FuncDecl) string {
	name := fn.Name.Name
	if fn.Recv != nil {
		name = receiver(fn.Recv.List[0].Type) + "." + name
	}
	return f.Path + ":" + name
}

func receiver(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.StarExpr:
		return receiver(t.X)
	case *ast.IndexExpr:
		return receiver(t.X)
	case *ast.IndexListExpr:
		return receiver(t.X)
	case *ast.Ident:
		return t.Name
	default:
		return "?"
	}
}

// at returns a position as file:line.
func (f *File) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", f.Path, f.set.Position(n.Pos()).Line)
}
