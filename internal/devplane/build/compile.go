package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// linkWeight is what linking a program counts for in the estimate, in bytes of source: about as long as compiling that
// much takes.
const linkWeight = 4 << 20

// compile builds programs from source with one go build and installs them.
func (b builder) compile(ctx context.Context, binaries []binary, scratch string) error {
	if len(binaries) == 0 {
		return nil
	}
	b.printf("Compiling %s from source. The first time takes a quarter of an hour or more on two cores.\n",
		names(binaries))
	var packages, programs []string
	for _, bin := range binaries {
		packages = append(packages, bin.pkg)
		programs = append(programs, filepath.Join(scratch, executable(bin.pkg)))
	}
	weights, err := b.weigh(ctx, packages)
	if err != nil {
		return err
	}
	args := []string{"build", "-v", "-trimpath"}
	for _, bin := range binaries {
		args = append(args, "-ldflags="+bin.pkg+"="+bin.ldflags())
	}
	cmd := command(ctx, b.module, "go", append(append(args, "-o", scratch+"/"), packages...)...)
	lines, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	progress := newProgress(b.log, weights, programs)
	defer progress.close()
	if err := cmd.Start(); err != nil {
		return err
	}
	problem := follow(lines, progress)
	if err := cmd.Wait(); err != nil {
		return errors.Join(err, errors.New(problem))
	}
	progress.close()
	for i, bin := range binaries {
		if err := os.Rename(programs[i], filepath.Join(scratch, bin.name)); err != nil {
			return err
		}
		if err := install(scratch, b.out, bin.name, bin.stamp); err != nil {
			return err
		}
	}
	return nil
}

// weigh returns the packages that have to be compiled, each with its size in bytes of source.
func (b builder) weigh(ctx context.Context, packages []string) (map[string]int64, error) {
	const format = `{{if .Stale}}{{.ImportPath}}{{"\t"}}{{.Dir}}{{range .GoFiles}}{{"\t"}}{{.}}{{end}}{{end}}`
	list, err := goOutput(ctx, b.module, append([]string{"list", "-trimpath", "-deps", "-f", format}, packages...)...)
	if err != nil {
		return nil, err
	}
	weights := map[string]int64{}
	for line := range strings.Lines(list) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) < 2 {
			continue
		}
		for _, file := range fields[2:] {
			if info, err := os.Stat(filepath.Join(fields[1], file)); err == nil {
				weights[fields[0]] += info.Size()
			}
		}
	}
	return weights, nil
}

// follow reports the packages that go build -v names and returns everything else that it prints, which is a problem.
func follow(lines io.Reader, p *progress) string {
	var problem strings.Builder
	for scan := bufio.NewScanner(lines); scan.Scan(); {
		line := scan.Text()
		switch {
		case strings.HasPrefix(line, "go: downloading "):
			p.downloading(strings.TrimPrefix(line, "go: downloading "))
		case strings.ContainsAny(line, " \t"):
			problem.WriteString(line + "\n")
		default:
			p.compiling(line)
		}
	}
	return problem.String()
}

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// executable is the name that go build gives to the program of a package.
func executable(pkg string) string {
	if dir, last := path.Split(pkg); majorVersion.MatchString(last) {
		return path.Base(dir)
	}
	return path.Base(pkg)
}

func names(binaries []binary) string {
	var list []string
	for _, b := range binaries {
		list = append(list, b.name)
	}
	return strings.Join(list, ", ")
}
