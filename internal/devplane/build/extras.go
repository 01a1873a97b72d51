package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	// imageAPI is the module whose Go types the image CRDs are generated from. The module of the controller, which
	// carries the CRDs, is not available from the module proxy.
	imageAPI = "github.com/fluxcd/image-reflector-controller/api"
	// controllerGen runs in its own version, apart from both modules.
	controllerGen = "sigs.k8s.io/controller-tools/cmd/controller-gen@v0.20.1"
)

// stageDirs are the folders of KWOK's stages that the local cluster uses.
var stageDirs = []string{"node/fast", "node/heartbeat-with-lease", "pod/fast", "pod/chaos"}

// crdModules carry their CRDs.
var crdModules = []string{"github.com/fluxcd/source-controller", "github.com/fluxcd/kustomize-controller"}

// extra is a folder of manifests.
type extra struct {
	name, stamp string
	make        func(ctx context.Context, target string) error
}

// extrasOutOfDate returns the folders that have to be made.
func (b builder) extrasOutOfDate(ctx context.Context, base string) ([]extra, error) {
	images, err := goOutput(ctx, ".", "list", "-m", "-f", "{{.Version}}", imageAPI)
	if err != nil {
		return nil, err
	}
	var todo []extra
	for _, e := range []extra{
		{"stages", stamp(base, "stages", strings.Join(stageDirs, " ")), b.makeStages},
		{"crds", stamp(base, "crds", images, controllerGen, strings.Join(crdModules, " ")), b.makeCRDs},
	} {
		if !upToDate(b.out, e.name, e.stamp) {
			todo = append(todo, e)
		}
	}
	return todo, nil
}

// makeStages copies the stages from the KWOK module.
func (b builder) makeStages(ctx context.Context, target string) error {
	dir, err := b.moduleDir(ctx, "sigs.k8s.io/kwok")
	if err != nil {
		return err
	}
	for _, stage := range stageDirs {
		pattern := filepath.Join(dir, "kustomize", "stage", filepath.FromSlash(stage), "*.yaml")
		if err := copyFiles(pattern, target); err != nil {
			return err
		}
	}
	return nil
}

// makeCRDs copies the CRDs of the modules that carry them and generates the image CRDs.
func (b builder) makeCRDs(ctx context.Context, target string) error {
	for _, module := range crdModules {
		dir, err := b.moduleDir(ctx, module)
		if err != nil {
			return err
		}
		if err := copyFiles(filepath.Join(dir, "config", "crd", "bases", "*.yaml"), target); err != nil {
			return err
		}
	}
	_, err := goOutput(ctx, ".", "run", controllerGen, "crd", "paths="+imageAPI+"/v1", "output:crd:dir="+target)
	return err
}

// moduleDir returns the folder of a module in the module cache. It downloads the module if necessary.
func (b builder) moduleDir(ctx context.Context, module string) (string, error) {
	if _, err := goOutput(ctx, b.module, "mod", "download", module); err != nil {
		return "", err
	}
	return goOutput(ctx, b.module, "list", "-m", "-f", "{{.Dir}}", module)
}

// copyFiles copies the files that match pattern, except those of kustomize, which are no manifests.
func copyFiles(pattern, target string) error {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("no file matches %s", pattern)
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(target, filepath.Base(file)), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
