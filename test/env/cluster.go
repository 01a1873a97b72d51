package env

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/kuberik/kuberik/internal/controller"
	"github.com/kuberik/kuberik/internal/devplane"
)

// ServiceAccount is who the controllers act as, as the API server names it.
const ServiceAccount = "system:serviceaccount:kuberik-system:kuberik-controller"

// Cluster is the API server of a test binary, with the installation in it.
type Cluster struct {
	// Plane it runs on.
	Plane *devplane.Plane
	// Admin is the way of the test itself to the API server, past every cache.
	Admin client.WithWatch
	// Controller is the way of the manager.
	Controller *rest.Config
	// kubeconfig of the manager.
	kubeconfig string
}

var (
	shared *Cluster
	// absent says why there is no cluster.
	absent string
)

// Main is the TestMain of a test binary: it starts the cluster, runs the tests and then check, which may look at what they left,
// and returns the exit code.
func Main(m *testing.M, check func(*Cluster) error) int {
	flag.Parse()
	if flag.Lookup("test.parallel").Value.String() == fmt.Sprint(runtime.GOMAXPROCS(0)) {
		if err := flag.Set("test.parallel", "8"); err != nil { // tests wait more than they work
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	setLogger()
	if namespace := os.Getenv(processNamespace); namespace != "" {
		return beProcess(namespace)
	}
	if testing.Short() {
		absent = "needs the local cluster; skipped with -short"
		return m.Run()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c, err := start(ctx)
	switch {
	case errors.Is(err, devplane.ErrNotBuilt):
		absent = err.Error()
		return m.Run()
	case err != nil:
		fmt.Fprintln(os.Stderr, "starting the local cluster:", err)
		return 1
	}
	shared = c
	code := m.Run()
	if check != nil && code == 0 {
		if err := check(c); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if err := c.Plane.Stop(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "stopping the local cluster:", err)
		code = 1
	}
	return code
}

func setLogger() {
	logs := logr.Discard()
	if os.Getenv("KUBERIK_TEST_LOG") != "" {
		logs = zap.New(zap.UseDevMode(true))
	}
	ctrl.SetLogger(logs)
}

// Elsewhere gives a test a namespace in a cluster of its own, which shares nothing with that of the other tests.
func Elsewhere(t *testing.T) *World {
	t.Helper()
	return apart(t, start)
}

// Bare gives a test a namespace in a cluster of its own, which has the CustomResourceDefinitions of Flux and nothing of the installation.
func Bare(t *testing.T) *World {
	t.Helper()
	return apart(t, boot)
}

// apart gives a test a namespace in a cluster of its own, which ends with the test.
func apart(t *testing.T, begin func(context.Context) (*Cluster, error)) *World {
	t.Helper()
	if shared == nil {
		t.Skip(absent)
	}
	c, err := begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Plane.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c.world(t)
}

// start brings up a cluster with the installation in it.
func start(ctx context.Context) (*Cluster, error) {
	c, err := boot(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.Install(ctx); err != nil {
		return nil, errors.Join(err, c.Plane.Stop(context.WithoutCancel(ctx)))
	}
	return c, nil
}

// boot brings up a cluster with the CustomResourceDefinitions of Flux.
func boot(ctx context.Context) (*Cluster, error) {
	plane, err := devplane.Start(context.WithoutCancel(ctx), devplane.Options{})
	if err != nil {
		return nil, err
	}
	c := &Cluster{Plane: plane}
	c.Admin, err = client.NewWithWatch(plane.Config(), client.Options{Scheme: controller.Scheme()})
	if err == nil {
		err = plane.InstallCRDs(ctx, File("bin/devplane/crds"))
	}
	if err != nil {
		return nil, errors.Join(err, plane.Stop(context.WithoutCancel(ctx)))
	}
	return c, nil
}

// Install applies what ships, but for the controller itself.
func (c *Cluster) Install(ctx context.Context) error {
	if err := c.Plane.InstallCRDs(ctx, File("config/crd")); err != nil {
		return err
	}
	for _, dir := range []string{"config/rbac", "config/policy"} {
		if err := c.applyAll(ctx, File(dir)); err != nil {
			return err
		}
	}
	var err error
	if c.kubeconfig, err = c.Plane.ServiceAccountKubeconfig(ctx, "kuberik-system", "kuberik-controller"); err != nil {
		return err
	}
	c.Controller, err = clientcmd.BuildConfigFromFlags("", c.kubeconfig)
	return err
}

// applyAll applies the manifests of a folder, the namespace first.
func (c *Cluster) applyAll(ctx context.Context, dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return err
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := c.Plane.Apply(ctx, data); err != nil {
			return fmt.Errorf("applying %s: %w", file, err)
		}
	}
	return nil
}

// File is the path of a file of the repository. Tests run in the folder of their package, also where the build trims paths.
func File(path string) string {
	root, err := filepath.Abs(".")
	for err == nil && root != filepath.Dir(root) {
		if _, missing := os.Stat(filepath.Join(root, "go.mod")); missing == nil {
			break
		}
		root = filepath.Dir(root)
	}
	return filepath.Join(root, path)
}
