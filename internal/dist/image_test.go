package dist

import (
	"archive/tar"
	"bytes"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

var (
	program = Programs()[0]
	amd64   = Target{"linux", "amd64"}
)

// image builds an image of files without compiling anything.
func image(t *testing.T, s Source, files map[string][]byte) v1.ImageIndex {
	t.Helper()
	all := maps.Clone(files)
	maps.Copy(all, accounts())
	packed, err := pack(all, s.Created)
	if err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed)), nil }, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		t.Fatal(err)
	}
	built, err := s.withLayer(program, amd64, layer)
	if err != nil {
		t.Fatal(err)
	}
	return mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{
		Add: built, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}},
	})
}

func TestImage(t *testing.T) {
	t.Parallel()
	s := Source{Version: "v1.2.3", Revision: "abc", Author: "alice", Created: time.Unix(1e9, 0).UTC()}
	files := map[string][]byte{program.Name: []byte("program"), "licenses/LICENSE": []byte("free"), "licenses/a/b/LICENSE": nil}
	index := image(t, s, files)
	if err := CheckImage(program, index); err != nil {
		t.Error(err)
	}
	first, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if second, err := image(t, s, files).Digest(); err != nil || first != second {
		t.Errorf("the same files have the digests %s and %s (%v)", first, second, err)
	}
	dir := filepath.Join(t.TempDir(), "image")
	for range 2 { // it replaces the one before
		if err := s.WriteLayout(dir, index); err != nil {
			t.Fatal(err)
		}
	}
	read, err := ReadLayout(dir)
	if err != nil {
		t.Fatal(err)
	}
	if digest, err := read.Digest(); err != nil || digest != first {
		t.Errorf("the layout holds %s (%v)", digest, err)
	}
	one, err := imageOf(read, amd64)
	if err != nil {
		t.Fatal(err)
	}
	config, err := one.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	for label, want := range map[string]string{
		"org.opencontainers.image.version": "1.2.3", "org.opencontainers.image.revision": "abc", "com.kuberik.author": "alice",
		"org.opencontainers.image.created": "2001-09-09T01:46:40Z", "org.opencontainers.image.licenses": "Apache-2.0",
	} {
		if got := config.Config.Labels[label]; got != want {
			t.Errorf("label %s is %q, want %q", label, got, want)
		}
	}
	root := t.TempDir()
	if err := Unpack(read, amd64, root); err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if info, err := os.Stat(filepath.Join(root, program.Name)); err != nil || info.Mode().Perm() != 0o555 {
		t.Errorf("the program: %v, %v", info.Mode(), err)
	}
	if err := Unpack(read, Target{"linux", "arm64"}, root); err == nil {
		t.Error("an image of another platform is unpacked")
	}
}

func TestWhatDoesNotBelongIntoAnImage(t *testing.T) {
	t.Parallel()
	s := Source{Version: "v1.2.3"}
	if err := CheckImage(program, image(t, s, map[string][]byte{program.Name: nil, "bin/sh": nil})); err == nil || !strings.Contains(err.Error(), "bin") {
		t.Errorf("a shell is accepted: %v", err)
	}
	if err := CheckImage(Programs()[1], image(t, s, map[string][]byte{program.Name: nil})); err == nil || !strings.Contains(err.Error(), "entrypoint") {
		t.Errorf("another program is accepted: %v", err)
	}
	if err := CheckImage(program, empty.Index); err == nil {
		t.Error("an index without images is accepted")
	}
	for what, h := range map[string]*tar.Header{
		"a program that anybody may change": {Name: program.Name, Typeflag: tar.TypeReg, Mode: 0o777},
		"a file of the user":                {Name: "etc/passwd", Typeflag: tar.TypeReg, Mode: 0o444, Uid: UserID},
		"a link":                            {Name: program.Name, Typeflag: tar.TypeSymlink, Linkname: "/proc/self/exe"},
		"a folder":                          {Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o555},
		"a file beside the accounts":        {Name: "etc/shadow", Typeflag: tar.TypeReg, Mode: 0o444},
		"a file above the root":             {Name: "../etc/passwd", Typeflag: tar.TypeReg, Mode: 0o444},
	} {
		if err := checkFile(program, h); err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
}

func TestSourceIsDated(t *testing.T) {
	t.Setenv(epochEnv, "1000000000")
	s, err := ReadSource(t.Context(), t.TempDir(), "v1.2.3")
	if err != nil || !s.Created.Equal(time.Unix(1e9, 0)) || s.Revision != "" || s.Tag() != "1.2.3" {
		t.Errorf("got %+v, %v", s, err)
	}
	t.Setenv(epochEnv, "yesterday")
	if _, err := ReadSource(t.Context(), t.TempDir(), "v1.2.3"); err == nil || !strings.Contains(err.Error(), epochEnv) {
		t.Errorf("got %v", err)
	}
}

func TestModuleWithoutLicence(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := addLicences(map[string][]byte{}, "example.com/a", dir); err == nil {
		t.Error("a module without a licence is accepted")
	}
	for _, name := range []string{"LICENSE", "NOTICE.txt", "license.go", "README.md"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files := map[string][]byte{}
	if err := addLicences(files, "example.com/a", dir); err != nil || len(files) != 2 || files["licenses/example.com/a/NOTICE.txt"] == nil {
		t.Errorf("got %d files, %v", len(files), err)
	}
}
