package session

import (
	"context"
	"io"

	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/discovery"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/buildinfo"
)

// Scheme knows every kind that a verb reads or writes.
func Scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme, eventsv1.AddToScheme, rbacv1.AddToScheme,
		authenticationv1.AddToScheme, authorizationv1.AddToScheme, admissionv1.AddToScheme, apiextensionsv1.AddToScheme,
		v1alpha1.AddToScheme, environments.AddToScheme,
		imagev1.AddToScheme, sourcev1.AddToScheme, kustomizev1.AddToScheme,
	} {
		utilruntime.Must(add(s))
	}
	return s
}

// clusterScoped are the kinds that a verb uses and that are in no namespace.
var clusterScoped = map[string]bool{
	"Namespace": true, "Node": true, "ClusterRole": true, "ClusterRoleBinding": true, "ClusterRolloutSchedule": true,
	"CustomResourceDefinition": true, "ValidatingAdmissionPolicy": true, "ValidatingAdmissionPolicyBinding": true,
	"SelfSubjectAccessReview": true, "SelfSubjectReview": true, "SelfSubjectRulesReview": true,
	"SubjectAccessReview": true, "TokenReview": true,
}

// mapper maps every kind of a scheme to its resource without asking the API server, which would take several requests.
func mapper(s *runtime.Scheme) meta.RESTMapper {
	m := meta.NewDefaultRESTMapper(nil)
	for kind := range s.AllKnownTypes() {
		if kind.Version == runtime.APIVersionInternal {
			continue
		}
		var scope meta.RESTScope = meta.RESTScopeNamespace
		if clusterScoped[kind.Kind] {
			scope = meta.RESTScopeRoot
		}
		m.Add(kind, scope)
	}
	return m
}

// requests per second that a command may send: it asks a few questions at once and ends.
const (
	maxQPS   = 100
	maxBurst = 200
)

// localDefault is the address that client-go takes without a configuration.
const localDefault = "http://localhost:8080"

// Connect returns the client of the cluster that the flags select. It has no cache.
func Connect(f *Flags) (client.WithWatch, error) {
	config, err := restConfig(f)
	if err != nil {
		return nil, err
	}
	s := Scheme()
	return client.NewWithWatch(config, client.Options{Scheme: s, Mapper: mapper(s)})
}

// ServerVersion returns the version of the API server that the flags select, such as v1.36.2.
func ServerVersion(f *Flags) (string, error) {
	config, err := restConfig(f)
	if err != nil {
		return "", err
	}
	c, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return "", err
	}
	info, err := c.ServerVersion()
	if err != nil {
		return "", err
	}
	return info.GitVersion, nil
}

// restConfig returns the configuration of the cluster that the flags select.
func restConfig(f *Flags) (*rest.Config, error) {
	config, err := f.Config.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	if raw, err := f.Config.ToRawKubeConfigLoader().RawConfig(); err == nil && len(raw.Clusters) == 0 &&
		config.Host == localDefault {
		return nil, clientcmd.ErrEmptyConfig
	}
	config = rest.CopyConfig(config)
	config.QPS, config.Burst, config.UserAgent = maxQPS, maxBurst, "kuberik/"+buildinfo.Version
	config.WarningHandlerWithContext = rest.NoWarnings{}
	return config, nil
}

// openLog opens the log of a container in the cluster that the flags select.
func openLog(ctx context.Context, f *Flags, pod client.ObjectKey, o *corev1.PodLogOptions) (io.ReadCloser, error) {
	config, err := f.Config.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	pods, err := corev1client.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return pods.Pods(pod.Namespace).GetLogs(pod.Name, o).Stream(ctx)
}
