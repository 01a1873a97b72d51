package environment_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/gate"
)

var noon = time.Date(2030, 3, 1, 12, 0, 0, 0, time.UTC)

// version returns a version. The digest and the revision may be empty.
func version(tag, digest, revision string) v1alpha1.VersionInfo {
	v := v1alpha1.VersionInfo{Tag: tag, Digest: digest}
	if revision != "" {
		v.Revision = &revision
	}
	return v
}

var (
	one   = version("1.0.0", "sha256:1", "")
	two   = version("2.0.0", "sha256:2", "")
	three = version("3.0.0", "sha256:3", "")
)

const rolledBack = "staging was rolled back from 2.0.0 to 1.0.0; deploy 2.0.0 there again, or release a newer version"

type edit func(*environment.Deployment)

// available returns a deployment of an hour before noon, which became Available half an hour later.
func available(v v1alpha1.VersionInfo, edits ...edit) environment.Deployment {
	d := environment.Deployment{
		Key: "uid/1", ID: 1, Version: v, State: v1alpha1.BakeSucceeded,
		At: noon.Add(-time.Hour), AvailableSince: noon.Add(-30 * time.Minute),
	}
	for _, e := range edits {
		e(&d)
	}
	return d
}

func withState(s v1alpha1.BakeStatus) edit {
	return func(d *environment.Deployment) { d.State, d.AvailableSince = s, time.Time{} }
}

func untrusted(d *environment.Deployment)    { d.UntrustedReason, d.Key = "made by mallory", "" }
func quarantined(d *environment.Deployment)  { d.Quarantine = "it lost orders" }
func sinceUnknown(d *environment.Deployment) { d.AvailableSince = time.Time{} }
func keyless(d *environment.Deployment)      { d.Key = "" }
func retried(d *environment.Deployment)      { d.Attempt = noon.Add(-40 * time.Minute) }

func withID(id int64) edit {
	return func(d *environment.Deployment) { d.ID, d.Key = id, fmt.Sprintf("uid/%d", id) }
}

// withOrder sets the position among the available releases.
func withOrder(order int) edit { return func(d *environment.Deployment) { d.Order = order } }

// deployedAt sets when a deployment replaced the previous one, relative to noon.
func deployedAt(after time.Duration) edit {
	return func(d *environment.Deployment) { d.At, d.AvailableSince = noon.Add(after), noon.Add(after+time.Minute) }
}

func recreated(d *environment.Deployment) { d.Key = fmt.Sprintf("recreated/%d", d.ID) }

func state(name string, list ...environment.Deployment) environment.State {
	return environment.State{Application: "shop", Environment: name, Deployments: list}
}

func snapshotOf(list ...environment.State) environment.Snapshot {
	return environment.Snapshot{At: noon, Environments: list}
}

func requires(names ...string) environment.Requirements {
	r := environment.Requirements{Now: noon}
	for _, name := range names {
		r.Upstreams = append(r.Upstreams, environment.Upstream{Environment: name})
	}
	return r
}

func minAvailable(d time.Duration) environment.Requirements {
	r := requires("staging")
	r.Upstreams[0].MinAvailableFor = d
	return r
}

func maxAge(d time.Duration) environment.Requirements {
	r := requires("staging")
	r.MaxAge = d
	return r
}

// evaluation is a release that is evaluated, and the expected result.
type evaluation struct {
	snapshot     environment.Snapshot
	requirements environment.Requirements
	version      v1alpha1.VersionInfo
	want         environment.Result
}

