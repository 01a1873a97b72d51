package sim

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

// maxLag is the most versions that a cache may be behind.
const maxLag = 5

var (
	errConflict = errors.New("the object has been modified")
	errRefused  = errors.New("the server refused the write")
	errLost     = errors.New("the answer was lost")
	errCrash    = errors.New("the process died")
)

// store holds the versions of one kind of object, which are immutable, and how far the cache is behind.
type store[T any] struct {
	past []T
	lag  int
	// count is the number of versions that were written.
	count int
}

func (l *store[T]) live() T   { return l.past[len(l.past)-1] }
func (l *store[T]) cached() T { return l.past[len(l.past)-1-l.lag] }

// position returns the index of the cached version among all versions.
func (l *store[T]) position() int { return l.count - 1 - l.lag }

func (l *store[T]) set(v T, lagging bool) {
	l.count++
	l.past = append(l.past, v)
	if len(l.past) > 4*maxLag {
		l.past = append(l.past[:0], l.past[len(l.past)-maxLag-1:]...)
	}
	switch {
	case !lagging:
		l.lag = 0
	case l.count > 1:
		l.lag = min(l.lag+1, maxLag)
	}
}

// catchUp advances the cache by n versions.
func (l *store[T]) catchUp(n int) bool {
	before := l.lag
	l.lag = max(0, l.lag-n)
	return l.lag != before
}

// since returns the versions that were live from a position on.
func (l *store[T]) since(position int) []T {
	n := min(len(l.past), l.count-position)
	return l.past[len(l.past)-n:]
}

// Rollout is a stored Rollout. It is immutable.
type Rollout struct {
	rv          int64
	generation  int64
	spec        *v1alpha1.RolloutSpec
	annotations map[string]string
	status      *v1alpha1.RolloutStatus
}

// Check is a stored HealthCheck.
type Check struct {
	Name string
	// Target is set for the class kustomization; empty for an external class.
	Target   string
	State    v1alpha1.HealthState
	Message  string
	Revision string
	Since    time.Time
	// LastError is when it last became unhealthy.
	LastError time.Time
}

// Target is a stored Flux object.
type Target struct {
	Kind, Name, Variable string
	// Form in which the target takes the version, and its current Value.
	Form  version.Form
	Value string
	// Own is set for an OCIRepository of the image that the policy selects from.
	Own bool
	// ByHand is set if a person, or Git, ever set the value.
	ByHand bool
	// Token is the deployment token of the last hand-over.
	Token string
	// Gen is the generation of its spec.
	Gen int
	// Problem is set when another field wins over the value.
	Problem   string
	Suspended bool
	// Handled and HandledGen are the request and the generation that Flux observed last, also while suspended.
	Handled    string
	HandledGen int
	// ReadyGen is the generation that Flux reconciled last, OK whether it succeeded, and Applied the content in the
	// cluster.
	ReadyGen int
	OK       bool
	Applied  string
	// AppliedToken is the request of the last successful reconcile, which Flux does not report.
	AppliedToken string
	// AppliedText is the value of the last successful reconcile. The same value again pulls nothing.
	AppliedText string
	// AppliedAt is when the content changed, on the monotonic clock.
	AppliedAt time.Duration
	Message   string
}

func (t Target) id() string { return t.Kind + "/" + t.Name + "/" + t.Variable }

// revision returns the applied generation and content.
func (t Target) revision() string {
	return strconv.Itoa(t.HandledGen) + "/" + t.Applied
}

// settled reports whether Flux has reconciled the current object.
func (t Target) settled() bool { return t.observed() && t.ReadyGen == t.Gen }

// observed reports whether Flux has observed the current object, which it does also while suspended.
func (t Target) observed() bool { return t.HandledGen == t.Gen && t.Handled == t.Token }

// suspend suspends or resumes Flux, which changes the spec.
func (t *Target) suspend(yes bool) {
	if t.Suspended != yes {
		t.Suspended, t.Gen = yes, t.Gen+1
	}
}

// writeStatus stores a status unless the Rollout has changed since it was observed.
func (w *Cluster) writeStatus(rv int64, status *v1alpha1.RolloutStatus) error {
	old := w.rollout.live()
	if old.rv != rv {
		return errConflict
	}
	next := *old
	next.rv, next.status = old.rv+1, status
	w.rollout.set(&next, w.lagging())
	w.mon.onStatusWritten(old, &next)
	return nil
}

// editSpec changes the spec, as a person does.
func (w *Cluster) editSpec(edit func(*v1alpha1.RolloutSpec)) {
	next := *w.rollout.live()
	spec := *next.spec
	edit(&spec)
	next.spec, next.rv, next.generation = &spec, next.rv+1, next.generation+1
	w.rollout.set(&next, w.lagging())
}

// annotate sets an annotation, as a person does.
func (w *Cluster) annotate(key, value string) {
	next := *w.rollout.live()
	next.annotations = maps.Clone(next.annotations)
	if next.annotations == nil {
		next.annotations = map[string]string{}
	}
	next.annotations[key] = value
	next.rv++
	w.rollout.set(&next, w.lagging())
	w.mon.onAnnotated(key, value)
}

// removeAnnotations removes the annotations that still have the value that was handled.
func (w *Cluster) removeAnnotations(rv int64, handled map[string]string) error {
	old := w.rollout.live()
	if old.rv != rv {
		return errConflict
	}
	next := *old
	next.annotations = maps.Clone(old.annotations)
	maps.DeleteFunc(next.annotations, func(k, v string) bool { return handled[k] == v })
	next.rv++
	w.rollout.set(&next, w.lagging())
	w.controller.queued = true // the controller watches the metadata of Rollouts
	return nil
}

func (w *Cluster) editGates(edit func([]*v1alpha1.RolloutGate) []*v1alpha1.RolloutGate) {
	w.gates.set(edit(slices.Clone(w.gates.live())), w.lagging())
}

// editGate replaces one gate with a changed copy.
func (w *Cluster) editGate(i int, edit func(*v1alpha1.RolloutGate)) {
	w.editGates(func(list []*v1alpha1.RolloutGate) []*v1alpha1.RolloutGate {
		g := list[i].DeepCopy()
		edit(g)
		g.Generation++
		list[i] = g
		return list
	})
}

func (w *Cluster) editTarget(id string, edit func(*Target)) bool {
	list := slices.Clone(w.targets.live())
	for i := range list {
		if list[i].id() == id {
			edit(&list[i])
			w.targets.set(list, w.lagging())
			return true
		}
	}
	return false
}

func (w *Cluster) addTarget(t Target) {
	w.targets.set(append(slices.Clone(w.targets.live()), t), w.lagging())
}

func (w *Cluster) editCheck(i int, edit func(*Check)) {
	list := slices.Clone(w.checks.live())
	edit(&list[i])
	w.checks.set(list, w.lagging())
	w.mon.onChecksChanged()
}

func (w *Cluster) setPolicy(p release.Policy) { w.policy.set(p, w.lagging()) }

// lagging reports whether the cache falls behind with a write.
func (w *Cluster) lagging() bool { return w.faults.Lag && !w.stable && w.rng.oneIn(2) }
