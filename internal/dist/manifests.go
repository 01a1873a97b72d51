package dist

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// imageInManifests is the image in config/manager, up to its tag.
const imageInManifests = "image: ghcr.io/kuberik/kuberik-controller:"

// manifestFolders lists the folders of config/ in the order in which they are applied.
func manifestFolders() []string {
	return []string{"rbac/00-namespace.yaml", "crd", "rbac", "policy", "manager"}
}

// Manifests returns everything that has to be applied to install a version, in one file. The image is that of the
// version, or the one with a digest where one is given.
func (s Source) Manifests(digest string) ([]byte, error) {
	return s.join(digest, manifestFolders()...)
}

// Definitions returns the CustomResourceDefinitions in one file.
func (s Source) Definitions() ([]byte, error) { return s.join("", "crd") }

// join joins the manifests in folders and files of config/, each of them once.
func (s Source) join(digest string, from ...string) ([]byte, error) {
	out := bytes.NewBufferString(fmt.Sprintf("# Kuberik %s, %s\n", s.Version, repository))
	seen := map[string]bool{}
	for _, path := range from {
		pattern := filepath.Join(s.Root, "config", path)
		if filepath.Ext(path) == "" {
			pattern = filepath.Join(pattern, "*.yaml")
		}
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			return nil, errors.Join(fmt.Errorf("no manifests in %s", pattern), err)
		}
		for _, file := range files {
			if seen[file] {
				continue
			}
			seen[file] = true
			data, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(out, "---\n%s\n", strings.TrimSpace(strings.TrimPrefix(s.withImage(string(data), digest), "---\n")))
		}
	}
	return out.Bytes(), nil
}

// withImage replaces the image of the controller by that of the version.
func (s Source) withImage(manifest, digest string) string {
	before, rest, found := strings.Cut(manifest, imageInManifests)
	if !found {
		return manifest
	}
	_, after, _ := strings.Cut(rest, "\n")
	image := imageInManifests + s.Tag()
	if digest != "" {
		image += "@" + digest
	}
	return before + image + "\n" + after
}

// Generate writes what is derived from config/: the annotations of the CustomResourceDefinitions, and the copies in the
// chart.
func Generate(root string) error {
	if err := annotateDefinitions(filepath.Join(root, "config", "crd")); err != nil {
		return err
	}
	files := filepath.Join(root, "charts", "kuberik", "files")
	if err := os.RemoveAll(files); err != nil {
		return err
	}
	for _, folder := range []string{"crd", "rbac", "policy"} {
		if err := copyManifests(filepath.Join(root, "config", folder), filepath.Join(files, folder)); err != nil {
			return err
		}
	}
	return copyManifests(filepath.Join(root, "config", "components", "some-namespaces"),
		filepath.Join(files, "some-namespaces"))
}

// annotateDefinitions says in each CustomResourceDefinition which version its schema has, and that Helm and Flux do not
// delete it, which would delete every object of its kind.
func annotateDefinitions(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return err
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		annotated, err := annotate(string(data))
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := os.WriteFile(file, []byte(annotated), 0o600); err != nil { // an existing file keeps its mode
			return err
		}
	}
	return nil
}

// annotate adds the annotations after that of controller-gen, in the order of their names. It changes nothing the
// second time.
func annotate(crd string) (string, error) {
	const generator = "\n    controller-gen.kubebuilder.io/version: "
	before, rest, found := strings.Cut(crd, generator)
	version, after, ended := strings.Cut(rest, "\n")
	if !found || !ended {
		return "", errors.New("no annotation of controller-gen")
	}
	for strings.HasPrefix(after, "    ") {
		_, after, _ = strings.Cut(after, "\n")
	}
	return before + generator + version + fmt.Sprintf(`
    helm.sh/resource-policy: keep
    %s: "%d"
    kustomize.toolkit.fluxcd.io/prune: disabled
`, v1alpha1.AnnotationSchemaVersion, v1alpha1.SchemaVersion) + after, nil
}

// copyManifests copies the manifests of a folder into a new one.
func copyManifests(from, to string) error {
	files, err := filepath.Glob(filepath.Join(from, "*.yaml"))
	if err != nil || len(files) == 0 {
		return errors.Join(fmt.Errorf("no manifests in %s", from), err)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(file)), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