func (e evaluation) check(t *testing.T) {
	t.Helper()
	if diff := gocmp.Diff(e.want, e.snapshot.Evaluate(e.requirements, e.version)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

const (
	open   = v1alpha1.GateOpen
	closed = v1alpha1.GateClosed

	// half is when a deployment became Available, relative to noon.
	half = -30 * time.Minute
	// never is no time.
	never = time.Duration(1<<63 - 1)
)

func at(d time.Duration) time.Time {
	if d == never {
		return time.Time{}
	}
	return noon.Add(d)
}

// The times of results are relative to noon.

func promoted(message string, since, until time.Duration) environment.Result {
	return environment.Result{
		State: open, Reason: environment.ReasonPromoted, Message: message, Since: at(since), Until: at(until),
	}
}

func closedResult(reason string, since time.Duration, message string) environment.Result {
	return environment.Result{State: closed, Reason: reason, Message: message, Since: at(since)}
}

func pendingResult(reason string, since, until time.Duration, message string) environment.Result {
	return environment.Result{
		State: v1alpha1.GatePending, Reason: reason, Message: message, Since: at(since), Until: at(until),
	}
}

// unknownMessage is the message about an unknown environment, with the explanation of the backend.
func unknownMessage(name, explanation string) string {
	if explanation == "" {
		explanation = "wait for its first deployment, or correct the name in spec.dependsOn or spec.relationship of " +
			"the Environment"
	}
	return "no environment " + name + " of this application is known: " + explanation
}

func TestEvaluate(t *testing.T) {
	t.Parallel()
	staging := func(list ...environment.Deployment) environment.Snapshot {
		return snapshotOf(state("staging", list...))
	}
	for name, tc := range map[string]evaluation{
		"promoted": {
			staging(available(one)), requires("staging"), one, promoted("1.0.0 is Available in staging", half, never),
		},
		"an older deployment of the history": {
			staging(available(two), available(one)), requires("staging"), one,
			promoted("1.0.0 is Available in staging", half, never),
		},
		"without a key": {
			// Other controllers publish no keys.
			staging(available(one, keyless)), requires("staging"), one,
			promoted("1.0.0 is Available in staging", half, never),
		},
		"after a retry": {
			staging(available(one, retried)), requires("staging"), one, promoted("1.0.0 is Available in staging", half, never),
		},
		"during a retry": {
			staging(available(one, retried, withState(v1alpha1.BakeDeploying))), requires("staging"), one,
			closedResult(environment.ReasonNotAvailableUpstream, -time.Hour,
				"1.0.0 is being deployed in staging"),
		},
		"deployed again": {
			// The newest deployment counts.
			staging(available(one, withState(v1alpha1.BakeInProgress)), available(one)), requires("staging"), one,
			closedResult(environment.ReasonNotAvailableUpstream, -time.Hour,
				"1.0.0 is baking in staging"),
		},
		"unknown environment": {
			snapshotOf(state("qa", available(one))), requires("staging"), one,
			closedResult(environment.ReasonUnknownEnvironment, never,
				unknownMessage("staging", "")),
		},
		"empty snapshot": {
			environment.Snapshot{}, requires("staging"), one,
			closedResult(environment.ReasonUnknownEnvironment, never,
				unknownMessage("staging", "")),
		},
		"not deployed": {
			staging(available(two)), requires("staging"), one,
			closedResult(environment.ReasonNotDeployedUpstream, never,
				"1.0.0 was not deployed in staging"),
		},
		"nothing deployed": {
			staging(), requires("staging"), one,
			closedResult(environment.ReasonNotDeployedUpstream, never,
				"1.0.0 was not deployed in staging"),
		},
		"deploying": {
			staging(available(one, withState(v1alpha1.BakeDeploying))), requires("staging"), one,
			closedResult(environment.ReasonNotAvailableUpstream, -time.Hour,
				"1.0.0 is being deployed in staging"),
		},
		"baking": {
			staging(available(one, withState(v1alpha1.BakeInProgress))), requires("staging"), one,
			closedResult(environment.ReasonNotAvailableUpstream, -time.Hour,
				"1.0.0 is baking in staging"),
		},
		"failed": {
			staging(available(one, withState(v1alpha1.BakeFailed))), requires("staging"), one,
			closedResult(environment.ReasonNotAvailableUpstream, -time.Hour,
				"1.0.0 is failed in staging"),
		},
		"cancelled": {
			staging(available(one, withState(v1alpha1.BakeCancelled))), requires("staging"), one,
			closedResult(environment.ReasonNotAvailableUpstream, -time.Hour,
				"1.0.0 is cancelled in staging"),
		},
		"no state": {
			staging(available(one, withState(""))), requires("staging"), one,
			closedResult(environment.ReasonNotAvailableUpstream, -time.Hour,
				"1.0.0 is in an unknown state in staging"),
		},
		"unknown state": {
			staging(available(one, withState("Splendid"))), requires("staging"), one,
			closedResult(environment.ReasonNotAvailableUpstream, -time.Hour,
				"1.0.0 is in an unknown state in staging"),
		},
		"quarantined": {
			staging(available(one, quarantined)), requires("staging"), one,
			closedResult(environment.ReasonQuarantinedUpstream, never,
				"1.0.0 is quarantined in staging: it lost orders"),
		},
		"an older deployment is quarantined": {
			staging(available(one), available(two), available(one, quarantined)), requires("staging"), one,
			closedResult(environment.ReasonQuarantinedUpstream, never,
				"1.0.0 is quarantined in staging: it lost orders"),
		},
		"another release is quarantined": {
			staging(available(two, quarantined), available(one)), requires("staging"), one,
			promoted("1.0.0 is Available in staging", half, never),
		},
		"rolled back": {
			staging(available(one), available(two), available(one)), requires("staging"), two,
			closedResult(environment.ReasonRolledBackUpstream, never,
				rolledBack),
		},
		"being rolled back": {
			// The decision counts.
			staging(available(one, withState(v1alpha1.BakeDeploying)), available(two), available(one)), requires("staging"), two,
			closedResult(environment.ReasonRolledBackUpstream, never,
				rolledBack),
		},
		"a newer release is deployed after the rollback": {
			staging(
				available(three, withState(v1alpha1.BakeDeploying)), available(one), available(two), available(one),
			), requires("staging"), two,
			closedResult(environment.ReasonRolledBackUpstream, never,
				rolledBack),
		},
		"a newer release is Available after the rollback": {
			staging(available(three), available(one), available(two), available(one)), requires("staging"), two,
			closedResult(environment.ReasonRolledBackUpstream, never,
				rolledBack),
		},
		"the rollback was cancelled": {
			// The decision counts.
			staging(
				available(three), available(one, withState(v1alpha1.BakeCancelled)), available(two), available(one),
			), requires("staging"), two,
			closedResult(environment.ReasonRolledBackUpstream, never,
				rolledBack),
		},
		"the rollback failed": {
			staging(available(three), available(one, withState(v1alpha1.BakeFailed)), available(two), available(one)),
			requires("staging"), two,
			closedResult(environment.ReasonRolledBackUpstream, never,
				rolledBack),
		},
		"Available again after the rollback, then a newer release": {
			staging(available(three), available(two), available(one), available(two), available(one)), requires("staging"), two,
			promoted("2.0.0 is Available in staging", half, never),
		},
		"rollback between other releases": {
			staging(available(three), available(version("4.0.0", "sha256:4", "")), available(three), available(two), available(one)), requires("staging"), two,
			promoted("2.0.0 is Available in staging", half, never),
		},
		"rollback to a release that never ran": {
			// The order says that it is older.
			staging(available(one, withOrder(1)), available(two, withOrder(2))), requires("staging"), two,
			closedResult(environment.ReasonRolledBackUpstream, never,
				rolledBack),
		},
		"a newer release follows": {
			staging(available(three, withOrder(3)), available(two, withOrder(2))), requires("staging"), two,
			promoted("2.0.0 is Available in staging", half, never),
		},
		"unknown order": {
			staging(available(one), available(two, withOrder(2))), requires("staging"), two,
			promoted("2.0.0 is Available in staging", half, never),
		},
		"untrusted rollback, then a newer release": {
			staging(available(three), available(one, untrusted), available(two), available(one)), requires("staging"), two,
			promoted("2.0.0 is Available in staging", half, never),
		},
		"target of the rollback": {
			staging(available(one), available(two), available(one)), requires("staging"), one,
			promoted("1.0.0 is Available in staging", half, never),
		},
		"Available again after the rollback": {
			staging(available(two), available(one), available(two), available(one)), requires("staging"), two,
			promoted("2.0.0 is Available in staging", half, never),
		},
		"rollback identified by tags": {
			// A tag is enough to reject a release.
			staging(available(version("1.0.0", "", "")), available(two), available(version("1.0.0", "", ""))),
			requires("staging"), two,
			closedResult(environment.ReasonRolledBackUpstream, never,
				rolledBack),
		},
		"rollback to another image of the tag": {
			staging(available(version("1.0.0", "sha256:new", "")), available(two), available(one)), requires("staging"), two,
			promoted("2.0.0 is Available in staging", half, never),
		},
		"rollback after the clock was set back": {
			staging(available(one, withID(1)), available(one, withID(3)), available(two, withID(2))), requires("staging"), two,
			closedResult(environment.ReasonRolledBackUpstream, never,
				rolledBack),
		},
		"rollback of a Rollout that was created again": {
			// Its IDs begin at 1 again.
			staging(available(one, withID(1), recreated), available(two, withID(2)), available(one, withID(1))),
			requires("staging"), two,
			closedResult(environment.ReasonRolledBackUpstream, never,
				rolledBack),
		},
		"untrusted deployment": {
			staging(available(one, untrusted)), requires("staging"), one,
			closedResult(environment.ReasonNoEvidence, never,
				"the deployment of 1.0.0 in staging does not count: made by mallory"),
		},
		"untrusted success": {
			// The trusted deployment counts.
			staging(available(one, untrusted), available(one, withState(v1alpha1.BakeDeploying))), requires("staging"), one,
			closedResult(environment.ReasonNotAvailableUpstream, -time.Hour,
				"1.0.0 is being deployed in staging"),
		},
		"untrusted failure": {
			staging(available(one, untrusted, withState(v1alpha1.BakeFailed)), available(one)), requires("staging"), one,
			promoted("1.0.0 is Available in staging", half, never),
		},
		"untrusted quarantine": {
			staging(available(one, untrusted, quarantined), available(one)), requires("staging"), one,
			promoted("1.0.0 is Available in staging", half, never),
		},
		"untrusted rollback": {
			staging(available(one, untrusted), available(two), available(one)), requires("staging"), two,
			promoted("2.0.0 is Available in staging", half, never),
		},
		"the backend explains an unknown environment": {
			environment.Snapshot{At: noon, Unknown: "label both namespaces"}, requires("staging"), one,
			closedResult(environment.ReasonUnknownEnvironment, never,
				unknownMessage("staging", "label both namespaces")),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.check(t)
		})
	}
}

func TestEvaluateTimes(t *testing.T) {
	t.Parallel()
	staging := func(list ...environment.Deployment) environment.Snapshot {
		return snapshotOf(state("staging", list...))
	}
	old := func(age time.Duration) environment.Snapshot {
		n := staging(available(one))
		n.At = noon.Add(-age)
		return n
	}
	outdated := func(age string) string {
		return "the other environments could not be read since 2030-03-01T" + age + "Z"
	}
	for name, tc := range map[string]evaluation{
		"soaking": {
			staging(available(one)), minAvailable(time.Hour), one,
			pendingResult(environment.ReasonSoaking, half, -half,
				"1.0.0 has to be Available in staging for 1h0m0s"),
		},
		"a second before": {
			staging(available(one)), minAvailable(30*time.Minute + time.Second), one,
			pendingResult(environment.ReasonSoaking, half, time.Second,
				"1.0.0 has to be Available in staging for 30m1s"),
		},
		"a moment before": {
			staging(available(one)), minAvailable(30*time.Minute + 1), one,
			pendingResult(environment.ReasonSoaking, half, 1,
				"1.0.0 has to be Available in staging for 30m0.000000001s"),
		},
		"exactly long enough": {
			staging(available(one)), minAvailable(30 * time.Minute), one, promoted("1.0.0 is Available in staging", 0, never),
		},
		"longer than needed": {
			staging(available(one)), minAvailable(time.Minute), one,
			promoted("1.0.0 is Available in staging", -29*time.Minute, never),
		},
		"replaced too soon": {
			staging(available(two, deployedAt(-20*time.Minute)), available(one)), minAvailable(15 * time.Minute), one,
			closedResult(environment.ReasonSoaking, -20*time.Minute,
				"1.0.0 was Available in staging for 10m0s of 15m0s before 2.0.0 replaced it; "+
					"deploy it there again, or let a newer release run for that long"),
		},
		"replaced before it was Available": {
			staging(available(two, deployedAt(-50*time.Minute)), available(one)), minAvailable(15 * time.Minute), one,
			closedResult(environment.ReasonSoaking, -50*time.Minute,
				"1.0.0 was Available in staging for 0s of 15m0s before 2.0.0 replaced it; "+
					"deploy it there again, or let a newer release run for that long"),
		},
		"replaced in time": {
			staging(available(two, deployedAt(-15*time.Minute)), available(one)), minAvailable(15 * time.Minute), one,
			promoted("1.0.0 is Available in staging", -15*time.Minute, never),
		},
		"replaced by an untrusted deployment": {
			staging(available(two, deployedAt(-20*time.Minute), untrusted), available(one)), minAvailable(15 * time.Minute), one,
			promoted("1.0.0 is Available in staging", -15*time.Minute, never),
		},
		"replaced, without a duration": {
			staging(available(two, deployedAt(-29*time.Minute)), available(one)), minAvailable(0), one,
			promoted("1.0.0 is Available in staging", half, never),
		},
		"deployed again": {
			staging(available(one), available(two, deployedAt(-20*time.Minute)), available(one)), minAvailable(15 * time.Minute), one,
			promoted("1.0.0 is Available in staging", -15*time.Minute, never),
		},
		"time unknown": {
			staging(available(one, sinceUnknown)), minAvailable(time.Second), one,
			closedResult(environment.ReasonSoaking, never,
				"it is not known since when 1.0.0 is Available in staging"),
		},
		"time unknown, without a duration": {
			staging(available(one, sinceUnknown)), minAvailable(0), one, promoted("1.0.0 is Available in staging", never, never),
		},
		"fresh": {
			old(time.Minute), maxAge(10 * time.Minute), one, promoted("1.0.0 is Available in staging", half, 9*time.Minute),
		},
		"a second before it is too old": {
			old(10*time.Minute - time.Second), maxAge(10 * time.Minute), one,
			promoted("1.0.0 is Available in staging", half, time.Second),
		},
		"exactly too old": {
			old(10 * time.Minute), maxAge(10 * time.Minute), one,
			pendingResult(environment.ReasonNewsOutdated, 0, never,
				outdated("11:50:00")),
		},
		"too old": {
			old(time.Hour), maxAge(10 * time.Minute), one,
			pendingResult(environment.ReasonNewsOutdated, -50*time.Minute, never,
				outdated("11:00:00")),
		},
		"without a maximum age": {
			// The backend reports every change at once.
			old(1000 * time.Hour), maxAge(0), one,
			promoted("1.0.0 is Available in staging", half, never),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.check(t)
		})
	}
}

