package view

import (
	"cmp"
	"slices"
	"strings"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
)

// List is a list of objects of one kind.
type List[T any] struct {
	Meta  `json:",inline"`
	Items []T `json:"items"`
}

// Columns selects the columns of a table.
type Columns struct {
	// Namespace adds the namespaces, and Wide the columns that are less often needed.
	Namespace, Wide bool
}

// column is a column of a table.
type column[T any] struct {
	title string
	wide  bool
	// text is true for the column of free text, which is cut first on a terminal that is too narrow.
	text bool
	cell func(T, Clock) string
}

// cells returns a table of items.
func cells[T any](columns []column[T], items []T, c Clock, o Columns) Grid {
	g := Grid{text: -1}
	shown := slices.DeleteFunc(slices.Clone(columns), func(c column[T]) bool {
		return c.wide && !o.Wide || c.title == "NAMESPACE" && !o.Namespace
	})
	for i, col := range shown {
		g.Heading = append(g.Heading, col.title)
		if col.text {
			g.text = i
		}
	}
	for _, item := range items {
		var row []string
		for _, col := range shown {
			row = append(row, cmp.Or(col.cell(item, c), missing))
		}
		g.Rows = append(g.Rows, row)
	}
	return g
}

// RolloutRow is a Rollout in a list.
type RolloutRow struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Phase     string `json:"phase"`
	// Runs is the tag that was last handed to Flux, and Next the one that waits.
	Runs string `json:"runs,omitempty"`
	Next string `json:"next,omitempty"`
	// WaitsFor names the first thing that the next step waits for, and how many more there are.
	WaitsFor  string       `json:"waitsFor,omitempty"`
	ClearedBy string       `json:"clearedBy,omitempty"`
	Since     *metav1.Time `json:"since,omitempty"`
	Until     *metav1.Time `json:"until,omitempty"`
}

// Rollouts returns the rows of Rollouts.
func Rollouts(list []v1alpha1.Rollout) []RolloutRow {
	rows := []RolloutRow{}
	for i := range list {
		ro, st := &list[i], list[i].Status
		row := RolloutRow{
			Namespace: ro.Namespace, Name: ro.Name, Phase: string(cmp.Or(st.Phase, v1alpha1.PhaseWaiting)),
			Runs: st.CurrentVersion, Next: st.PendingVersion, WaitsFor: st.WaitsFor,
		}
		if len(st.History) > 0 {
			row.Since = &st.History[0].Timestamp
			if end := st.History[0].BakeEndTime; end != nil {
				row.Since = end
			}
		}
		if len(st.BlockedBy) > 0 {
			b := st.BlockedBy[0]
			row.Since, row.Until, row.ClearedBy = cmp.Or(b.Since, row.Since), b.Until, b.ClearedBy
		}
		rows = append(rows, row)
	}
	return rows
}

// RolloutTable returns the table of Rollouts.
func RolloutTable(rows []RolloutRow, c Clock, o Columns) Grid {
	return cells([]column[RolloutRow]{
		{title: "NAMESPACE", cell: func(r RolloutRow, _ Clock) string { return r.Namespace }},
		{title: "NAME", cell: func(r RolloutRow, _ Clock) string { return r.Name }},
		{title: "PHASE", cell: func(r RolloutRow, _ Clock) string {
			return signs[phaseTone(v1alpha1.Phase(r.Phase))] + " " +
				r.Phase
		}},
		{title: "RUNS", cell: func(r RolloutRow, _ Clock) string { return r.Runs }},
		{title: "NEXT", cell: func(r RolloutRow, _ Clock) string { return r.Next }},
		{title: "WAITS FOR", text: true, cell: func(r RolloutRow, _ Clock) string { return r.WaitsFor }},
		{title: "CLEARED BY", wide: true, cell: func(r RolloutRow, _ Clock) string { return r.ClearedBy }},
		{title: "SINCE", cell: func(r RolloutRow, c Clock) string { return c.Age(r.Since) }},
		{title: "UNTIL", cell: func(r RolloutRow, c Clock) string { return c.AtTime(r.Until) }},
	}, rows, c, o)
}

