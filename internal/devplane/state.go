package devplane

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/kuberik/kuberik/internal/devplane/component"
	"github.com/kuberik/kuberik/internal/devplane/pki"
	"github.com/kuberik/kuberik/internal/devplane/port"
	"github.com/kuberik/kuberik/internal/devplane/supervise"
)

const (
	// tempPattern names the folders that Start makes itself.
	tempPattern = "kuberik-devplane-*"
	lockFile    = "lock"
	// processFile lists what runs. It exists as long as the local cluster.
	processFile = "processes.json"
	// lockTimeout is how long a folder may stay locked after its owner was killed.
	lockTimeout = 2 * time.Second
)

// state is the state folder of one local cluster, under a lock that ends with this process.
type state struct {
	dir string
	// temporary means that Start created the folder and Stop removes it.
	temporary bool
	lock      *os.File
}

// openState creates or takes over the state folder and empties it.
func openState(dir string) (*state, error) {
	temporary := dir == ""
	if temporary {
		made, err := os.MkdirTemp("", tempPattern)
		if err != nil {
			return nil, err
		}
		dir = made
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	lock, err := awaitLock(dir)
	if err != nil {
		return nil, fmt.Errorf("a local cluster runs in %s already: %w", dir, err)
	}
	s := &state{dir: dir, temporary: temporary, lock: lock}
	if err := s.clear(); err != nil {
		return nil, errors.Join(err, s.close(true))
	}
	return s, nil
}

// clear ends what an earlier local cluster left running and removes its data. It touches no other files in the folder.
func (s *state) clear() error {
	if err := supervise.KillLeftovers(s.processes()); err != nil {
		return err
	}
	for _, name := range []string{"etcd", "certs", "kubeconfig", "logs", "artifacts", "tmp"} {
		if err := os.RemoveAll(filepath.Join(s.dir, name)); err != nil {
			return err
		}
	}
	for _, name := range []string{"certs", "kubeconfig", "logs", "artifacts", "tmp"} {
		if err := os.MkdirAll(filepath.Join(s.dir, name), 0o700); err != nil {
			return err
		}
	}
	return nil
}

func (s *state) processes() string { return filepath.Join(s.dir, processFile) }

// close releases the folder, and removes it if Start created it and it is not to be kept.
func (s *state) close(keepDir bool) error {
	var err error
	if s.temporary && !keepDir {
		err = os.RemoveAll(s.dir)
	}
	return errors.Join(err, s.lock.Close())
}

// awaitLock waits a little for the lock of a folder: a process that was killed holds its own until the last of its
// threads is gone, which may be after the programs it started have ended.
func awaitLock(dir string) (*os.File, error) {
	for cancel := time.Now().Add(lockTimeout); ; time.Sleep(lockTimeout / 100) {
		lock, err := lockDir(dir)
		if err == nil || !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(cancel) {
			return lock, err
		}
	}
}

func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close() //nolint:errcheck // closing gives the lock back, whatever it returns
		return nil, err
	}
	return f, nil
}

// sweep removes the folders of local clusters whose process has ended, and ends what still runs of them. It keeps the
// folder of one that could not start, because somebody may read its logs.
func sweep() error {
	found, err := filepath.Glob(filepath.Join(os.TempDir(), tempPattern))
	if err != nil {
		return err
	}
	for _, dir := range found {
		if _, err := os.Stat(filepath.Join(dir, processFile)); err != nil {
			continue
		}
		lock, err := lockDir(dir)
		if err != nil {
			continue // it runs, or belongs to another user
		}
		dead := &state{dir: dir, temporary: true, lock: lock}
		if err := supervise.KillLeftovers(dead.processes()); err != nil {
			return errors.Join(err, dead.close(true))
		}
		if err := dead.close(false); err != nil {
			return err
		}
	}
	return nil
}

// configure reserves the ports and writes the files that the components read.
func configure(o Options, dir string, pool *port.Pool) (component.Config, identities, error) {
	c := component.Config{BinDir: o.BinDir, Assets: os.Getenv(assetsEnv), Dir: dir, Workloads: o.Workloads}
	for _, p := range []*int{
		&c.Ports.Etcd, &c.Ports.EtcdPeer, &c.Ports.APIServer, &c.Ports.ControllerManager, &c.Ports.Scheduler,
		&c.Ports.KWOK, &c.Ports.SourceHealth, &c.Ports.SourceStorage, &c.Ports.KustHealth,
	} {
		n, err := pool.Take()
		if err != nil {
			return c, identities{}, err
		}
		*p = n
	}
	authority, err := pki.Write(c.Certs())
	if err != nil {
		return c, identities{}, err
	}
	if err := os.WriteFile(c.AuditPolicy(), []byte(component.AuditPolicyYAML), 0o600); err != nil {
		return c, identities{}, err
	}
	ids, err := writeIdentities(c, authority)
	return c, ids, err
}
