package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	// imageAPI is the module whose Go types the image CRDs are generated
	// from: the reflector's main module, which carries them, can not be had.
	imageAPI = "github.com/fluxcd/image-reflector-controller/api"
	// controllerGen is run by its own version, apart from both modules.
	controllerGen = "sigs.k8s.io/controller-tools/cmd/controller-gen@v0.20.1"
)

// product is one file or folder of the output folder.
type product struct {
	name string
	// from is what the product alone depends on, for its stamp.
	from  string
	stamp string
	make  func(ctx context.Context, target, label string) error
}

// products lists everything the local cluster needs, in the order of making:
// the small ones first, then each binary after those it shares most with. If
// assets is set, its API server and etcd serve instead of our own.
func products(ctx context.Context, mainModule, assets string) ([]product, error) {
	imageVersion, err := output(ctx, mainModule, "go", "list", "-m", "-f", "{{.Version}}", imageAPI)
	if err != nil {
		return nil, err
	}
	kubernetes, err := output(ctx, ".", "go", "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes")
	if err != nil {
		return nil, err
	}
	core := []product{
		binary("etcd", "go.etcd.io/etcd/server/v3", ""),
		binary("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", versionFlags(kubernetes)),
	}
	if assets != "" {
		for _, p := range core {
			if _, err := os.Stat(filepath.Join(assets, p.name)); err != nil {
				return nil, fmt.Errorf("KUBEBUILDER_ASSETS is set but has no %s: %w", p.name, err)
			}
		}
		core = nil
	}
	return append(core,
		binary("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager", versionFlags(kubernetes)),
		binary("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler", versionFlags(kubernetes)),
		binary("kwok", "sigs.k8s.io/kwok/cmd/kwok", ""),
		binary("source-controller", "github.com/fluxcd/source-controller", ""),
		binary("kustomize-controller", "github.com/fluxcd/kustomize-controller", ""),
		product{name: "stages", make: makeStages},
		product{name: "crds", from: imageVersion + controllerGen, make: func(ctx context.Context, target, label string) error {
			return makeCRDs(ctx, target, mainModule)
		}},
	), nil
}

// versionFlags makes a Kubernetes program report the version it was built
// from, which its own release build does by the same variables.
func versionFlags(version string) string {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) < 3 {
		return ""
	}
	const pkg = "k8s.io/component-base/version."
	return fmt.Sprintf(" -X %[1]sgitVersion=%[2]s -X %[1]sgitMajor=%[3]s -X %[1]sgitMinor=%[4]s", pkg, version, parts[0], parts[1])
}