// ReleaseRow is a release in a list.
type ReleaseRow struct {
	Namespace string `json:"namespace"`
	// Name of the object. It is empty if the object does not exist any more.
	Name    string       `json:"name,omitempty"`
	Rollout string       `json:"rollout"`
	Tag     string       `json:"tag"`
	Digest  string       `json:"digest,omitempty"`
	Commit  string       `json:"commit,omitempty"`
	Author  string       `json:"author,omitempty"`
	Phase   string       `json:"phase"`
	Running bool         `json:"running"`
	Message string       `json:"message,omitempty"`
	Found   *metav1.Time `json:"found,omitempty"`
	// Deployed is when the latest deployment of the release was decided.
	Deployed *metav1.Time `json:"deployed,omitempty"`
}

// ReleaseRows returns the rows of releases.
func ReleaseRows(list []v1alpha1.Release) []ReleaseRow {
	rows := []ReleaseRow{}
	for i := range list {
		r := &list[i]
		row := ReleaseRow{
			Namespace: r.Namespace, Name: r.Name, Rollout: r.Spec.RolloutRef.Name, Tag: r.Spec.Version.Tag, Digest: Digest(r),
			Phase: string(cmp.Or(r.Status.Phase, v1alpha1.ReleasePending)), Running: r.Status.Running, Message: r.Status.Message,
			Deployed: r.Status.DeployedAt, Commit: Commit(r),
		}
		if !r.CreationTimestamp.IsZero() {
			row.Found = &r.CreationTimestamp
		}
		if r.Status.Details != nil {
			row.Author = r.Status.Details.Authors
		}
		rows = append(rows, row)
	}
	return rows
}

// Commit returns the commit that a release was built from. It returns "" if the image does not say it.
func Commit(r *v1alpha1.Release) string {
	if r.Status.Details != nil && r.Status.Details.Revision != "" {
		return r.Status.Details.Revision
	}
	if r.Spec.Version.Revision != nil {
		return *r.Spec.Version.Revision
	}
	return ""
}

// ReleaseTable returns the table of releases.
func ReleaseTable(rows []ReleaseRow, c Clock, o Columns) Grid {
	return cells([]column[ReleaseRow]{
		{title: "NAMESPACE", cell: func(r ReleaseRow, _ Clock) string { return r.Namespace }},
		{title: "ROLLOUT", cell: func(r ReleaseRow, _ Clock) string { return r.Rollout }},
		{title: "TAG", cell: func(r ReleaseRow, _ Clock) string { return r.Tag }},
		{title: "DIGEST", cell: func(r ReleaseRow, _ Clock) string { return ShortDigest(r.Digest) }},
		{title: "PHASE", cell: func(r ReleaseRow, _ Clock) string {
			return signs[releaseTone(v1alpha1.ReleasePhase(r.Phase))] + " " + r.Phase
		}},
		{title: "RUNS", cell: func(r ReleaseRow, _ Clock) string {
			if r.Running {
				return "yes"
			}
			return ""
		}},
		{title: "NAME", wide: true, cell: func(r ReleaseRow, _ Clock) string { return r.Name }},
		{title: "COMMIT", wide: true, cell: func(r ReleaseRow, _ Clock) string { return r.Commit }},
		{title: "AUTHOR", wide: true, cell: func(r ReleaseRow, _ Clock) string { return r.Author }},
		{title: "MESSAGE", text: true, cell: func(r ReleaseRow, _ Clock) string { return r.Message }},
		{title: "FOUND", cell: func(r ReleaseRow, c Clock) string { return c.Age(r.Found) }},
		{title: "DEPLOYED", cell: func(r ReleaseRow, c Clock) string { return c.Age(r.Deployed) }},
	}, rows, c, o)
}

