package oci_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kuberik/kuberik/internal/oci"
	"github.com/kuberik/kuberik/internal/outbound"
)

const (
	secret = "s3cr3t-passw0rd"
	prefix = "org.opencontainers.image."
)

// fakeRegistry is a registry in this process. It counts reads, and can misbehave.
type fakeRegistry struct {
	t       *testing.T
	host    string
	reads   atomic.Int64
	mu      sync.Mutex
	handler func(w http.ResponseWriter, r *http.Request, next http.Handler)
}

// newReader returns a Reader that may call the loopback addresses, where the registries of these tests are.
func newReader(opts ...oci.Option) *oci.Reader {
	local := outbound.Policy{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	return oci.New(append([]oci.Option{oci.WithPolicy(local)}, opts...)...)
}

func TestLoopbackAddressesAreRefusedByDefault(t *testing.T) {
	w := newRegistry(t)
	ref := w.push("app", "1", image(t, nil, nil))
	w.reads.Store(0)
	if _, err := oci.New().Details(t.Context(), ref, nil); err == nil ||
		!strings.Contains(err.Error(), "address 127.0.0.1 may not be called (loopback)") ||
		w.reads.Load() > 0 {
		t.Errorf("%d reads, %v", w.reads.Load(), err)
	}
}

func TestProxyOfTheEnvironmentIsIgnored(t *testing.T) {
	proxy := httptest.NewServer(
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the proxy was called") }),
	)
	t.Cleanup(proxy.Close)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	ref := oci.Ref{Image: "registry.invalid/app", Tag: "1", Insecure: true}
	if _, err := newReader().Details(t.Context(), ref, nil); err == nil ||
		!strings.Contains(err.Error(), "looking up registry.invalid") {
		t.Errorf("got %v", err)
	}
}

func newRegistry(t *testing.T) *fakeRegistry {
	t.Helper()
	w := &fakeRegistry{t: t}
	next := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/") {
			w.reads.Add(1)
		}
		w.mu.Lock()
		handle := w.handler
		w.mu.Unlock()
		if handle != nil {
			handle(rw, r, next)
			return
		}
		next.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	w.host = strings.TrimPrefix(server.URL, "http://")
	return w
}

func (w *fakeRegistry) misbehave(handle func(http.ResponseWriter, *http.Request, http.Handler)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.handler = handle
}

func (w *fakeRegistry) tag(repo, tag string) name.Tag {
	w.t.Helper()
	ref, err := name.NewTag(w.host+"/"+repo+":"+tag, name.Insecure)
	if err != nil {
		w.t.Fatal(err)
	}
	return ref
}

func (w *fakeRegistry) push(repo, tag string, img v1.Image) oci.Ref {
	w.t.Helper()
	if err := remote.Write(w.tag(repo, tag), img); err != nil {
		w.t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		w.t.Fatal(err)
	}
	return oci.Ref{Image: w.host + "/" + repo, Tag: tag, Digest: digest.String(), Insecure: true, MaySend: anywhere}
}

func (w *fakeRegistry) pushIndex(repo, tag string, idx v1.ImageIndex) oci.Ref {
	w.t.Helper()
	if err := remote.WriteIndex(w.tag(repo, tag), idx); err != nil {
		w.t.Fatal(err)
	}
	digest, err := idx.Digest()
	if err != nil {
		w.t.Fatal(err)
	}
	return oci.Ref{Image: w.host + "/" + repo, Tag: tag, Digest: digest.String(), Insecure: true, MaySend: anywhere}
}

func image(t *testing.T, annotations, labels map[string]string) v1.Image {
	t.Helper()
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	img = mutate.ConfigMediaType(img, types.OCIConfigJSON)
	img, err := mutate.Config(img, v1.Config{Labels: labels})
	if err != nil {
		t.Fatal(err)
	}
	return mutate.Annotations(img, annotations).(v1.Image)
}

