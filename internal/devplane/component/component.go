package component

import (
	"fmt"
	"path/filepath"
)

// The names of the components, which are also the names of their binaries and
// of their log files.
const (
	Etcd                = "etcd"
	APIServer           = "kube-apiserver"
	ControllerManager   = "kube-controller-manager"
	Scheduler           = "kube-scheduler"
	KWOK                = "kwok"
	SourceController    = "source-controller"
	KustomizeController = "kustomize-controller"
)

// loopback is the only address anything of the local cluster listens on: its
// etcd is open to whoever can reach it.
const loopback = "127.0.0.1"

// Process is a program to run.
type Process struct {
	Name string
	Path string
	Args []string
	// Env is added to the environment, as KEY=value.
	Env []string
	// ReadyURL answers 200 once the program serves.
	ReadyURL string
}

// Ports are the loopback ports of one local cluster.
type Ports struct {
	Etcd, EtcdPeer, APIServer               int
	ControllerManager, Scheduler, KWOK      int
	SourceHealth, SourceStorage, KustHealth int
}

// Config is what the components of one local cluster share.
type Config struct {
	// BinDir holds the binaries.
	BinDir string
	// Assets, if set, holds the etcd and kube-apiserver to use instead.
	Assets string
	// Dir is the state folder.
	Dir   string
	Ports Ports
	// Workloads says that the controllers which make pods usable run too.
	Workloads bool
}

// Server is the address of the API server.
func (c Config) Server() string { return fmt.Sprintf("https://%s:%d", loopback, c.Ports.APIServer) }

// Kubeconfig is the kubeconfig of a component or, as "admin", of a person.
func (c Config) Kubeconfig(name string) string {
	return filepath.Join(c.Dir, "kubeconfig", name+".yaml")
}

// Certs is the folder of certificates and keys.
func (c Config) Certs() string { return filepath.Join(c.Dir, "certs") }

// Tokens is the list of static bearer tokens.
func (c Config) Tokens() string { return filepath.Join(c.Certs(), "tokens.csv") }

// AuditPolicy says what the API server records of each request.
func (c Config) AuditPolicy() string { return filepath.Join(c.Dir, "audit-policy.yaml") }

// AuditLog is where the API server records each request.
func (c Config) AuditLog() string { return filepath.Join(c.Logs(), "audit.log") }

// Logs is the folder of the components' logs.
func (c Config) Logs() string { return filepath.Join(c.Dir, "logs") }

// Stages is KWOK's configuration: how fake nodes and pods live.
func (c Config) Stages() string { return filepath.Join(c.Dir, "stages.yaml") }

// Scratch is where components put temporary files.
func (c Config) Scratch() string { return filepath.Join(c.Dir, "tmp") }

func (c Config) cert(name string) string { return filepath.Join(c.Certs(), name) }

func (c Config) binary(name string) string {
	if c.Assets != "" && (name == Etcd || name == APIServer) {
		return filepath.Join(c.Assets, name)
	}
	return filepath.Join(c.BinDir, name)
}

// controllerEnv is the environment of the controllers that find the API server
// through KUBECONFIG.
func (c Config) controllerEnv(name string) []string {
	return []string{
		"KUBECONFIG=" + c.Kubeconfig(name),
		"RUNTIME_NAMESPACE=" + FluxNamespace,
		"TMPDIR=" + c.Scratch(),
		"HOME=" + c.Scratch(),
	}
}

func address(port int) string { return fmt.Sprintf("%s:%d", loopback, port) }