// GateRow is a gate in a list, with its verdict for the next release.
type GateRow struct {
	Namespace string       `json:"namespace"`
	Name      string       `json:"name"`
	Rollout   string       `json:"rollout"`
	Class     string       `json:"class"`
	Tag       string       `json:"tag,omitempty"`
	State     string       `json:"state"`
	Reason    string       `json:"reason,omitempty"`
	Message   string       `json:"message,omitempty"`
	Asks      []string     `json:"asks,omitempty"`
	Since     *metav1.Time `json:"since,omitempty"`
	Until     *metav1.Time `json:"until,omitempty"`
}

// Gates returns the rows of gates. The state is what the Rollout says for its next release, if it does.
func Gates(list []v1alpha1.RolloutGate, rollouts []v1alpha1.Rollout) []GateRow {
	rows := []GateRow{}
	for i := range list {
		g := &list[i]
		row := GateRow{
			Namespace: g.Namespace, Name: g.Name, Rollout: g.Spec.RolloutRef.Name, Class: gate.Class(g), State: "unknown",
			Asks: asked(g),
		}
		if ready := apimeta.FindStatusCondition(g.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
			row.Reason, row.Message = ready.Reason, ready.Message
		}
		if len(g.Status.Verdicts) > 0 {
			v := g.Status.Verdicts[0]
			row.Tag, row.State, row.Reason, row.Message, row.Since, row.Until = v.Release, string(v.State), v.Reason, v.Message,
				v.Since, v.Until
		}
		for k := range rollouts {
			if ro := &rollouts[k]; ro.Namespace == g.Namespace && ro.Name == row.Rollout {
				row = row.from(ro)
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func (r GateRow) from(ro *v1alpha1.Rollout) GateRow {
	for _, s := range ro.Status.Gates {
		if s.Name == r.Name && s.State != "" {
			r.Tag, r.State, r.Reason, r.Message = cmp.Or(ro.Status.PendingVersion, r.Tag), string(s.State), s.Reason, s.Message
		}
	}
	for _, b := range ro.Status.BlockedBy {
		if b.Kind == "RolloutGate" && b.Name == r.Name {
			r.Since, r.Until = b.Since, b.Until
		}
	}
	return r
}

// asked returns whose approval a gate asks for.
func asked(g *v1alpha1.RolloutGate) []string {
	if g.Spec.Approvals == nil || g.Spec.Approvals.From == nil {
		return nil
	}
	from := g.Spec.Approvals.From
	list := slices.Clone(from.Users)
	for _, group := range from.Groups {
		list = append(list, "members of "+group)
	}
	return list
}

// GateTable returns the table of gates.
func GateTable(rows []GateRow, c Clock, o Columns) Grid {
	tone := map[string]Tone{"open": Good, "closed": Held, "pending": Held}
	return cells([]column[GateRow]{
		{title: "NAMESPACE", cell: func(r GateRow, _ Clock) string { return r.Namespace }},
		{title: "NAME", cell: func(r GateRow, _ Clock) string { return r.Name }},
		{title: "ROLLOUT", cell: func(r GateRow, _ Clock) string { return r.Rollout }},
		{title: "CLASS", cell: func(r GateRow, _ Clock) string { return r.Class }},
		{title: "RELEASE", cell: func(r GateRow, _ Clock) string { return r.Tag }},
		{title: "STATE", cell: func(r GateRow,
			_ Clock) string {
			return strings.TrimSpace(signs[tone[r.State]] + " " + r.State)
		}},
		{title: "MESSAGE", text: true, cell: func(r GateRow, _ Clock) string { return r.Message }},
		{title: "ASKS", wide: true, cell: func(r GateRow, _ Clock) string { return strings.Join(r.Asks, ", ") }},
		{title: "SINCE", cell: func(r GateRow, c Clock) string { return c.Age(r.Since) }},
		{title: "UNTIL", cell: func(r GateRow, c Clock) string { return c.AtTime(r.Until) }},
	}, rows, c, o)
}

// CheckRow is a health check in a list.
type CheckRow struct {
	Namespace string       `json:"namespace"`
	Name      string       `json:"name"`
	Class     string       `json:"class"`
	State     string       `json:"state"`
	Message   string       `json:"message,omitempty"`
	Observes  bool         `json:"observes,omitempty"`
	Since     *metav1.Time `json:"since,omitempty"`
	Revision  string       `json:"revision,omitempty"`
}

// Checks returns the rows of health checks.
func Checks(list []v1alpha1.HealthCheck) []CheckRow {
	rows := []CheckRow{}
	for i := range list {
		h := &list[i]
		row := CheckRow{
			Namespace: h.Namespace, Name: h.Name, State: string(cmp.Or(h.Status.Status, v1alpha1.HealthPending)),
			Observes: h.Spec.Mode == v1alpha1.ModeObserve, Since: h.Status.LastChangeTime, Revision: h.Status.ObservedRevision,
		}
		if h.Spec.Class != nil {
			row.Class = *h.Spec.Class
		}
		if h.Status.Message != nil {
			row.Message = *h.Status.Message
		}
		rows = append(rows, row)
	}
	return rows
}

// CheckTable returns the table of health checks.
func CheckTable(rows []CheckRow, c Clock, o Columns) Grid {
	tone := map[string]Tone{
		string(v1alpha1.HealthHealthy): Good, string(v1alpha1.HealthUnhealthy): Bad, string(v1alpha1.HealthPending): Busy,
	}
	return cells([]column[CheckRow]{
		{title: "NAMESPACE", cell: func(r CheckRow, _ Clock) string { return r.Namespace }},
		{title: "NAME", cell: func(r CheckRow, _ Clock) string { return r.Name }},
		{title: "CLASS", cell: func(r CheckRow, _ Clock) string { return r.Class }},
		{title: "HEALTH", cell: func(r CheckRow,
			_ Clock) string {
			return strings.TrimSpace(signs[tone[r.State]] + " " + r.State)
		}},
		{title: "DECIDES", wide: true, cell: func(r CheckRow, _ Clock) string {
			if r.Observes {
				return "no, it observes"
			}
			return "yes"
		}},
		{title: "MESSAGE", text: true, cell: func(r CheckRow, _ Clock) string { return r.Message }},
		{title: "SINCE", cell: func(r CheckRow, c Clock) string { return c.Age(r.Since) }},
		{title: "REVISION", wide: true, cell: func(r CheckRow, _ Clock) string { return r.Revision }},
	}, rows, c, o)
}

// EnvironmentRow is an environment in a list.
type EnvironmentRow struct {
	Namespace   string   `json:"namespace"`
	Name        string   `json:"name"`
	Application string   `json:"application"`
	Environment string   `json:"environment"`
	Rollout     string   `json:"rollout"`
	After       []string `json:"after,omitempty"`
	Tag         string   `json:"tag,omitempty"`
	State       string   `json:"state,omitempty"`
	Ready       string   `json:"ready,omitempty"`
	Message     string   `json:"message,omitempty"`
}

// EnvironmentRows returns the rows of environments.
func EnvironmentRows(list []environments.Environment) []EnvironmentRow {
	rows := []EnvironmentRow{}
	for i := range list {
		e := &list[i]
		row := EnvironmentRow{
			Namespace: e.Namespace, Name: e.Name, Application: e.Spec.Name, Environment: e.Spec.Environment,
			Rollout: e.Spec.RolloutRef.Name,
			Tag:     e.Status.CurrentTag, State: string(e.Status.CurrentState),
		}
		if e.Spec.Relationship != nil {
			row.After = append(row.After, e.Spec.Relationship.Environment)
		}
		for _, d := range e.Spec.DependsOn {
			row.After = append(row.After, d.Environment)
		}
		if ready := apimeta.FindStatusCondition(e.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
			row.Ready, row.Message = string(ready.Status), ready.Message
		}
		rows = append(rows, row)
	}
	return rows
}

// EnvironmentTable returns the table of environments.
func EnvironmentTable(rows []EnvironmentRow, c Clock, o Columns) Grid {
	return cells([]column[EnvironmentRow]{
		{title: "NAMESPACE", cell: func(r EnvironmentRow, _ Clock) string { return r.Namespace }},
		{title: "NAME", cell: func(r EnvironmentRow, _ Clock) string { return r.Name }},
		{title: "APPLICATION", cell: func(r EnvironmentRow, _ Clock) string { return r.Application }},
		{title: "ENVIRONMENT", cell: func(r EnvironmentRow, _ Clock) string { return r.Environment }},
		{title: "AFTER", cell: func(r EnvironmentRow, _ Clock) string { return strings.Join(r.After, ", ") }},
		{title: "VERSION", cell: func(r EnvironmentRow, _ Clock) string { return r.Tag }},
		{title: "STATE", cell: func(r EnvironmentRow, _ Clock) string { return r.State }},
		{title: "ROLLOUT", wide: true, cell: func(r EnvironmentRow, _ Clock) string { return r.Rollout }},
		{title: "READY", cell: func(r EnvironmentRow, _ Clock) string { return r.Ready }},
		{title: "MESSAGE", text: true, cell: func(r EnvironmentRow, _ Clock) string { return r.Message }},
	}, rows, c, o)
}

// ApprovalRow is an Approval in a list.
type ApprovalRow struct {
	Namespace string       `json:"namespace"`
	Name      string       `json:"name"`
	Release   string       `json:"release"`
	Gate      string       `json:"gate,omitempty"`
	Decision  string       `json:"decision"`
	User      string       `json:"user"`
	Counted   string       `json:"counted,omitempty"`
	Message   string       `json:"message,omitempty"`
	Comment   string       `json:"comment,omitempty"`
	Created   *metav1.Time `json:"created,omitempty"`
}

// Approvals returns the rows of Approvals, newest first.
func Approvals(list []v1alpha1.Approval) []ApprovalRow {
	rows := []ApprovalRow{}
	for i := range list {
		a := &list[i]
		row := ApprovalRow{
			Namespace: a.Namespace, Name: a.Name, Release: a.Spec.ReleaseRef.Name, Gate: a.Spec.GateName(),
			Decision: string(a.Spec.Decision),
			User:     a.Spec.User, Comment: a.Spec.Comment, Created: &a.CreationTimestamp,
		}
		if counted := apimeta.FindStatusCondition(a.Status.Conditions, v1alpha1.ConditionCounted); counted != nil {
			row.Counted, row.Message = string(counted.Status), counted.Message
		}
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(a, b ApprovalRow) int { return b.Created.Compare(a.Created.Time) })
	return rows
}

// ApprovalTable returns the table of Approvals.
func ApprovalTable(rows []ApprovalRow, c Clock, o Columns) Grid {
	return cells([]column[ApprovalRow]{
		{title: "NAMESPACE", cell: func(r ApprovalRow, _ Clock) string { return r.Namespace }},
		{title: "RELEASE", cell: func(r ApprovalRow, _ Clock) string { return r.Release }},
		{title: "GATE", cell: func(r ApprovalRow, _ Clock) string { return cmp.Or(r.Gate, "every manual gate") }},
		{title: "DECISION", cell: func(r ApprovalRow, _ Clock) string { return r.Decision }},
		{title: "USER", cell: func(r ApprovalRow, _ Clock) string { return r.User }},
		{title: "COUNTED", cell: func(r ApprovalRow, _ Clock) string { return r.Counted }},
		{title: "MESSAGE", text: true, cell: func(r ApprovalRow, _ Clock) string { return r.Message }},
		{title: "NAME", wide: true, cell: func(r ApprovalRow, _ Clock) string { return r.Name }},
		{title: "COMMENT", wide: true, cell: func(r ApprovalRow, _ Clock) string { return r.Comment }},
		{title: "AGE", cell: func(r ApprovalRow, c Clock) string { return c.Age(r.Created) }},
	}, rows, c, o)
}
