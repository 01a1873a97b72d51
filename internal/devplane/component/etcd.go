package component

import "path/filepath"

// NewEtcd describes the store. It does not wait for the disk: the local
// cluster is thrown away after a power cut anyway.
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
