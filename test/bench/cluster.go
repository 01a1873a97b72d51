package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/internal/controller"
	"github.com/kuberik/kuberik/internal/devplane"
	"github.com/kuberik/kuberik/test/env"
)

// The service account of the controller. The admission policies let nobody else write statuses, so the floor uses it
// too.
const accountNamespace, accountName = "kuberik-system", "kuberik-controller"

// cluster is where the benchmark runs.
type cluster struct {
	client client.WithWatch
	// account is the path of a kubeconfig of the controller's service account.
	account string
	// audit is the path of the audit log, empty if there is none.
	audit string
	// registry is the address of a registry, empty if there is none.
	registry string
	plane    *devplane.Plane
	dir      string
}

// connect starts a local cluster, or connects to the one of a kubeconfig.
func connect(ctx context.Context, kubeconfig string) (*cluster, error) {
	dir, err := os.MkdirTemp("", "kuberik-bench-*")
	if err != nil {
		return nil, err
	}
	c := &cluster{dir: dir}
	if err := c.prepare(ctx, kubeconfig); err != nil {
		return nil, errors.Join(err, c.close(context.WithoutCancel(ctx)))
	}
	return c, nil
}

func (c *cluster) prepare(ctx context.Context, kubeconfig string) error {
	cfg, err := c.config(ctx, kubeconfig)
	if err != nil {
		return err
	}
	cfg.QPS, cfg.UserAgent = -1, "kuberik-bench"
	if c.client, err = client.NewWithWatch(cfg, client.Options{Scheme: controller.Scheme()}); err != nil {
		return err
	}
	if c.plane != nil {
		if err := c.install(ctx); err != nil {
			return err
		}
	}
	return c.writeKubeconfig(ctx, cfg)
}

func (c *cluster) config(ctx context.Context, kubeconfig string) (*rest.Config, error) {
	if kubeconfig != "" {
		return clientcmd.BuildConfigFromFlags("", kubeconfig)
	}
	plane, err := devplane.Start(context.WithoutCancel(ctx), devplane.Options{})
	if err != nil {
		return nil, err
	}
	c.plane, c.audit, c.registry = plane, plane.AuditLog(), plane.Registry()
	return plane.Config(), nil
}

func (c *cluster) install(ctx context.Context) error {
	if err := c.plane.InstallCRDs(ctx, env.File("bin/devplane/crds")); err != nil {
		return err
	}
	return (&env.Cluster{Plane: c.plane, Admin: c.client}).Install(ctx)
}

// writeKubeconfig writes a kubeconfig of the controller's service account.
func (c *cluster) writeKubeconfig(ctx context.Context, cfg *rest.Config) error {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: accountNamespace, Name: accountName}}
	request := &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To[int64](24 * 3600)},
	}
	if err := c.client.SubResource("token").Create(ctx, account, request); err != nil {
		return fmt.Errorf("requesting a token of service account %s/%s: %w", accountNamespace, accountName, err)
	}
	const entry = "bench"
	config := clientcmdapi.NewConfig()
	config.Clusters[entry] = &clientcmdapi.Cluster{
		Server: cfg.Host, CertificateAuthorityData: cfg.CAData, CertificateAuthority: cfg.CAFile,
		InsecureSkipTLSVerify: cfg.Insecure, TLSServerName: cfg.ServerName,
	}
	config.AuthInfos[entry] = &clientcmdapi.AuthInfo{Token: request.Status.Token}
	config.Contexts[entry] = &clientcmdapi.Context{Cluster: entry, AuthInfo: entry}
	config.CurrentContext = entry
	c.account = filepath.Join(c.dir, "kubeconfig")
	return clientcmd.WriteToFile(*config, c.account)
}

func (c *cluster) close(ctx context.Context) error {
	var err error
	if c.plane != nil {
		err = c.plane.Stop(ctx)
	}
	return errors.Join(err, os.RemoveAll(c.dir))
}
