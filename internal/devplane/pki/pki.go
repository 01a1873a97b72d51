package pki

import (
	"fmt"
	"net"
	"os"
	"path/filepath"

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// Write writes ca.crt, server.crt, server.key and sa.key to dir and returns the certificate of the authority as PEM.
// The certificates are valid for a year.
func Write(dir string) ([]byte, error) {
	server, key, err := cert.GenerateSelfSignedCertKey("127.0.0.1", []net.IP{net.IPv6loopback},
		[]string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"})
	if err != nil {
		return nil, fmt.Errorf("generating the serving certificate: %w", err)
	}
	chain, err := cert.ParseCertsPEM(server)
	if err != nil {
		return nil, fmt.Errorf("reading the serving certificate: %w", err)
	}
	authority, err := cert.EncodeCertificates(chain[len(chain)-1])
	if err != nil {
		return nil, fmt.Errorf("encoding the certificate authority: %w", err)
	}
	accounts, err := keyutil.MakeEllipticPrivateKeyPEM()
	if err != nil {
		return nil, fmt.Errorf("generating the service account key: %w", err)
	}
	for name, data := range map[string][]byte{"ca.crt": authority, "server.crt": server, "server.key": key,
		"sa.key": accounts} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return nil, fmt.Errorf("writing certificates: %w", err)
		}
	}
	return authority, nil
}
