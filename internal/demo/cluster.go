package demo

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/config"
	"github.com/kuberik/kuberik/internal/demo/endpoint"
	"github.com/kuberik/kuberik/internal/devplane"
	"github.com/kuberik/kuberik/internal/devplane/artifact"
)

// Names in the manifests, which have the placeholder NAMESPACE for the namespace.
const (
	staging      = "staging"
	production   = "production"
	app          = "hello"
	checkName    = "hello-http"
	gateName     = "release-manager"
	calendarName = "change-calendar"
	// broken is the version whose pods become ready although it does not work.
	broken = "1.1.0"
	// fixed is the version that fixes it. The change calendar rejects it at first.
	fixed = "1.2.0"
)

// namespaces returns the namespaces of the environments in the order of promotion.
func namespaces() []string { return []string{staging, production} }

// The users of the demo.
const (
	// author publishes the versions and so may not approve them.
	author = "dana"
	// approver is the user that the gate lists.
	approver = "alice"
	// impostor may create Approvals but is not listed by the gate.
	impostor = "bob"
)

// policyDelay is how long an admission policy may take to come into force after it was installed.
const policyDelay = 3 * time.Second

// account is the service account of the controller.
var account = client.ObjectKey{Namespace: "kuberik-system", Name: controllerName}

// dirPattern names a folder that the next local cluster removes if this one crashes.
const dirPattern = "kuberik-devplane-*"

//go:embed manifests/*.yaml
var manifests embed.FS

// demoCluster is a local cluster with Kuberik on it, and an application in two environments.
type demoCluster struct {
	plane       *devplane.Plane
	admin       client.Client
	userClients map[string]client.Client
	controller  *controller
	endpoint    *endpoint.Server
	snapshots   *snapshots
	// policyActiveAt is when the admission policy that checks users is in force.
	policyActiveAt time.Time
}

func scheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, v1alpha1.AddToScheme, environments.AddToScheme, imagev1.AddToScheme,
	} {
		if err := add(s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// build starts the local cluster, installs Kuberik, and publishes and applies the application.
func build(ctx context.Context, o Options, n display) (*demoCluster, error) {
	dir, err := os.MkdirTemp("", dirPattern)
	if err != nil {
		return nil, err
	}
	w := &demoCluster{}
	w.plane, err = devplane.Start(ctx, devplane.Options{Dir: dir, Flux: true, Workloads: true, Log: progress{n}})
	if err != nil {
		if errors.Is(err, devplane.ErrNotBuilt) || ctx.Err() != nil {
			err = errors.Join(err, os.RemoveAll(dir)) // there is nothing to read in it
		}
		return nil, err
	}
	for _, part := range []func(context.Context) error{
		w.connect, w.serve, w.install,
		func(ctx context.Context) error { return w.startController(ctx, o.Controller) },
		w.publish, w.apply,
		func(ctx context.Context) (err error) {
			w.snapshots, err = newSnapshots(ctx, w.plane.Config(), n)
			return err
		},
	} {
		if err := part(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("preparing the demo (logs are in %s): %w", w.plane.Logs(), err),
				w.close(ctx, true))
		}
	}
	return w, nil
}

func (w *demoCluster) connect(context.Context) error {
	known, err := scheme()
	if err != nil {
		return err
	}
	if w.admin, err = client.New(w.plane.Config(), client.Options{Scheme: known}); err != nil {
		return err
	}
	w.userClients = map[string]client.Client{}
	for _, name := range []string{approver, impostor} {
		person := rest.CopyConfig(w.plane.Config())
		person.Impersonate.UserName = name
		if w.userClients[name], err = client.New(person, client.Options{Scheme: known}); err != nil {
			return err
		}
	}
	return nil
}

// serve starts the HTTP endpoints of the application, whose pods are simulated, and of the change calendar.
func (w *demoCluster) serve(ctx context.Context) (err error) {
	w.endpoint, err = endpoint.Serve(ctx, endpoint.Application{
		Reader: w.admin, Deployment: app, Broken: []string{broken},
	}, endpoint.NewCalendar(map[string]string{fixed: "nothing goes out while the sale is on"}))
	return err
}

// calendar returns the URL of the change calendar.
func (w *demoCluster) calendar() string { return w.endpoint.URL() + endpoint.CalendarPath }

// install applies the installation manifests except the Deployment of the controller, because pods are simulated.
func (w *demoCluster) install(ctx context.Context) error {
	dir := filepath.Join(w.plane.Dir(), "install")
	if err := os.CopyFS(dir, config.Install); err != nil {
		return err
	}
	if err := w.plane.InstallCRDs(ctx, filepath.Join(dir, "crd")); err != nil {
		return err
	}
	var files []string
	for _, folder := range []string{"rbac", "policy"} {
		found, err := filepath.Glob(filepath.Join(dir, folder, "*.yaml"))
		if err != nil {
			return err
		}
		files = append(files, found...)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := w.plane.Apply(ctx, data); err != nil {
			return err
		}
	}
	w.policyActiveAt = time.Now().Add(policyDelay)
	return nil
}

func (w *demoCluster) startController(ctx context.Context, program string) error {
	kubeconfig, err := w.plane.ServiceAccountKubeconfig(ctx, account.Namespace, account.Name)
	if err != nil {
		return err
	}
	w.controller, err = startController(ctx, w.plane, program, kubeconfig)
	return err
}

// publish pushes the manifests of the application as a pipeline would.
func (w *demoCluster) publish(ctx context.Context) error {
	data, err := w.manifest("app.yaml", "")
	if err != nil {
		return err
	}
	_, err = artifact.PushManifests(ctx, artifact.Manifests{
		Reference: w.plane.Registry() + "/manifests:latest", Files: map[string]string{"app.yaml": data},
	})
	return err
}

// apply creates the objects of the application: the same in both namespaces, and those of each.
func (w *demoCluster) apply(ctx context.Context) error {
	for _, namespace := range namespaces() {
		for _, file := range []string{"flux.yaml", namespace + ".yaml", "kuberik.yaml"} {
			data, err := w.manifest(file, namespace)
			if err != nil {
				return err
			}
			if err := w.plane.Apply(ctx, []byte(data)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *demoCluster) manifest(name, namespace string) (string, error) {
	data, err := manifests.ReadFile("manifests/" + name)
	fill := strings.NewReplacer("NAMESPACE", namespace, "REGISTRY", w.plane.Registry(), "ENDPOINT", w.endpoint.URL())
	return fill.Replace(string(data)), err
}

// close stops everything. It removes the state folder unless somebody has to read it.
func (w *demoCluster) close(ctx context.Context, keep bool) error {
	var problems []error
	if w.controller != nil {
		problems = append(problems, w.controller.close(ctx))
	}
	if w.endpoint != nil {
		problems = append(problems, w.endpoint.Close())
	}
	problems = append(problems, w.plane.Stop(ctx))
	if !keep {
		problems = append(problems, os.RemoveAll(w.plane.Dir()))
	}
	return errors.Join(problems...)
}
