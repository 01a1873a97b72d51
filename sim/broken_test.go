package sim

import (
	"slices"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/release"
)

// brokenController is a controller with a defect: it changes the observation or the decision.
type brokenController struct {
	changeObservation func(*release.Observation)
	changeDecision    func(release.Observation, *release.Decision)
}

// brokenControllers are defects that the monitor has to notice. The first four are implemented by the controller
// itself.
var brokenControllers = map[string]brokenController{
	"trusts cached gates":                      {},
	"trusts the cached Rollout":                {},
	"fails without a reread":                   {},
	"treats observed as applied":               {},
	"treats Pending as Healthy":                {changeObservation: reports(func(r *health.Report) { r.State = better(r.State, v1alpha1.HealthPending) })},
	"treats Unhealthy as Pending":              {changeObservation: reports(func(r *health.Report) { r.State = worse(r.State); r.LastError = time.Time{} })},
	"treats old reports as current":            {changeObservation: reports(func(r *health.Report) { r.Current = true })},
	"forgets past errors":                      {changeObservation: reports(func(r *health.Report) { r.LastError, r.Since = time.Time{}, time.Time{} })},
	"ignores failing checks":                   {changeObservation: func(o *release.Observation) { o.Health = release.Health{} }},
	"treats requested as applied":              {changeObservation: targets(func(t *release.Target) { t.Reached, t.Applied = t.Asked, t.Asked })},
	"treats any value as requested":            {changeObservation: targets(func(t *release.Target) { t.Asked = t.Asked || t.Value != "" })},
	"ignores late targets":                     {changeObservation: func(o *release.Observation) { o.Targets = o.Targets[:min(1, len(o.Targets))] }},
	"treats empty gates as open":               {changeObservation: gates(func(g *v1alpha1.RolloutGate) bool { return g.Spec.Passing == nil && g.Spec.AllowedVersions == nil })},
	"treats gates as open":                     {changeObservation: gates(func(*v1alpha1.RolloutGate) bool { return true })},
	"ignores allowedVersions":                  {changeObservation: gates(func(g *v1alpha1.RolloutGate) bool { return g.Spec.AllowedVersions != nil })},
	"uses the newest digest of a tag":          {changeObservation: newestDigest},
	"ignores rejections":                       {changeObservation: approvals(func(a *gate.Approval) { a.Decision = v1alpha1.Approve })},
	"ignores digests of Approvals":             {changeObservation: sameTag},
	"ignores expiry of Overrides":              {changeObservation: overrides(func(o *release.Override) { o.ExpiresAt.Time = o.ExpiresAt.AddDate(1, 0, 0) })},
	"ignores the bypass of Overrides":          {changeObservation: overrides(func(o *release.Override) { o.Bypass = []v1alpha1.Bypass{"Gates", "Health"} })},
	"ignores digests":                          {changeObservation: func(o *release.Observation) { o.Policy.Digest = "" }},
	"trusts the clock":                         {changeObservation: func(o *release.Observation) { o.Elapsed = nil }},
	"hands over before the decision is stored": {changeDecision: earlyPin},
	"forgets used annotations":                 {changeDecision: without[release.Handle]()},
	"never cleans up":                          {changeDecision: without[release.ClearAnnotations]()},
	"forgets quarantine":                       {changeDecision: without[release.Isolate]()},
	"reports failed as Available":              {changeDecision: amend(v1alpha1.BakeFailed, v1alpha1.BakeSucceeded)},
	"reports Available as failed":              {changeDecision: amend(v1alpha1.BakeSucceeded, v1alpha1.BakeFailed)},
	"starts no bake":                           {changeDecision: amend(v1alpha1.BakeInProgress, v1alpha1.BakeSucceeded)},
	"forgets the last deployment":              {changeDecision: dropLast},
	"requeues forever":                         {changeDecision: func(o release.Observation, d *release.Decision) { d.Again = o.Now.Add(time.Minute) }},
	"never requeues":                           {changeDecision: func(_ release.Observation, d *release.Decision) { d.Again = time.Time{} }},
	"reports manual as automatic":              {changeDecision: automatic},
	"cancels nothing":                          {changeDecision: amend(v1alpha1.BakeCancelled, v1alpha1.BakeDeploying)},
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

// gates removes the gates that match from the observation.
func gates(taken func(*v1alpha1.RolloutGate) bool) func(*release.Observation) {
	return func(o *release.Observation) {
		o.Gates = slices.DeleteFunc(slices.Clone(o.Gates), taken)
	}
}

func approvals(f func(*gate.Approval)) func(*release.Observation) {
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

// sameTag counts the approval of a release for every release of its tag.
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

// without removes all actions of a type.
func without[T release.Action]() func(release.Observation, *release.Decision) {
	return func(_ release.Observation, d *release.Decision) {
		d.Actions = slices.DeleteFunc(slices.Clone(d.Actions), func(a release.Action) bool {
			_, is := a.(T)
			return is
		})
	}
}

// amend replaces one bake status with another.
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

// earlyPin hands a version over in the reconciliation that decides it.
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
