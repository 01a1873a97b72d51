package env

import (
	"bytes"
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

// ServiceAccount is the user name of the controllers in the API server.
const ServiceAccount = "system:serviceaccount:kuberik-system:kuberik-controller"

// Cluster is the API server of a test binary with the installed manifests.
type Cluster struct {
	// Plane is the local control plane.
	Plane *devplane.Plane
	// Admin is a client with all permissions and without a cache.
	Admin client.WithWatch
	// Controller is the client configuration of the manager.
	Controller *rest.Config
	// kubeconfig is the path of the kubeconfig of the manager.
	kubeconfig string
}

var (
	shared *Cluster
	// skipReason is why there is no cluster.
	skipReason string
)

// Main is the TestMain of a test binary. It starts the cluster, runs the tests and then check, which may inspect the
// cluster, and returns the exit code.
func Main(m *testing.M, check func(*Cluster) error) int {
	flag.Parse()
	if flag.Lookup("test.parallel").Value.String() == fmt.Sprint(runtime.GOMAXPROCS(0)) {
		if err := flag.Set("test.parallel", "8"); err != nil { // tests mostly wait
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	setLogger()
	if namespace := os.Getenv(processNamespace); namespace != "" {
		return runAsProcess(namespace)
	}
	if testing.Short() {
		skipReason = "needs the local cluster; skipped with -short"
		return m.Run()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c, err := start(ctx)
	switch {
	case errors.Is(err, devplane.ErrNotBuilt):
		skipReason = err.Error()
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

// NewInOwnCluster returns a World in a cluster that no other test uses.
func NewInOwnCluster(t *testing.T) *World {
	t.Helper()
	return newCluster(t, start)
}

// NewWithoutInstallation returns a World in a cluster that no other test uses, with the CustomResourceDefinitions of
// Flux only.
func NewWithoutInstallation(t *testing.T) *World {
	t.Helper()
	return newCluster(t, boot)
}

// newCluster returns a World in a new cluster, which stops at the end of the test.
func newCluster(t *testing.T, startCluster func(context.Context) (*Cluster, error)) *World {
	t.Helper()
	if shared == nil {
		t.Skip(skipReason)
	}
	c, err := startCluster(t.Context())
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

// start starts a cluster and installs the manifests.
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

// boot starts a cluster with the CustomResourceDefinitions of Flux.
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

// Install applies the manifests of the installation except the Deployment of the controller.
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

// applyAll applies the manifests of a directory in the order of their names. The namespace is first.
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

// File returns the path of a file of the repository. It does not rely on the path of the source, which builds may trim.
func File(path string) string {
	root, err := filepath.Abs(".")
	for err == nil && root != filepath.Dir(root) {
		mod, missing := os.ReadFile(filepath.Join(root, "go.mod"))
		if missing == nil && bytes.HasPrefix(mod, []byte("module github.com/kuberik/kuberik\n")) {
			break
		}
		root = filepath.Dir(root)
	}
	return filepath.Join(root, path)
}