func TestDetails(t *testing.T) {
	w := newRegistry(t)
	linux := &v1.Platform{OS: "linux", Architecture: "amd64"}
	attestation := mutate.IndexAddendum{
		Add: image(t, map[string]string{prefix + "revision": "attestation"}, nil),
		Descriptor: v1.Descriptor{
			Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest"},
			Platform:    &v1.Platform{OS: "unknown", Architecture: "unknown"},
		},
	}
	arm := mutate.IndexAddendum{
		Add:        image(t, map[string]string{prefix + "revision": "arm"}, nil),
		Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}},
	}
	amd := mutate.IndexAddendum{
		Add: image(t, map[string]string{prefix + "revision": "amd"},
			map[string]string{prefix + "revision": "label", "com.kuberik.rollback-floor": "1.0.0"}),
		Descriptor: v1.Descriptor{Platform: linux},
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)

	cases := map[string]struct {
		reason string
		ref    oci.Ref
		want   oci.Details
	}{
		"Annotations": {
			reason: "the annotations of the manifest are used unchanged",
			ref: w.push("app", "annotations", image(t, map[string]string{
				prefix + "version": "1.2.3", prefix + "revision": "main@sha1:abc",
				prefix + "created": "2026-03-04T05:06:07+02:00", prefix + "source": "https://git.example/app",
				prefix + "title": "App", prefix + "description": "An app.", prefix + "authors": "ann",
				"com.kuberik.author": "bob", "com.kuberik.rollback-floor": "1.1.0",
			}, map[string]string{prefix + "version": "from a label"})),
			want: oci.Details{
				Version: "1.2.3", Revision: "main@sha1:abc", Source: "https://git.example/app", Title: "App",
				Description: "An app.", Authors: "bob", RollbackFloor: "1.1.0", ArtifactType: string(types.OCIConfigJSON),
				Created: time.Date(2026, 3, 4, 3, 6, 7, 0, time.UTC),
			},
		},
		"Labels": {
			reason: "the labels of a Dockerfile are used for missing annotations",
			ref: w.push("app", "labels", image(t, map[string]string{prefix + "version": "2.0.0"},
				map[string]string{prefix + "version": "0", prefix + "authors": "ann"})),
			want: oci.Details{Version: "2.0.0", Authors: "ann", ArtifactType: string(types.OCIConfigJSON)},
		},
		"IndexChild": {
			reason: "an index without annotations takes those of its linux/amd64 image, and ignores attestations",
			ref:    w.pushIndex("app", "index", mutate.AppendManifests(index, attestation, arm, amd)),
			want:   oci.Details{Revision: "amd", RollbackFloor: "1.0.0", ArtifactType: string(types.OCIImageIndex)},
		},
		"IndexFirst": {
			reason: "without linux/amd64 the first image is used",
			ref:    w.pushIndex("app", "arm", mutate.AppendManifests(index, attestation, arm)),
			want:   oci.Details{Revision: "arm", ArtifactType: string(types.OCIImageIndex)},
		},
		"IndexOwn": {
			reason: "the annotations of the index come before those of its images",
			ref: w.pushIndex("app", "own", mutate.Annotations(mutate.AppendManifests(index, amd),
				map[string]string{prefix + "revision": "index"}).(v1.ImageIndex)),
			want: oci.Details{Revision: "index", RollbackFloor: "1.0.0", ArtifactType: string(types.OCIImageIndex)},
		},
		"FluxArtifact": {
			reason: "an artifact that is not an image has a type but no labels",
			ref: w.push("app", "flux", mutate.Annotations(mutate.ConfigMediaType(
				mutate.MediaType(empty.Image, types.OCIManifestSchema1), "application/vnd.cncf.flux.config.v1+json"),
				map[string]string{prefix + "revision": "main"}).(v1.Image)),
			want: oci.Details{Revision: "main", ArtifactType: "application/vnd.cncf.flux.config.v1+json"},
		},
		"Hostile": {
			reason: "characters that change the surrounding text are removed, and long texts are cut",
			ref: w.push("app", "hostile", image(t, map[string]string{
				prefix + "version":     "1.0\u202e\u2028evil\u0085\x00\x1b[31m\n: x\u200b",
				prefix + "revision":    strings.Repeat("é", 1000),
				prefix + "created":     "yesterday",
				prefix + "source":      "javascript:alert(1)",
				prefix + "title":       "\u2066\u2069",
				prefix + "description": strings.Repeat("x", 1<<20),
			}, nil)),
			want: oci.Details{
				Version: "1.0evil[31m : x", Revision: strings.Repeat("é", 64), Description: strings.Repeat("x", 512),
				ArtifactType: string(types.OCIConfigJSON),
			},
		},
		"SourceWithToken": {
			reason: "the credentials in a link are removed",
			ref: w.push(
				"app", "token", image(t, map[string]string{prefix + "source": "https://u:" + secret + "@git.example/app"}, nil),
			),
			want: oci.Details{Source: "https://git.example/app", ArtifactType: string(types.OCIConfigJSON)},
		},
		"LongSource": {
			reason: "a cut link would lead elsewhere, so it is dropped",
			ref: w.push(
				"app", "long",
				image(t, map[string]string{prefix + "source": "https://git.example/" + strings.Repeat("a", 200)}, nil),
			),
			want: oci.Details{ArtifactType: string(types.OCIConfigJSON)},
		},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			tc.want.Digest = tc.ref.Digest
			for _, ref := range []oci.Ref{tc.ref, {Image: tc.ref.Image, Tag: tc.ref.Tag, Insecure: true}} {
				got, err := newReader().Details(t.Context(), ref, nil)
				if err != nil {
					t.Fatalf("%s: %v", tc.reason, err)
				}
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("%s (%s): -want +got\n%s", tc.reason, ref, diff)
				}
			}
		})
	}
}

