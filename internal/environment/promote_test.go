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

// release makes a version; digest and revision may be empty.
func release(tag, digest, revision string) v1alpha1.VersionInfo {
	v := v1alpha1.VersionInfo{Tag: tag, Digest: digest}
	if revision != "" {
		v.Revision = &revision
	}
	return v
}

var (
	one = release("1.0.0", "sha256:1", "")
	two = release("2.0.0", "sha256:2", "")
	// three is what follows them.
	three = release("3.0.0", "sha256:3", "")
)

const goneBack = "staging went back from 2.0.0 to 1.0.0; deploy 2.0.0 there again, or release a newer version"

type edit func(*environment.Deployment)

// ran is a deployment that was decided an hour before noon, and Available half an hour later.
func ran(v v1alpha1.VersionInfo, edits ...edit) environment.Deployment {
	d := environment.Deployment{
		Key: "uid/1", ID: 1, Version: v, State: v1alpha1.BakeSucceeded, At: noon.Add(-time.Hour), AvailableSince: noon.Add(-30 * time.Minute),
	}
	for _, e := range edits {
		e(&d)
	}
	return d
}

func is(s v1alpha1.BakeStatus) edit {
	return func(d *environment.Deployment) { d.State, d.AvailableSince = s, time.Time{} }
}

func doubted(d *environment.Deployment)      { d.UntrustedReason, d.Key = "mallory made it", "" }
func quarantined(d *environment.Deployment)  { d.Quarantine = "it lost orders" }
func sinceUnknown(d *environment.Deployment) { d.AvailableSince = time.Time{} }
func keyless(d *environment.Deployment)      { d.Key = "" }
func retried(d *environment.Deployment)      { d.Attempt = noon.Add(-40 * time.Minute) }

func number(id int64) edit {
	return func(d *environment.Deployment) { d.ID, d.Key = id, fmt.Sprintf("uid/%d", id) }
}

// ranks says which of the known releases it is.
func ranks(order int) edit { return func(d *environment.Deployment) { d.Order = order } }

// decided is when a deployment replaced the one before, told from noon.
func decided(after time.Duration) edit {
	return func(d *environment.Deployment) { d.At, d.AvailableSince = noon.Add(after), noon.Add(after+time.Minute) }
}

func anew(d *environment.Deployment) { d.Key = fmt.Sprintf("anew/%d", d.ID) }

func stage(name string, list ...environment.Deployment) environment.State {
	return environment.State{Application: "shop", Environment: name, Deployments: list}
}

func told(list ...environment.State) environment.Snapshot {
	return environment.Snapshot{At: noon, Environments: list}
}

func after(names ...string) environment.Question {
	q := environment.Question{Now: noon}
	for _, name := range names {
		q.Upstreams = append(q.Upstreams, environment.Upstream{Environment: name})
	}
	return q
}

func soak(d time.Duration) environment.Question {
	q := after("staging")
	q.Upstreams[0].For = d
	return q
}

func patient(d time.Duration) environment.Question {
	q := after("staging")
	q.Patience = d
	return q
}

// asked is one question and the answer that is expected. Times are told from noon.
type asked struct {
	why      string
	snapshot environment.Snapshot
	q        environment.Question
	about    v1alpha1.VersionInfo
	state    v1alpha1.GateState
	reason   string
	message  string
	since    time.Duration
	until    time.Duration
}

const never = time.Duration(1<<63 - 1)

func at(d time.Duration) time.Time {
	if d == never {
		return time.Time{}
	}
	return noon.Add(d)
}

func (a asked) check(t *testing.T) {
	t.Helper()
	if a.about.Tag == "" {
		a.about = one
	}
	want := environment.Answer{State: a.state, Reason: a.reason, Message: a.message, Since: at(a.since), Until: at(a.until)}
	if diff := gocmp.Diff(want, a.snapshot.Ask(a.q, a.about)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", a.why, diff)
	}
}

const (
	open    = v1alpha1.GateOpen
	closed  = v1alpha1.GateClosed
	pending = v1alpha1.GatePending
	half    = -30 * time.Minute
)

