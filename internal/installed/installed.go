package installed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/config"
)

//+kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,verbs=get,resourceNames=approvals.kuberik.com;clusterrolloutschedules.kuberik.com;environments.environments.kuberik.com;healthchecks.kuberik.com;overrides.kuberik.com;releases.kuberik.com;rolloutgates.kuberik.com;rollouts.kuberik.com;rolloutschedules.kuberik.com

// minMinor is the oldest minor version of Kubernetes 1 that has what the admission policies use.
const minMinor = 31

// ErrMissing means that the cluster lacks something. The message says what to do.
var ErrMissing = errors.New("the installation is not complete")

// fluxKinds lists the kinds of Flux that the controller cannot start without, by the component that they belong to.
var fluxKinds = map[string][]schema.GroupVersionKind{
	"source-controller":    {{Group: "source.toolkit.fluxcd.io", Version: "v1", Kind: "OCIRepository"}},
	"kustomize-controller": {{Group: "kustomize.toolkit.fluxcd.io", Version: "v1", Kind: "Kustomization"}},
	"image-reflector-controller": {{Group: "image.toolkit.fluxcd.io", Version: "v1", Kind: "ImagePolicy"},
		{Group: "image.toolkit.fluxcd.io", Version: "v1", Kind: "ImageRepository"}},
}

// Checker checks one cluster.
type Checker struct {
	objects   client.Reader
	discovery discovery.DiscoveryInterface
	// needs is the schema version that the program needs.
	needs int
	// pause ends the wait before another check in tests.
	pause chan struct{}
}

// New returns a Checker of the cluster of a client configuration.
func New(cfg *rest.Config) (*Checker, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1 // API Priority and Fairness limits clients
	objects, err := client.New(cfg, client.Options{})
	if err != nil {
		return nil, err
	}
	found, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return nil, err
	}
	return &Checker{objects: objects, discovery: found, needs: v1alpha1.SchemaVersion}, nil
}

// Check returns an error that wraps ErrMissing and names everything that is missing, or another error if the API server
// does not say.
func (c *Checker) Check(ctx context.Context) error {
	var missing []string
	for _, part := range []func(context.Context) ([]string, error){c.kubernetes, c.schemas, c.flux} {
		found, err := part(ctx)
		if err != nil {
			return err
		}
		missing = append(missing, found...)
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrMissing, strings.Join(missing, "; "))
}

func (c *Checker) kubernetes(context.Context) ([]string, error) {
	info, err := c.discovery.ServerVersion()
	if err != nil {
		return nil, err
	}
	if minor, known := minorOf(info); known && minor < minMinor {
		return []string{fmt.Sprintf("Kubernetes is %s, and at least 1.%d is needed: upgrade the cluster", info.GitVersion,
			minMinor)}, nil
	}
	return nil, nil
}

// minorOf returns the minor version of Kubernetes 1. Some providers append a sign to it.
func minorOf(info *version.Info) (minor int, known bool) {
	minor, err := strconv.Atoi(strings.TrimRight(info.Minor, "+"))
	return minor, err == nil && info.Major == "1"
}

// schemas compares the versions of the CustomResourceDefinitions with the one that the program needs.
func (c *Checker) schemas(ctx context.Context) (missing []string, err error) {
	names, err := definitions()
	if err != nil {
		return nil, err
	}
	var absent, old []string
	for _, name := range names {
		crd := &metav1.PartialObjectMetadata{}
		crd.SetGroupVersionKind(schema.GroupVersionKind{
			Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition",
		})
		switch err := c.objects.Get(ctx, client.ObjectKey{Name: name}, crd); {
		case apierrors.IsNotFound(err):
			absent = append(absent, name)
		case err != nil:
			return nil, fmt.Errorf("reading the CustomResourceDefinition %s: %w", name, err)
		case versionOf(crd) < c.needs:
			old = append(old, fmt.Sprintf("%s (%d)", name, versionOf(crd)))
		}
	}
	if len(absent) > 0 {
		missing = append(missing, "the CustomResourceDefinitions "+strings.Join(absent, ", ")+" are not installed: apply "+
			"crds.yaml of this version")
	}
	if len(old) > 0 {
		missing = append(missing, fmt.Sprintf("the schemas of %s are older than version %d, which this program needs: "+
			"apply crds.yaml of this version",
			strings.Join(old, ", "), c.needs))
	}
	return missing, nil
}

// versionOf returns the version of the schema in a CustomResourceDefinition, or 0 if it names none.
func versionOf(crd *metav1.PartialObjectMetadata) int {
	n, err := strconv.Atoi(crd.Annotations[v1alpha1.AnnotationSchemaVersion])
	if err != nil {
		return 0
	}
	return n
}

// definitions lists the names of the CustomResourceDefinitions, which their files are named after:
// <group>_<plural>.yaml.
func definitions() ([]string, error) {
	files, err := fs.Glob(config.Install, "crd/*.yaml")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range files {
		group, plural, _ := strings.Cut(strings.TrimSuffix(path.Base(file), ".yaml"), "_")
		names = append(names, plural+"."+group)
	}
	slices.Sort(names)
	return names, nil
}

// flux looks for the kinds of Flux.
func (c *Checker) flux(context.Context) (missing []string, err error) {
	for component, kinds := range fluxKinds {
		for _, kind := range kinds {
			served, err := c.serves(kind)
			if err != nil {
				return nil, err
			}
			if !served {
				missing = append(missing, fmt.Sprintf("Flux's %s is not installed, or older than Flux 2.7 (there is no %s in "+
					"%s): run flux install "+
					"--components-extra=image-reflector-controller", component, kind.Kind, kind.GroupVersion()))
				break
			}
		}
	}
	slices.Sort(missing)
	return missing, nil
}

func (c *Checker) serves(kind schema.GroupVersionKind) (bool, error) {
	list, err := c.discovery.ServerResourcesForGroupVersion(kind.GroupVersion().String())
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Kind == kind.Kind }), nil
}
