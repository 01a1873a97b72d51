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
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/demo/endpoint"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/view"
)

// snapshot is the state in the API server at one moment.
type snapshot struct {
	staging, production namespaceState
}

// emptySnapshot returns a snapshot before anything exists.
func emptySnapshot() snapshot {
	return snapshot{staging: emptyNamespace(), production: emptyNamespace()}
}

// namespaceStates returns the states in the order of promotion.
func (s *snapshot) namespaceStates() []*namespaceState {
	return []*namespaceState{&s.staging, &s.production}
}

// readSnapshot reads a snapshot from the API server or a cache.
func readSnapshot(ctx context.Context, r client.Reader) (snapshot, error) {
	s := emptySnapshot()
	for i, p := range s.namespaceStates() {
		if err := p.read(ctx, r, namespaces()[i]); err != nil {
			return s, err
		}
	}
	return s, nil
}

// namespaceState is the state of one environment. No pointer in it is nil.
type namespaceState struct {
	environment *environments.Environment
	rollout     *v1alpha1.Rollout
	releases    []v1alpha1.Release
	approvals   []v1alpha1.Approval
	// calendar is the gate that asks the change calendar.
	calendar   *v1alpha1.RolloutGate
	deployment *appsv1.Deployment
	// sets are the ReplicaSets of the deployment, the newest last.
	sets []appsv1.ReplicaSet
}

// emptyNamespace returns the state before anything exists.
func emptyNamespace() namespaceState {
	return namespaceState{
		environment: &environments.Environment{}, rollout: &v1alpha1.Rollout{}, calendar: &v1alpha1.RolloutGate{},
		deployment: &appsv1.Deployment{},
	}
}

func (p *namespaceState) read(ctx context.Context, r client.Reader, namespace string) error {
	key := client.ObjectKey{Namespace: namespace, Name: app}
	calendar := client.ObjectKey{Namespace: namespace, Name: calendarName}
	for _, one := range []struct {
		key  client.ObjectKey
		into client.Object
	}{{key, p.environment}, {key, p.rollout}, {key, p.deployment}, {calendar, p.calendar}} {
		if err := r.Get(ctx, one.key, one.into); client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	var releases v1alpha1.ReleaseList
	var approvals v1alpha1.ApprovalList
	for _, list := range []client.ObjectList{&releases, &approvals} {
		if err := r.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return err
		}
	}
	p.releases, p.approvals = releases.Items, approvals.Items
	slices.SortFunc(p.releases, func(a, b v1alpha1.Release) int { return strings.Compare(a.Name, b.Name) })
	var err error
	p.sets, err = endpoint.ReplicaSets(ctx, r, key)
	return err
}

// release returns the Release of a tag, or an empty one.
func (p *namespaceState) release(tag string) *v1alpha1.Release {
	for i := range p.releases {
		if p.releases[i].Spec.Version.Tag == tag {
			return &p.releases[i]
		}
	}
	return &v1alpha1.Release{}
}

// image returns the image of the Deployment without the registry.
func (p *namespaceState) image() string {
	return imageOf(p.deployment.Spec.Template)
}

// ran returns the images of released versions that the Deployment has run, the newest last.
func (p *namespaceState) ran() []string {
	var images []string
	for _, set := range p.sets {
		image := imageOf(set.Spec.Template)
		if slices.ContainsFunc(p.releases, func(r v1alpha1.Release) bool { return image == app+":"+r.Spec.Version.Tag }) {
			images = append(images, image)
		}
	}
	return images
}