func TestMissingChildOfAnIndexIsIgnored(t *testing.T) {
	w := newRegistry(t)
	child := image(t, map[string]string{prefix + "revision": "child"}, nil)
	ref := w.pushIndex(
		"app",
		"sparse",
		mutate.Annotations(mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: child}),
			map[string]string{prefix + "version": "1"}).(v1.ImageIndex),
	)
	missing, err := child.Digest()
	if err != nil {
		t.Fatal(err)
	}
	w.misbehave(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasSuffix(r.URL.Path, missing.String()) {
			http.NotFound(rw, r)
			return
		}
		next.ServeHTTP(rw, r)
	})
	got, err := newReader().Details(t.Context(), ref, nil)
	if err != nil || got.Version != "1" {
		t.Errorf("a missing image must not hide the annotations of the index: %+v, %v", got, err)
	}
}

// TestDigestIsReadOnce: the content of a digest never changes, so all callers with the same credentials share one read.
func TestDigestIsReadOnce(t *testing.T) {
	w := newRegistry(t)
	ref := w.push("app", "1", image(t, map[string]string{prefix + "version": "1"}, nil))
	reader := newReader()
	w.reads.Store(0)
	if _, err := reader.Details(t.Context(), ref, nil); err != nil {
		t.Error(err)
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if d, err := reader.Details(t.Context(), ref, nil); err != nil || d.Version != "1" {
				t.Errorf("got %+v, %v", d, err)
			}
		})
	}
	wg.Wait()
	if n := w.reads.Load(); n != 1 {
		t.Errorf("51 reads of one digest made %d requests, want 1", n)
	}
}

