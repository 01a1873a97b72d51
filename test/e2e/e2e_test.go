package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/controller"
	"github.com/kuberik/kuberik/internal/devplane"
	"github.com/kuberik/kuberik/internal/devplane/artifact"
)

// cluster is a local cluster in which the controllers run.
type cluster struct {
	t      *testing.T
	plane  *devplane.Plane
	client client.Client
	stop   func()
}

func TestMain(m *testing.M) {
	log := logr.Discard()
	if os.Getenv("KUBERIK_TEST_LOG") != "" {
		log = newLogger()
	}
	ctrl.SetLogger(log)
	os.Exit(m.Run())
}

func start(t *testing.T) *cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("needs the local cluster; skipped with -short")
	}
	plane, err := devplane.Start(t.Context(), devplane.Options{Flux: true, Workloads: true, Log: io.Discard})
	if errors.Is(err, devplane.ErrNotBuilt) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	w := &cluster{t: t, plane: plane}
	if w.client, err = client.New(plane.Config(), client.Options{Scheme: controller.Scheme()}); err != nil {
		t.Fatal(err)
	}
	if err := plane.InstallCRDs(t.Context(), "../../config/crd"); err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"../../config/rbac/00-namespace.yaml", "../../config/rbac/*.yaml", "../../config/policy/*.yaml"} {
		w.applyFiles(pattern)
	}
	w.run()
	return w
}

func (w *cluster) applyFiles(pattern string) {
	w.t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		w.t.Fatalf("no files match %s: %v", pattern, err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			w.t.Fatal(err)
		}
		w.apply(string(data))
	}
}

func (w *cluster) apply(manifests string) {
	w.t.Helper()
	if err := w.plane.Apply(w.t.Context(), []byte(manifests)); err != nil {
		w.t.Fatal(err)
	}
}

