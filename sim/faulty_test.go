package sim

import (
	"slices"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/release"
)

// distortion is a controller with a fault: it sees something else than what there is, or does something else than what was
// decided.
type distortion struct {
	sees func(*release.Observation)
	does func(release.Observation, *release.Decision)
}

// distortions are faults that the monitor has to notice. The first four are the shell's own.
var distortions = map[string]distortion{
	"trusts cached gates":            {},
	"trusts the cached Rollout":      {},
	"fails on the cache":             {},
	"takes observed for applied":     {},
	"takes Pending for healthy":      {sees: reports(func(r *health.Report) { r.State = better(r.State, v1alpha1.HealthPending) })},
	"takes Unhealthy for Pending":    {sees: reports(func(r *health.Report) { r.State = worse(r.State); r.LastError = time.Time{} })},
	"takes old reports for new ones": {sees: reports(func(r *health.Report) { r.Current = true })},
	"forgets past errors":            {sees: reports(func(r *health.Report) { r.LastError, r.Since = time.Time{}, time.Time{} })},
	"sees no failing check":          {sees: func(o *release.Observation) { o.Health = release.Health{} }},
	"takes asked for applied":        {sees: targets(func(t *release.Target) { t.Reached, t.Applied = t.Asked, t.Asked })},
	"takes any value for asked":      {sees: targets(func(t *release.Target) { t.Asked = t.Asked || t.Value != "" })},
	"ignores late targets":           {sees: func(o *release.Observation) { o.Targets = o.Targets[:min(1, len(o.Targets))] }},
	"takes an empty gate for open":   {sees: gates(func(g *v1alpha1.RolloutGate) bool { return g.Spec.Passing == nil && g.Spec.AllowedVersions == nil })},
	"takes gates for open":           {sees: gates(func(*v1alpha1.RolloutGate) bool { return true })},
	"ignores allowedVersions":        {sees: gates(func(g *v1alpha1.RolloutGate) bool { return g.Spec.AllowedVersions != nil })},
	"takes a tag for its newest":     {sees: newestDigest},
	"ignores rejections":             {sees: said(func(a *gate.Approval) { a.Decision = v1alpha1.Approve })},
	"takes a tag for a digest":       {sees: sameTag},
	"takes Overrides for endless":    {sees: overrides(func(o *release.Override) { o.ExpiresAt.Time = o.ExpiresAt.AddDate(1, 0, 0) })},
	"takes Overrides for boundless":  {sees: overrides(func(o *release.Override) { o.Bypass = []v1alpha1.Bypass{"Gates", "Health"} })},
	"ignores digests":                {sees: func(o *release.Observation) { o.Policy.Digest = "" }},
	"trusts the clock":               {sees: func(o *release.Observation) { o.Elapsed = nil }},
	"hands over before the intent":   {does: earlyPin},
	"forgets what was used":          {does: without[release.Handle]()},
	"never cleans up":                {does: without[release.ClearAnnotations]()},
	"forgets quarantine":             {does: without[release.Isolate]()},
	"calls failed Available":         {does: amend(v1alpha1.BakeFailed, v1alpha1.BakeSucceeded)},
	"calls Available failed":         {does: amend(v1alpha1.BakeSucceeded, v1alpha1.BakeFailed)},
	"starts no bake":                 {does: amend(v1alpha1.BakeInProgress, v1alpha1.BakeSucceeded)},
	"forgets the last deployment":    {does: dropLast},
	"wakes for ever":                 {does: func(o release.Observation, d *release.Decision) { d.Again = o.Now.Add(time.Minute) }},
	"sleeps for ever":                {does: func(_ release.Observation, d *release.Decision) { d.Again = time.Time{} }},
	"calls a person automatic":       {does: automatic},
	"cancels nothing":                {does: amend(v1alpha1.BakeCancelled, v1alpha1.BakeDeploying)},
}

func reports(f func(*health.Report)) func(*release.Observation) {
	return func(o *release.Observation) {
		for i := range o.Health.Reports {
			f(&o.Health.Reports[i])
		}
	}
}

func targets(f func(*release.Target)) func(*release.Observation) {
	return func(o *release.Observation) {
		for i := range o.Targets {
			f(&o.Targets[i])
		}
	}
}

// gates leaves out those that a faulty controller takes for open.
func gates(taken func(*v1alpha1.RolloutGate) bool) func(*release.Observation) {
	return func(o *release.Observation) {
		o.Gates = slices.DeleteFunc(slices.Clone(o.Gates), taken)
	}
}

func said(f func(*gate.Approval)) func(*release.Observation) {
	return func(o *release.Observation) {
		o.Approvals = slices.Clone(o.Approvals)
		for i := range o.Approvals {
			f(&o.Approvals[i])
		}
	}
}

func overrides(f func(*release.Override)) func(*release.Observation) {
	return func(o *release.Observation) {
		o.Overrides = slices.Clone(o.Overrides)
		for i := range o.Overrides {
			f(&o.Overrides[i])
		}
	}
}

// sameTag takes an approval of a release for one of every release of the tag.
func sameTag(o *release.Observation) {
	for _, a := range o.Approvals {
		for _, v := range o.Status.AvailableReleases {
			if v.Tag == a.Release.Tag {
				a.Release.Digest = v.Digest
				o.Approvals = append(slices.Clip(o.Approvals), a)
			}
		}
	}
}

func better(state, than v1alpha1.HealthState) v1alpha1.HealthState {
	if state == than {
		return v1alpha1.HealthHealthy
	}
	return state
}

func worse(state v1alpha1.HealthState) v1alpha1.HealthState {
	if state == v1alpha1.HealthUnhealthy {
		return v1alpha1.HealthPending
	}
	return state
}

// without leaves out a kind of action.
func without[T release.Action]() func(release.Observation, *release.Decision) {
	return func(_ release.Observation, d *release.Decision) {
		d.Actions = slices.DeleteFunc(slices.Clone(d.Actions), func(a release.Action) bool {
			_, is := a.(T)
			return is
		})
	}
}

// amend puts another verdict in the place of one.
func amend(from, to v1alpha1.BakeStatus) func(release.Observation, *release.Decision) {
	return func(_ release.Observation, d *release.Decision) {
		d.Actions = slices.Clone(d.Actions)
		for i, a := range d.Actions {
			if a, ok := a.(release.Amend); ok && *a.Entry.BakeStatus == string(from) {
				status := string(to)
				a.Entry.BakeStatus = &status
				d.Actions[i] = a
			}
		}
	}
}

// earlyPin hands a version over in the pass that decides it.
func earlyPin(_ release.Observation, d *release.Decision) {
	for _, a := range d.Actions {
		if r, ok := a.(release.Record); ok {
			d.Actions = append(slices.Clone(d.Actions), release.Pin{Version: r.Entry.Version, Token: release.Token(rolloutUID, &r.Entry)})
			return
		}
	}
}

func dropLast(o release.Observation, d *release.Decision) {
	if n := len(o.Status.History); n > 1 {
		d.Actions = append(slices.Clone(d.Actions), release.Trim{History: 1, Quarantined: o.Status.Quarantined})
	}
}

func automatic(_ release.Observation, d *release.Decision) {
	d.Actions = slices.Clone(d.Actions)
	for i, a := range d.Actions {
		if r, ok := a.(release.Record); ok {
			r.Entry.Cause = v1alpha1.CauseAutomatic
			d.Actions[i] = r
		}
	}
}