func TestAsk(t *testing.T) {
	t.Parallel()
	staging := func(list ...environment.Deployment) environment.Snapshot { return told(stage("staging", list...)) }
	for name, tc := range map[string]asked{
		"promoted":                   {"", staging(ran(one)), after("staging"), one, open, environment.ReasonPromoted, "1.0.0 is Available in staging", half, never},
		"an older one":               {"what ran before was Available too", staging(ran(two), ran(one)), after("staging"), one, open, environment.ReasonPromoted, "1.0.0 is Available in staging", half, never},
		"without a key":              {"controllers that have none publish as well", staging(ran(one, keyless)), after("staging"), one, open, environment.ReasonPromoted, "1.0.0 is Available in staging", half, never},
		"after a retry":              {"it failed, and then it did not", staging(ran(one, retried)), after("staging"), one, open, environment.ReasonPromoted, "1.0.0 is Available in staging", half, never},
		"being retried":              {"the last attempt counts", staging(ran(one, retried, is(v1alpha1.BakeDeploying))), after("staging"), one, closed, environment.ReasonNotAvailableUpstream, "1.0.0 is being deployed in staging", -time.Hour, never},
		"again":                      {"the last deployment counts", staging(ran(one, is(v1alpha1.BakeInProgress)), ran(one)), after("staging"), one, closed, environment.ReasonNotAvailableUpstream, "1.0.0 is baking in staging", -time.Hour, never},
		"unknown":                    {"", told(stage("qa", ran(one))), after("staging"), one, closed, environment.ReasonUnknownEnvironment, "no environment staging of this application is known: wait for its first deployment, or correct the name in spec.dependsOn or spec.relationship of the Environment", never, never},
		"no news at all":             {"", environment.Snapshot{}, after("staging"), one, closed, environment.ReasonUnknownEnvironment, "no environment staging of this application is known: wait for its first deployment, or correct the name in spec.dependsOn or spec.relationship of the Environment", never, never},
		"not deployed":               {"", staging(ran(two)), after("staging"), one, closed, environment.ReasonNotDeployedUpstream, "1.0.0 was not deployed in staging", never, never},
		"nothing deployed":           {"", staging(), after("staging"), one, closed, environment.ReasonNotDeployedUpstream, "1.0.0 was not deployed in staging", never, never},
		"deploying":                  {"", staging(ran(one, is(v1alpha1.BakeDeploying))), after("staging"), one, closed, environment.ReasonNotAvailableUpstream, "1.0.0 is being deployed in staging", -time.Hour, never},
		"baking":                     {"", staging(ran(one, is(v1alpha1.BakeInProgress))), after("staging"), one, closed, environment.ReasonNotAvailableUpstream, "1.0.0 is baking in staging", -time.Hour, never},
		"failed":                     {"", staging(ran(one, is(v1alpha1.BakeFailed))), after("staging"), one, closed, environment.ReasonNotAvailableUpstream, "1.0.0 is failed in staging", -time.Hour, never},
		"cancelled":                  {"", staging(ran(one, is(v1alpha1.BakeCancelled))), after("staging"), one, closed, environment.ReasonNotAvailableUpstream, "1.0.0 is cancelled in staging", -time.Hour, never},
		"no state":                   {"", staging(ran(one, is(""))), after("staging"), one, closed, environment.ReasonNotAvailableUpstream, "1.0.0 is in an unknown state in staging", -time.Hour, never},
		"a state of later":           {"what is not understood opens nothing", staging(ran(one, is("Splendid"))), after("staging"), one, closed, environment.ReasonNotAvailableUpstream, "1.0.0 is in an unknown state in staging", -time.Hour, never},
		"quarantined":                {"", staging(ran(one, quarantined)), after("staging"), one, closed, environment.ReasonQuarantinedUpstream, "1.0.0 is quarantined in staging: it lost orders", never, never},
		"quarantined once":           {"whichever deployment it is said of", staging(ran(one), ran(two), ran(one, quarantined)), after("staging"), one, closed, environment.ReasonQuarantinedUpstream, "1.0.0 is quarantined in staging: it lost orders", never, never},
		"another's":                  {"", staging(ran(two, quarantined), ran(one)), after("staging"), one, open, environment.ReasonPromoted, "1.0.0 is Available in staging", half, never},
		"rolled back":                {"", staging(ran(one), ran(two), ran(one)), after("staging"), two, closed, environment.ReasonRolledBackUpstream, goneBack, never, never},
		"rolling back":               {"deciding it is enough", staging(ran(one, is(v1alpha1.BakeDeploying)), ran(two), ran(one)), after("staging"), two, closed, environment.ReasonRolledBackUpstream, goneBack, never, never},
		"went on from there":         {"what came after the return does not undo it", staging(ran(three, is(v1alpha1.BakeDeploying)), ran(one), ran(two), ran(one)), after("staging"), two, closed, environment.ReasonRolledBackUpstream, goneBack, never, never},
		"went on, and well":          {"nor if it is Available", staging(ran(three), ran(one), ran(two), ran(one)), after("staging"), two, closed, environment.ReasonRolledBackUpstream, goneBack, never, never},
		"was replaced on the way":    {"a return that was cancelled was decided all the same", staging(ran(three), ran(one, is(v1alpha1.BakeCancelled)), ran(two), ran(one)), after("staging"), two, closed, environment.ReasonRolledBackUpstream, goneBack, never, never},
		"a return that failed":       {"", staging(ran(three), ran(one, is(v1alpha1.BakeFailed)), ran(two), ran(one)), after("staging"), two, closed, environment.ReasonRolledBackUpstream, goneBack, never, never},
		"forth again, and on":        {"it became Available again after the return", staging(ran(three), ran(two), ran(one), ran(two), ran(one)), after("staging"), two, open, environment.ReasonPromoted, "2.0.0 is Available in staging", half, never},
		"a return to something else": {"from what came after it", staging(ran(three), ran(release("4.0.0", "sha256:4", "")), ran(three), ran(two), ran(one)), after("staging"), two, open, environment.ReasonPromoted, "2.0.0 is Available in staging", half, never},
		"back to what never ran":     {"the order of the releases tells that it is older", staging(ran(one, ranks(1)), ran(two, ranks(2))), after("staging"), two, closed, environment.ReasonRolledBackUpstream, goneBack, never, never},
		"on to what is newer":        {"", staging(ran(three, ranks(3)), ran(two, ranks(2))), after("staging"), two, open, environment.ReasonPromoted, "2.0.0 is Available in staging", half, never},
		"of an order nobody knows":   {"", staging(ran(one), ran(two, ranks(2))), after("staging"), two, open, environment.ReasonPromoted, "2.0.0 is Available in staging", half, never},
		"forged return, and on":      {"", staging(ran(three), ran(one, doubted), ran(two), ran(one)), after("staging"), two, open, environment.ReasonPromoted, "2.0.0 is Available in staging", half, never},
		"rolled back to":             {"what runs was not gone back from", staging(ran(one), ran(two), ran(one)), after("staging"), one, open, environment.ReasonPromoted, "1.0.0 is Available in staging", half, never},
		"forth again":                {"", staging(ran(two), ran(one), ran(two), ran(one)), after("staging"), two, open, environment.ReasonPromoted, "2.0.0 is Available in staging", half, never},
		"back by tags":               {"an objection needs no digest", staging(ran(release("1.0.0", "", "")), ran(two), ran(release("1.0.0", "", ""))), after("staging"), two, closed, environment.ReasonRolledBackUpstream, goneBack, never, never},
		"a moved tag":                {"another image of the tag is no way back", staging(ran(release("1.0.0", "sha256:new", "")), ran(two), ran(one)), after("staging"), two, open, environment.ReasonPromoted, "2.0.0 is Available in staging", half, never},
		"rolled back, and the clock": {"it was set back after the first deployment", staging(ran(one, number(1)), ran(one, number(3)), ran(two, number(2))), after("staging"), two, closed, environment.ReasonRolledBackUpstream, goneBack, never, never},
		"a Rollout made anew":        {"which counts from one again", staging(ran(one, number(1), anew), ran(two, number(2)), ran(one, number(1))), after("staging"), two, closed, environment.ReasonRolledBackUpstream, goneBack, never, never},
		"a forger's news":            {"", staging(ran(one, doubted)), after("staging"), one, closed, environment.ReasonNoEvidence, "what is told of 1.0.0 in staging is no evidence: mallory made it", never, never},
		"forged success":             {"the word that is trusted counts", staging(ran(one, doubted), ran(one, is(v1alpha1.BakeDeploying))), after("staging"), one, closed, environment.ReasonNotAvailableUpstream, "1.0.0 is being deployed in staging", -time.Hour, never},
		"forged failure":             {"", staging(ran(one, doubted, is(v1alpha1.BakeFailed)), ran(one)), after("staging"), one, open, environment.ReasonPromoted, "1.0.0 is Available in staging", half, never},
		"forged quarantine":          {"", staging(ran(one, doubted, quarantined), ran(one)), after("staging"), one, open, environment.ReasonPromoted, "1.0.0 is Available in staging", half, never},
		"forged rollback":            {"", staging(ran(one, doubted), ran(two), ran(one)), after("staging"), two, open, environment.ReasonPromoted, "2.0.0 is Available in staging", half, never},
		"why it is not known":        {"", environment.Snapshot{At: noon, Unknown: "label both namespaces"}, after("staging"), one, closed, environment.ReasonUnknownEnvironment, "no environment staging of this application is known: label both namespaces", never, never},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.check(t)
		})
	}
}

