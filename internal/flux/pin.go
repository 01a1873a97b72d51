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

// Pinner writes versions to Flux objects.
type Pinner struct {
	// Client that patches the Flux objects.
	Client client.Client
}

// Pin writes a version to every target that does not have it yet, with one patch for each Flux object, and requests a
// reconcile. It writes only the keys that the Rollout owns, so that several Rollouts can share a Kustomization. The
// reconcile request is the token of the deployment, so that repeating it from a stale cache or after a crash changes
// nothing. Targets that fail do not affect the others, and targets that no longer exist are ignored.
func (p Pinner) Pin(ctx context.Context, namespace string, targets []release.Target, pin release.Pin) error {
	if err := errors.Join(version.CheckTag(pin.Version.Tag), version.CheckDigest(pin.Version.Digest)); err != nil {
		return err
	}
	var errs []error
	for _, group := range groupByObject(targets, pin) {
		obj, patch := group.patch(namespace, pin)
		body, err := json.Marshal(patch)
		if err == nil {
			err = p.Client.Patch(ctx, obj, client.RawPatch(types.MergePatchType, body), kube.FieldOwner)
		}
		if client.IgnoreNotFound(err) != nil {
			err = fmt.Errorf("writing version %s to %s %q: %w", pin.Version.Tag, group.kind, group.name, err)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// targetGroup holds the targets to write that are part of one Flux object.
type targetGroup struct {
	kind, name string
	targets    []release.Target
}

// groupByObject groups the targets that need the version by the Flux object they are part of.
func groupByObject(targets []release.Target, pin release.Pin) []targetGroup {
	var list []targetGroup
	for _, t := range targets {
		if !t.Takes(pin.Version) || t.Asked && t.Carries(pin.Version) {
			continue
		}
		if n := len(list); n == 0 || list[n-1].kind != t.Kind || list[n-1].name != t.Name {
			list = append(list, targetGroup{kind: t.Kind, name: t.Name})
		}
		last := &list[len(list)-1]
		last.targets = append(last.targets, t)
	}
	return list
}

// patch returns the Flux object and the smallest merge patch that writes the version to it.
func (g targetGroup) patch(namespace string, pin release.Pin) (client.Object, map[string]any) {
	annotations := map[string]any{meta.ReconcileRequestAnnotation: pin.Token}
	key := metav1.ObjectMeta{Namespace: namespace, Name: g.name}
	if g.kind == sourcev1.OCIRepositoryKind {
		annotations[annotationDeployment] = pin.Token
		ref := map[string]any{"tag": pin.Version.Tag}
		if form := g.targets[0].Form; form.HasDigest() {
			ref["digest"] = form.Of(pin.Version)
		}
		return &sourcev1.OCIRepository{ObjectMeta: key}, map[string]any{
			"metadata": map[string]any{"annotations": annotations},
			"spec":     map[string]any{"ref": ref},
		}
	}
	values := map[string]any{}
	for _, t := range g.targets {
		values[t.Variable] = t.Form.Of(pin.Version)
		annotations[annotationDeployment+"."+t.Variable] = pin.Token
	}
	return &kustomizev1.Kustomization{ObjectMeta: key}, map[string]any{
		"metadata": map[string]any{"annotations": annotations},
		"spec":     map[string]any{"postBuild": map[string]any{"substitute": values}},
	}
}
