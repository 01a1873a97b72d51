package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

// Change is something that happened to a Rollout, in one line.
type Change struct {
	// Tone of the line.
	Tone Tone
	// Text of the line, without a sign.
	Text string
}

// Changes returns what happened between two observations of a Rollout: discoveries, deployments, quarantines, then
// blockers. Before is nil for the first observation.
func Changes(before, after *v1alpha1.Rollout) []Change {
	if before == nil {
		before = &v1alpha1.Rollout{}
	}
	return slices.Concat(discovered(before, after), deployments(before, after), quarantines(before, after),
		waits(before, after))
}

func discovered(before, after *v1alpha1.Rollout) []Change {
	var list []Change
	for _, v := range after.Status.AvailableReleases {
		if version.Index(before.Status.AvailableReleases, version.Identity(v)) >= 0 {
			continue
		}
		text := clean(v.Tag) + " is discovered"
		if v.Digest != "" {
			text += " (" + clean(shortDigest(v.Digest)) + ")"
		}
		list = append(list, Change{Idle, text})
	}
	return list
}

func deployments(before, after *v1alpha1.Rollout) []Change {
	var list []Change
	for _, e := range release.Events(after.Spec, before.Status, after.Status, release.Decision{}) {
		c := Change{Busy, clean(e.Message)}
		switch {
		case e.Type == corev1.EventTypeWarning:
			c.Tone = Bad
		case e.Reason == "DeploymentSucceeded":
			c.Tone = Good
		}
		list = append(list, c)
	}
	return list
}

func quarantines(before, after *v1alpha1.Rollout) []Change {
	var list []Change
	for _, q := range after.Status.Quarantined {
		if !quarantined(before, q.ReleaseIdentity) {
			list = append(list, Change{Bad, clean(q.Tag) + " is quarantined: it is never deployed automatically again"})
		}
	}
	for _, q := range before.Status.Quarantined {
		if !quarantined(after, q.ReleaseIdentity) {
			list = append(list, Change{Idle, clean(q.Tag) + " is no longer quarantined"})
		}
	}
	return list
}

func quarantined(ro *v1alpha1.Rollout, id v1alpha1.ReleaseIdentity) bool {
	return slices.ContainsFunc(ro.Status.Quarantined, func(q v1alpha1.Quarantine) bool {
		return version.Matches(q.ReleaseIdentity, id)
	})
}

// waits returns what a release that is not in flight waits for, if that changed.
func waits(before, after *v1alpha1.Rollout) []Change {
	st := after.Status
	if len(st.History) > 0 && release.InFlight(&st.History[0]) || slices.Equal(blockerKeys(before), blockerKeys(after)) {
		return nil
	}
	var list []Change
	for _, b := range st.BlockedBy {
		if st.PendingVersion == "" && b.Reason == v1alpha1.ReasonPreviousFailed {
			continue // the failure is a change of its own
		}
		text := clean(b.Message)
		if b.Kind != "Rollout" {
			text = blockerName(b) + ": " + text
		}
		if st.PendingVersion != "" {
			text = clean(st.PendingVersion) + " waits: " + text
		}
		if b.ClearedBy != "" {
			text += " (cleared by " + clean(b.ClearedBy) + ")"
		}
		list = append(list, Change{Held, text})
	}
	return list
}

// blockerKeys identifies the pending version and its blockers, whatever their messages are.
func blockerKeys(ro *v1alpha1.Rollout) []string {
	list := []string{ro.Status.PendingVersion}
	for _, b := range ro.Status.BlockedBy {
		list = append(list, b.Kind+"/"+b.Name+"/"+b.Reason)
	}
	return list
}

// Goal is what somebody waits for.
type Goal string

const (
	// GoalDiscovered is reached when the release is known.
	GoalDiscovered Goal = "discovered"
	// GoalDeployed is reached when Flux has applied the release and every check is healthy.
	GoalDeployed Goal = "deployed"
	// GoalAvailable is reached when the release has passed its bake.
	GoalAvailable Goal = "available"
	// GoalFailed is reached when the release has failed.
	GoalFailed Goal = "failed"
	// GoalHeld is reached when something holds the release.
	GoalHeld Goal = "held"
	// GoalSettled is reached when nothing moves by itself any more.
	GoalSettled Goal = "settled"
)

// Goals returns every goal.
func Goals() []Goal {
	return []Goal{GoalDiscovered, GoalDeployed, GoalAvailable, GoalFailed, GoalHeld, GoalSettled}
}

// Outcome is how a wait ends.
type Outcome struct {
	// Done is true if the wait is over. Reached is true if the goal is reached.
	Done, Reached bool
	// Standing of the release.
	Standing Standing
	// Message says what became of the release.
	Message string
}

