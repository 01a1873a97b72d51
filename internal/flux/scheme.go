package flux

import (
	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kuberik/kuberik/internal/kube"
)

// AddToScheme registers the Flux kinds that Kuberik reads and writes.
func AddToScheme(s *runtime.Scheme) error {
	for _, add := range []func(*runtime.Scheme) error{imagev1.AddToScheme, kustomizev1.AddToScheme, sourcev1.AddToScheme} {
		if err := add(s); err != nil {
			return err
		}
	}
	return nil
}

// Indexes that the controllers need to get from a Rollout to its targets.
func Indexes() []kube.Index {
	return []kube.Index{
		{Object: &kustomizev1.Kustomization{}, Key: kube.ByRollout, Values: Rollouts},
		{Object: &sourcev1.OCIRepository{}, Key: kube.ByRollout, Values: Rollouts},
		kube.IndexOf(&kustomizev1.Kustomization{}, kube.BySource, func(k *kustomizev1.Kustomization) []string {
			if s := Source(k); s != "" {
				return []string{s}
			}
			return nil
		}),
	}
}
