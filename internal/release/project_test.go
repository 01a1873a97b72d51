package release

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	kstatus "github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
)

// stored is a status as it comes back from the API server.
func stored(t *testing.T, st v1alpha1.RolloutStatus) v1alpha1.RolloutStatus {
	t.Helper()
	data, err := json.Marshal(st)
	if err != nil {
		t.Fatal(err)
	}
	var back v1alpha1.RolloutStatus
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	return back
}

func TestSecondPassOverAnUnchangedWorldDoesNothing(t *testing.T) {
	worlds := map[string]Observation{
		"at rest":  given(known("1.1.0")),
		"gated":    given(gates(shut("a"), shut("b"))),
		"red":      given(reports(redSite, pending)),
		"failed":   given(failing(), quarantined("1.2.0")),
		"baking":   given(bakes("1h"), baking(time.Second), reports(healthy)),
		"waiting":  given(bakes("1h"), deploying(), reports(pending)),
		"paused":   given(deploying(func(e *v1alpha1.DeploymentHistoryEntry) { e.PausedTime = ceil(now) })),
		"pinned":   given(pinned("1.1.0")),
		"invalid":  given(bakes("soon")),
		"nothing":  {Now: now},
		"no image": given(known("1.1.0"), func(o *Observation) { o.Policy = Policy{} }),
		"fractions of seconds": given(reports(health.Report{State: "Unhealthy", Since: now.Add(123456789)}), func(o *Observation) {
			o.Now = now.Add(987654321)
		}),
	}
	for name, o := range worlds {
		t.Run(name, func(t *testing.T) {
			for range 3 { // two passes may be needed to get there
				o.Status = stored(t, Project(o, Decide(o), nil))
			}
			d := Decide(o)
			o.Now = o.Now.Add(700 * time.Millisecond)
			if next := Project(o, d, nil); Changed(o.Status, next) {
				t.Errorf("it writes again:\n%s", cmp.Diff(o.Status, next, cmpopts.EquateEmpty()))
			}
			for _, a := range d.Actions {
				t.Errorf("it acts again: %T", a)
			}
			if !d.Again.IsZero() && !d.Again.After(now) {
				t.Errorf("it wants to look again at once")
			}
		})
	}
}

