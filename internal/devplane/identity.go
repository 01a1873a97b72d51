package devplane

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"

	"github.com/kuberik/kuberik/internal/devplane/component"
)

const (
	adminName     = "admin"
	reflectorName = "image-reflector-controller"
	// mastersGroup has all rights.
	mastersGroup = "system:masters"
	// tokenLifetime is longer than a local cluster lives.
	tokenLifetime = 365 * 24 * 3600
)

// user is a user that the API server authenticates by a static token.
type user struct {
	name, user, group string
}

// users are the components under the names that they have on a real cluster, so that the audit log distinguishes them.
// The components of Kubernetes have their built-in roles; all others have all rights.
var users = []user{
	{adminName, adminName, mastersGroup},
	{component.ControllerManager, "system:kube-controller-manager", ""},
	{component.Scheduler, "system:kube-scheduler", ""},
	{component.KWOK, "kwok", mastersGroup},
	{component.SourceController, fluxAccount(component.SourceController), mastersGroup},
	{component.KustomizeController, fluxAccount(component.KustomizeController), mastersGroup},
	{reflectorName, fluxAccount(reflectorName), mastersGroup},
}

func fluxAccount(name string) string {
	return "system:serviceaccount:" + component.FluxNamespace + ":" + name
}

// identities holds the credentials for one API server.
type identities struct {
	server    string
	authority []byte
	tokens    map[string]string
}

// writeIdentities makes a token and a kubeconfig for each user.
func writeIdentities(c component.Config, authority []byte) (identities, error) {
	ids := identities{server: c.Server(), authority: authority, tokens: map[string]string{}}
	var list strings.Builder
	for _, u := range users {
		secret := make([]byte, 24)
		if _, err := rand.Read(secret); err != nil {
			return ids, err
		}
		ids.tokens[u.name] = hex.EncodeToString(secret)
		fmt.Fprintf(&list, "%s,%s,%s,%q\n", ids.tokens[u.name], u.user, u.name, u.group)
		if err := ids.write(c.Kubeconfig(u.name), ids.tokens[u.name]); err != nil {
			return ids, err
		}
	}
	return ids, os.WriteFile(c.Tokens(), []byte(list.String()), 0o600)
}

// config returns the client configuration of a user, without a client-side rate limit, which would hide the limits of
// the server.
func (ids identities) config(name string) *rest.Config {
	return &rest.Config{
		Host:            ids.server,
		BearerToken:     ids.tokens[name],
		TLSClientConfig: rest.TLSClientConfig{CAData: ids.authority},
		QPS:             -1,
	}
}

// write makes a kubeconfig of one user.
func (ids identities) write(path, token string) error {
	const entry = "kuberik-devplane"
	config := clientcmdapi.NewConfig()
	config.Clusters[entry] = &clientcmdapi.Cluster{Server: ids.server, CertificateAuthorityData: ids.authority}
	config.AuthInfos[entry] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts[entry] = &clientcmdapi.Context{Cluster: entry, AuthInfo: entry, Namespace: "default"}
	config.CurrentContext = entry
	return clientcmd.WriteToFile(*config, path)
}

// ServiceAccountKubeconfig writes a kubeconfig for an existing service account and returns its path.
func (p *Plane) ServiceAccountKubeconfig(ctx context.Context, namespace, name string) (string, error) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	request := &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To[int64](tokenLifetime)},
	}
	if err := p.client.SubResource("token").Create(ctx, account, request); err != nil {
		return "", fmt.Errorf("requesting a token for service account %s/%s: %w", namespace, name, err)
	}
	path := p.config.Kubeconfig("serviceaccount-" + namespace + "-" + name)
	if err := p.ids.write(path, request.Status.Token); err != nil {
		return "", fmt.Errorf("writing a kubeconfig for service account %s/%s: %w", namespace, name, err)
	}
	return path, nil
}