func TestAskAboutTime(t *testing.T) {
	t.Parallel()
	staging := func(list ...environment.Deployment) environment.Snapshot { return told(stage("staging", list...)) }
	old := func(age time.Duration) environment.Snapshot {
		n := staging(ran(one))
		n.At = noon.Add(-age)
		return n
	}
	outdated := func(age string) string {
		return "the other environments could not be read since 2030-03-01T" + age + "Z"
	}
	for name, tc := range map[string]asked{
		"soaking":             {"", staging(ran(one)), soak(time.Hour), one, pending, environment.ReasonSoaking, "1.0.0 has to be Available in staging for 1h0m0s", half, -half},
		"a second before":     {"", staging(ran(one)), soak(30*time.Minute + time.Second), one, pending, environment.ReasonSoaking, "1.0.0 has to be Available in staging for 30m1s", half, time.Second},
		"a moment before":     {"", staging(ran(one)), soak(30*time.Minute + 1), one, pending, environment.ReasonSoaking, "1.0.0 has to be Available in staging for 30m0.000000001s", half, 1},
		"the second":          {"", staging(ran(one)), soak(30 * time.Minute), one, open, environment.ReasonPromoted, "1.0.0 is Available in staging", 0, never},
		"after it":            {"", staging(ran(one)), soak(time.Minute), one, open, environment.ReasonPromoted, "1.0.0 is Available in staging", -29 * time.Minute, never},
		"replaced too soon":   {"time after it was replaced does not count", staging(ran(two, decided(-20*time.Minute)), ran(one)), soak(15 * time.Minute), one, closed, environment.ReasonSoaking, "1.0.0 was Available in staging for 10m0s of 15m0s before 2.0.0 replaced it; deploy it there again, or let a newer release run for that long", -20 * time.Minute, never},
		"replaced before":     {"the clock was set back", staging(ran(two, decided(-50*time.Minute)), ran(one)), soak(15 * time.Minute), one, closed, environment.ReasonSoaking, "1.0.0 was Available in staging for 0s of 15m0s before 2.0.0 replaced it; deploy it there again, or let a newer release run for that long", -50 * time.Minute, never},
		"replaced in time":    {"", staging(ran(two, decided(-15*time.Minute)), ran(one)), soak(15 * time.Minute), one, open, environment.ReasonPromoted, "1.0.0 is Available in staging", -15 * time.Minute, never},
		"replaced by a fake":  {"", staging(ran(two, decided(-20*time.Minute), doubted), ran(one)), soak(15 * time.Minute), one, open, environment.ReasonPromoted, "1.0.0 is Available in staging", -15 * time.Minute, never},
		"replaced, no soak":   {"", staging(ran(two, decided(-29*time.Minute)), ran(one)), soak(0), one, open, environment.ReasonPromoted, "1.0.0 is Available in staging", half, never},
		"again":               {"the last time it ran counts", staging(ran(one), ran(two, decided(-20*time.Minute)), ran(one)), soak(15 * time.Minute), one, open, environment.ReasonPromoted, "1.0.0 is Available in staging", -15 * time.Minute, never},
		"since when":          {"nobody knows how long", staging(ran(one, sinceUnknown)), soak(time.Second), one, closed, environment.ReasonSoaking, "nothing says since when 1.0.0 is Available in staging", never, never},
		"since does not care": {"", staging(ran(one, sinceUnknown)), soak(0), one, open, environment.ReasonPromoted, "1.0.0 is Available in staging", never, never},
		"fresh":               {"", old(time.Minute), patient(10 * time.Minute), one, open, environment.ReasonPromoted, "1.0.0 is Available in staging", half, 9 * time.Minute},
		"last second":         {"", old(10*time.Minute - time.Second), patient(10 * time.Minute), one, open, environment.ReasonPromoted, "1.0.0 is Available in staging", half, time.Second},
		"outdated":            {"the second counts", old(10 * time.Minute), patient(10 * time.Minute), one, pending, environment.ReasonNewsOutdated, outdated("11:50:00"), 0, never},
		"long outdated":       {"", old(time.Hour), patient(10 * time.Minute), one, pending, environment.ReasonNewsOutdated, outdated("11:00:00"), -50 * time.Minute, never},
		"no patience":         {"where every change is told at once", old(1000 * time.Hour), patient(0), one, open, environment.ReasonPromoted, "1.0.0 is Available in staging", half, never},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.check(t)
		})
	}
}

