package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const maxConfig = 1 << 20

var errNotManifest = errors.New("the response is not an image manifest")

// manifest is the part of an image manifest or an index that describes the image.
type manifest struct {
	MediaType    types.MediaType   `json:"mediaType"`
	ArtifactType string            `json:"artifactType"`
	Annotations  map[string]string `json:"annotations"`
	Config       descriptor        `json:"config"`
	Manifests    []descriptor      `json:"manifests"`
}

type descriptor struct {
	MediaType   types.MediaType   `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations"`
	Platform    struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
	} `json:"platform"`
}

// isAttestation reports whether the descriptor is that of an attestation rather than an image of the index.
func (d descriptor) isAttestation() bool {
	return d.Annotations["vnd.docker.reference.type"] != "" ||
		d.Platform.OS == "unknown" && d.Platform.Architecture == "unknown"
}

// image returns the index entry whose details are used: the first for linux/amd64, or else the first image.
func (m manifest) image() (descriptor, bool) {
	var first *descriptor
	for i, d := range m.Manifests {
		if !d.MediaType.IsImage() || d.isAttestation() {
			continue
		}
		if d.Platform.OS == "linux" && d.Platform.Architecture == "amd64" {
			return d, true
		}
		if first == nil {
			first = &m.Manifests[i]
		}
	}
	if first == nil {
		return descriptor{}, false
	}
	return *first, true
}

// artifactType returns the type of the artifact, from the most specific field that has one.
func (m manifest) artifactType(contentType types.MediaType) string {
	for _, t := range []string{m.ArtifactType, string(m.Config.MediaType), string(m.MediaType), string(contentType)} {
		if t = clean(t, maxShort); t != "" {
			return t
		}
	}
	return ""
}

// fetcher fetches the manifests and the config of one image.
type fetcher struct {
	puller *remote.Puller
	repo   name.Repository
}

func (f fetcher) details(ctx context.Context, ref name.Reference) (Details, error) {
	top, desc, err := f.manifest(ctx, ref)
	if err != nil {
		return Details{}, err
	}
	found := values{}
	found.add(top.Annotations)
	image := top
	if entry, ok := top.image(); ok {
		found.add(entry.Annotations)
		if image, err = f.child(ctx, entry); err != nil {
			return Details{}, err
		}
		found.add(image.Annotations)
	}
	found.add(image.Config.Annotations)
	if !found.complete() {
		labels, err := f.labels(ctx, image.Config)
		if err != nil {
			return Details{}, err
		}
		found.add(labels)
	}
	d := found.details()
	d.Digest = desc.Digest.String()
	d.ArtifactType = top.artifactType(desc.MediaType)
	return d, nil
}

func (f fetcher) manifest(ctx context.Context, ref name.Reference) (manifest, *remote.Descriptor, error) {
	desc, err := f.puller.Get(ctx, ref)
	if err != nil {
		return manifest{}, nil, err
	}
	var m manifest
	if err := json.Unmarshal(desc.Manifest, &m); err != nil {
		return manifest{}, nil, errNotManifest
	}
	return m, desc, nil
}

// child reads the image of an index entry. A missing one, as in a mirror that has only some platforms, is not an error,
// because it will not appear later.
func (f fetcher) child(ctx context.Context, d descriptor) (manifest, error) {
	ref, err := f.byDigest(d.Digest)
	if err != nil {
		return manifest{}, errNotManifest
	}
	m, _, err := f.manifest(ctx, ref)
	if isNotFound(err) || errors.Is(err, errNotManifest) {
		return manifest{}, nil
	}
	return m, err
}

// labels reads the labels of the image config. A config that is missing, too large or of another type has no labels.
// That is not an error, because the content of a digest never changes.
func (f fetcher) labels(ctx context.Context, d descriptor) (map[string]string, error) {
	if !d.MediaType.IsConfig() || d.Size <= 0 || d.Size > maxConfig {
		return nil, nil
	}
	ref, err := f.byDigest(d.Digest)
	if err != nil {
		return nil, nil //nolint:nilerr // a config with an invalid digest has no labels
	}
	raw, err := f.blob(ctx, ref, d.Size)
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var config struct {
		Config struct {
			Labels map[string]string `json:"Labels"`
		} `json:"config"`
	}
	if err := json.Unmarshal(raw, &config); err != nil {
		return nil, nil //nolint:nilerr // a config that is not JSON has no labels
	}
	return config.Config.Labels, nil
}

func (f fetcher) blob(ctx context.Context, ref name.Digest, size int64) (_ []byte, err error) {
	layer, err := f.puller.Layer(ctx, ref)
	if err != nil {
		return nil, err
	}
	body, err := layer.Compressed()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	// The limit is one byte above the announced size, because the digest is verified only at the end of the content.
	raw, err := io.ReadAll(io.LimitReader(body, size+1))
	if err == nil && int64(len(raw)) > size {
		err = errTooLarge
	}
	return raw, err
}

func (f fetcher) byDigest(digest string) (name.Digest, error) {
	ref, err := name.NewDigest(f.repo.Name() + "@" + digest)
	if err != nil {
		return name.Digest{}, fmt.Errorf("parsing digest: %w", err)
	}
	// The repository knows whether plain HTTP is allowed.
	return f.repo.Digest(ref.DigestStr()), nil
}

func isNotFound(err error) bool {
	var response *transport.Error
	return errors.As(err, &response) && response.StatusCode == http.StatusNotFound
}
