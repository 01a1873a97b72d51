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

// What the manifests are about. They hold the placeholder NAMESPACE where the namespace belongs.
const (
	staging      = "staging"
	production   = "production"
	app          = "hello"
	checkName    = "hello-http"
	gateName     = "release-manager"
	calendarName = "change-calendar"
	// broken is the version whose pods become ready, and that does not work.
	broken = "1.1.0"
	// mended is the version that mends it. The change calendar does not let it into production at first.
	mended = "1.2.0"
)

// namespaces are those of the environments, in the order in which releases come to them.
func namespaces() []string { return []string{staging, production} }

// Who is in the story.
const (
	// author makes the versions, and so may not approve them.
	author = "dana"
	// approver is whom the gate asks.
	approver = "alice"
	// impostor may approve as well, but the gate does not ask for it.
	impostor = "bob"
)

// settling is how long after it was installed the policy that proves who people are may not be in force yet: what is said in that time
// does not count.
const settling = 3 * time.Second

// account is what the controller acts as, here as on every cluster.
var account = client.ObjectKey{Namespace: "kuberik-system", Name: controllerName}

// dirPattern makes a folder of the kind that the next local cluster removes if this one crashes.
const dirPattern = "kuberik-devplane-*"

//go:embed manifests/*.yaml
var manifests embed.FS

// world is a local cluster with Kuberik on it, and an application in two environments.
type world struct {
	plane      *devplane.Plane
	admin      client.Client
	persons    map[string]client.Client
	controller *controller
	endpoint   *endpoint.Server
	scenes     *scenes
	// proves is since when the API server proves who says something.
	proves time.Time
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

// build starts the local cluster, installs Kuberik as it is installed anywhere, and publishes and applies the application.
func build(ctx context.Context, o Options, n narrator) (*world, error) {
	dir, err := os.MkdirTemp("", dirPattern)
	if err != nil {
		return nil, err
	}
	w := &world{}
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
		func(ctx context.Context) (err error) { w.scenes, err = newScenes(ctx, w.plane.Config(), n); return err },
	} {
		if err := part(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("setting the stage (logs are in %s): %w", w.plane.Logs(), err), w.close(ctx, true))
		}
	}
	return w, nil
}

func (w *world) connect(context.Context) error {
	known, err := scheme()
	if err != nil {
		return err
	}
	if w.admin, err = client.New(w.plane.Config(), client.Options{Scheme: known}); err != nil {
		return err
	}
	w.persons = map[string]client.Client{}
	for _, name := range []string{approver, impostor} {
		person := rest.CopyConfig(w.plane.Config())
		person.Impersonate.UserName = name
		if w.persons[name], err = client.New(person, client.Options{Scheme: known}); err != nil {
			return err
		}
	}
	return nil
}

// serve answers for the application, as its pods are simulated, and for the change calendar.
func (w *world) serve(ctx context.Context) (err error) {
	w.endpoint, err = endpoint.Serve(ctx, endpoint.Application{
		Reader: w.admin, Deployment: app, Broken: []string{broken},
	}, endpoint.NewCalendar(map[string]string{mended: "nothing goes out while the sale is on"}))
	return err
}

// calendar is where the change calendar is.
func (w *world) calendar() string { return w.endpoint.URL() + endpoint.CalendarPath }

// install does what the manifests of the installation do on a cluster, but for the Deployment of the controller: pods are
// simulated here.
func (w *world) install(ctx context.Context) error {
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
	w.proves = time.Now().Add(settling)
	return nil
}

func (w *world) startController(ctx context.Context, program string) error {
	kubeconfig, err := w.plane.ServiceAccountKubeconfig(ctx, account.Namespace, account.Name)
	if err != nil {
		return err
	}
	w.controller, err = startController(ctx, w.plane, program, kubeconfig)
	return err
}

// publish pushes the manifests of the application, as a pipeline does.
func (w *world) publish(ctx context.Context) error {
	data, err := w.manifest("app.yaml", "")
	if err != nil {
		return err
	}
	_, err = artifact.PushManifests(ctx, artifact.Manifests{
		Reference: w.plane.Registry() + "/manifests:latest", Files: map[string]string{"app.yaml": data},
	})
	return err
}

// apply creates what a team has on its cluster: the same in both namespaces, and what is special about each.
func (w *world) apply(ctx context.Context) error {
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

func (w *world) manifest(name, namespace string) (string, error) {
	data, err := manifests.ReadFile("manifests/" + name)
	fill := strings.NewReplacer("NAMESPACE", namespace, "REGISTRY", w.plane.Registry(), "ENDPOINT", w.endpoint.URL())
	return fill.Replace(string(data)), err
}

// close ends everything, and removes what it left unless somebody has to read it.
func (w *world) close(ctx context.Context, keep bool) error {
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