func TestEvaluateSeveralUpstreams(t *testing.T) {
	t.Parallel()
	later := func(d *environment.Deployment) { d.AvailableSince = noon.Add(-time.Minute) }
	snapshot := snapshotOf(
		state("eu", available(one)), state("us", available(one, later)),
		state("qa", available(one, withState(v1alpha1.BakeFailed))),
	)
	for name, tc := range map[string]evaluation{
		"all Available": {
			snapshot, requires("eu", "us"), one, promoted("1.0.0 is Available in eu and us", -time.Minute, never),
		},
		"order of the spec": {
			snapshot, requires("us", "eu"), one, promoted("1.0.0 is Available in us and eu", -time.Minute, never),
		},
		"one failed": {
			snapshot, requires("eu", "qa", "us"), one,
			closedResult(environment.ReasonNotAvailableUpstream, -time.Hour,
				"1.0.0 is failed in qa"),
		},
		"one unknown": {
			// The first one that does not admit the release is reported.
			snapshot, requires("eu", "asia", "qa"), one,
			closedResult(environment.ReasonUnknownEnvironment, never,
				unknownMessage("asia", "")),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.check(t)
		})
	}
}

// TestReleaseIsIdentifiedByDigestOrRevision evaluates each kind of version after a deployment of each kind.
func TestReleaseIsIdentifiedByDigestOrRevision(t *testing.T) {
	t.Parallel()
	const (
		promoted     = environment.ReasonPromoted
		unidentified = environment.ReasonUnidentified
		undeployed   = environment.ReasonNotDeployedUpstream
	)
	for name, tc := range map[string]struct {
		there, here v1alpha1.VersionInfo
		reason      string
	}{
		"same digest":                  {version("1", "a", ""), version("1", "a", ""), promoted},
		"same digest, other tag":       {version("rc", "a", ""), version("1", "a", ""), promoted},
		"same digest, other revision":  {version("1", "a", "r"), version("1", "a", "s"), promoted},
		"other digest":                 {version("1", "b", ""), version("1", "a", ""), undeployed},
		"other digest of the revision": {version("1", "b", "r"), version("1", "a", "r"), undeployed},
		"same revision":                {version("1", "", "r"), version("1", "", "r"), promoted},
		"same revision, other tag":     {version("rc", "", "r"), version("1", "", "r"), promoted},
		"same revision, digest here":   {version("1", "", "r"), version("1", "a", "r"), promoted},
		"same revision, digest there":  {version("1", "a", "r"), version("1", "", "r"), promoted},
		"other revision":               {version("1", "", "s"), version("1", "", "r"), undeployed},
		"other revision, digest here":  {version("1", "", "s"), version("1", "a", "r"), undeployed},
		"a tag is not enough":          {version("1", "", ""), version("1", "", ""), unidentified},
		"digest there only":            {version("1", "a", ""), version("1", "", ""), unidentified},
		"digest here only":             {version("1", "", ""), version("1", "a", ""), unidentified},
		"revision there only":          {version("1", "", "r"), version("1", "", ""), unidentified},
		"revision here only":           {version("1", "", ""), version("1", "", "r"), unidentified},
		"digest there, revision here":  {version("1", "a", ""), version("1", "", "r"), unidentified},
		"revision there, digest here":  {version("1", "", "r"), version("1", "a", ""), unidentified},
		"other tag only":               {version("2", "", ""), version("1", "", ""), undeployed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := snapshotOf(state("staging", available(tc.there))).Evaluate(requires("staging"), tc.here)
			if a.Reason != tc.reason || (a.State == open) != (tc.reason == promoted) {
				t.Errorf("got %s, %s: %s", a.State, a.Reason, a.Message)
			}
			if tc.reason == unidentified && !strings.Contains(a.Message, "digestReflectionPolicy") {
				t.Errorf("the message does not say what to do: %s", a.Message)
			}
			reverse := snapshotOf(state("staging", available(tc.here))).Evaluate(requires("staging"), tc.there)
			if reverse.State != a.State {
				t.Errorf("the reverse is %s, %s", reverse.State, reverse.Reason)
			}
		})
	}
	empty := ""
	v := v1alpha1.VersionInfo{Tag: "1", Revision: &empty}
	if a := snapshotOf(state("staging", available(v))).Evaluate(requires("staging"), v); a.State == open {
		t.Error("two empty revisions count as equal")
	}
	tagOnly := version("1", "", "")
	if a := snapshotOf(
		state("staging", available(tagOnly, untrusted)),
	).Evaluate(requires("staging"), tagOnly); a.Reason != undeployed {
		t.Errorf("the tag of an untrusted deployment counts: %s", a.Reason)
	}
}

