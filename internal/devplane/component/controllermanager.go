package component

import "fmt"

// NewControllerManager returns the process of kube-controller-manager. Each controller has its own service account, as
// on a real cluster.
func NewControllerManager(c Config) Process {
	return Process{
		Name: ControllerManager,
		Path: c.binary(ControllerManager),
		Args: []string{
			"--kubeconfig=" + c.Kubeconfig(ControllerManager),
			"--leader-elect=false",
			"--bind-address=" + loopback,
			fmt.Sprintf("--secure-port=%d", c.Ports.ControllerManager),
			"--tls-cert-file=" + c.cert("server.crt"),
			"--tls-private-key-file=" + c.cert("server.key"),
			"--service-account-private-key-file=" + c.cert("sa.key"),
			"--root-ca-file=" + c.cert("ca.crt"),
			"--use-service-account-credentials=true",
			"--kube-api-qps=200",
			"--kube-api-burst=400",
			"--profiling=false",
		},
		ReadyURL: "https://" + address(c.Ports.ControllerManager) + "/healthz",
	}
}
