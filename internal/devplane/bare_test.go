package devplane_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/internal/devplane"
	"github.com/kuberik/kuberik/internal/devplane/component"
)

// crashEnv makes the test binary run a local cluster, which the test then kills.
const crashEnv = "KUBERIK_TEST_CRASH_DIR"

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	if dir := os.Getenv(crashEnv); dir != "" {
		if err := devplane.Run(context.Background(), devplane.Options{Dir: dir}, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// alive reports whether a process runs. A zombie does not.
func alive(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !errors.Is(err, os.ErrNotExist) && syscall.Kill(pid, 0) == nil
	}
	_, state, _ := strings.Cut(string(data), ") ")
	return !strings.HasPrefix(state, "Z")
}

func pids(t *testing.T, plane *devplane.Plane, names ...string) []int {
	t.Helper()
	var all []int
	for _, name := range names {
		pid, ok := plane.PID(name)
		if !ok || !alive(pid) {
			t.Fatalf("%s does not run", name)
		}
		all = append(all, pid)
	}
	return all
}

func awaitDead(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		eventually(t, fmt.Sprintf("process %d is gone", pid), func() error {
			if alive(pid) {
				return errors.New("it runs")
			}
			return nil
		})
	}
}

func TestStopLeavesNothing(t *testing.T) {
	t.Parallel()
	plane := start(t, devplane.Options{Flux: true, Workloads: true})
	all := pids(t, plane, component.Etcd, component.APIServer, component.ControllerManager, component.Scheduler,
		component.KWOK, component.SourceController, component.KustomizeController)
	dir := plane.Dir()
	if err := plane.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, pid := range all {
		if alive(pid) {
			t.Errorf("process %d still runs after Stop", pid)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the state folder is still there: %v", err)
	}
	if err := plane.Stop(t.Context()); err != nil {
		t.Errorf("a second Stop: %v", err)
	}
}

func TestTwoClustersAtOnce(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts local clusters")
	}
	var planes [2]*devplane.Plane
	var errs [2]error
	var both sync.WaitGroup
	for i := range planes {
		both.Go(func() { planes[i], errs[i] = devplane.Start(t.Context(), devplane.Options{}) })
	}
	both.Wait()
	for i, err := range errs {
		if errors.Is(err, devplane.ErrNotBuilt) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := planes[i].Stop(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	one, two := connect(t, planes[0]), connect(t, planes[1])
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "only-in-one"}}
	if err := one.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	if err := two.Get(t.Context(), client.ObjectKeyFromObject(namespace), namespace); !apierrors.IsNotFound(err) {
		t.Errorf("the other cluster has it too: %v", err)
	}
}

// TestBare covers what controller tests use of a cluster without workloads.
func TestBare(t *testing.T) {
	t.Parallel()
	plane := start(t, devplane.Options{Dir: t.TempDir()})
	c := connect(t, plane)
	t.Run("CRDs are served once installed", func(t *testing.T) {
		if err := plane.InstallCRDs(t.Context(), "testdata/crds"); err != nil {
			t.Fatal(err)
		}
		if err := plane.Apply(t.Context(), []byte("apiVersion: test.kuberik.com/v1\nkind: Sample\nmetadata: {name: a, namespace: default}\n")); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a service account has its own rights only", func(t *testing.T) { checkServiceAccount(t, plane, c) })
	t.Run("the audit log names the user", func(t *testing.T) {
		eventually(t, "the audit log names the service account", func() error {
			return findAudit(plane.AuditLog(), "system:serviceaccount:default:robot")
		})
	})
	t.Run("a second one in the same folder is refused", func(t *testing.T) {
		if second, err := devplane.Start(t.Context(), devplane.Options{Dir: plane.Dir()}); err == nil {
			t.Error("it was started", second.Stop(t.Context()))
		}
	})
	t.Run("an unexpected exit is reported", func(t *testing.T) {
		pid, _ := plane.PID(component.APIServer)
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		err := <-plane.Failed()
		if !strings.Contains(err.Error(), "kube-apiserver") || !strings.Contains(err.Error(), plane.Logs()) {
			t.Errorf("the error names neither the component nor its log: %v", err)
		}
		if err := plane.Restart(t.Context(), component.APIServer); err != nil {
			t.Fatal(err)
		}
	})
}

func checkServiceAccount(t *testing.T, plane *devplane.Plane, c client.Client) {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "robot"}}
	if err := c.Create(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	path, err := plane.ServiceAccountKubeconfig(t.Context(), "default", "robot")
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	robot, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := robot.List(t.Context(), &corev1.SecretList{}); !apierrors.IsForbidden(err) {
		t.Errorf("listing secrets gave %v, want forbidden", err)
	}
}

// findAudit looks for a user in the audit log.
func findAudit(path, user string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event struct {
			User struct{ Username string }
		}
		if json.Unmarshal(lines.Bytes(), &event) == nil && event.User.Username == user {
			return nil
		}
	}
	return errors.Join(lines.Err(), fmt.Errorf("no request by %s", user))
}

// TestACrashLeavesNothing kills a process that runs a local cluster. What it
// started ends with it, or at the latest when the next one starts.
func TestACrashLeavesNothing(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a local cluster")
	}
	dir := t.TempDir()
	owner := exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), crashEnv+"="+dir)
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	defer owner.Wait()
	var running []int
	eventually(t, "the cluster to be is up", func() error {
		running = recorded(dir)
		if len(running) < 2 {
			if !alive(owner.Process.Pid) {
				t.Skip("the local cluster is not built")
			}
			return errors.New("not all started")
		}
		return nil
	})
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "linux" {
		awaitDead(t, running) // by the kernel, before anybody comes to clean up
	}
	next := start(t, devplane.Options{Dir: dir})
	awaitDead(t, running)
	pids(t, next, component.Etcd, component.APIServer)
}

// recorded reads the process ids of a state folder.
func recorded(dir string) []int {
	data, err := os.ReadFile(filepath.Join(dir, "processes.json"))
	if err != nil {
		return nil
	}
	var records []struct{ PID int }
	if json.Unmarshal(data, &records) != nil {
		return nil
	}
	var all []int
	for _, r := range records {
		all = append(all, r.PID)
	}
	return all
}
