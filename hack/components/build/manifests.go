package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// stageDirs are the folders of KWOK's stages that the local cluster uses.
var stageDirs = []string{"node/fast", "node/heartbeat-with-lease", "pod/fast", "pod/chaos"}

// crdModules carry their CRDs.
var crdModules = []string{"github.com/fluxcd/source-controller", "github.com/fluxcd/kustomize-controller"}

// makeStages copies the stages out of the KWOK module.
func makeStages(ctx context.Context, target, _ string) error {
	dir, err := moduleDir(ctx, "sigs.k8s.io/kwok")
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

// makeCRDs gathers Flux's CRDs: two modules carry theirs, the image CRDs are
// generated.
func makeCRDs(ctx context.Context, target, mainModule string) error {
	for _, module := range crdModules {
		dir, err := moduleDir(ctx, module)
		if err != nil {
			return err
		}
		if err := copyFiles(filepath.Join(dir, "config", "crd", "bases", "*.yaml"), target); err != nil {
			return err
		}
	}
	_, err := output(ctx, mainModule, "go", "run", controllerGen, "crd", "paths="+imageAPI+"/v1", "output:crd:dir="+target)
	return err
}

// moduleDir is the folder of a module in the module cache, fetched if need be.
func moduleDir(ctx context.Context, module string) (string, error) {
	if _, err := output(ctx, ".", "go", "mod", "download", module); err != nil {
		return "", err
	}
	return output(ctx, ".", "go", "list", "-m", "-f", "{{.Dir}}", module)
}

// copyFiles copies what pattern matches, except kustomize's own files, which
// are no manifests.
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
