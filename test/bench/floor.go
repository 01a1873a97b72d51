package main

import (
	"context"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/controller"
)

// Environment variables that make the program run as the floor.
const (
	floorEnv           = "KUBERIK_BENCH_FLOOR" // the kubeconfig
	floorNamespacesEnv = "KUBERIK_BENCH_FLOOR_NAMESPACES"
	floorWorkersEnv    = "KUBERIK_BENCH_FLOOR_WORKERS"
)

// floorAgent is the user agent of the floor.
const floorAgent = "kuberik-bench-floor"

// floor is the least that any controller has to do: for each tag that an ImagePolicy selects it writes the intent to
// the status of the Rollout, and then patches the Kustomization.
type floor struct {
	client client.WithWatch
	work   chan *imagev1.ImagePolicy
	mu     sync.Mutex
	// seen is the last tag of each ImagePolicy.
	seen map[client.ObjectKey]string
}

// runFloor runs the floor until the context ends.
func runFloor(ctx context.Context) error {
	cfg, err := clientcmd.BuildConfigFromFlags("", os.Getenv(floorEnv))
	if err != nil {
		return err
	}
	cfg.QPS, cfg.UserAgent = -1, floorAgent
	c, err := client.NewWithWatch(cfg, client.Options{Scheme: controller.Scheme()})
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(os.Getenv(floorWorkersEnv))
	if err != nil {
		return err
	}
	f := &floor{client: c, work: make(chan *imagev1.ImagePolicy, 1<<16), seen: map[client.ObjectKey]string{}}
	parts, ctx := errgroup.WithContext(ctx)
	for range count {
		parts.Go(func() error { return f.releaseAll(ctx) })
	}
	for _, namespace := range strings.Split(os.Getenv(floorNamespacesEnv), ",") {
		parts.Go(func() error {
			for ctx.Err() == nil {
				if err := f.watch(ctx, namespace); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return parts.Wait()
}

// watch passes on each tag that is newly selected in a namespace, until the watch ends.
func (f *floor) watch(ctx context.Context, namespace string) error {
	events, err := f.client.Watch(ctx, &imagev1.ImagePolicyList{}, client.InNamespace(namespace))
	if err != nil {
		return err
	}
	defer events.Stop()
	for e := range events.ResultChan() {
		if p, ok := e.Object.(*imagev1.ImagePolicy); ok && p.Status.LatestRef != nil {
			f.take(p)
		}
	}
	return nil
}

func (f *floor) take(p *imagev1.ImagePolicy) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := client.ObjectKeyFromObject(p)
	if f.seen[key] != p.Status.LatestRef.Tag {
		f.seen[key] = p.Status.LatestRef.Tag
		f.work <- p
	}
}

// releaseAll releases until the context ends.
func (f *floor) releaseAll(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case p := <-f.work:
			if err := f.release(ctx, p); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

// release makes the two writes.
func (f *floor) release(ctx context.Context, p *imagev1.ImagePolicy) error {
	at, ref, now := metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name}, p.Status.LatestRef, metav1.Now()
	intent := map[string]any{"currentVersion": ref.Tag, "history": []map[string]any{{
		"id": now.Unix(), "version": map[string]any{"tag": ref.Tag, "digest": ref.Digest}, "timestamp": now,
		"bakeStatus": "Deploying",
	}}}
	if err := patchStatus(ctx, f.client, &v1alpha1.Rollout{ObjectMeta: at}, intent); err != nil {
		return err
	}
	return f.handOver(ctx, at, ref.Tag, now.Time)
}

func (f *floor) handOver(ctx context.Context, at metav1.ObjectMeta, tag string, now time.Time) error {
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{
			"annotations": map[string]any{meta.ReconcileRequestAnnotation: now.Format(time.RFC3339Nano)},
		},
		"spec": map[string]any{"postBuild": map[string]any{"substitute": map[string]any{variable: tag}}},
	})
	if err != nil {
		return err
	}
	return f.client.Patch(ctx, &kustomizev1.Kustomization{ObjectMeta: at}, client.RawPatch(types.MergePatchType, body),
		client.FieldOwner(floorAgent))
}
