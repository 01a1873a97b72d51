package devplane

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
)

// Pods of a Deployment that say one of these never become ready.
const (
	// NeverReadyLabel, if "true", keeps the pod from becoming ready.
	NeverReadyLabel = "devplane.kuberik.com/never-ready"
	// NeverReadyTags is an annotation that lists image tags, with commas
	// between them: a pod with a container of such a tag never becomes ready.
	// So one manifest serves good and bad versions alike.
	NeverReadyTags = "devplane.kuberik.com/never-ready-tags"
)

// stagesDir holds KWOK's own stages, inside BinDir.
const stagesDir = "stages"

//go:embed stages/pod-never-ready.yaml
var neverReadyStage []byte

// writeStages gathers KWOK's own stages and ours into one file.
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
