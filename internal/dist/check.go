package dist

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/match"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// maxImageSize bounds what a node downloads.
const maxImageSize = 25 << 20

// ReadLayout reads the image in an OCI image layout.
func ReadLayout(dir string) (v1.ImageIndex, error) {
	root, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the image in %s: %w", dir, err)
	}
	manifest, err := root.IndexManifest()
	if err != nil {
		return nil, err
	}
	if len(manifest.Manifests) != 1 {
		return nil, fmt.Errorf("%s holds %d images, want 1", dir, len(manifest.Manifests))
	}
	return root.ImageIndex(manifest.Manifests[0].Digest)
}

// CheckImage reports what is wrong with an image: its user, its files, its size.
func CheckImage(p Program, index v1.ImageIndex) error {
	images, err := imagesOf(index)
	if err != nil {
		return err
	}
	if len(images) == 0 {
		return errors.New("the index lists no images")
	}
	var problems []error
	for platform, image := range images {
		if err := checkOne(p, image); err != nil {
			problems = append(problems, fmt.Errorf("%s for %s: %w", p.Name, platform, err))
		}
	}
	return errors.Join(problems...)
}

// imagesOf lists the images of an index by platform.
func imagesOf(index v1.ImageIndex) (map[string]v1.Image, error) {
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	images := map[string]v1.Image{}
	for _, d := range manifest.Manifests {
		if d.Platform == nil {
			return nil, fmt.Errorf("%s has no platform", d.Digest)
		}
		if images[d.Platform.String()], err = index.Image(d.Digest); err != nil {
			return nil, err
		}
	}
	return images, nil
}

func checkOne(p Program, image v1.Image) error {
	config, err := image.ConfigFile()
	if err != nil {
		return err
	}
	manifest, err := image.Manifest()
	if err != nil {
		return err
	}
	var size int64
	for _, l := range manifest.Layers {
		size += l.Size
	}
	var problems []error
	if want := fmt.Sprintf("%[1]d:%[1]d", UserID); config.Config.User != want {
		problems = append(problems, fmt.Errorf("the user is %q, want %s", config.Config.User, want))
	}
	if !slices.Equal(config.Config.Entrypoint, []string{"/" + p.Name}) {
		problems = append(problems, fmt.Errorf("the entrypoint is %q", config.Config.Entrypoint))
	}
	if size > maxImageSize {
		problems = append(problems, fmt.Errorf("it has %d MiB, at most %d are allowed", size>>20, maxImageSize>>20))
	}
	return errors.Join(append(problems,
		eachFile(image, func(h *tar.Header, _ io.Reader) error { return checkFile(p, h) }))...)
}

// checkFile reports a file that does not belong into the image of a program, or that somebody may change.
func checkFile(p Program, h *tar.Header) error {
	if !belongs(p, path.Clean(h.Name), h.Typeflag) {
		return fmt.Errorf("%s does not belong into the image", h.Name)
	}
	if h.Mode&0o222 != 0 || h.Uid != 0 || h.Gid != 0 {
		return fmt.Errorf("%s has the mode %o and belongs to %d:%d", h.Name, h.Mode, h.Uid, h.Gid)
	}
	return nil
}

func belongs(p Program, name string, kind byte) bool {
	licence := strings.HasPrefix(name, "licenses/")
	switch kind {
	case tar.TypeDir:
		return licence || name == "etc" || name == "licenses"
	case tar.TypeReg:
		return licence || slices.Contains([]string{p.Name, "etc/passwd", "etc/group"}, name)
	default:
		return false
	}
}

// eachFile calls visit for every file of an image, until it returns an error.
func eachFile(image v1.Image, visit func(*tar.Header, io.Reader) error) error {
	files := mutate.Extract(image)
	defer files.Close()
	archive := tar.NewReader(files)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = visit(header, archive)
		}
		if err != nil {
			return err
		}
	}
}

// Unpack writes the files of the image for a platform into a folder.
func Unpack(index v1.ImageIndex, t Target, dir string) error {
	found, err := imageOf(index, t)
	if err != nil {
		return err
	}
	return eachFile(found, func(h *tar.Header, data io.Reader) error {
		file := filepath.Join(dir, filepath.FromSlash(path.Clean("/"+h.Name)))
		if h.Typeflag == tar.TypeDir {
			return os.MkdirAll(file, 0o755)
		}
		to, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, os.FileMode(h.Mode&0o777)) //nolint:gosec // it has these bits only
		if err != nil {
			return err
		}
		_, err = io.Copy(to, data)
		return errors.Join(err, to.Close())
	})
}

// imageOf returns the image of an index for a platform.
func imageOf(index v1.ImageIndex, t Target) (v1.Image, error) {
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	matches := match.Platforms(v1.Platform{OS: t.OS, Architecture: t.Arch})
	for _, d := range manifest.Manifests {
		if matches(d) {
			return index.Image(d.Digest)
		}
	}
	return nil, fmt.Errorf("there is no image for %s", t)
}

// CopySource copies the source without git and without what was built, so that it can be built in another folder.
func (s Source) CopySource(ctx context.Context, dir string) (Source, error) {
	list, err := command(ctx, s.Root, nil, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return s, err
	}
	for _, name := range strings.Split(strings.Trim(list, "\x00"), "\x00") {
		data, err := os.ReadFile(filepath.Join(s.Root, name))
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted, and not committed yet
		}
		if err != nil {
			return s, err
		}
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return s, err
		}
		if err := os.WriteFile(to, data, 0o600); err != nil {
			return s, err
		}
	}
	s.Root = dir
	return s, nil
}
