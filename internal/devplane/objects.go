package devplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// owner is the field owner of what Apply writes.
	owner = client.FieldOwner("kuberik-devplane")
	// pollInterval is the interval between checks of a condition.
	pollInterval = 50 * time.Millisecond
	// readyTimeout is how long an object may take to become usable.
	readyTimeout = time.Minute
)

// Apply applies manifests in their order.
func (p *Plane) Apply(ctx context.Context, manifests []byte) error {
	objects, err := decode(manifests)
	if err != nil {
		return err
	}
	return p.applyAll(ctx, objects)
}

// InstallCRDs applies all CustomResourceDefinitions in the YAML files of the folders and waits until the API server
// serves them.
func (p *Plane) InstallCRDs(ctx context.Context, dirs ...string) error {
	var crds []*unstructured.Unstructured
	for _, dir := range dirs {
		found, err := readDir(dir)
		if err != nil {
			return fmt.Errorf("reading CRDs: %w", err)
		}
		found = slices.DeleteFunc(found, func(o *unstructured.Unstructured) bool {
			return o.GetKind() != "CustomResourceDefinition"
		})
		if len(found) == 0 {
			return fmt.Errorf("no CustomResourceDefinition in %s", dir)
		}
		crds = append(crds, found...)
	}
	if err := p.applyAll(ctx, crds); err != nil {
		return err
	}
	for _, crd := range crds {
		if err := p.awaitEstablished(ctx, crd); err != nil {
			return fmt.Errorf("waiting for the API server to serve %q: %w", crd.GetName(), err)
		}
	}
	return nil
}

func (p *Plane) applyAll(ctx context.Context, objects []*unstructured.Unstructured) error {
	for _, o := range objects {
		err := p.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(o.DeepCopy()), owner, client.ForceOwnership)
		if err != nil {
			return fmt.Errorf("applying %s %q: %w", o.GetKind(), o.GetName(), err)
		}
	}
	return nil
}

func (p *Plane) awaitEstablished(ctx context.Context, crd *unstructured.Unstructured) error {
	return wait.PollUntilContextTimeout(ctx, pollInterval, readyTimeout, true, func(ctx context.Context) (bool, error) {
		now := crd.DeepCopy()
		if err := p.client.Get(ctx, client.ObjectKeyFromObject(crd), now); err != nil {
			return false, err
		}
		// Between its creation and its first condition a CRD has conditions: null, which is no slice.
		conditions, _, _ := unstructured.NestedSlice(now.Object, "status", "conditions") //nolint:errcheck // null is as good as none
		for _, c := range conditions {
			condition, ok := c.(map[string]any)
			if ok && condition["type"] == "Established" && condition["status"] == "True" {
				return true, nil
			}
		}
		return false, nil
	})
}

func (p *Plane) createNamespace(ctx context.Context, name string) error {
	err := p.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	return client.IgnoreAlreadyExists(err)
}

// createNodes creates the fake nodes, which KWOK keeps ready.
func (p *Plane) createNodes(ctx context.Context) error {
	capacity := corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("64"),
		corev1.ResourceMemory: resource.MustParse("256Gi"),
		corev1.ResourcePods:   resource.MustParse("1000"),
	}
	for i := range p.options.Nodes {
		node := &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{
				Name:        fmt.Sprintf("fake-%d", i+1),
				Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"},
			},
			Status: corev1.NodeStatus{Capacity: capacity, Allocatable: capacity},
		}
		if err := p.client.Create(ctx, node); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating node %q: %w", node.Name, err)
		}
	}
	return nil
}

// awaitNodes waits until pods can be scheduled.
func (p *Plane) awaitNodes(ctx context.Context) error {
	err := wait.PollUntilContextTimeout(ctx, pollInterval, readyTimeout, true, func(ctx context.Context) (bool, error) {
		var nodes corev1.NodeList
		if err := p.client.List(ctx, &nodes); err != nil {
			return false, err
		}
		for _, node := range nodes.Items {
			if len(node.Spec.Taints) > 0 || !isReady(node) {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the fake nodes to be ready: %w", err)
	}
	return nil
}

func isReady(node corev1.Node) bool {
	return slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

// readDir returns all objects in the YAML files of a folder.
func readDir(dir string) ([]*unstructured.Unstructured, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	var all []*unstructured.Unstructured
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		objects, err := decode(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, objects...)
	}
	return all, nil
}

// decode returns the objects of a YAML stream.
func decode(manifests []byte) ([]*unstructured.Unstructured, error) {
	stream := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4096)
	var objects []*unstructured.Unstructured
	for {
		o := &unstructured.Unstructured{}
		err := stream.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading manifests: %w", err)
		}
		if len(o.Object) > 0 {
			objects = append(objects, o)
		}
	}
}