// Progress returns how far a release is on the way to a goal.
func Progress(f Facts, rel *v1alpha1.Release, goal Goal) Outcome {
	st := release.StatusOf(f.Rollout, rel)
	current := rel.DeepCopy()
	current.Status = st
	a := Why(f, current)
	o := Outcome{Standing: a.Standing, Message: f.became(current, a)}
	baked := st.Phase == v1alpha1.ReleaseAvailable
	o.Reached = map[Goal]bool{
		GoalDiscovered: true, GoalDeployed: baked || st.Phase == v1alpha1.ReleaseBaking, GoalAvailable: baked,
		GoalFailed: a.Standing == Failed, GoalHeld: a.Standing == Waits, GoalSettled: a.Standing != InProgress,
	}[goal]
	ended := a.Standing == Failed || a.Standing == Replaced || baked
	o.Done = o.Reached || ended
	if goal == GoalDiscovered {
		o.Message = clean(rel.Spec.Version.Tag) + " is discovered"
	}
	return o
}

// became says what became of a release, in the words of the events.
func (f Facts) became(rel *v1alpha1.Release, a Answer) string {
	tag, st := clean(rel.Spec.Version.Tag), rel.Status
	switch {
	case a.Standing == Replaced:
		return strings.TrimSuffix(a.Summary, ".")
	case st.Phase == v1alpha1.ReleaseAvailable:
		return tag + " is Available"
	case st.Phase == v1alpha1.ReleaseFailed:
		return tag + " failed: " + clean(st.Message)
	case st.Phase == v1alpha1.ReleaseBaking:
		return tag + " is applied and healthy, and bakes" + f.bakesUntil()
	case st.Phase == v1alpha1.ReleaseDeploying:
		return tag + " is being deployed"
	case a.Standing == Waits && len(a.Blockers) > 0:
		return tag + " waits: " + clean(a.Blockers[0].Message)
	}
	return strings.TrimSuffix(a.Summary, ".")
}

// HeldByPeople reports whether a release waits for something that only people clear.
func HeldByPeople(f Facts, rel *v1alpha1.Release) bool {
	a := Why(f, rel)
	if a.Standing != Waits {
		return false
	}
	_, needs, _ := f.clears(a.Blockers)
	return len(needs) > 0
}

// DeploymentRow is a deployment in a history.
type DeploymentRow struct {
	ID      int64  `json:"id"`
	Tag     string `json:"tag"`
	Digest  string `json:"digest,omitempty"`
	Result  string `json:"result"`
	Message string `json:"message,omitempty"`
	Cause   string `json:"cause,omitempty"`
	// By is who caused the deployment. Automatic is empty.
	By        string                  `json:"by,omitempty"`
	Overrides []v1alpha1.UsedOverride `json:"overrides,omitempty"`
	Decided   metav1.Time             `json:"decided"`
	BakeStart *metav1.Time            `json:"bakeStart,omitempty"`
	Ended     *metav1.Time            `json:"ended,omitempty"`
	// RolledBackBy is the ID of the deployment that took this one back.
	RolledBackBy int64 `json:"rolledBackBy,omitempty"`
	RollbackOf   int64 `json:"rollbackOf,omitempty"`
}

// results are the outcomes of deployments in the words of the phases.
var results = map[v1alpha1.BakeStatus]struct {
	tone Tone
	word string
}{
	v1alpha1.BakeDeploying: {Busy, "Deploying"}, v1alpha1.BakeInProgress: {Busy, "Baking"},
	v1alpha1.BakeSucceeded: {Good, "Available"},
	v1alpha1.BakeFailed:    {Bad, "Failed"}, v1alpha1.BakeCancelled: {Idle, "Cancelled"},
}

// History returns the deployments of a Rollout or, if rel is not nil, of a release, newest first.
func History(ro *v1alpha1.Rollout, rel *v1alpha1.Release) []DeploymentRow {
	rows := []DeploymentRow{}
	back := map[int64]int64{}
	for i := range ro.Status.History {
		e := &ro.Status.History[i]
		if e.RollbackOf != nil && e.ID != nil {
			back[*e.RollbackOf] = *e.ID
		}
	}
	for i := range ro.Status.History {
		e := &ro.Status.History[i]
		if rel != nil && !version.Matches(version.Identity(e.Version), version.Identity(rel.Spec.Version)) {
			continue
		}
		row := deploymentRow(e)
		row.RolledBackBy = back[row.ID]
		rows = append(rows, row)
	}
	return rows
}

func deploymentRow(e *v1alpha1.DeploymentHistoryEntry) DeploymentRow {
	row := DeploymentRow{
		Tag: e.Version.Tag, Digest: e.Version.Digest, Cause: string(e.Cause), Overrides: e.Overrides, Decided: e.Timestamp,
		BakeStart: e.BakeStartTime, Ended: e.BakeEndTime, ID: ptr.Deref(e.ID, 0), RollbackOf: ptr.Deref(e.RollbackOf, 0),
		Result: results[v1alpha1.BakeStatus(ptr.Deref(e.BakeStatus, string(v1alpha1.BakeDeploying)))].word,
		// What failed says more than why it was deployed.
		Message: ptr.Deref(e.Message, ""),
	}
	if row.Result == "Failed" || row.Result == "Cancelled" {
		row.Message = cmp.Or(ptr.Deref(e.BakeStatusMessage, ""), row.Message)
	}
	if e.TriggeredBy != nil && e.TriggeredBy.Kind == v1alpha1.TriggerUser {
		row.By = e.TriggeredBy.Name
	}
	return row
}

