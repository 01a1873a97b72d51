package component

import "fmt"

// Issuer is the issuer of service account tokens.
const Issuer = "https://kubernetes.default.svc.cluster.local"

// NewAPIServer returns the process of the API server, with RBAC, static tokens for the components, and an audit log of
// every request.
func NewAPIServer(c Config) Process {
	args := []string{
		"--etcd-servers=http://" + address(c.Ports.Etcd),
		"--bind-address=" + loopback,
		"--advertise-address=" + loopback,
		fmt.Sprintf("--secure-port=%d", c.Ports.APIServer),
		"--tls-cert-file=" + c.cert("server.crt"),
		"--tls-private-key-file=" + c.cert("server.key"),
		"--cert-dir=" + c.Certs(),
		"--token-auth-file=" + c.Tokens(),
		"--authorization-mode=RBAC",
		"--service-account-issuer=" + Issuer,
		"--service-account-key-file=" + c.cert("sa.key"),
		"--service-account-signing-key-file=" + c.cert("sa.key"),
		"--service-cluster-ip-range=10.0.0.0/24",
		"--allow-privileged=true",
		// The endpoint of the "kubernetes" service must not be a loopback address, and no simulated pod needs it.
		"--endpoint-reconciler-type=none",
		"--audit-policy-file=" + c.AuditPolicy(),
		"--audit-log-path=" + c.AuditLog(),
		"--audit-log-maxsize=1000",
		"--profiling=false",
	}
	if !c.Workloads {
		// Without the controller manager, nothing creates the default service accounts that this plugin requires of
		// every pod.
		args = append(args, "--disable-admission-plugins=ServiceAccount")
	}
	return Process{Name: APIServer, Path: c.binary(APIServer), Args: args, ReadyURL: c.Server() + "/readyz"}
}

// AuditPolicyYAML logs the user, the verb, the object and the time of each request, without bodies.
const AuditPolicyYAML = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
`