func TestCacheIsBoundedAndOmitsFailures(t *testing.T) {
	w := newRegistry(t)
	one := w.push("app", "1", image(t, map[string]string{prefix + "version": "1"}, nil))
	two := w.push("app", "2", image(t, map[string]string{prefix + "version": "2"}, nil))
	reader := newReader(oci.WithCacheSize(1))
	w.misbehave(func(rw http.ResponseWriter, r *http.Request, _ http.Handler) {
		http.Error(rw, "down", http.StatusBadGateway)
	})
	if _, err := reader.Details(t.Context(), one, nil); err == nil {
		t.Fatal("no error although the registry is down")
	}
	w.misbehave(nil)
	w.reads.Store(0)
	for _, ref := range []oci.Ref{one, two, one} {
		if _, err := reader.Details(t.Context(), ref, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.reads.Load(); n != 3 {
		t.Errorf("with a cache of one there were %d requests, want 3", n)
	}
}

func anywhere(*url.URL) error { return nil }

// TestCredentialsAreNotSentInClearText: neither the author of an ImageRepository nor an attacker in the network can make the
// controller send a Secret without TLS.
func TestCredentialsAreNotSentInClearText(t *testing.T) {
	forbidden := errors.New("the Secret does not allow it")
	for name, c := range map[string]struct {
		maySend func(*url.URL) error
		open    bool
		want    string
	}{
		"by default":    {nil, false, "credentials are not sent without TLS"},
		"not allowed":   {func(*url.URL) error { return forbidden }, false, forbidden.Error()},
		"allowed":       {anywhere, false, ""},
		"not requested": {nil, true, "credentials are not sent without TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newRegistry(t)
			ref := w.push("app", "1", image(t, map[string]string{prefix + "version": "1"}, nil))
			sent := false
			w.misbehave(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
				sent = sent || r.Header.Get("Authorization") != ""
				if c.open {
					next.ServeHTTP(rw, r)
					return
				}
				requireBasic(rw, r, next)
			})
			ref.MaySend = c.maySend
			auth := parse(t, fmt.Sprintf(`{"auths":{%q:{"username":"u","password":%q}}}`, w.host, secret))
			_, err := newReader().Details(t.Context(), ref, auth)
			if c.want == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if c.want != "" && sent {
				t.Error("the credentials were sent")
			}
		})
	}
}