func TestStatusStaysSmallWhateverIsPutIn(t *testing.T) {
	huge := strings.Repeat("x\u202e\"", 5_000)
	tag := func(i int) string { return fmt.Sprintf("%s%06d", strings.Repeat("t", 122), i) }
	id := func(i int) v1alpha1.ReleaseIdentity {
		return v1alpha1.ReleaseIdentity{Tag: tag(i), Digest: "sha512:" + fmt.Sprintf("%0128d", i)}
	}
	o := Observation{Now: now, UID: "u", Name: strings.Repeat("n", 253), Policy: Policy{Found: true, Problem: huge}, Health: Health{Problem: huge}}
	limit := int32(1 << 30)
	o.Spec.VersionHistoryLimit, o.Spec.AvailableReleasesMinCount, o.Spec.AvailableReleasesRetentionDays = &limit, &limit, &limit
	for i := range 200 {
		tags := make([]string, 1000)
		for j := range tags {
			tags[j] = tag(j)
		}
		o.Gates = append(o.Gates, &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%0253d", i)}, Spec: v1alpha1.RolloutGateSpec{AllowedVersions: &tags}})
		o.Health.Reports = append(o.Health.Reports, health.Report{Name: fmt.Sprintf("%0253d", i), Namespace: strings.Repeat("m", 63), State: "Unhealthy", Message: huge, Revision: huge})
		o.Targets = append(o.Targets, Target{Kind: "Kustomization", Name: fmt.Sprintf("%0253d", i), Variable: strings.Repeat("V", 253), Message: huge, Problem: huge})
	}
	for i := range 10_000 {
		o.Policy.Tag, o.Policy.Digest = id(i).Tag, id(i).Digest
		o.Details = []Details{{Release: id(i), ReleaseDetails: v1alpha1.ReleaseDetails{
			Revision: huge, Version: huge, Title: huge, Description: huge, Source: huge, ArtifactType: huge, Created: &metav1.Time{Time: now},
		}}}
		if i%100 == 0 { // a deployment by force, replaced by the next
			o.Annotations = map[string]string{v1alpha1.AnnotationForceDeploy: id(i).Tag, v1alpha1.AnnotationDeployMessage: huge, v1alpha1.AnnotationDeployUser: huge, v1alpha1.AnnotationRetry: huge}
		}
		if i > 50 && i%100 > 0 {
			o.Status.AvailableReleases = append(o.Status.AvailableReleases, v1alpha1.VersionInfo{Tag: id(i).Tag, Digest: id(i).Digest})
			continue // what a pass adds is the same each time
		}
		o.Status = Project(o, Decide(o), errors.New(huge))
	}
	o.Status = Project(o, Decide(o), errors.New(huge))
	data, err := json.Marshal(o.Status)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes, %d deployments, %d releases", len(data), len(o.Status.History), len(o.Status.AvailableReleases))
	if len(data) > 256<<10 {
		for field, value := range fields(t, data) {
			t.Logf("%8d %s", len(value), field)
		}
		t.Errorf("%d bytes", len(data))
	}
}

func fields(t *testing.T, data []byte) map[string]json.RawMessage {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestProjectedStatus is about what people, kubectl wait and Flux read. Kustomizations with wait: true that apply a Rollout wait until kstatus
// calls it Current, so it has to be that while a release waits, is deployed, or bakes.
func TestProjectedStatus(t *testing.T) {
	type seen struct{ Phase, Current, Pending, Ready, Available, Halted, Kstatus string }
	notHanded := target(func(t *Target) { *t = Target{Value: "1.1.0"} })
	cases := map[string]struct {
		reason string
		in     Observation
		want   seen
	}{
		"nothing selected":   {"it waits", Observation{Now: now, Policy: Policy{Found: true}}, seen{"Waiting", "", "", "True NoReleases", "False NoReleases", "False", "Current"}},
		"no policy":          {"a person has to create it", Observation{Now: now}, seen{"Waiting", "", "", "False ImagePolicyNotFound", "False ImagePolicyNotFound", "True ImagePolicyNotFound", "Failed"}},
		"intent":             {"what is not handed over does not run", given(), seen{"Deploying", "1.1.0", "", "True Deploying", "False Deploying", "False", "Current"}},
		"kept from Flux":     {"the old version runs", given(deploying(), notHanded, gates(shut("g"))), seen{"Waiting", "1.1.0", "1.2.0", "True Available", "True Available", "False", "Current"}},
		"handed over":        {"the new one runs", given(bakes("1m"), deploying(), reports(pending)), seen{"Deploying", "1.2.0", "", "True Deploying", "False Deploying", "False", "Current"}},
		"baking":             {"not Available yet", given(bakes("1m"), deploying(), reports(healthy)), seen{"Baking", "1.2.0", "", "True Baking", "False Baking", "False", "Current"}},
		"available":          {"all is well", given(known("1.1.0")), seen{"Available", "1.1.0", "", "True Available", "True Available", "False", "Current"}},
		"available and held": {"a newer one waits", given(gates(shut("g"))), seen{"Available", "1.1.0", "1.2.0", "True Available", "True Available", "False", "Current"}},
		"failed":             {"a person is needed", given(failing()), seen{"Failed", "1.2.0", "", "False Failed", "False Failed", "True PreviousFailed", "Failed"}},
		"rolled back":        {"what runs is well, and automation is halted", given(history(entry(3, "1.1.0", v1alpha1.BakeSucceeded, because(v1alpha1.CauseRollback), taking(2)), entry(2, "1.2.0", v1alpha1.BakeFailed)), quarantined("1.2.0"), known("1.1.0", "1.2.0")), seen{"Available", "1.1.0", "", "True Available", "True Available", "True RolledBack", "Current"}},
		"suspended":          {"said so", given(known("1.1.0"), spec(func(s *v1alpha1.RolloutSpec) { s.Suspend = true })), seen{"Suspended", "1.1.0", "", "True Available", "True Available", "False", "Current"}},
		"invalid":            {"said so", given(known("1.1.0"), pinned("")), seen{"Available", "1.1.0", "", "False InvalidSpec", "True Available", "True InvalidSpec", "Failed"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			st := Project(tc.in, Decide(tc.in), nil)
			says := func(kind string) string {
				c := apimeta.FindStatusCondition(st.Conditions, kind)
				return string(c.Status) + " " + c.Reason
			}
			got := seen{
				string(st.Phase), st.CurrentVersion, st.PendingVersion, says(v1alpha1.ConditionReady), says(v1alpha1.ConditionAvailable),
				strings.TrimSuffix(says(v1alpha1.ConditionHalted), " "+v1alpha1.ReasonNormal), kstatusOf(t, st),
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// kstatusOf is what kstatus makes of a Rollout with that status.
func kstatusOf(t *testing.T, st v1alpha1.RolloutStatus) string {
	t.Helper()
	obj, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&v1alpha1.Rollout{Status: st})
	if err != nil {
		t.Fatal(err)
	}
	result, err := kstatus.Compute(&unstructured.Unstructured{Object: obj})
	if err != nil {
		t.Fatal(err)
	}
	return result.Status.String()
}

func TestProjectionSharesNothingWithWhatWasObserved(t *testing.T) {
	o := given(gates(shut("g")), known("1.1.0"))
	st := Project(o, Decide(o), nil)
	st.History[0].Version.Tag, st.AvailableReleases[0].Tag, *st.History[0].BakeStatus = "x", "x", "x"
	if diff := cmp.Diff(given(gates(shut("g")), known("1.1.0")).Status, o.Status); diff != "" {
		t.Errorf("writing to the projected status changed the cache:\n%s", diff)
	}
}

// world is what the benchmarks observe: so many releases, and ten gates.
func world(releases int) Observation {
	o := given(bakes("1h"), reports(healthy, healthy, healthy))
	o.Status.AvailableReleases = nil
	for i := range releases {
		v := v1alpha1.VersionInfo{Tag: fmt.Sprintf("1.%d.0", i), Digest: digest("a")}
		o.Status.AvailableReleases = append(o.Status.AvailableReleases, v)
		o.Details = append(o.Details, Details{Release: v1alpha1.ReleaseIdentity{Tag: v.Tag, Digest: v.Digest}})
	}
	newest := o.Status.AvailableReleases[releases-1]
	o.Policy.Tag, o.Policy.Digest = newest.Tag, newest.Digest
	yes := true
	for i := range 10 {
		o.Gates = append(o.Gates, &v1alpha1.RolloutGate{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(i)}, Spec: v1alpha1.RolloutGateSpec{Passing: &yes}})
	}
	for i := range 10 {
		o.Status.History = append(o.Status.History, entry(int64(1-i), fmt.Sprintf("1.%d.0", i), v1alpha1.BakeSucceeded))
	}
	o.Status = Project(o, Decision{}, nil)
	return o
}

func BenchmarkDecide(b *testing.B) {
	for _, releases := range []int{30, 60, 120} {
		shutLast := world(releases)
		shutLast.Gates[len(shutLast.Gates)-1] = shut("last")
		for name, o := range map[string]Observation{"open": world(releases), "shut": shutLast} {
			b.Run(fmt.Sprintf("%s/%d", name, releases), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					Decide(o)
				}
			})
		}
	}
}

func BenchmarkProject(b *testing.B) {
	o := world(30)
	d := Decide(o)
	b.ReportAllocs()
	for b.Loop() {
		Project(o, d, nil)
	}
}

func TestColumnsNameWhatWaitsAndWhatRuns(t *testing.T) {
	for name, c := range map[string]struct {
		o       Observation
		waits   string
		running string
	}{
		"at rest":   {given(known("1.1.0")), "", "1.1.0"},
		"one gate":  {given(gates(shut("a"))), "RolloutGate a: waits for approval of 1.2.0", "1.1.0"},
		"two gates": {given(gates(shut("a"), shut("b"), shut("c"))), "RolloutGate a: waits for approval of 1.2.0 (and 2 more)", "1.1.0"},
		"a check":   {given(bakes("1h"), deploying(), reports(pending)), "HealthCheck ", "1.2.0"},
		"baking":    {given(bakes("1h"), baking(time.Second), reports(healthy)), "1.2.0 bakes", "1.2.0"},
		"no image":  {given(known("1.1.0"), func(o *Observation) { o.Policy = Policy{} }), "ImagePolicy images: ", "1.1.0"},
	} {
		t.Run(name, func(t *testing.T) {
			st := Project(c.o, Decide(c.o), nil)
			if c.waits == "" && st.WaitsFor != "" || !strings.HasPrefix(st.WaitsFor, c.waits) {
				t.Errorf("it waits for %q, want %q", st.WaitsFor, c.waits)
			}
			for _, v := range st.AvailableReleases {
				rel := &v1alpha1.Release{Spec: v1alpha1.ReleaseSpec{Version: v}}
				if got := StatusOf(&v1alpha1.Rollout{Status: st}, rel); got.Running != (v.Tag == c.running) {
					t.Errorf("%s: running is %t", v.Tag, got.Running)
				}
			}
		})
	}
	// A decision that names no blocker leaves the column filled all the same.
	for want, o := range map[string]Observation{"1.2.0 is handed to Flux next": given(), "1.2.0 is being deployed": given(deploying())} {
		if st := Project(o, Decision{}, nil); st.WaitsFor != want {
			t.Errorf("it waits for %q, want %q", st.WaitsFor, want)
		}
	}
	rel := &v1alpha1.Release{Status: v1alpha1.ReleaseStatus{Details: &v1alpha1.ReleaseDetails{Digest: "sha256:0123456789abcdef"}}}
	if st := StatusOf(&v1alpha1.Rollout{}, rel); st.ShortDigest != "0123456789ab" {
		t.Errorf("the short digest is %q", st.ShortDigest)
	}
}

func TestConditionsSayWhatHasNoEffect(t *testing.T) {
	annotated := func(key string) edit {
		return func(o *Observation) { o.Annotations = map[string]string{key: "1.2.0"} }
	}
	none := "the ImagePolicy selects 1.2.0"
	for name, c := range map[string]struct {
		o             Observation
		kind, message string
	}{
		"a known annotation":          {given(annotated(v1alpha1.AnnotationRetry)), v1alpha1.ConditionReleasesUpdated, none},
		"a link":                      {given(annotated("rollout.kuberik.com/link.Logs")), v1alpha1.ConditionReleasesUpdated, none},
		"an annotation of others":     {given(annotated("example.com/retry")), v1alpha1.ConditionReleasesUpdated, none},
		"a mistyped annotation":       {given(annotated("rollout.kuberik.com/force-deploi")), v1alpha1.ConditionReleasesUpdated, none + "; the annotation rollout.kuberik.com/force-deploi of the Rollout has no effect: the nearest one that has is rollout.kuberik.com/force-deploy"},
		"an annotation of old":        {given(annotated("rollout.kuberik.com/bypass-gate")), v1alpha1.ConditionReleasesUpdated, none + "; the annotation rollout.kuberik.com/bypass-gate of the Rollout has no effect: the nearest one that has is rollout.kuberik.com/bypass-gates"},
		"neither checks nor a bake":   {given(), v1alpha1.ConditionDeploymentBlocked, "nothing judges a release: it is Available as soon as Flux has applied it; set spec.healthCheckSelector, spec.bakeTime or both"},
		"a bake without checks":       {given(bakes("1h")), v1alpha1.ConditionDeploymentBlocked, "no selected check is unhealthy"},
		"checks, and all are healthy": {given(reports(healthy), func(o *Observation) { o.Spec.HealthCheckSelector = &v1alpha1.HealthCheckSelector{} }), v1alpha1.ConditionDeploymentBlocked, "no selected check is unhealthy"},
	} {
		t.Run(name, func(t *testing.T) {
			got := apimeta.FindStatusCondition(Project(c.o, Decide(c.o), nil).Conditions, c.kind)
			if got == nil || got.Message != c.message {
				t.Errorf("%s is %+v, want the message %q", c.kind, got, c.message)
			}
		})
	}
}
