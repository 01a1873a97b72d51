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

// maxLag is how many versions a cache may be behind.
const maxLag = 5

var (
	errConflict = errors.New("the object has been modified")
	errRefused  = errors.New("the server refused the write")
	errLost     = errors.New("the answer was lost")
	errCrash    = errors.New("the process died")
)

// lane is one kind of object: its versions, none of which is ever changed, and how far behind the cache is.
type lane[T any] struct {
	past []T
	lag  int
	// count of versions that were written.
	count int
}

func (l *lane[T]) live() T   { return l.past[len(l.past)-1] }
func (l *lane[T]) cached() T { return l.past[len(l.past)-1-l.lag] }

// position of the cached version among all that were written.
func (l *lane[T]) position() int { return l.count - 1 - l.lag }

func (l *lane[T]) set(v T, lagging bool) {
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

// catchUp lets the cache see n more versions.
func (l *lane[T]) catchUp(n int) bool {
	before := l.lag
	l.lag = max(0, l.lag-n)
	return l.lag != before
}

// since lists the versions that were live from a position on.
func (l *lane[T]) since(position int) []T {
	n := min(len(l.past), l.count-position)
	return l.past[len(l.past)-n:]
}

// Rollout as it is stored. A version is never changed.
type Rollout struct {
	rv          int64
	generation  int64
	spec        *v1alpha1.RolloutSpec
	annotations map[string]string
	status      *v1alpha1.RolloutStatus
}

// Check is a HealthCheck as it is stored.
type Check struct {
	Name string
	// Target that a check of the class kustomization watches; empty for one of an external class.
	Target   string
	State    v1alpha1.HealthState
	Message  string
	Revision string
	Since    time.Time
	// LastError is when it last became unhealthy.
	LastError time.Time
}

// Target is a Flux object as it is stored.
type Target struct {
	Kind, Name, Variable string
	// Form in which it takes the version, and the Value that it carries.
	Form  version.Form
	Value string
	// Own says of an OCIRepository that it is of the image that the policy selects from.
	Own bool
	// ByHand is whether a person, or Git, ever set the value.
	ByHand bool
	// Token that Flux was last asked with.
	Token string
	// Gen is the generation of its spec.
	Gen int
	// Problem is set when another field wins over the value.
	Problem   string
	Suspended bool
	// Handled and HandledGen are the request and the generation that Flux observed last, which it writes also while it is suspended.
	Handled    string
	HandledGen int
	// ReadyGen is the generation that Flux reconciled last, OK whether that went well, and Applied what is in the cluster.
	ReadyGen int
	OK       bool
	Applied  string
	// AppliedToken is the request of the last reconcile that went well. Flux does not tell.
	AppliedToken string
	// AppliedText is the value that brought it there: the same text again pulls nothing.
	AppliedText string
	// AppliedAt is when that was applied, on the clock that only runs.
	AppliedAt time.Duration
	Message   string
}

func (t Target) id() string { return t.Kind + "/" + t.Name + "/" + t.Variable }

// revision of what is in the cluster: the generation that was applied, and its content.
func (t Target) revision() string {
	return strconv.Itoa(t.HandledGen) + "/" + t.Applied
}

// settled reports whether Flux has reconciled the object as it is now.
func (t Target) settled() bool { return t.observed() && t.ReadyGen == t.Gen }

// observed reports whether Flux has observed the object as it is now, which it does also while it is suspended.
func (t Target) observed() bool { return t.HandledGen == t.Gen && t.Handled == t.Token }

// suspend suspends or resumes Flux. That changes the spec.
func (t *Target) suspend(yes bool) {
	if t.Suspended != yes {
		t.Suspended, t.Gen = yes, t.Gen+1
	}
}

// writeStatus stores a status on the condition that the Rollout is the one that was observed.
func (w *World) writeStatus(rv int64, status *v1alpha1.RolloutStatus) error {
	old := w.rollout.live()
	if old.rv != rv {
		return errConflict
	}
	next := *old
	next.rv, next.status = old.rv+1, status
	w.rollout.set(&next, w.lagging())
	w.mon.statusWritten(old, &next)
	return nil
}

// editSpec is what a person does with an editor.
func (w *World) editSpec(edit func(*v1alpha1.RolloutSpec)) {
	next := *w.rollout.live()
	spec := *next.spec
	edit(&spec)
	next.spec, next.rv, next.generation = &spec, next.rv+1, next.generation+1
	w.rollout.set(&next, w.lagging())
}

// annotate is what a person does with kubectl annotate.
func (w *World) annotate(key, value string) {
	next := *w.rollout.live()
	next.annotations = maps.Clone(next.annotations)
	if next.annotations == nil {
		next.annotations = map[string]string{}
	}
	next.annotations[key] = value
	next.rv++
	w.rollout.set(&next, w.lagging())
	w.mon.annotated(key, value)
}

// removeAnnotations takes away those that still have the value they were handled with.
func (w *World) removeAnnotations(rv int64, handled map[string]string) error {
	old := w.rollout.live()
	if old.rv != rv {
		return errConflict
	}
	next := *old
	next.annotations = maps.Clone(old.annotations)
	maps.DeleteFunc(next.annotations, func(k, v string) bool { return handled[k] == v })
	next.rv++
	w.rollout.set(&next, w.lagging())
	w.shell.dirty = true // it watches the metadata of Rollouts
	return nil
}

func (w *World) editGates(edit func([]*v1alpha1.RolloutGate) []*v1alpha1.RolloutGate) {
	w.gates.set(edit(slices.Clone(w.gates.live())), w.lagging())
}

// editGate replaces one gate by a changed copy.
func (w *World) editGate(i int, edit func(*v1alpha1.RolloutGate)) {
	w.editGates(func(list []*v1alpha1.RolloutGate) []*v1alpha1.RolloutGate {
		g := list[i].DeepCopy()
		edit(g)
		g.Generation++
		list[i] = g
		return list
	})
}

func (w *World) editTarget(id string, edit func(*Target)) bool {
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

func (w *World) addTarget(t Target) {
	w.targets.set(append(slices.Clone(w.targets.live()), t), w.lagging())
}

func (w *World) editCheck(i int, edit func(*Check)) {
	list := slices.Clone(w.checks.live())
	edit(&list[i])
	w.checks.set(list, w.lagging())
	w.mon.checksChanged()
}

func (w *World) setPolicy(p release.Policy) { w.policy.set(p, w.lagging()) }

// lagging says whether caches are behind in this world.
func (w *World) lagging() bool { return w.faults.Lag && !w.quiet && w.rng.oneIn(2) }
