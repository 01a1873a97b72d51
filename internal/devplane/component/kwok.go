package component

// leaseSeconds is how long a fake node counts as alive after a heartbeat. It is the default of real nodes.
const leaseSeconds = "40"

// NewKWOK returns the process of KWOK, which simulates the kubelet of every node.
func NewKWOK(c Config) Process {
	return Process{
		Name: KWOK,
		Path: c.binary(KWOK),
		Args: []string{
			"--kubeconfig=" + c.Kubeconfig(KWOK),
			"--config=" + c.Stages(),
			"--manage-all-nodes=true",
			"--node-lease-duration-seconds=" + leaseSeconds,
			"--server-address=" + address(c.Ports.KWOK),
		},
		Env:      []string{"HOME=" + c.Scratch()},
		ReadyURL: "http://" + address(c.Ports.KWOK) + "/healthz",
	}
}