func TestUpstreams(t *testing.T) {
	t.Parallel()
	hour, bad := v1alpha1.Duration("1h"), v1alpha1.Duration("soon")
	after := &environments.Relationship{Environment: "staging", Type: environments.After}
	for name, tc := range map[string]struct {
		spec environments.EnvironmentSpec
		want []environment.Upstream
		err  string
	}{
		"none": {},
		"relationship": {
			spec: environments.EnvironmentSpec{Relationship: after}, want: []environment.Upstream{{Environment: "staging"}},
		},
		"both": {
			spec: environments.EnvironmentSpec{
				Relationship: after, DependsOn: []environments.Dependency{{Environment: "qa", MinAvailableFor: &hour}},
			},
			want: []environment.Upstream{{Environment: "staging"}, {Environment: "qa", MinAvailableFor: time.Hour}},
		},
		"the same twice": {
			spec: environments.EnvironmentSpec{
				Relationship: after, DependsOn: []environments.Dependency{{Environment: "staging", MinAvailableFor: &hour}},
			},
			want: []environment.Upstream{{Environment: "staging", MinAvailableFor: time.Hour}},
		},
		"no duration": {
			spec: environments.EnvironmentSpec{
				DependsOn: []environments.Dependency{{Environment: "qa"}, {Environment: "staging", MinAvailableFor: &bad}},
			},
			err: "spec.dependsOn[1].minAvailableFor",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := environment.Upstreams(tc.spec)
			if diff := gocmp.Diff(tc.want, got); diff != "" || (err != nil) != (tc.err != "") ||
				err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			if environment.HasUpstreams(tc.spec) == (name == "none") {
				t.Error("HasUpstreams is wrong")
			}
		})
	}
}

