package artifact_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/kuberik/kuberik/internal/devplane/artifact"
)

func serve(t *testing.T) string {
	t.Helper()
	registry, err := artifact.Serve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := registry.Close(t.Context()); err != nil {
			t.Log(err)
		}
	})
	return registry.Address()
}

func pull(t *testing.T, reference string) (*v1.Manifest, v1.Image) {
	t.Helper()
	ref, err := name.ParseReference(reference, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	image, err := remote.Image(ref)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	return manifest, image
}

func TestImage(t *testing.T) {
	host := serve(t)
	annotations := map[string]string{"org.opencontainers.image.version": "1.0.0"}
	digests := map[string]string{}
	for title, image := range map[string]artifact.Image{
		"one":           {Reference: host + "/app:1.0.0", Annotations: annotations},
		"another tag":   {Reference: host + "/app:1.1.0", Annotations: annotations},
		"other content": {Reference: host + "/app:moved", Annotations: annotations, Content: "v2"},
	} {
		digest, err := artifact.PushImage(t.Context(), image)
		if err != nil {
			t.Fatal(err)
		}
		manifest, pulled := pull(t, image.Reference)
		if diff := cmp.Diff(annotations, manifest.Annotations); diff != "" {
			t.Errorf("%s: annotations (-want +got):\n%s", title, diff)
		}
		if got, _ := pulled.Digest(); got.String() != digest {
			t.Errorf("%s: pushed %s, pulled %s", title, digest, got)
		}
		digests[digest] = title
	}
	if len(digests) != 3 {
		t.Errorf("digests are not all different: %v", digests)
	}
}

func TestManifests(t *testing.T) {
	host := serve(t)
	files := map[string]string{"app/deployment.yaml": "kind: Deployment", "kustomization.yaml": "resources: []"}
	m := artifact.Manifests{Reference: host + "/manifests:1.0.0", Files: files, Annotations: map[string]string{"a": "b"}}
	first, err := artifact.PushManifests(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	manifest, image := pull(t, m.Reference)
	if got := manifest.Config.MediaType; got != "application/vnd.cncf.flux.config.v1+json" {
		t.Errorf("config is %q", got)
	}
	if got := manifest.Layers[0].MediaType; got != "application/vnd.cncf.flux.content.v1.tar+gzip" {
		t.Errorf("layer is %q", got)
	}
	if diff := cmp.Diff(files, unpack(t, image)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	m.Reference = host + "/manifests:again"
	if again, err := artifact.PushManifests(t.Context(), m); err != nil || again != first {
		t.Errorf("the same files gave %s, %v; first %s", again, err, first)
	}
}

func unpack(t *testing.T, image v1.Image) map[string]string {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	blob, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	unzipped, err := gzip.NewReader(blob)
	if err != nil {
		t.Fatal(err)
	}
	files, archive := map[string]string{}, tar.NewReader(unzipped)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(data)
	}
}

func TestTag(t *testing.T) {
	host := serve(t)
	digest, err := artifact.PushImage(t.Context(), artifact.Image{Reference: host + "/app:1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := artifact.Tag(t.Context(), host+"/app:1.0.0", "latest"); err != nil {
		t.Fatal(err)
	}
	_, image := pull(t, host+"/app:latest")
	if got, _ := image.Digest(); got.String() != digest {
		t.Errorf("latest is %s, want %s", got, digest)
	}
}
