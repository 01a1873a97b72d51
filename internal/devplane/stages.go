package devplane

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
)

// A pod with one of these never becomes ready.
const (
	// NeverReadyLabel, if "true", keeps the pod from becoming ready.
	NeverReadyLabel = "devplane.kuberik.com/never-ready"
	// NeverReadyTags is an annotation with a comma-separated list of image tags. A pod with a container of such a tag
	// never becomes ready, so that one manifest serves good and bad versions.
	NeverReadyTags = "devplane.kuberik.com/never-ready-tags"
)

// stagesDir holds KWOK's own stages, inside BinDir.
const stagesDir = "stages"

//go:embed stages/pod-never-ready.yaml
var neverReadyStage []byte

// writeStages writes KWOK's own stages and ours to one file.
func writeStages(dir, target string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%w (no stages in %s)", ErrNotBuilt, dir)
	}
	documents := [][]byte{neverReadyStage}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("reading KWOK's stages: %w", err)
		}
		documents = append(documents, data)
	}
	return os.WriteFile(target, bytes.Join(documents, []byte("\n---\n")), 0o600)
}