// TestEachReasonSaysWhatClearsIt: a blocker names somebody who can clear it.
func TestEachReasonSaysWhatClearsIt(t *testing.T) {
	t.Parallel()
	controls := true
	for reason, want := range map[string]string{
		environment.ReasonUnknownEnvironment:   "label the namespaces",
		environment.ReasonNotDeployedUpstream:  "Available upstream",
		environment.ReasonNotAvailableUpstream: "Available upstream",
		environment.ReasonSoaking:              "Available upstream",
		environment.ReasonQuarantinedUpstream:  "lifts the quarantine",
		environment.ReasonRolledBackUpstream:   "Available upstream again",
		environment.ReasonNoEvidence:           "edit the Environments upstream",
		environment.ReasonUnidentified:         "edit the ImagePolicies",
		environment.ReasonNewsOutdated:         "backend",
		environment.ReasonCycle:                "edit the Environment",
	} {
		g := &v1alpha1.RolloutGate{
			ObjectMeta: metav1.ObjectMeta{
				OwnerReferences: []metav1.OwnerReference{{Kind: "Environment", Controller: &controls}},
			},
		}
		g.Status.Verdicts = []v1alpha1.GateVerdict{{Release: "1.0.0", State: closed, Reason: reason, Message: "because"}}
		if v := gate.Evaluate(g, v1alpha1.ReleaseIdentity{Tag: "1.0.0"}, gate.Context{Now: noon}); v.Open() ||
			!strings.Contains(v.ClearedBy, want) {
			t.Errorf("%s is cleared by %q", reason, v.ClearedBy)
		}
		g.Status.Verdicts[0].State = open
		if v := gate.Evaluate(g, v1alpha1.ReleaseIdentity{Tag: "1.0.0"}, gate.Context{Now: noon}); !v.Open() {
			t.Errorf("an open gate is %+v", v)
		}
	}
}
