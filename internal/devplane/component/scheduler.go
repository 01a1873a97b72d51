package component

import "fmt"

// NewScheduler returns the process of kube-scheduler.
func NewScheduler(c Config) Process {
	return Process{
		Name: Scheduler,
		Path: c.binary(Scheduler),
		Args: []string{
			"--kubeconfig=" + c.Kubeconfig(Scheduler),
			"--leader-elect=false",
			"--bind-address=" + loopback,
			fmt.Sprintf("--secure-port=%d", c.Ports.Scheduler),
			"--tls-cert-file=" + c.cert("server.crt"),
			"--tls-private-key-file=" + c.cert("server.key"),
		},
		ReadyURL: "https://" + address(c.Ports.Scheduler) + "/healthz",
	}
}
