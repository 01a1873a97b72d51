package main

import (
	"archive/tar"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/sync/errgroup"
)

// patience is how long a registry may send nothing. A registry that hangs delays the compilation by no more than that.
const patience = 4 * time.Second

var errStalled = errors.New("the registry sends nothing")

// fetch installs the programs whose official images are pinned, and returns the others.
func (b builder) fetch(ctx context.Context, binaries []binary, scratch string) ([]binary, error) {
	pins, err := readPins(filepath.Join(b.module, pinsFile))
	if err != nil {
		return nil, err
	}
	var pinned, rest []binary
	for _, bin := range binaries {
		if _, ok := pins[bin.image()]; ok && runtime.GOOS == "linux" {
			pinned = append(pinned, bin)
		} else {
			rest = append(rest, bin)
		}
	}
	var mu sync.Mutex
	var group errgroup.Group
	for _, bin := range pinned {
		group.Go(func() error {
			err := takeBinary(ctx, bin, pins[bin.image()], scratch, patience)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				b.printf("%s is not taken from its image: %v\n", bin.name, err)
				rest = append(rest, bin)
				return nil
			}
			b.printf("%s is taken from %s\n", bin.name, pins[bin.image()])
			return install(scratch, b.out, bin.name, bin.stamp)
		})
	}
	return rest, errors.Join(group.Wait(), ctx.Err())
}

// image is the official image of the version, by its tag.
func (b binary) image() string { return b.repository + ":" + b.tag() }

// takeBinary puts a program from an image, which is named by digest, into a folder. It is executable only once
// everything about it has been verified: the digests of the manifest and of the layer, and the build information in the
// program.
func takeBinary(ctx context.Context, b binary, image, dir string, patience time.Duration) error {
	ref, err := name.NewDigest(image)
	if err != nil {
		return err
	}
	ctx, transport := watch(ctx, patience)
	defer transport.timer.Stop()
	img, err := remote.Image(ref, remote.WithContext(ctx), remote.WithTransport(transport),
		remote.WithPlatform(platform()))
	if err != nil {
		return cause(ctx, err)
	}
	target := filepath.Join(dir, b.name)
	if err := extract(img, b.name, target); err != nil {
		return cause(ctx, err)
	}
	info, err := buildinfo.ReadFile(target)
	if err != nil {
		return err
	}
	if err := verify(info, b); err != nil {
		return err
	}
	return os.Chmod(target, 0o755)
}

func platform() v1.Platform { return v1.Platform{OS: "linux", Architecture: runtime.GOARCH} }

// cause prefers the reason why a context ended to the errors that follow from it.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// watchdog ends a context once nothing has come from the network for some time.
type watchdog struct {
	timer    *time.Timer
	patience time.Duration
}

func watch(ctx context.Context, patience time.Duration) (context.Context, *watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &watchdog{
		time.AfterFunc(patience, func() { cancel(fmt.Errorf("%w for %s", errStalled, patience)) }), patience,
	}
}

// RoundTrip counts each response, and each part of its body, as a sign of life.
func (w *watchdog) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		w.timer.Reset(w.patience)
		response.Body = &watched{response.Body, w}
	}
	return response, err
}

type watched struct {
	io.ReadCloser
	dog *watchdog
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if n > 0 {
		w.dog.timer.Reset(w.dog.patience)
	}
	return n, err
}

// extract copies the program of that name out of an image. The last layer that has it wins.
func extract(img v1.Image, name, target string) error {
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for _, layer := range slices.Backward(layers) {
		found, err := extractLayer(layer, name, target)
		if found || err != nil {
			return err
		}
	}
	return fmt.Errorf("the image has no program %s", name)
}

// extractLayer looks into a layer only after it was read to its end, because only then its digest has been verified.
func extractLayer(layer v1.Layer, name, target string) (bool, error) {
	saved := target + ".layer"
	defer os.Remove(saved) //nolint:errcheck // the scratch folder is removed as a whole
	if err := save(layer.Compressed, saved); err != nil {
		return false, err
	}
	local, err := tarball.LayerFromFile(saved)
	if err != nil {
		return false, err
	}
	content, err := local.Uncompressed()
	if err != nil {
		return false, err
	}
	defer content.Close()
	for files := tar.NewReader(content); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if header.Typeflag == tar.TypeReg && path.Base(header.Name) == name && fs.FileMode(header.Mode)&0o111 != 0 {
			return true, save(func() (io.ReadCloser, error) { return io.NopCloser(files), nil }, target)
		}
	}
}

// save writes what open returns to a file that nobody can execute.
func save(open func() (io.ReadCloser, error), target string) error {
	source, err := open()
	if err != nil {
		return err
	}
	defer source.Close()
	f, err := os.OpenFile(target, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, source)
	return errors.Join(err, f.Close())
}

// verify reports what is wrong with a program by its build information. Official builds often leave out the version of
// their main module, which is why an image is named by digest: build information finds mistakes, not forgeries.
func verify(info *debug.BuildInfo, b binary) error {
	version, _, _ := strings.Cut(info.Main.Version, "+")
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	switch {
	case info.Main.Path != b.module:
		return fmt.Errorf("the program is of module %q, not %s", info.Main.Path, b.module)
	case version != "" && version != "(devel)" && version != b.version:
		return fmt.Errorf("the program has version %s, not %s", version, b.version)
	case settings["GOOS"] != "linux" || settings["GOARCH"] != runtime.GOARCH:
		return fmt.Errorf("the program is for %s/%s, not linux/%s", settings["GOOS"], settings["GOARCH"], runtime.GOARCH)
	}
	return nil
}
