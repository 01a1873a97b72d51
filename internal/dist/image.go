package dist

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	// repository of the source.
	repository = "https://github.com/kuberik/kuberik"
	// UserID of the program in an image, and of its group. No file belongs to it.
	UserID = 65532
	// authorLabel is where Kuberik looks for the author of a release.
	authorLabel = "com.kuberik.author"
)

// Program is a program that is published as an image.
type Program struct {
	// Name of the program, of its image and of its folder in cmd/.
	Name string
	// Description of the image.
	Description string
}

// Programs lists the programs that are published as images.
func Programs() []Program {
	return []Program{
		{"kuberik-controller", "The controller of Kuberik, which orchestrates releases beside Flux"},
		{"kuberik", "The command line of Kuberik"},
	}
}

// ImageTargets lists the platforms of the images.
func ImageTargets() []Target { return []Target{{"linux", "amd64"}, {"linux", "arm64"}} }

// accounts are the files that name the user of the program for tools that look it up.
func accounts() map[string][]byte {
	return map[string][]byte{
		"etc/passwd": fmt.Appendf(nil, "root:x:0:0:root:/:/sbin/nologin\nkuberik:x:%[1]d:%[1]d:kuberik:/:/sbin/nologin\n",
			UserID),
		"etc/group": fmt.Appendf(nil, "root:x:0:\nkuberik:x:%d:\n", UserID),
	}
}

// Image builds the image of a program for some platforms: the program, its licences, and nothing else.
func (s Source) Image(ctx context.Context, p Program, targets ...Target) (v1.ImageIndex, error) {
	work, err := os.MkdirTemp("", "kuberik-image-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work) //nolint:errcheck // what is left is in the temporary folder
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, t := range targets {
		image, err := s.imageFor(ctx, p, t, work)
		if err != nil {
			return nil, fmt.Errorf("building the image of %s for %s: %w", p.Name, t, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: t.OS, Architecture: t.Arch}},
		})
	}
	annotated, ok := mutate.Annotations(index, s.labels(p)).(v1.ImageIndex)
	if !ok {
		return nil, errors.New("an index with annotations is no index")
	}
	return annotated, nil
}

func (s Source) imageFor(ctx context.Context, p Program, t Target, work string) (v1.Image, error) {
	file := filepath.Join(work, t.OS+"-"+t.Arch)
	if err := s.Compile(ctx, p.Name, t, file); err != nil {
		return nil, err
	}
	program, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	files, err := s.Licences(ctx, p.Name, t)
	if err != nil {
		return nil, err
	}
	maps.Copy(files, accounts())
	files[p.Name] = program
	packed, err := pack(files, s.Created)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(packed)), nil
	}, tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(9))
	if err != nil {
		return nil, err
	}
	return s.withLayer(p, t, layer)
}

// withLayer returns the image of one platform.
func (s Source) withLayer(p Program, t Target, layer v1.Layer) (v1.Image, error) {
	labels := s.labels(p)
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	configured, err := mutate.ConfigFile(base, &v1.ConfigFile{
		OS: t.OS, Architecture: t.Arch, Created: v1.Time{Time: s.Created}, RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{
			User: fmt.Sprintf("%[1]d:%[1]d", UserID), Entrypoint: []string{"/" + p.Name}, WorkingDir: "/", Labels: labels,
		},
	})
	if err != nil {
		return nil, err
	}
	image, err := mutate.Append(configured, mutate.Addendum{
		Layer: layer, History: v1.History{Created: v1.Time{Time: s.Created}, CreatedBy: "make image"},
	})
	if err != nil {
		return nil, err
	}
	annotated, ok := mutate.Annotations(image, labels).(v1.Image)
	if !ok {
		return nil, errors.New("an image with annotations is no image")
	}
	return annotated, nil
}

// labels describe an image, in its configuration and in its manifests.
func (s Source) labels(p Program) map[string]string {
	const prefix = "org.opencontainers.image."
	labels := map[string]string{
		prefix + "title": p.Name, prefix + "description": p.Description, prefix + "version": s.Tag(),
		prefix + "source": repository, prefix + "documentation": repository + "/tree/main/docs",
		prefix + "licenses": "Apache-2.0", prefix + "created": s.Created.Format(time.RFC3339),
	}
	if s.Revision != "" {
		labels[prefix+"revision"] = s.Revision
	}
	if s.Author != "" {
		labels[authorLabel] = s.Author
	}
	return labels
}

// pack makes a tar archive: sorted, owned by root, dated, and writable by nobody. Nothing but a program in the root is
// executable.
func pack(files map[string][]byte, created time.Time) ([]byte, error) {
	var out bytes.Buffer
	archive := tar.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(withFolders(files))) {
		data, isFile := files[name]
		header := &tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o555, ModTime: created, Format: tar.FormatPAX}
		if isFile {
			header.Typeflag, header.Name, header.Size = tar.TypeReg, name, int64(len(data))
			if path.Dir(name) != "." {
				header.Mode = 0o444
			}
		}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(data); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), archive.Close()
}

// withFolders returns the names of files and of the folders that they are in.
func withFolders(files map[string][]byte) map[string]bool {
	names := map[string]bool{}
	for name := range files {
		for ; name != "."; name = path.Dir(name) {
			names[name] = true
		}
	}
	return names
}

// WriteLayout writes an image into a new OCI image layout, tagged with the version.
func (s Source) WriteLayout(dir string, index v1.ImageIndex) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	to, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	return to.AppendIndex(index, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": s.Tag()}))
}
