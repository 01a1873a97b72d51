package component

import "path/filepath"

// NewEtcd returns the process of etcd. It does not sync to disk, because a local cluster does not survive a power
// failure anyway.
func NewEtcd(c Config) Process {
	client, peer := "http://"+address(c.Ports.Etcd), "http://"+address(c.Ports.EtcdPeer)
	return Process{
		Name: Etcd,
		Path: c.binary(Etcd),
		Args: []string{
			"--name=default",
			"--data-dir=" + filepath.Join(c.Dir, "etcd"),
			"--listen-client-urls=" + client,
			"--advertise-client-urls=" + client,
			"--listen-peer-urls=" + peer,
			"--initial-advertise-peer-urls=" + peer,
			"--initial-cluster=default=" + peer,
			"--unsafe-no-fsync",
			"--log-level=warn",
		},
		ReadyURL: client + "/health",
	}
}
