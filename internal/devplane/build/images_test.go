package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// thisModule is the module of the test binary, which the tests publish as a program of the local cluster.
const thisModule = "github.com/kuberik/kuberik"

type file struct {
	name string
	mode int64
	data []byte
}

func layer(t *testing.T, files ...file) v1.Layer {
	t.Helper()
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	archive := tar.NewWriter(zip)
	for _, f := range files {
		err := archive.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.data)), Typeflag: tar.TypeReg})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write(f.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(archive.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// publish pushes an image with those layers to a registry and returns the program that it stands for, and the image by
// digest.
func publish(t *testing.T, server *httptest.Server, layers ...v1.Layer) (b binary, image string) {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(server.URL, "http://")
	b = binary{name: "etcd", module: thisModule, version: "v3.6.8", repository: host + "/etcd"}
	tag, err := name.NewTag(b.image())
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, img, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return b, b.image() + "@" + digest.String()
}

func serve(t *testing.T, handler http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// program is a real Go binary: the one that runs.
func program(t *testing.T) []byte {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func linuxOnly(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("images hold Linux binaries only")
	}
}

func TestTakeBinary(t *testing.T) {
	linuxOnly(t)
	self := program(t)
	server := serve(t, registry.New(registry.Logger(discard())))
	b, image := publish(t, server,
		layer(t, file{"usr/local/bin/etcd", 0o755, []byte("of an older layer")}),
		layer(t, file{"etc/etcd", 0o644, []byte("not a program")}, file{"usr/local/bin/etcd", 0o755, self}),
		layer(t, file{"etc/passwd", 0o644, nil}))
	dir := t.TempDir()
	if err := takeBinary(t.Context(), b, image, dir, time.Minute); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "etcd"))
	if err != nil || !bytes.Equal(got, self) {
		t.Errorf("it is not the program of the last layer: %d bytes, %v", len(got), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// TestNothingUnverifiedCanRun publishes and serves what is wrong in every way. None of it ends as a file that can be
// executed.
func TestNothingUnverifiedCanRun(t *testing.T) {
	linuxOnly(t)
	self := program(t)
	good := []v1.Layer{layer(t, file{"usr/local/bin/etcd", 0o755, self})}
	cases := map[string]struct {
		layers []v1.Layer
		// spoil changes what is expected, or the image.
		spoil func(b *binary, image *string)
		// tamper changes what the registry sends.
		tamper func(path string, body []byte) []byte
		want   string
	}{
		"Unknown digest": {
			layers: good, want: "MANIFEST_UNKNOWN",
			spoil: func(_ *binary, image *string) { *image = (*image)[:len(*image)-8] + "00000000" },
		},
		"Other manifest": {
			layers: good, want: "manifest digest",
			tamper: func(path string, body []byte) []byte {
				if strings.Contains(path, "/manifests/sha256") {
					return append(body, '\n')
				}
				return body
			},
		},
		"Other layer": {
			layers: good, want: "error verifying",
			tamper: func(path string, body []byte) []byte {
				if strings.Contains(path, "/blobs/") && len(body) > 10_000 {
					body[len(body)-1] ^= 1 // behind the end of the archive, where nothing but the digest covers it
				}
				return body
			},
		},
		"No program": {layers: []v1.Layer{layer(t, file{"usr/local/bin/etcdctl", 0o755, self})}, want: "no program etcd"},
		"No Go":      {layers: []v1.Layer{layer(t, file{"usr/local/bin/etcd", 0o755, []byte("#!/bin/sh\n")})}, want: "unrecognized file format"},
		"Other module": {
			layers: good, want: "not go.etcd.io/etcd/server/v3",
			spoil: func(b *binary, _ *string) { b.module = "go.etcd.io/etcd/server/v3" },
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			server := serve(t, tampering(registry.New(registry.Logger(discard())), c.tamper))
			b, image := publish(t, server, c.layers...)
			if c.spoil != nil {
				c.spoil(&b, &image)
			}
			dir := t.TempDir()
			err := takeBinary(t.Context(), b, image, dir, time.Minute)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if info, err := os.Stat(filepath.Join(dir, "etcd")); err == nil && info.Mode()&0o111 != 0 {
				t.Error("it can be executed")
			}
		})
	}
}

// tampering changes what a registry answers to reads.
func tampering(inner http.Handler, change func(path string, body []byte) []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if change == nil || r.Method != http.MethodGet {
			inner.ServeHTTP(w, r)
			return
		}
		recorded := httptest.NewRecorder()
		inner.ServeHTTP(recorded, r)
		for key, values := range recorded.Header() {
			if key != "Content-Length" {
				w.Header()[key] = values
			}
		}
		w.WriteHeader(recorded.Code)
		_, _ = w.Write(change(r.URL.Path, recorded.Body.Bytes()))
	})
}

// TestHangingRegistry hangs at each point of a download. The patience of a real build is below what people should have
// to wait.
func TestHangingRegistry(t *testing.T) {
	linuxOnly(t)
	if patience >= 5*time.Second {
		t.Errorf("a build waits %s for a registry that hangs", patience)
	}
	for _, at := range []string{"/v2/", "/manifests/", "/blobs/"} {
		t.Run(at, func(t *testing.T) {
			inner := registry.New(registry.Logger(discard()))
			published := false
			server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !published || !strings.Contains(r.URL.Path, at) {
					inner.ServeHTTP(w, r)
					return
				}
				if at == "/blobs/" { // it begins, and then it hangs
					_, _ = w.Write([]byte("x"))
					_ = http.NewResponseController(w).Flush()
				}
				<-r.Context().Done()
			}))
			b, image := publish(t, server, layer(t, file{"etcd", 0o755, program(t)}))
			published = true
			err := takeBinary(t.Context(), b, image, t.TempDir(), 50*time.Millisecond)
			if !errors.Is(err, errStalled) {
				t.Errorf("got %v, want %v", err, errStalled)
			}
		})
	}
}