// took returns how long the parts of a deployment took.
func (r DeploymentRow) took(c Clock) string {
	now := metav1.NewTime(c.Now)
	end := cmp.Or(r.Ended, &now)
	if r.BakeStart == nil {
		return between(&r.Decided, end)
	}
	takes := between(&r.Decided, r.BakeStart)
	if bake := end.Sub(r.BakeStart.Time); bake < time.Second {
		return takes
	}
	return takes + " + " + between(r.BakeStart, end) + " bake"
}

// by names who or what caused a deployment.
func (r DeploymentRow) by() string {
	who := cmp.Or(r.By, "automatic")
	switch {
	case len(r.Overrides) > 0:
		users := []string{}
		for _, o := range r.Overrides {
			if !slices.Contains(users, o.User) {
				users = append(users, o.User)
			}
		}
		return strings.Join(users, ", ") + ", override"
	case r.Cause == string(v1alpha1.CausePin):
		return who + ", pin"
	case r.Cause == string(v1alpha1.CauseRollback):
		return "automatic, rollback"
	case r.Cause == string(v1alpha1.CauseForceDeploy) && r.By == "":
		return "by hand"
	}
	return who
}

// why returns the message of a deployment. That of an automatic one says nothing new.
func (r DeploymentRow) why() string {
	text := r.Message
	if r.Result != "Failed" && r.Result != "Cancelled" && r.Cause == string(v1alpha1.CauseAutomatic) &&
		len(r.Overrides) == 0 {
		text = ""
	}
	if len(r.Overrides) > 0 && r.Result != "Failed" {
		text = r.Overrides[0].Reason
	}
	if r.RolledBackBy != 0 {
		text += fmt.Sprintf(" (rolled back by %d)", r.RolledBackBy)
	}
	return text
}

// HistoryTable returns the table of deployments.
func HistoryTable(rows []DeploymentRow, c Clock, o Columns) Grid {
	return cells([]column[DeploymentRow]{
		{title: "ID", cell: func(r DeploymentRow, _ Clock) string { return fmt.Sprint(r.ID) }},
		{title: "VERSION", cell: func(r DeploymentRow, _ Clock) string { return r.Tag }},
		{title: "DIGEST", wide: true, cell: func(r DeploymentRow, _ Clock) string { return ShortDigest(r.Digest) }},
		{title: "RESULT", cell: func(r DeploymentRow, _ Clock) string {
			for _, known := range results {
				if known.word == r.Result {
					return signs[known.tone] + " " + r.Result
				}
			}
			return r.Result
		}},
		{title: "DECIDED", cell: func(r DeploymentRow, c Clock) string { return c.At(r.Decided.Time) }},
		{title: "TOOK", cell: func(r DeploymentRow, c Clock) string { return r.took(c) }},
		{title: "BY", cell: func(r DeploymentRow, _ Clock) string { return r.by() }},
		{title: "WHY", text: true, cell: func(r DeploymentRow, _ Clock) string { return r.why() }},
	}, rows, c, o)
}

// EventRow is an event in a list.
type EventRow struct {
	Namespace string      `json:"namespace"`
	Name      string      `json:"name"`
	Type      string      `json:"type"`
	Reason    string      `json:"reason"`
	Object    string      `json:"object"`
	Message   string      `json:"message"`
	Count     int32       `json:"count,omitempty"`
	Time      metav1.Time `json:"time"`
}

// Events returns the rows of events, oldest first.
func Events(list []corev1.Event) []EventRow {
	rows := []EventRow{}
	for i := range list {
		e := &list[i]
		row := EventRow{
			Namespace: e.Namespace, Name: e.Name, Type: e.Type, Reason: e.Reason, Message: e.Message, Count: e.Count,
			Object: strings.ToLower(e.InvolvedObject.Kind) + "/" + e.InvolvedObject.Name, Time: e.LastTimestamp,
		}
		if row.Time.IsZero() {
			row.Time = metav1.NewTime(e.EventTime.Time)
		}
		if e.Series != nil {
			row.Count, row.Time = e.Series.Count, metav1.NewTime(e.Series.LastObservedTime.Time)
		}
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(a, b EventRow) int { return a.Time.Compare(b.Time.Time) })
	return rows
}

// EventTable returns the table of events.
func EventTable(rows []EventRow, c Clock, o Columns) Grid {
	return cells([]column[EventRow]{
		{title: "NAMESPACE", cell: func(r EventRow, _ Clock) string { return r.Namespace }},
		{title: "LAST SEEN", cell: func(r EventRow, c Clock) string { return c.Age(&r.Time) }},
		{title: "TYPE", cell: func(r EventRow, _ Clock) string { return r.Type }},
		{title: "REASON", cell: func(r EventRow, _ Clock) string { return r.Reason }},
		{title: "OBJECT", cell: func(r EventRow, _ Clock) string { return r.Object }},
		{title: "MESSAGE", text: true, cell: func(r EventRow, _ Clock) string { return r.Message }},
	}, rows, c, o)
}
