package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kuberik/kuberik/internal/devplane/component"
)

// binary is a program of the local cluster.
type binary struct {
	// name of the file.
	name string
	// pkg is the package that is compiled.
	pkg string
	// module of the package, and its version.
	module, version string
	// repository of the official image.
	repository string
	stamp      string
}

const kubernetes = "k8s.io/kubernetes"

// binaries lists the programs without their versions.
func binaries() []binary {
	kube := func(name string) binary {
		return binary{name: name, pkg: kubernetes + "/cmd/" + name, module: kubernetes, repository: "registry.k8s.io/" + name}
	}
	flux := func(name string) binary {
		module := "github.com/fluxcd/" + name
		return binary{name: name, pkg: module, module: module, repository: "ghcr.io/fluxcd/" + name}
	}
	const etcd, kwok = "go.etcd.io/etcd/server/v3", "sigs.k8s.io/kwok"
	return []binary{
		{name: component.Etcd, pkg: etcd, module: etcd, repository: "registry.k8s.io/etcd"},
		kube(component.APIServer), kube(component.ControllerManager), kube(component.Scheduler),
		{name: component.KWOK, pkg: kwok + "/cmd/kwok", module: kwok, repository: "registry.k8s.io/kwok/kwok"},
		flux(component.SourceController), flux(component.KustomizeController),
	}
}

// tag of the official image of that version.
func (b binary) tag() string {
	if b.name == component.Etcd {
		return strings.TrimPrefix(b.version, "v") + "-0" // the first build of the image, as Kubernetes releases it
	}
	return b.version
}

// ldflags leave out symbols, and make a Kubernetes program report its version, which its own release build sets in the
// same way.
func (b binary) ldflags() string {
	const strip = "-s -w"
	parts := strings.SplitN(strings.TrimPrefix(b.version, "v"), ".", 3)
	if b.module != kubernetes || len(parts) < 3 {
		return strip
	}
	const pkg = "k8s.io/component-base/version."
	return fmt.Sprintf("%[1]s -X %[2]sgitVersion=%[3]s -X %[2]sgitMajor=%[4]s -X %[2]sgitMinor=%[5]s",
		strip, pkg, b.version, parts[0], parts[1])
}

// resolve lists the programs in the versions that the module in dir pins.
func resolve(ctx context.Context, dir string) ([]binary, error) {
	list := binaries()
	args := []string{"list", "-m", "-f", "{{.Path}} {{.Version}}"}
	for _, b := range list {
		if !slices.Contains(args, b.module) {
			args = append(args, b.module)
		}
	}
	text, err := goOutput(ctx, dir, args...)
	if err != nil {
		return nil, err
	}
	versions := map[string]string{}
	for line := range strings.Lines(text) {
		module, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		versions[module] = version
	}
	for i := range list {
		list[i].version = versions[list[i].module]
	}
	return list, nil
}

// outOfDate returns the programs that have to be made, each with its stamp. If KUBEBUILDER_ASSETS is set, the etcd and
// the API server in that folder serve instead of our own.
func (b builder) outOfDate(base string, list []binary) ([]binary, error) {
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	var todo []binary
	for _, bin := range list {
		if assets != "" && (bin.name == component.Etcd || bin.name == component.APIServer) {
			if _, err := os.Stat(filepath.Join(assets, bin.name)); err != nil {
				return nil, fmt.Errorf("KUBEBUILDER_ASSETS is set but has no %s: %w", bin.name, err)
			}
			continue
		}
		bin.stamp = stamp(base, bin.name, bin.pkg, bin.ldflags())
		if !upToDate(b.out, bin.name, bin.stamp) {
			todo = append(todo, bin)
		}
	}
	return todo, nil
}
