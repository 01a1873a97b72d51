package component

import (
	"fmt"
	"path/filepath"
)

// Names of the components, which are also the names of their binaries and log files.
const (
	Etcd                = "etcd"
	APIServer           = "kube-apiserver"
	ControllerManager   = "kube-controller-manager"
	Scheduler           = "kube-scheduler"
	KWOK                = "kwok"
	SourceController    = "source-controller"
	KustomizeController = "kustomize-controller"
)

// loopback is the only address that the local cluster listens on, because its etcd has no authentication.
const loopback = "127.0.0.1"

// Process is a program with its arguments.
type Process struct {
	Name string
	Path string
	Args []string
	// Env is added to the environment, as KEY=value.
	Env []string
	// ReadyURL responds with status 200 once the program is ready.
	ReadyURL string
}

// Ports are the loopback ports of one local cluster.
type Ports struct {
	Etcd, EtcdPeer, APIServer               int
	ControllerManager, Scheduler, KWOK      int
	SourceHealth, SourceStorage, KustHealth int
}

// Config is the configuration that the components of one local cluster share.
type Config struct {
	// BinDir holds the binaries.
	BinDir string
	// Assets is a folder whose etcd and kube-apiserver replace those of BinDir. Optional.
	Assets string
	// Dir is the state folder.
	Dir   string
	Ports Ports
	// Workloads is set if the controller manager, the scheduler and KWOK run too.
	Workloads bool
}

// Server returns the URL of the API server.
func (c Config) Server() string { return fmt.Sprintf("https://%s:%d", loopback, c.Ports.APIServer) }

// Kubeconfig returns the path of the kubeconfig of a component, or of the administrator for "admin".
func (c Config) Kubeconfig(name string) string {
	return filepath.Join(c.Dir, "kubeconfig", name+".yaml")
}

// Certs returns the folder of certificates and keys.
func (c Config) Certs() string { return filepath.Join(c.Dir, "certs") }

// Tokens returns the file of static bearer tokens.
func (c Config) Tokens() string { return filepath.Join(c.Certs(), "tokens.csv") }

// AuditPolicy returns the path of the API server's audit policy.
func (c Config) AuditPolicy() string { return filepath.Join(c.Dir, "audit-policy.yaml") }

// AuditLog returns the path of the API server's audit log.
func (c Config) AuditLog() string { return filepath.Join(c.Logs(), "audit.log") }

// Logs returns the folder of the components' logs.
func (c Config) Logs() string { return filepath.Join(c.Dir, "logs") }

// Stages returns the path of KWOK's stages, which describe the life of fake nodes and pods.
func (c Config) Stages() string { return filepath.Join(c.Dir, "stages.yaml") }

// Scratch returns the folder for temporary files of the components.
func (c Config) Scratch() string { return filepath.Join(c.Dir, "tmp") }

func (c Config) cert(name string) string { return filepath.Join(c.Certs(), name) }

func (c Config) binary(name string) string {
	if c.Assets != "" && (name == Etcd || name == APIServer) {
		return filepath.Join(c.Assets, name)
	}
	return filepath.Join(c.BinDir, name)
}

// controllerEnv returns the environment of the controllers that read KUBECONFIG.
func (c Config) controllerEnv(name string) []string {
	return []string{
		"KUBECONFIG=" + c.Kubeconfig(name),
		"RUNTIME_NAMESPACE=" + FluxNamespace,
		"TMPDIR=" + c.Scratch(),
		"HOME=" + c.Scratch(),
	}
}

func address(port int) string { return fmt.Sprintf("%s:%d", loopback, port) }
