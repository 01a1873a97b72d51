package component

import "fmt"

// Issuer names the API server in the tokens of service accounts.
const Issuer = "https://kubernetes.default.svc.cluster.local"

// NewAPIServer describes the API server: RBAC as on a real cluster, static
// tokens for the components, and an audit log of every request.
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
		// The endpoint of the "kubernetes" service may not be a loopback
		// address, and no pod here could reach it.
		"--endpoint-reconciler-type=none",
		"--audit-policy-file=" + c.AuditPolicy(),
		"--audit-log-path=" + c.AuditLog(),
		"--audit-log-maxsize=1000",
		"--profiling=false",
	}
	if !c.Workloads {
		// Nothing makes the default service accounts that this plugin wants
		// every pod to have.
		args = append(args, "--disable-admission-plugins=ServiceAccount")
	}
	return Process{Name: APIServer, Path: c.binary(APIServer), Args: args, ReadyURL: c.Server() + "/readyz"}
}

// AuditPolicyYAML records who asked what and when of each request, no bodies.
const AuditPolicyYAML = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
`
