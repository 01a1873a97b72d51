package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/demo/endpoint"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/view"
)

// scene is what the API server says at one moment. No pointer in it is nil.
type scene struct {
	rollout   *v1alpha1.Rollout
	releases  []v1alpha1.Release
	approvals []v1alpha1.Approval
	// calendar is the gate that asks the change calendar.
	calendar   *v1alpha1.RolloutGate
	deployment *appsv1.Deployment
	// sets are the ReplicaSets of the deployment, the newest last.
	sets []appsv1.ReplicaSet
}

// bare is a scene before anything is there.
func bare() scene {
	return scene{rollout: &v1alpha1.Rollout{}, calendar: &v1alpha1.RolloutGate{}, deployment: &appsv1.Deployment{}}
}

// look reads a scene.
func look(ctx context.Context, r client.Reader) (scene, error) {
	s := bare()
	key := client.ObjectKey{Namespace: namespace, Name: app}
	if err := r.Get(ctx, key, s.rollout); err != nil {
		return s, client.IgnoreNotFound(err)
	}
	if err := r.Get(ctx, key, s.deployment); client.IgnoreNotFound(err) != nil {
		return s, err
	}
	if err := r.Get(ctx, client.ObjectKey{Namespace: namespace, Name: calendarName}, s.calendar); client.IgnoreNotFound(err) != nil {
		return s, err
	}
	var releases v1alpha1.ReleaseList
	var approvals v1alpha1.ApprovalList
	for _, list := range []client.ObjectList{&releases, &approvals} {
		if err := r.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return s, err
		}
	}
	s.releases, s.approvals = releases.Items, approvals.Items
	var err error
	s.sets, err = endpoint.ReplicaSets(ctx, r, key)
	return s, err
}

// release finds the Release object of a tag, or an empty one.
func (s scene) release(tag string) *v1alpha1.Release {
	for i := range s.releases {
		if s.releases[i].Spec.Version.Tag == tag {
			return &s.releases[i]
		}
	}
	return &v1alpha1.Release{}
}

// image is what the Deployment runs, without the registry.
func (s scene) image() string {
	return imageOf(s.deployment.Spec.Template)
}

// ran are the images that the Deployment has run of the versions that were released, the newest last.
func (s scene) ran() []string {
	var images []string
	for _, set := range s.sets {
		image := imageOf(set.Spec.Template)
		if slices.ContainsFunc(s.releases, func(r v1alpha1.Release) bool { return image == app+":"+r.Spec.Version.Tag }) {
			images = append(images, image)
		}
	}
	return images
}

// passed are the versions that the change calendar has let pass.
func (s scene) passed() []string {
	var tags []string
	for _, v := range s.calendar.Status.Verdicts {
		if v.State == v1alpha1.GateOpen {
			tags = append(tags, v.Release)
		}
	}
	slices.Sort(tags)
	return tags
}

func imageOf(t corev1.PodTemplateSpec) string {
	for _, c := range t.Spec.Containers {
		return endpoint.Image(c.Image)
	}
	return "nothing"
}

// workload shows the Deployment.
func (s scene) workload() view.Node {
	n := view.Node{Tone: view.Idle, Title: "Deployment " + app, State: "absent"}
	if s.deployment.Name == "" {
		return n
	}
	want, ready := s.replicas()
	n.State, n.Note = s.image(), fmt.Sprintf("%d of %d pods of this version ready", ready, want)
	n.Tone = view.Held
	if ready == want {
		n.Tone = view.Good
	}
	return n
}

// replicas are those that are wanted, and those of the present version that are ready.
func (s scene) replicas() (want, ready int32) {
	d := s.deployment
	if d.Spec.Replicas != nil {
		want = *d.Spec.Replicas
	}
	if d.Status.ObservedGeneration != d.Generation {
		return want, 0
	}
	// Of old pods that still run, ReadyReplicas counts those too.
	return want, max(0, d.Status.ReadyReplicas-(d.Status.Replicas-d.Status.UpdatedReplicas))
}

