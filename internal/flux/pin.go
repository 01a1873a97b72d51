package flux

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/internal/kube"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

// Pinner hands versions to Flux.
type Pinner struct {
	// Client that writes to Flux objects.
	Client client.Client
}

// Pin hands a version to every target that was not asked for it yet, one write for each Flux object, and asks Flux to
// reconcile. It writes the keys that the Rollout owns and nothing else, so that several Rollouts can share a Kustomization. The
// request is named after the deployment: doing it again, from a cache that lags behind or after a crash, changes nothing and
// does not make Flux begin anew. Targets that fail do not keep the others from their version, and one that is gone needs none.
func (p Pinner) Pin(ctx context.Context, namespace string, targets []release.Target, pin release.Pin) error {
	if err := errors.Join(version.CheckTag(pin.Version.Tag), version.CheckDigest(pin.Version.Digest)); err != nil {
		return err
	}
	var errs []error
	for _, group := range byObject(targets, pin) {
		obj, patch := group.patch(namespace, pin)
		body, err := json.Marshal(patch)
		if err == nil {
			err = p.Client.Patch(ctx, obj, client.RawPatch(types.MergePatchType, body), kube.FieldOwner)
		}
		if client.IgnoreNotFound(err) != nil {
			errs = append(errs, fmt.Errorf("handing %s to %s %q: %w", pin.Version.Tag, group.kind, group.name, err))
		}
	}
	return errors.Join(errs...)
}

// object is a Flux object and those of its targets that are to be written.
type object struct {
	kind, name string
	targets    []release.Target
}

// byObject gathers the targets that need the version by the object they are part of.
func byObject(targets []release.Target, pin release.Pin) []object {
	var list []object
	for _, t := range targets {
		if !t.Takes(pin.Version) || t.Asked && t.Carries(pin.Version) {
			continue
		}
		if n := len(list); n == 0 || list[n-1].kind != t.Kind || list[n-1].name != t.Name {
			list = append(list, object{kind: t.Kind, name: t.Name})
		}
		last := &list[len(list)-1]
		last.targets = append(last.targets, t)
	}
	return list
}

// patch is the smallest merge patch that hands over the version.
func (o object) patch(namespace string, pin release.Pin) (client.Object, map[string]any) {
	annotations := map[string]any{meta.ReconcileRequestAnnotation: pin.Token}
	key := metav1.ObjectMeta{Namespace: namespace, Name: o.name}
	if o.kind == sourcev1.OCIRepositoryKind {
		annotations[annotationDeployment] = pin.Token
		ref := map[string]any{"tag": pin.Version.Tag}
		if form := o.targets[0].Form; form.HasDigest() {
			ref["digest"] = form.Of(pin.Version)
		}
		return &sourcev1.OCIRepository{ObjectMeta: key}, map[string]any{
			"metadata": map[string]any{"annotations": annotations},
			"spec":     map[string]any{"ref": ref},
		}
	}
	values := map[string]any{}
	for _, t := range o.targets {
		values[t.Variable] = t.Form.Of(pin.Version)
		annotations[annotationDeployment+"."+t.Variable] = pin.Token
	}
	return &kustomizev1.Kustomization{ObjectMeta: key}, map[string]any{
		"metadata": map[string]any{"annotations": annotations},
		"spec":     map[string]any{"postBuild": map[string]any{"substitute": values}},
	}
}
