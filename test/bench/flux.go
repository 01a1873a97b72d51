package main

import (
	"context"
	"sync"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// variable of the Kustomizations that takes the version.
const variable = "VERSION"

// revision that the Kustomizations are reported to have applied.
const revision = "main@sha1:5394cb7f48332b2de7c17dd8b8384bbc84b7e738"

// flux watches all Kustomizations. It notes when each got its version, and reports it as applied at once.
type flux struct {
	client client.WithWatch
	mu     sync.Mutex
	// got is when a Kustomization was first seen with a version.
	got map[client.ObjectKey]arrival
	// asked is the last reconcile request of each Kustomization that was taken up.
	asked map[client.ObjectKey]string
	// arrived is signalled when a Kustomization got a version.
	arrived chan struct{}
	work    chan *kustomizev1.Kustomization
}

type arrival struct {
	version string
	at      time.Time
}

func newFlux(c client.WithWatch, most int) *flux {
	return &flux{
		client: c, got: map[client.ObjectKey]arrival{}, asked: map[client.ObjectKey]string{},
		arrived: make(chan struct{}, 1), work: make(chan *kustomizev1.Kustomization, most),
	}
}

// run works until the context ends.
func (f *flux) run(ctx context.Context) {
	var workers sync.WaitGroup
	for range writers {
		workers.Go(func() {
			for k := range f.work {
				f.apply(ctx, k)
			}
		})
	}
	for ctx.Err() == nil {
		f.watch(ctx)
	}
	close(f.work)
	workers.Wait()
}

// watch follows all Kustomizations until the watch ends.
func (f *flux) watch(ctx context.Context) {
	events, err := f.client.Watch(ctx, &kustomizev1.KustomizationList{})
	if err != nil {
		return
	}
	defer events.Stop()
	for e := range events.ResultChan() {
		if k, ok := e.Object.(*kustomizev1.Kustomization); ok && f.note(k, time.Now()) {
			f.work <- k
		}
	}
}

// note records what a Kustomization carries, and returns whether it has to be applied.
func (f *flux) note(k *kustomizev1.Kustomization, now time.Time) bool {
	if k.Spec.PostBuild == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	key, version := client.ObjectKeyFromObject(k), k.Spec.PostBuild.Substitute[variable]
	if f.got[key].version != version {
		f.got[key] = arrival{version, now}
		select {
		case f.arrived <- struct{}{}:
		default:
		}
	}
	requested := k.Annotations[meta.ReconcileRequestAnnotation]
	if requested == k.Status.LastHandledReconcileAt || requested == f.asked[key] {
		return false
	}
	f.asked[key] = requested
	return true
}

// apply reports a Kustomization as applied.
func (f *flux) apply(ctx context.Context, k *kustomizev1.Kustomization) {
	status := map[string]any{
		"observedGeneration": k.Generation, "lastHandledReconcileAt": k.Annotations[meta.ReconcileRequestAnnotation],
		"lastAppliedRevision": revision, "lastAttemptedRevision": revision,
		"conditions": []metav1.Condition{ready(k.Generation)},
	}
	if err := patchStatus(ctx, f.client, k, status); err != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.asked, client.ObjectKeyFromObject(k)) // the next event tries again
	}
}

// await waits until the first so many Kustomizations of a set carry a version, and returns when each got it.
func (f *flux) await(
	ctx context.Context, keys []client.ObjectKey, version string,
) (map[client.ObjectKey]time.Time, error) {
	for {
		if times := f.times(keys, version); len(times) == len(keys) {
			return times, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-f.arrived:
		}
	}
}

func (f *flux) times(keys []client.ObjectKey, version string) map[client.ObjectKey]time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	times := map[client.ObjectKey]time.Time{}
	for _, key := range keys {
		if a := f.got[key]; a.version == version {
			times[key] = a.at
		}
	}
	return times
}