func TestVerify(t *testing.T) {
	b := binary{module: "k8s.io/kubernetes", version: "v1.36.2"}
	cases := map[string]struct {
		reason, module, version, arch string
		want                          string
	}{
		"Module build":  {"a build of the module states its version", "k8s.io/kubernetes", "v1.36.2", runtime.GOARCH, ""},
		"Release build": {"a build of a checkout often does not", "k8s.io/kubernetes", "(devel)", runtime.GOARCH, ""},
		"Dirty":         {"or says that files were changed for the build", "k8s.io/kubernetes", "v1.36.2+dirty", runtime.GOARCH, ""},
		"Older":         {"another version is a mistake", "k8s.io/kubernetes", "v1.36.1", runtime.GOARCH, "version v1.36.1, not v1.36.2"},
		"Fork":          {"so is another module", "example.com/kubernetes", "v1.36.2", runtime.GOARCH, "not k8s.io/kubernetes"},
		"Platform":      {"so is another platform", "k8s.io/kubernetes", "v1.36.2", "s390x-like", "not linux/" + runtime.GOARCH},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			info := &debug.BuildInfo{
				Main:     debug.Module{Path: c.module, Version: c.version},
				Settings: []debug.BuildSetting{{Key: "GOOS", Value: "linux"}, {Key: "GOARCH", Value: c.arch}},
			}
			err := verify(info, b)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %q", c.reason, err, c.want)
			}
		})
	}
}

// TestPin writes the digests of the images whose programs are right, and reads them again.
func TestPin(t *testing.T) {
	linuxOnly(t)
	server := serve(t, registry.New(registry.Logger(discard())))
	b, image := publish(t, server, layer(t, file{"etcd", 0o755, program(t)}))
	fork := b
	fork.module = "example.com/etcd"
	fork.version = "v0.0.1"
	missing := b
	missing.repository += "/missing"
	path := filepath.Join(t.TempDir(), pinsFile)
	var log strings.Builder
	if err := pin(t.Context(), []binary{fork, missing, b}, path, &log); err != nil {
		t.Fatal(err)
	}
	got, err := readPins(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{b.image(): image}, got); diff != "" {
		t.Errorf("pins (-want +got):\n%s\n%s", diff, &log)
	}
	for _, want := range []string{fork.image() + " is not pinned", missing.image() + " is not pinned"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, &log)
		}
	}
}

// TestPinsOfTheRepository: the file in the repository can be read.
func TestPinsOfTheRepository(t *testing.T) {
	pins, err := readPins(filepath.Join("..", "..", "..", "hack", "components", pinsFile))
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	list, err := resolve(t.Context(), filepath.Join("..", "..", "..", "hack", "components"))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range list {
		known[b.image()] = true
		if b.version == "" {
			t.Errorf("%s has no version", b.name)
		}
	}
	for tag := range pins {
		if !known[tag] {
			t.Errorf("%s is pinned, but go.mod asks for another version: run go run ./internal/devplane/build -pin", tag)
		}
	}
}

// TestFetchFallsBack: what is not pinned, or cannot be had, is left to the compiler; the rest is installed.
func TestFetchFallsBack(t *testing.T) {
	linuxOnly(t)
	server := serve(t, registry.New(registry.Logger(discard())))
	good, image := publish(t, server, layer(t, file{"etcd", 0o755, program(t)}))
	good.stamp = "1"
	gone, unpinned := good, good
	gone.repository += "/gone"
	unpinned.repository += "/unpinned"
	b := builder{module: t.TempDir(), out: t.TempDir(), log: io.Discard}
	pins := fmt.Sprintf("# comment\n\n%s\n%s\n", image, gone.image()+"@sha256:"+strings.Repeat("0", 64))
	for path, text := range map[string]string{filepath.Join(b.module, pinsFile): pins, filepath.Join(b.out, stampDir, "x"): ""} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	rest, err := b.fetch(t.Context(), []binary{unpinned, gone}, t.TempDir())
	if err != nil || len(rest) != 2 || upToDate(b.out, "etcd", "1") {
		t.Errorf("got %v, %v, want both left to the compiler", rest, err)
	}
	rest, err = b.fetch(t.Context(), []binary{good}, t.TempDir())
	if err != nil || len(rest) != 0 || !upToDate(b.out, "etcd", "1") {
		t.Errorf("got %v, %v, want it installed", rest, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.fetch(ctx, []binary{good}, t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Errorf("an interruption is no reason to compile: %v", err)
	}
}