func TestAskSeveral(t *testing.T) {
	t.Parallel()
	later := func(d *environment.Deployment) { d.AvailableSince = noon.Add(-time.Minute) }
	snapshot := told(stage("eu", ran(one)), stage("us", ran(one, later)), stage("qa", ran(one, is(v1alpha1.BakeFailed))))
	for name, tc := range map[string]asked{
		"all":         {"since the last of them", snapshot, after("eu", "us"), one, open, environment.ReasonPromoted, "1.0.0 is Available in eu and us", -time.Minute, never},
		"the order":   {"of the spec", snapshot, after("us", "eu"), one, open, environment.ReasonPromoted, "1.0.0 is Available in us and eu", -time.Minute, never},
		"one is not":  {"", snapshot, after("eu", "qa", "us"), one, closed, environment.ReasonNotAvailableUpstream, "1.0.0 is failed in qa", -time.Hour, never},
		"one unknown": {"the first that objects says so", snapshot, after("eu", "asia", "qa"), one, closed, environment.ReasonUnknownEnvironment, "no environment asia of this application is known: wait for its first deployment, or correct the name in spec.dependsOn or spec.relationship of the Environment", never, never},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.check(t)
		})
	}
}

// TestIdentity asks about a release of every kind after a deployment of every kind.
func TestIdentity(t *testing.T) {
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
		"same digest":                      {release("1", "a", ""), release("1", "a", ""), promoted},
		"same digest, other tag":           {release("rc", "a", ""), release("1", "a", ""), promoted},
		"same digest, other revision":      {release("1", "a", "r"), release("1", "a", "s"), promoted},
		"other digest":                     {release("1", "b", ""), release("1", "a", ""), undeployed},
		"other digest of the revision":     {release("1", "b", "r"), release("1", "a", "r"), undeployed},
		"same revision":                    {release("1", "", "r"), release("1", "", "r"), promoted},
		"same revision, other tag":         {release("rc", "", "r"), release("1", "", "r"), promoted},
		"same revision, digest here":       {release("1", "", "r"), release("1", "a", "r"), promoted},
		"same revision, digest there":      {release("1", "a", "r"), release("1", "", "r"), promoted},
		"other revision":                   {release("1", "", "s"), release("1", "", "r"), undeployed},
		"other revision, digest here":      {release("1", "", "s"), release("1", "a", "r"), undeployed},
		"a tag is not enough":              {release("1", "", ""), release("1", "", ""), unidentified},
		"digest there only":                {release("1", "a", ""), release("1", "", ""), unidentified},
		"digest here only":                 {release("1", "", ""), release("1", "a", ""), unidentified},
		"revision there only":              {release("1", "", "r"), release("1", "", ""), unidentified},
		"revision here only":               {release("1", "", ""), release("1", "", "r"), unidentified},
		"digest there, revision here":      {release("1", "a", ""), release("1", "", "r"), unidentified},
		"revision there, digest here":      {release("1", "", "r"), release("1", "a", ""), unidentified},
		"other tag, nothing to tell it by": {release("2", "", ""), release("1", "", ""), undeployed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := told(stage("staging", ran(tc.there))).Ask(after("staging"), tc.here)
			if a.Reason != tc.reason || (a.State == open) != (tc.reason == promoted) {
				t.Errorf("got %s, %s: %s", a.State, a.Reason, a.Message)
			}
			if tc.reason == unidentified && !strings.Contains(a.Message, "digestReflectionPolicy") {
				t.Errorf("it does not say what to do: %s", a.Message)
			}
			if environment.SameContent(tc.there, tc.here) != environment.SameContent(tc.here, tc.there) {
				t.Error("the order of the two matters")
			}
		})
	}
	empty := ""
	if v := (v1alpha1.VersionInfo{Tag: "1", Revision: &empty}); environment.SameContent(v, v) {
		t.Error("no revision is not the same revision")
	}
	if a := told(stage("staging", ran(release("1", "", ""), doubted))).Ask(after("staging"), release("1", "", "")); a.Reason != undeployed {
		t.Errorf("whoever forges a tag can make it say %s", a.Reason)
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
		"none":         {},
		"relationship": {spec: environments.EnvironmentSpec{Relationship: after}, want: []environment.Upstream{{Environment: "staging"}}},
		"both": {
			spec: environments.EnvironmentSpec{Relationship: after, DependsOn: []environments.Dependency{{Environment: "qa", MinAvailableFor: &hour}}},
			want: []environment.Upstream{{Environment: "staging"}, {Environment: "qa", For: time.Hour}},
		},
		"the same twice": {
			spec: environments.EnvironmentSpec{Relationship: after, DependsOn: []environments.Dependency{{Environment: "staging", MinAvailableFor: &hour}}},
			want: []environment.Upstream{{Environment: "staging", For: time.Hour}},
		},
		"no duration": {
			spec: environments.EnvironmentSpec{DependsOn: []environments.Dependency{{Environment: "qa"}, {Environment: "staging", MinAvailableFor: &bad}}},
			err:  "spec.dependsOn[1].minAvailableFor",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := environment.Upstreams(tc.spec)
			if diff := gocmp.Diff(tc.want, got); diff != "" || (err != nil) != (tc.err != "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			if environment.Promotes(tc.spec) != (name != "none") {
				t.Error("it promotes, or not")
			}
		})
	}
}

// TestWhoOpensTheGate: each reason is cleared by somebody who can clear it.
func TestWhoOpensTheGate(t *testing.T) {
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
		g := &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{Kind: "Environment", Controller: &controls}}}}
		g.Status.Verdicts = []v1alpha1.GateVerdict{{Release: "1.0.0", State: closed, Reason: reason, Message: "because"}}
		if v := gate.Evaluate(g, v1alpha1.ReleaseIdentity{Tag: "1.0.0"}, gate.Context{Now: noon}); v.Open() || !strings.Contains(v.ClearedBy, want) {
			t.Errorf("%s is cleared by %q", reason, v.ClearedBy)
		}
		g.Status.Verdicts[0].State = open
		if v := gate.Evaluate(g, v1alpha1.ReleaseIdentity{Tag: "1.0.0"}, gate.Context{Now: noon}); !v.Open() {
			t.Errorf("an open gate is %+v", v)
		}
	}
}