// allowedVersions returns the versions that the change calendar accepted.
func (p *namespaceState) allowedVersions() []string {
	var tags []string
	for _, v := range p.calendar.Status.Verdicts {
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

// workload returns the line of the Deployment.
func (p *namespaceState) workload() view.Node {
	n := view.Node{Tone: view.Idle, Title: "Deployment " + app, State: "absent"}
	if p.deployment.Name == "" {
		return n
	}
	want, ready := p.replicas()
	n.State, n.Note = p.image(), fmt.Sprintf("%d of %d pods of this version ready", ready, want)
	n.Tone = view.Held
	if ready == want {
		n.Tone = view.Good
	}
	return n
}

// replicas returns the desired replicas and the ready ones of the current version.
func (p *namespaceState) replicas() (want, ready int32) {
	d := p.deployment
	if d.Spec.Replicas != nil {
		want = *d.Spec.Replicas
	}
	if d.Status.ObservedGeneration != d.Generation {
		return want, 0
	}
	// Of old pods that still run, ReadyReplicas counts those too.
	return want, max(0, d.Status.ReadyReplicas-(d.Status.Replicas-d.Status.UpdatedReplicas))
}

// detail is how much of a tree is shown.
type detail int

const (
	// everything shows all lines.
	everything detail = iota
	// active shows all lines of a namespace in which something waits or is in progress, and the notable lines of
	// others.
	active
	// notable shows what fails, waits or is in progress, and what runs.
	notable
	// terse shows the same without explanations.
	terse
)

// picture renders a tree for each namespace that has a Rollout.
func (s *snapshot) picture(style view.Style, d detail, now time.Time) []string {
	var lines []string
	for _, p := range s.namespaceStates() {
		if p.rollout == nil || p.rollout.Name == "" {
			continue
		}
		if len(lines) > 0 {
			lines = append(lines, "")
		}
		n := view.Tree(p.rollout, p.releases, now)
		n = reduced(n, p.detail(d))
		if w := p.workload(); d != terse || w.Tone != view.Good {
			n.Children = append(n.Children, w)
		}
		lines = append(lines, view.Render(n, style)...)
	}
	return lines
}

// detail returns how much of a namespace is shown.
func (p *namespaceState) detail(d detail) detail {
	switch st := p.rollout.Status; {
	case d != active:
		return d
	case st.Phase == v1alpha1.PhaseAvailable && st.PendingVersion == "":
		return notable
	}
	return everything
}

// reduced removes the lines that a level of detail does not show.
func reduced(n view.Node, d detail) view.Node {
	var children []view.Node
	for _, child := range n.Children {
		uneventful := child.Tone == view.Good || child.Tone == view.Idle
		explains := child.Tone == view.Plain
		if d == everything || !uneventful && (!explains || d == notable) {
			children = append(children, reduced(child, d))
		}
	}
	n.Children = children
	return n
}

// overview returns what runs where, in the columns of kubectl get env -A but for the age. It is empty until every
// Environment exists.
func (s *snapshot) overview() []string {
	var rows [][]string
	for _, p := range s.namespaceStates() {
		if p.environment == nil || p.environment.Name == "" {
			return nil
		}
		e := p.environment
		ready := readiness(e)
		rows = append(rows, []string{
			e.Namespace, e.Name, e.Spec.Name, e.Spec.Environment, e.Status.CurrentTag, string(e.Status.CurrentState),
			string(ready.Status), ready.Message,
		})
	}
	return view.Table([]string{"NAMESPACE", "NAME", "APPLICATION", "ENVIRONMENT", "VERSION", "STATE", "READY", "STATUS"},
		rows, view.Style{})
}

// finalState returns the final state.
func (s *snapshot) finalState(style view.Style, now time.Time) []string {
	lines := s.picture(style, everything, now)
	if table := s.overview(); len(table) > 0 {
		lines = append(append(lines, "", "What runs where (kubectl get env -A):", ""), table...)
	}
	return lines
}

// readiness returns the condition Ready of an Environment.
func readiness(e *environments.Environment) metav1.Condition {
	if c := apimeta.FindStatusCondition(e.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		return *c
	}
	return metav1.Condition{}
}

// snapshots watches the API server and keeps the latest snapshot.
type snapshots struct {
	cache   cache.Cache
	display display

	mu      sync.Mutex
	latest  snapshot
	changed chan struct{}
	// shown holds the lines about waiting releases that were shown already.
	shown map[string]bool
}

func newSnapshots(ctx context.Context, config *rest.Config, n display) (*snapshots, error) {
	known, err := scheme()
	if err != nil {
		return nil, err
	}
	s := &snapshots{display: n, changed: make(chan struct{}), latest: emptySnapshot(), shown: map[string]bool{}}
	watched := map[string]cache.Config{}
	for _, namespace := range namespaces() {
		watched[namespace] = cache.Config{}
	}
	s.cache, err = cache.New(config, cache.Options{Scheme: known, DefaultNamespaces: watched})
	if err != nil {
		return nil, err
	}
	for _, kind := range []client.Object{
		&environments.Environment{}, &v1alpha1.Rollout{}, &v1alpha1.Release{}, &v1alpha1.Approval{}, &v1alpha1.RolloutGate{},
		&appsv1.Deployment{}, &appsv1.ReplicaSet{},
	} {
		informer, err := s.cache.GetInformer(ctx, kind, cache.BlockUntilSynced(false))
		if err != nil {
			return nil, err
		}
		_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    func(o any) { s.onChange(ctx, nil, o) },
			UpdateFunc: func(before, after any) { s.onChange(ctx, before, after) },
			DeleteFunc: func(any) { s.refresh(ctx) },
		})
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *snapshots) run(ctx context.Context) error { return s.cache.Start(ctx) }

// onChange shows what changed. It sees each update of an object, so that it misses no short-lived state.
func (s *snapshots) onChange(ctx context.Context, before, after any) {
	switch after := after.(type) {
	case *v1alpha1.Rollout:
		old, _ := before.(*v1alpha1.Rollout)
		for _, c := range slices.Concat(view.Changes(withoutUnevaluated(old), withoutUnevaluated(after)),
			newApprovalRequests(old, after)) {
			s.showChange(after.Namespace, c)
		}
	case *appsv1.Deployment:
		old, _ := before.(*appsv1.Deployment)
		if old == nil {
			old = &appsv1.Deployment{}
		}
		if was, is := imageOf(old.Spec.Template), imageOf(after.Spec.Template); was != is {
			s.showChange(after.Namespace, view.Change{Tone: view.Busy, Text: "Flux has updated the Deployment to " + is})
		}
	}
	s.refresh(ctx)
}

// showChange shows a change in a namespace. What a release waits for is shown once, as most of it stays when one
// blocker is gone.
func (s *snapshots) showChange(namespace string, c view.Change) {
	c.Text = namespace + ": " + c.Text
	if c.Tone == view.Held {
		s.mu.Lock()
		again := s.shown[c.Text]
		s.shown[c.Text] = true
		s.mu.Unlock()
		if again {
			return
		}
	}
	s.display.showChange(c)
}

// newApprovalRequests returns the releases for which approval was requested since.
func newApprovalRequests(before, after *v1alpha1.Rollout) []view.Change {
	var list []view.Change
	for _, id := range after.Status.ApprovalRequested {
		if before == nil || !slices.Contains(before.Status.ApprovalRequested, id) {
			list = append(list, view.Change{Tone: view.Busy, Text: "people are asked to approve " + id.Tag})
		}
	}
	return list
}

// withoutUnevaluated hides the blockers of a Rollout while a gate has no result yet, which is not worth a line.
func withoutUnevaluated(ro *v1alpha1.Rollout) *v1alpha1.Rollout {
	unevaluated := func(b v1alpha1.Blocker) bool {
		return b.Reason == gate.ReasonNoVerdict || b.Reason == gate.ReasonAuthorUnknown
	}
	if ro == nil || !slices.ContainsFunc(ro.Status.BlockedBy, unevaluated) {
		return ro
	}
	ro = ro.DeepCopy()
	ro.Status.BlockedBy = nil
	return ro
}

// refresh takes a new snapshot and wakes everybody who waits for one.
func (s *snapshots) refresh(ctx context.Context) {
	now, err := readSnapshot(ctx, s.cache)
	if err != nil {
		return // the cache is not filled yet; it calls again when it is
	}
	s.mu.Lock()
	s.latest = now
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
	s.display.showState(now)
}

// now returns the latest snapshot and a channel that is closed when there is a newer one.
func (s *snapshots) now() (snapshot, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latest, s.changed
}
