package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/kuberik/kuberik/internal/dist"
)

// generate writes what is derived from config/.
func generate(_ context.Context, s dist.Source, _ string) error { return dist.Generate(s.Root) }

// manifests writes install.yaml and crds.yaml.
func manifests(_ context.Context, s dist.Source, out string) error {
	install, err := s.Manifests("")
	if err != nil {
		return err
	}
	return writeManifests(s, out, install)
}

func writeManifests(s dist.Source, out string, install []byte) error {
	definitions, err := s.Definitions()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for name, data := range map[string][]byte{"install.yaml": install, "crds.yaml": definitions} {
		if err := os.WriteFile(filepath.Join(out, name), data, 0o644); err != nil {
			return err
		}
		say("%s", filepath.Join(out, name))
	}
	return nil
}
