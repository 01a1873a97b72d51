package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/devplane/artifact"
	"github.com/kuberik/kuberik/internal/version"
)

// push publishes a version as a pipeline would and requests a scan from Flux in both namespaces.
func (w *demoCluster) push(ctx context.Context, tag string) error {
	return push(ctx, w.admin, w.plane.Registry()+"/"+app, tag)
}

func push(ctx context.Context, c client.Client, image, tag string) error {
	_, err := artifact.PushImage(ctx, artifact.Image{
		Reference: image + ":" + tag,
		Annotations: map[string]string{
			"org.opencontainers.image.version": tag,
			"org.opencontainers.image.title":   app,
			"org.opencontainers.image.authors": author + " <" + author + "@example.com>",
			"org.opencontainers.image.created": time.Now().UTC().Format(time.RFC3339),
		},
	})
	if err != nil {
		return err
	}
	var problems []error
	requestedAt := time.Now().UTC().Format(time.RFC3339Nano)
	for _, namespace := range namespaces() {
		repository := &imagev1.ImageRepository{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: app}}
		patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, meta.ReconcileRequestAnnotation, requestedAt)
		problems = append(problems, merge(ctx, c, repository, patch))
	}
	return errors.Join(problems...)
}

// Push publishes a version to a running demo. It finds the registry through the API server that config points to.
func Push(ctx context.Context, config *rest.Config, tag string) error {
	if err := version.CheckTag(tag); err != nil {
		return err
	}
	known, err := scheme()
	if err != nil {
		return err
	}
	c, err := client.New(config, client.Options{Scheme: known})
	if err != nil {
		return err
	}
	var repository imagev1.ImageRepository
	if err := c.Get(ctx, client.ObjectKey{Namespace: staging, Name: app}, &repository); err != nil {
		return fmt.Errorf("looking for the demo: %w; export KUBECONFIG as the demo says", err)
	}
	// The registry of a demo is on this machine. Any other object of that name belongs to somebody else.
	host, _, err := net.SplitHostPort(strings.TrimSuffix(repository.Spec.Image, "/"+app))
	if err != nil || !net.ParseIP(host).IsLoopback() {
		return fmt.Errorf("the cluster that KUBECONFIG names is not that of a demo: its images are in %s",
			repository.Spec.Image)
	}
	return push(ctx, c, repository.Spec.Image, tag)
}

// approve creates an Approval. It waits until the admission policy that checks the user is in force.
func (w *demoCluster) approve(ctx context.Context, a attempt) error {
	select {
	case <-time.After(time.Until(w.policyActiveAt)):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return client.IgnoreAlreadyExists(w.userClients[a.by].Create(ctx, a.approval()))
}

// allow makes the change calendar accept a version.
func (w *demoCluster) allow(ctx context.Context, tag string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, w.calendar()+"?"+url.Values{"tag": {tag}}.Encode(),
		http.NoBody)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Timeout: 5 * time.Second}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the change calendar answered %s", response.Status)
	}
	return nil
}

// unblock lets staging deploy the next version after a failure, as alice.
func (w *demoCluster) unblock(ctx context.Context) error {
	rollout := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: staging, Name: app}}
	return merge(ctx, w.userClients[approver], rollout,
		fmt.Sprintf(`{"metadata":{"annotations":{%q:"true"}}}`, v1alpha1.AnnotationUnblockFailed))
}

func merge(ctx context.Context, c client.Client, o client.Object, patch string) error {
	if err := c.Patch(ctx, o, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		return fmt.Errorf("patching %q: %w", o.GetName(), err)
	}
	return nil
}