// run starts the controllers with the permissions of their service account.
func (w *cluster) run() {
	w.t.Helper()
	kubeconfig, err := w.plane.ServiceAccountKubeconfig(w.t.Context(), "kuberik-system", "kuberik-controller")
	if err != nil {
		w.t.Fatal(err)
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	skip := true
	mgr, err := controller.NewManager(ctx, cfg, controller.Settings{
		MetricsAddress: "0", ProbeAddress: "0", Controller: config.Controller{SkipNameValidation: &skip},
		Options: controller.Options{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, // the registry
	})
	if err != nil {
		w.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	w.stop = func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	}
	w.t.Cleanup(func() { w.stop() })
}

// eventually waits until a condition holds.
func (w *cluster) eventually(what string, within time.Duration, ok func() (bool, string)) {
	w.t.Helper()
	deadline := time.Now().Add(within)
	for last := ""; ; time.Sleep(50 * time.Millisecond) {
		done, state := ok()
		if done {
			return
		}
		if state != last && testing.Verbose() {
			w.t.Logf("%s: %s", what, state)
		}
		last = state
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: not within %s: %s", what, within, state)
		}
	}
}

const namespace = "demo"

func (w *cluster) rollout() *v1alpha1.Rollout {
	w.t.Helper()
	var ro v1alpha1.Rollout
	if err := w.client.Get(w.t.Context(), types.NamespacedName{Namespace: namespace, Name: "hello"}, &ro); err != nil {
		w.t.Fatal(err)
	}
	return &ro
}

func (w *cluster) phase(version string, phase v1alpha1.Phase) {
	w.t.Helper()
	w.eventually(version+" "+string(phase), 60*time.Second, func() (bool, string) {
		ro := w.rollout()
		state := fmt.Sprintf("current=%s pending=%s phase=%s", ro.Status.CurrentVersion, ro.Status.PendingVersion, ro.Status.Phase)
		if len(ro.Status.BlockedBy) > 0 {
			b := ro.Status.BlockedBy[0]
			state += fmt.Sprintf(" blocked by %s %s %s: %s", b.Kind, b.Name, b.Reason, b.Message)
		}
		return ro.Status.CurrentVersion == version && ro.Status.Phase == phase, state
	})
}

func (w *cluster) push(tag string) {
	w.t.Helper()
	_, err := artifact.PushImage(w.t.Context(), artifact.Image{
		Reference: w.plane.Registry() + "/hello:" + tag,
		Annotations: map[string]string{
			"org.opencontainers.image.version": tag, "org.opencontainers.image.revision": "rev-" + tag,
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *cluster) image() string {
	w.t.Helper()
	var d appsv1.Deployment
	if err := w.client.Get(w.t.Context(), types.NamespacedName{Namespace: namespace, Name: "hello"}, &d); err != nil {
		return err.Error()
	}
	return d.Spec.Template.Spec.Containers[0].Image
}

func (w *cluster) annotate(key, value string) {
	w.t.Helper()
	ro := w.rollout()
	before := ro.DeepCopy()
	if ro.Annotations == nil {
		ro.Annotations = map[string]string{}
	}
	ro.Annotations[key] = value
	if err := w.client.Patch(w.t.Context(), ro, client.MergeFrom(before)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *cluster) allow(versions ...string) {
	w.t.Helper()
	var g v1alpha1.RolloutGate
	if err := w.client.Get(w.t.Context(), types.NamespacedName{Namespace: namespace, Name: "approval"}, &g); err != nil {
		w.t.Fatal(err)
	}
	before := g.DeepCopy()
	g.Spec.AllowedVersions = &versions
	if err := w.client.Patch(w.t.Context(), &g, client.MergeFrom(before)); err != nil {
		w.t.Fatal(err)
	}
}

// publish pushes the manifests of the application, and applies the objects of Flux and Kuberik.
func (w *cluster) publish() {
	w.t.Helper()
	_, err := artifact.PushManifests(w.t.Context(), artifact.Manifests{
		Reference: w.plane.Registry() + "/hello-manifests:latest",
		Files:     map[string]string{"hello.yaml": fmt.Sprintf(application, w.plane.Registry())},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.push("1.0.0")
	w.apply(fmt.Sprintf(objects, w.plane.Registry()))
}

// TestReleases deploys three releases with Flux: a good one, a bad one that is halted, and one that fixes it.
func TestReleases(t *testing.T) {
	w := start(t)
	w.publish()

	w.eventually("1.0.0 waits at the gate", 30*time.Second, func() (bool, string) {
		ro := w.rollout()
		blocked := len(ro.Status.BlockedBy) > 0 && ro.Status.BlockedBy[0].Kind == "RolloutGate"
		return blocked && ro.Status.PendingVersion == "1.0.0", fmt.Sprintf("%+v", ro.Status.BlockedBy)
	})
	w.allow("1.0.0")
	w.phase("1.0.0", v1alpha1.PhaseAvailable)
	if got, want := w.image(), w.plane.Registry()+"/hello:1.0.0"; got != want {
		t.Errorf("the Deployment runs %s, want %s", got, want)
	}

	w.push("1.1.0")
	w.allow("1.0.0", "1.1.0")
	w.phase("1.1.0", v1alpha1.PhaseFailed)

	w.push("1.2.0")
	w.allow("1.0.0", "1.1.0", "1.2.0")
	w.eventually("1.2.0 is held by the failure", 30*time.Second, func() (bool, string) {
		ro := w.rollout()
		blocked := len(ro.Status.BlockedBy) > 0 && ro.Status.BlockedBy[0].Reason == v1alpha1.ReasonPreviousFailed
		return blocked && ro.Status.PendingVersion == "1.2.0", fmt.Sprintf("%+v", ro.Status.BlockedBy)
	})
	w.annotate(v1alpha1.AnnotationUnblockFailed, "true")
	w.phase("1.2.0", v1alpha1.PhaseAvailable)
	if got, want := w.image(), w.plane.Registry()+"/hello:1.2.0"; got != want {
		t.Errorf("the Deployment runs %s, want %s", got, want)
	}
	w.eventually("the annotation is removed", 10*time.Second, func() (bool, string) {
		_, there := w.rollout().Annotations[v1alpha1.AnnotationUnblockFailed]
		return !there, "still there"
	})
	w.eventually("the Releases tell it", 10*time.Second, func() (bool, string) {
		var list v1alpha1.ReleaseList
		if err := w.client.List(t.Context(), &list, client.InNamespace(namespace)); err != nil {
			t.Fatal(err)
		}
		phases := map[string]v1alpha1.ReleasePhase{}
		for _, rel := range list.Items {
			phases[rel.Spec.Version.Tag] = rel.Status.Phase
			if rel.Status.Details == nil {
				phases[rel.Spec.Version.Tag] += " without details"
			}
		}
		return phases["1.0.0"] == v1alpha1.ReleaseAvailable && phases["1.1.0"] == v1alpha1.ReleaseFailed &&
			phases["1.2.0"] == v1alpha1.ReleaseAvailable, fmt.Sprint(phases)
	})
	var k kustomizev1.Kustomization
	if err := w.client.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "hello"}, &k); err != nil {
		t.Fatal(err)
	}
	if got := k.Spec.PostBuild.Substitute["VERSION"]; got != "1.2.0" {
		t.Errorf("the Kustomization carries %s", got)
	}
}
