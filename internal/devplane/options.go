package devplane

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/kuberik/kuberik/internal/devplane/component"
)

// BinDirEnv names the folder of the components' binaries.
const BinDirEnv = "KUBERIK_DEVPLANE_BIN"

// assetsEnv names a folder whose etcd and kube-apiserver replace our own, as for controller-runtime's envtest.
const assetsEnv = "KUBEBUILDER_ASSETS"

// ErrNotBuilt means that a program of the local cluster is missing.
var ErrNotBuilt = errors.New("the local cluster is not built, run: make components")

// Options select what to start. The zero value starts etcd and the API server.
type Options struct {
	// Dir is the state folder: data, certificates, kubeconfigs, logs. The state of an earlier local cluster in it is
	// removed. Defaults to a new folder that Stop removes.
	Dir string
	// BinDir holds the programs. Defaults to the folder that KUBERIK_DEVPLANE_BIN names, else bin/devplane of the
	// repository, else devplane beside the executable.
	BinDir string
	// Log receives the progress. Defaults to none.
	Log io.Writer
	// Flux starts source-controller, kustomize-controller and the reflector.
	Flux bool
	// Workloads starts the controller manager, the scheduler and KWOK.
	Workloads bool
	// Nodes is the number of fake nodes, with Workloads. Defaults to 1.
	Nodes int
}

// complete fills in the defaults.
func (o Options) complete() (Options, error) {
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Nodes == 0 {
		o.Nodes = 1
	}
	dir, err := findBinDir(o.BinDir)
	if err != nil {
		return o, err
	}
	o.BinDir = dir
	return o, o.check()
}

// check reports a missing program before anything is started.
func (o Options) check() error {
	for _, name := range o.files() {
		path := filepath.Join(o.BinDir, name)
		if assets := os.Getenv(assetsEnv); assets != "" && slices.Contains(core, name) {
			path = filepath.Join(assets, name)
		}
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("%w (no %s)", ErrNotBuilt, path)
		}
	}
	return nil
}

var core = []string{component.Etcd, component.APIServer}

// files lists what has to be in BinDir.
func (o Options) files() []string {
	files := slices.Clone(core)
	if o.Workloads {
		files = append(files, component.ControllerManager, component.Scheduler, component.KWOK, stagesDir)
	}
	if o.Flux {
		files = append(files, component.SourceController, component.KustomizeController, crdsDir)
	}
	return files
}

// findBinDir returns the folder that is given, else the first one that exists.
func findBinDir(given string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	if named := os.Getenv(BinDirEnv); named != "" {
		return filepath.Abs(named)
	}
	var candidates []string
	if root, err := repositoryRoot(); err == nil {
		candidates = append(candidates, filepath.Join(root, "bin", "devplane"))
	}
	if executable, err := os.Executable(); err == nil {
		candidates = append(candidates, filepath.Join(filepath.Dir(executable), "devplane"))
	}
	for _, candidate := range candidates {
		if _, err := os.Stat(candidate); err == nil {
			return candidate, nil
		}
	}
	return "", fmt.Errorf("%w (no folder %v, and %s is not set)", ErrNotBuilt, candidates, BinDirEnv)
}

// repositoryRoot looks upwards from the working folder for this module.
func repositoryRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(mod, []byte("module github.com/kuberik/kuberik\n")) {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("not inside the repository")
		}
		dir = parent
	}
}