// picture of a scene. Before the Rollout is there, there is nothing to see.
func (s scene) picture(style view.Style, now time.Time) []string {
	if s.rollout == nil || s.rollout.Name == "" {
		return nil
	}
	n := view.Tree(view.Subject{Rollout: s.rollout, Releases: s.releases, Now: now})
	n.Children = append(n.Children, s.workload())
	return view.Render(n, style)
}

// scenes watches the API server.
type scenes struct {
	cache    cache.Cache
	narrator narrator

	mu      sync.Mutex
	latest  scene
	changed chan struct{}
}

func newScenes(ctx context.Context, config *rest.Config, n narrator) (*scenes, error) {
	known, err := scheme()
	if err != nil {
		return nil, err
	}
	s := &scenes{narrator: n, changed: make(chan struct{}), latest: bare()}
	s.cache, err = cache.New(config, cache.Options{Scheme: known, DefaultNamespaces: map[string]cache.Config{namespace: {}}})
	if err != nil {
		return nil, err
	}
	for _, kind := range []client.Object{
		&v1alpha1.Rollout{}, &v1alpha1.Release{}, &v1alpha1.Approval{}, &v1alpha1.RolloutGate{}, &appsv1.Deployment{}, &appsv1.ReplicaSet{},
	} {
		informer, err := s.cache.GetInformer(ctx, kind, cache.BlockUntilSynced(false))
		if err != nil {
			return nil, err
		}
		_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    func(o any) { s.happened(ctx, nil, o) },
			UpdateFunc: func(before, after any) { s.happened(ctx, before, after) },
			DeleteFunc: func(any) { s.refresh(ctx) },
		})
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *scenes) run(ctx context.Context) error { return s.cache.Start(ctx) }

// happened tells what changed. Each reading of an object gets here, so that nothing is missed however short it was.
func (s *scenes) happened(ctx context.Context, before, after any) {
	switch after := after.(type) {
	case *v1alpha1.Rollout:
		old, _ := before.(*v1alpha1.Rollout)
		for _, c := range view.Changes(settled(old), settled(after)) {
			s.narrator.say(c)
		}
	case *appsv1.Deployment:
		old, _ := before.(*appsv1.Deployment)
		if old == nil {
			old = &appsv1.Deployment{}
		}
		if was, is := (scene{deployment: old}), (scene{deployment: after}); was.image() != is.image() {
			s.narrator.say(view.Change{Tone: view.Busy, Text: "Flux has applied " + is.image()})
		}
	}
	s.refresh(ctx)
}

// settled is a Rollout that says what holds a release once everybody has been asked. Before that, while an image is not read or a URL
// has not answered yet, it says nothing: so it stands for a moment, and is no news.
func settled(ro *v1alpha1.Rollout) *v1alpha1.Rollout {
	unasked := func(b v1alpha1.Blocker) bool {
		return b.Reason == gate.ReasonNoVerdict || b.Reason == gate.ReasonAuthorUnknown
	}
	if ro == nil || !slices.ContainsFunc(ro.Status.BlockedBy, unasked) {
		return ro
	}
	ro = ro.DeepCopy()
	ro.Status.BlockedBy = nil
	return ro
}

// refresh takes a new scene and wakes everybody who waits for one.
func (s *scenes) refresh(ctx context.Context) {
	now, err := look(ctx, s.cache)
	if err != nil {
		return // the cache is not filled yet; it calls again when it is
	}
	slices.SortFunc(now.releases, func(a, b v1alpha1.Release) int { return strings.Compare(a.Name, b.Name) })
	s.mu.Lock()
	s.latest = now
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
	s.narrator.show(now)
}

// now is the latest scene, and a channel that is closed when there is another.
func (s *scenes) now() (scene, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latest, s.changed
}
