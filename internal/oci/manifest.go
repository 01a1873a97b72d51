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

var errNotManifest = errors.New("the answer is no image manifest")

// manifest is the part of an image manifest or an index that says something about the image.
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

// attestation reports whether the descriptor is provenance that travels beside the images of an index.
func (d descriptor) attestation() bool {
	return d.Annotations["vnd.docker.reference.type"] != "" ||
		d.Platform.OS == "unknown" && d.Platform.Architecture == "unknown"
}

// image returns the index entry that speaks for the whole: the first for linux/amd64, else the first image of any kind.
func (m manifest) image() (descriptor, bool) {
	var first *descriptor
	for i, d := range m.Manifests {
		if !d.MediaType.IsImage() || d.attestation() {
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

// kind says what sort of artifact this is, by the most telling of the three fields that may.
func (m manifest) kind(served types.MediaType) string {
	for _, t := range []string{m.ArtifactType, string(m.Config.MediaType), string(m.MediaType), string(served)} {
		if t = clean(t, maxShort); t != "" {
			return t
		}
	}
	return ""
}

// walk is one read of one image.
type walk struct {
	puller *remote.Puller
	repo   name.Repository
}

func (w walk) details(ctx context.Context, ref name.Reference) (Details, error) {
	top, desc, err := w.manifest(ctx, ref)
	if err != nil {
		return Details{}, err
	}
	found := values{}
	found.add(top.Annotations)
	image := top
	if entry, ok := top.image(); ok {
		found.add(entry.Annotations)
		if image, err = w.child(ctx, entry); err != nil {
			return Details{}, err
		}
		found.add(image.Annotations)
	}
	found.add(image.Config.Annotations)
	if !found.complete() {
		labels, err := w.labels(ctx, image.Config)
		if err != nil {
			return Details{}, err
		}
		found.add(labels)
	}
	d := found.details()
	d.Digest = desc.Digest.String()
	d.ArtifactType = top.kind(desc.MediaType)
	return d, nil
}

func (w walk) manifest(ctx context.Context, ref name.Reference) (manifest, *remote.Descriptor, error) {
	desc, err := w.puller.Get(ctx, ref)
	if err != nil {
		return manifest{}, nil, err
	}
	var m manifest
	if err := json.Unmarshal(desc.Manifest, &m); err != nil {
		return manifest{}, nil, errNotManifest
	}
	return m, desc, nil
}

// child reads the image an index points to. One that is not there, as in a mirror of some platforms only, has nothing
// to add; that will not change, so it is no error.
func (w walk) child(ctx context.Context, d descriptor) (manifest, error) {
	ref, err := w.byDigest(d.Digest)
	if err != nil {
		return manifest{}, errNotManifest
	}
	m, _, err := w.manifest(ctx, ref)
	if absent(err) || errors.Is(err, errNotManifest) {
		return manifest{}, nil
	}
	return m, err
}

// labels reads the image config. Content that is missing, oversized or no image config at all has no labels, and as it
// is named by digest it never will.
func (w walk) labels(ctx context.Context, d descriptor) (map[string]string, error) {
	if !d.MediaType.IsConfig() || d.Size <= 0 || d.Size > maxConfig {
		return nil, nil
	}
	ref, err := w.byDigest(d.Digest)
	if err != nil {
		return nil, nil //nolint:nilerr // a digest nobody can ask for holds no labels
	}
	raw, err := w.blob(ctx, ref, d.Size)
	if absent(err) {
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
		return nil, nil //nolint:nilerr // a config that is no JSON holds no labels
	}
	return config.Config.Labels, nil
}

func (w walk) blob(ctx context.Context, ref name.Digest, size int64) (_ []byte, err error) {
	layer, err := w.puller.Layer(ctx, ref)
	if err != nil {
		return nil, err
	}
	body, err := layer.Compressed()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	// One byte more than announced: reading up to the end is what verifies the digest.
	raw, err := io.ReadAll(io.LimitReader(body, size+1))
	if err == nil && int64(len(raw)) > size {
		err = errTooLarge
	}
	return raw, err
}

func (w walk) byDigest(digest string) (name.Digest, error) {
	ref, err := name.NewDigest(w.repo.Name() + "@" + digest)
	if err != nil {
		return name.Digest{}, fmt.Errorf("parsing digest: %w", err)
	}
	// The repository carries how its registry may be spoken to.
	return w.repo.Digest(ref.DigestStr()), nil
}

func absent(err error) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound
}