// TestTokensAreNotRequestedInClearText: a registry redirects the reader to a token server of plain HTTP.
func TestTokensAreNotRequestedInClearText(t *testing.T) {
	w := newRegistry(t)
	ref := w.push("app", "1", image(t, nil, nil))
	ref.MaySend = nil
	for _, config := range []string{`"username":"u","password":%q`, `"identitytoken":%q`} {
		sent := ""
		w.misbehave(func(rw http.ResponseWriter, r *http.Request, _ http.Handler) {
			if r.URL.Path == "/token" {
				body, _ := io.ReadAll(r.Body)
				sent += r.Header.Get("Authorization") + string(body)
			}
			rw.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="x"`, w.host))
			rw.WriteHeader(http.StatusUnauthorized)
		})
		auth := parse(t, fmt.Sprintf(`{"auths":{%q:{`+config+`}}}`, w.host, secret))
		_, err := newReader().Details(t.Context(), ref, auth)
		if err == nil || !strings.Contains(err.Error(), "credentials are not sent without TLS") || sent != "" {
			t.Errorf("got %v, and %q was sent", err, sent)
		}
	}
}

func TestCacheIsSeparatePerCredentials(t *testing.T) {
	w := newRegistry(t)
	ref := w.push("app", "1", image(t, map[string]string{prefix + "version": "1"}, nil))
	w.misbehave(requireBasic)
	reader := newReader()
	auth := parse(t, fmt.Sprintf(`{"auths":{%q:{"username":"u","password":%q}}}`, w.host, secret))
	if _, err := reader.Details(t.Context(), ref, auth); err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Details(t.Context(), ref, nil); err == nil {
		t.Error("an anonymous read returned the cached result of another's credentials")
	}
}

func requireBasic(rw http.ResponseWriter, r *http.Request, next http.Handler) {
	if user, password, _ := r.BasicAuth(); user != "u" || password != secret {
		rw.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		http.Error(rw, "unauthorized: "+r.Header.Get("Authorization"), http.StatusUnauthorized)
		return
	}
	next.ServeHTTP(rw, r)
}

func TestHangingRegistryTimesOut(t *testing.T) {
	w := newRegistry(t)
	ref := w.push("app", "1", image(t, nil, nil))
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	w.misbehave(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	byTag := oci.Ref{Image: ref.Image, Tag: ref.Tag, Insecure: true}
	for _, ref := range []oci.Ref{ref, byTag} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		start := time.Now()
		_, err := newReader(oci.WithTimeout(time.Minute)).Details(ctx, ref, nil)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 5*time.Second {
			t.Errorf("%s: the deadline of the caller did not end the read: %v after %v", ref, err, time.Since(start))
		}
		if _, err := newReader(oci.WithTimeout(30*time.Millisecond)).Details(t.Context(), ref, nil); !errors.Is(
			err, context.DeadlineExceeded,
		) {
			t.Errorf("%s: the timeout of the reader did not end the read: %v", ref, err)
		}
	}
}

// TestCancelledReadClosesTheConnection: a read ends with its caller, for instance when the Release is deleted.
func TestCancelledReadClosesTheConnection(t *testing.T) {
	w := newRegistry(t)
	ref := w.push("app", "1", image(t, nil, nil))
	requested, ended := make(chan struct{}), make(chan struct{})
	w.misbehave(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		close(requested)
		<-r.Context().Done()
		close(ended)
	})
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := newReader(oci.WithTimeout(time.Minute)).Details(ctx, ref, nil)
		failed <- err
	}()
	<-requested
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the request is still open")
	}
}

func TestEndlessBodyTimesOut(t *testing.T) {
	w := newRegistry(t)
	ref := w.push("app", "1", image(t, nil, nil))
	w.misbehave(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if !strings.Contains(r.URL.Path, "/manifests/") {
			next.ServeHTTP(rw, r)
			return
		}
		for r.Context().Err() == nil {
			fmt.Fprint(rw, " ")
			rw.(http.Flusher).Flush()
			time.Sleep(5 * time.Millisecond)
		}
	})
	if _, err := newReader(oci.WithTimeout(50*time.Millisecond)).Details(t.Context(), ref, nil); !errors.Is(
		err, context.DeadlineExceeded,
	) {
		t.Errorf("the timeout did not end a response without an end: %v", err)
	}
}

func TestErrors(t *testing.T) {
	huge := strings.Repeat(" ", 5<<20)
	cases := map[string]struct {
		reason string
		ref    func(oci.Ref) oci.Ref
		handle func(http.ResponseWriter, *http.Request, http.Handler)
		want   string
	}{
		"TooLarge": {
			reason: "a manifest above the limit is not read to its end",
			handle: onManifest(func(rw http.ResponseWriter) { io.WriteString(rw, huge) }),
			want:   "the response is too large",
		},
		"TooManyValues": {
			reason: "many empty objects are small in the response, but not in memory",
			handle: onManifest(
				func(rw http.ResponseWriter) { io.WriteString(rw, `{"manifests":[{}`+strings.Repeat(",{}", 1<<20)+`]}`) },
			),
			want: "the response is too large",
		},
		"OtherContent": {
			reason: "content that does not match its digest is refused",
			handle: onManifest(func(rw http.ResponseWriter) { io.WriteString(rw, `{"annotations":{}}`) }),
			want:   "the response does not match the request",
		},
		"Denied": {
			reason: "the text of the registry may quote the credentials",
			handle: rejectAll,
			want:   "the registry returned 401 Unauthorized",
		},
		"Missing": {
			reason: "a missing image has an error of its own",
			ref: func(r oci.Ref) oci.Ref {
				return oci.Ref{Image: r.Image, Tag: "missing", Insecure: true, MaySend: anywhere}
			},
			want: "the registry returned 404 Not Found",
		},
		"PlainHTTP": {
			reason: "plain HTTP needs insecure, even on a private address",
			ref:    func(r oci.Ref) oci.Ref { r.Insecure = false; return r },
			want:   "plain HTTP is not allowed",
		},
		"Metadata": {
			reason: "a metadata service is never called",
			ref:    func(oci.Ref) oci.Ref { return oci.Ref{Image: "169.254.169.254/app", Tag: "1", Insecure: true} },
			want:   "address 169.254.169.254 may not be called (link-local)",
		},
		"MetadataOfAzure": {
			reason: "it is not in the link-local network",
			ref:    func(oci.Ref) oci.Ref { return oci.Ref{Image: "168.63.129.16/app", Tag: "1", Insecure: true} },
			want:   "address 168.63.129.16 may not be called (metadata)",
		},
		"MetadataOfAlibaba": {
			reason: "it is not in the link-local network",
			ref:    func(oci.Ref) oci.Ref { return oci.Ref{Image: "100.100.100.200/app", Tag: "1", Insecure: true} },
			want:   "address 100.100.100.200 may not be called (metadata)",
		},
		"MetadataOfAWS": {
			reason: "neither is its IPv6 address",
			ref:    func(oci.Ref) oci.Ref { return oci.Ref{Image: "[fd00:ec2::254]/app", Tag: "1", Insecure: true} },
			want:   "address fd00:ec2::254 may not be called (metadata)",
		},
		"NAT64": {
			reason: "a translator delivers it to the link",
			ref:    func(oci.Ref) oci.Ref { return oci.Ref{Image: "[64:ff9b::a9fe:a9fe]/app", Tag: "1", Insecure: true} },
			want:   "leads to 169.254.169.254, link-local",
		},
		"6to4": {
			reason: "a relay delivers it to the link",
			ref:    func(oci.Ref) oci.Ref { return oci.Ref{Image: "[2002:a9fe:a9fe::]/app", Tag: "1", Insecure: true} },
			want:   "leads to 169.254.169.254, link-local",
		},
		"Neither": {
			reason: "an image without a tag and a digest is no reference",
			ref:    func(r oci.Ref) oci.Ref { return oci.Ref{Image: r.Image} },
			want:   "neither a tag nor a digest",
		},
		"BadDigest": {
			reason: "a digest is validated before it is requested",
			ref:    func(r oci.Ref) oci.Ref { r.Digest = "sha256:../../x"; return r },
			want:   "parsing image reference",
		},
	}
	for label, tc := range cases {
		t.Run(label, func(t *testing.T) {
			w := newRegistry(t)
			ref := w.push("app", "1", image(t, nil, nil))
			w.misbehave(tc.handle)
			if tc.ref != nil {
				ref = tc.ref(ref)
			}
			auth := parse(t, fmt.Sprintf(`{"auths":{%q:{"username":"u","password":%q}}}`, w.host, secret))
			_, err := newReader().Details(t.Context(), ref, auth)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("%s: got %v, want %q", tc.reason, err, tc.want)
			}
			encoded := base64.StdEncoding.EncodeToString([]byte("u:" + secret))
			if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), encoded) {
				t.Errorf("the error contains the credentials: %v", err)
			}
		})
	}
}

func onManifest(respond func(http.ResponseWriter)) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.Contains(r.URL.Path, "/manifests/") {
			respond(rw)
			return
		}
		next.ServeHTTP(rw, r)
	}
}

// rejectAll rejects every request, and quotes the credentials in an error of the registry.
func rejectAll(rw http.ResponseWriter, r *http.Request, _ http.Handler) {
	_, password, _ := r.BasicAuth()
	rw.Header().Set("WWW-Authenticate", `Basic realm="x"`)
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(http.StatusUnauthorized)
	json.NewEncoder(rw).Encode(map[string]any{"errors": []map[string]string{
		{"code": "UNAUTHORIZED", "message": r.Header.Get("Authorization") + password},
	}})
}

func parse(t *testing.T, config string) oci.Auth {
	t.Helper()
	auth, err := oci.ParseAuth([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	return auth
}
