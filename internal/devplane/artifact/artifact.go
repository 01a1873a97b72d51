package artifact

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Media types of Flux's OCI artifacts.
const (
	fluxConfig  types.MediaType = "application/vnd.cncf.flux.config.v1+json"
	fluxContent types.MediaType = "application/vnd.cncf.flux.content.v1.tar+gzip"
)

// contentLabel makes images with equal annotations differ.
const contentLabel = "com.kuberik.devplane.content"

// Image is an image without layers.
type Image struct {
	// Reference as registry/repository:tag.
	Reference string
	// Annotations of the manifest.
	Annotations map[string]string
	// Content determines the digest. Defaults to the reference.
	Content string
}

// PushImage pushes an image and returns its digest.
func PushImage(ctx context.Context, image Image) (string, error) {
	content := image.Content
	if content == "" {
		content = image.Reference
	}
	built, err := mutate.Config(empty.Image, v1.Config{Labels: map[string]string{contentLabel: content}})
	if err != nil {
		return "", fmt.Errorf("building image %q: %w", image.Reference, err)
	}
	built = mutate.ConfigMediaType(mutate.MediaType(built, types.OCIManifestSchema1), types.OCIConfigJSON)
	return push(ctx, image.Reference, built, image.Annotations)
}

// Manifests is an artifact for Flux's OCIRepository.
type Manifests struct {
	// Reference as registry/repository:tag.
	Reference string
	// Files maps paths with forward slashes to content.
	Files map[string]string
	// Annotations of the manifest.
	Annotations map[string]string
}

// PushManifests pushes an artifact and returns its digest.
func PushManifests(ctx context.Context, m Manifests) (string, error) {
	content, err := archive(m.Files)
	if err != nil {
		return "", fmt.Errorf("packing artifact %q: %w", m.Reference, err)
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), fluxConfig)
	built, err := mutate.Append(base, mutate.Addendum{Layer: static.NewLayer(content, fluxContent)})
	if err != nil {
		return "", fmt.Errorf("building artifact %q: %w", m.Reference, err)
	}
	return push(ctx, m.Reference, built, m.Annotations)
}

// Tag adds a tag to a reference, which has the form registry/repository:tag.
func Tag(ctx context.Context, reference, tag string) error {
	from, err := name.ParseReference(reference, name.Insecure)
	if err != nil {
		return err
	}
	found, err := remote.Get(from, remote.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("reading %q: %w", reference, err)
	}
	return remote.Tag(from.Context().Tag(tag), found, remote.WithContext(ctx))
}

func push(ctx context.Context, reference string, image v1.Image, annotations map[string]string) (string, error) {
	ref, err := name.ParseReference(reference, name.Insecure)
	if err != nil {
		return "", fmt.Errorf("pushing: %w", err)
	}
	if len(annotations) > 0 {
		annotated, ok := mutate.Annotations(image, annotations).(v1.Image)
		if !ok {
			return "", errors.New("pushing: an image with annotations is no image")
		}
		image = annotated
	}
	if err := remote.Write(ref, image, remote.WithContext(ctx)); err != nil {
		return "", fmt.Errorf("pushing %q: %w", reference, err)
	}
	digest, err := image.Digest()
	return digest.String(), err
}

// archive packs files. Equal files have equal digests.
func archive(files map[string]string) ([]byte, error) {
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	packed := tar.NewWriter(zipped)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: 0o644, Size: int64(len(files[path]))}
		if err := packed.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := packed.Write([]byte(files[path])); err != nil {
			return nil, err
		}
	}
	if err := packed.Close(); err != nil {
		return nil, err
	}
	if err := zipped.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
