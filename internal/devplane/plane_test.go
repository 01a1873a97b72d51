package devplane_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/internal/devplane"
)

// timeout is how long a test waits for something that should take seconds.
const timeout = 90 * time.Second

// start brings a local cluster up for the length of the test.
func start(t *testing.T, options devplane.Options) *devplane.Plane {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a local cluster")
	}
	began := time.Now()
	plane, err := devplane.Start(t.Context(), options)
	if errors.Is(err, devplane.ErrNotBuilt) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the local cluster was up after %s", time.Since(began).Round(time.Millisecond))
	t.Cleanup(func() {
		if err := plane.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return plane
}

// connect returns a client that knows Kubernetes' and Flux's kinds.
func connect(t *testing.T, plane *devplane.Plane) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, imagev1.AddToScheme, kustomizev1.AddToScheme, sourcev1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c, err := client.New(plane.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// eventually waits until check finds nothing wrong.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			t.Logf("%s after %s", what, time.Since(began).Round(10*time.Millisecond))
			return
		}
		if time.Since(began) > timeout {
			t.Fatalf("%s: not after %s: %v", what, timeout, err)
		}
		<-tick.C
	}
}

// object reads an object again and again until check finds nothing wrong.
func object[T client.Object](t *testing.T, c client.Client, o T, what string, check func(T) error) {
	t.Helper()
	eventually(t, what, func() error {
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		return check(o)
	})
}

// change edits an object and writes what differs.
func change[T client.Object](t *testing.T, c client.Client, o T, edit func(T)) {
	t.Helper()
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		t.Fatal(err)
	}
	before, ok := o.DeepCopyObject().(T)
	if !ok {
		t.Fatalf("a copy of %T has another type", o)
	}
	edit(o)
	if err := c.Patch(t.Context(), o, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

// request asks Flux to reconcile an object now.
func request[T client.Object](t *testing.T, c client.Client, o T, edit func(T)) {
	t.Helper()
	change(t, c, o, func(o T) {
		edit(o)
		annotations := o.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations["reconcile.fluxcd.io/requestedAt"] = fmt.Sprint(time.Now().UnixNano())
		o.SetAnnotations(annotations)
	})
}
