package healthcheck

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func aCheck(class string, edits ...func(*v1alpha1.HealthCheck)) *v1alpha1.HealthCheck {
	check := &v1alpha1.HealthCheck{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "check", UID: "uid", Generation: 1}, Spec: v1alpha1.HealthCheckSpec{Class: &class},
	}
	for _, e := range edits {
		e(check)
	}
	return check
}

func every(d string) func(*v1alpha1.HealthCheck) {
	return func(check *v1alpha1.HealthCheck) { check.Spec.Interval = new(v1alpha1.Duration(d)) }
}

// spoken is a check with a verdict about deployments.
func spoken(state v1alpha1.HealthState, releases ...health.Release) func(*v1alpha1.HealthCheck) {
	return func(check *v1alpha1.HealthCheck) {
		check.Status.Status, check.Status.ObservedGeneration = state, check.Generation
		check.Status.Message = new("as it was")
		check.Status.Deployments = deployments(check, releases)
	}
}

func deployed(rollout, token string, inFlight bool) health.Release {
	return health.Release{Namespace: "ns", Rollout: rollout, Token: token, InFlight: inFlight}
}

// take stores a verdict as the controller does.
func take(check *v1alpha1.HealthCheck, v verdict) {
	check.Status.Status, check.Status.Message, check.Status.ObservedGeneration = v.State, &v.Message, check.Generation
	check.Status.Deployments, check.Status.ObservedRevision = v.About, v.Revision
}

// probes are written as letters: p passes, f fails, w waits, n has no data; D is a new deployment, G a new generation, R another
// revision, X a restart of the program, S a time in which it stood still. The verdict after each probe is written the same way: P, F, W.
func TestAStateIsLeftAfterAsManyProbesInARowAsItsThreshold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		failure, success int32
		noData           v1alpha1.NoData
		probes, want     string
	}{
		"the defaults":                        {0, 0, "", "pfpfw", "PFPFW"},
		"three passes":                        {1, 3, "", "ppppp", "WWPPP"},
		"three failures":                      {3, 1, "", "pffff", "PPPFF"},
		"three failures at once":              {3, 1, "", "ffff", "WWFF"},
		"flapping never fails":                {3, 1, "", "pffpffpffp", "PPPPPPPPPP"},
		"flapping never passes":               {1, 3, "", "ppfppfppf", "WWFFFFFFF"},
		"a failure is left as slowly":         {2, 2, "", "ffppff", "WFFPPF"},
		"waiting in the middle":               {3, 1, "", "pffwff", "PPPWWW"},
		"waiting in the middle, and on":       {3, 1, "", "pffwfff", "PPPWWWF"},
		"waiting in the middle of passes":     {1, 3, "", "ppwpp", "WWWWW"},
		"no data holds":                       {1, 1, v1alpha1.NoDataHold, "pnp", "PWP"},
		"no data holds by default":            {1, 1, "", "pnp", "PWP"},
		"no data begins anew":                 {3, 1, v1alpha1.NoDataHold, "pffnff", "PPPWWW"},
		"no data passes":                      {2, 2, v1alpha1.NoDataPass, "nn", "WP"},
		"no data fails":                       {2, 1, v1alpha1.NoDataFail, "pnn", "PPF"},
		"no data counts with the others":      {3, 1, v1alpha1.NoDataFail, "pfnf", "PPPF"},
		"a new deployment begins anew":        {3, 1, "", "pffDff", "PPPPP"},
		"a new deployment has to pass anew":   {1, 2, "", "ppDpp", "WPPP"},
		"a new generation begins anew":        {3, 1, "", "pffGfff", "PPPWWF"},
		"a new generation takes nothing over": {1, 3, "", "pppGppp", "WWPWWP"},
		"nor a failure":                       {1, 2, "", "fGpp", "FWP"},
		"another revision begins anew":        {3, 1, "", "pffRfff", "PPPWWF"},
		"a restart forgets the streak":        {3, 1, "", "pffXfff", "PPPPPF"},
		"standing still forgets failures":     {3, 1, "", "pffSfff", "PPPPPF"},
		"standing still forgets passes":       {1, 3, "", "ppSppp", "WWWWP"},
		"a restart keeps the verdict":         {3, 3, "", "fffXppp", "WWFFFP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check := aCheck("http", func(check *v1alpha1.HealthCheck) {
				check.Spec.FailureThreshold, check.Spec.SuccessThreshold, check.Spec.NoData = c.failure, c.success, c.noData
			})
			if got := play(check, c.probes); got != c.want {
				t.Errorf("%s: got %s, want %s", c.probes, got, c.want)
			}
		})
	}
}

func play(check *v1alpha1.HealthCheck, probes string) string {
	s, token, revision := newStreaks(), 0, 0
	var got strings.Builder
	for i, p := range probes {
		switch p {
		case 'D':
			token++
			continue
		case 'G':
			check.Generation++
			continue
		case 'R':
			revision++
			continue
		case 'X':
			s = newStreaks()
			continue
		case 'S':
			s.setGaps(s.gaps + 1)
			continue
		}
		r := health.Report{State: map[rune]v1alpha1.HealthState{
			'p': v1alpha1.HealthHealthy, 'f': v1alpha1.HealthUnhealthy, 'w': v1alpha1.HealthPending, 'n': health.NoData,
		}[p], Message: string(p), Revision: fmt.Sprint(revision)}
		take(check, s.count(check, []health.Release{deployed("web", fmt.Sprint(token), true)}, r, start.Add(time.Duration(i)*time.Minute)))
		got.WriteString(map[v1alpha1.HealthState]string{
			v1alpha1.HealthHealthy: "P", v1alpha1.HealthUnhealthy: "F", v1alpha1.HealthPending: "W",
		}[check.Status.Status])
	}
	return got.String()
}

// Until the threshold is reached, the verdict is for what it was for: a deployment must not pass by the verdict of the last one.
func TestAVerdictSpeaksForANewDeploymentOnlyOnceTheThresholdIsReached(t *testing.T) {
	t.Parallel()
	old, next := deployed("web", "1", true), deployed("web", "2", true)
	check := aCheck("http", spoken(v1alpha1.HealthHealthy, old), func(check *v1alpha1.HealthCheck) { check.Spec.SuccessThreshold = 2 })
	s, passes := newStreaks(), health.Report{State: v1alpha1.HealthHealthy, Message: "answered 200"}
	take(check, s.count(check, []health.Release{next}, passes, start))
	if check.Status.Status != v1alpha1.HealthHealthy || *check.Status.Message != "as it was" || check.Status.Deployments[0].Token != "1" {
		t.Errorf("after one pass: %+v", check.Status)
	}
	take(check, s.count(check, []health.Release{next}, passes, start))
	if check.Status.Status != v1alpha1.HealthHealthy || *check.Status.Message != "answered 200" || check.Status.Deployments[0].Token != "2" {
		t.Errorf("after two: %+v", check.Status)
	}
}

func TestACheckIsDueOnItsIntervalAndWhenItsVerdictMayChange(t *testing.T) {
	t.Parallel()
	old, next, other := deployed("web", "1", true), deployed("web", "2", true), deployed("api", "1", true)
	passes := health.Report{State: v1alpha1.HealthHealthy}
	type change = func(*v1alpha1.HealthCheck)
	for name, c := range map[string]struct {
		report   health.Report
		change   change
		releases []health.Release
		after    time.Duration
		want     time.Duration
	}{
		"at once":                                {passes, nil, []health.Release{old}, 0, 28500 * time.Millisecond},
		"in the middle":                          {passes, nil, []health.Release{old}, 10 * time.Second, 18500 * time.Millisecond},
		"a little early":                         {passes, nil, []health.Release{old}, 28500 * time.Millisecond, 0},
		"long after":                             {passes, nil, []health.Release{old}, time.Hour, 0},
		"a new deployment":                       {passes, nil, []health.Release{next}, time.Second, 0},
		"another Rollout":                        {passes, nil, []health.Release{old, other}, time.Second, 0},
		"a Rollout is gone":                      {passes, nil, nil, time.Second, 27500 * time.Millisecond},
		"another spec":                           {passes, func(check *v1alpha1.HealthCheck) { check.Generation++ }, []health.Release{old}, time.Second, 0},
		"an external check is not probed sooner": {health.Report{State: v1alpha1.HealthPending}, nil, []health.Release{old}, time.Second, 27500 * time.Millisecond},
		"waiting for the threshold neither":      {passes, func(check *v1alpha1.HealthCheck) { check.Status.Status = v1alpha1.HealthPending }, []health.Release{old}, time.Second, 27500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, check := newStreaks(), aCheck("http")
			if got := s.due(check, []health.Release{old}, false, start); got != 0 {
				t.Errorf("a check that was never probed: %s", got)
			}
			take(check, s.count(check, []health.Release{old}, c.report, start))
			if c.change != nil {
				c.change(check)
			}
			if got := s.due(check, c.releases, false, start.Add(c.after)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if got := s.due(check, c.releases, true, start); got != 0 {
				t.Errorf("a check that finds a revision: %s", got)
			}
		})
	}
}

// After a restart, thousands of checks have a verdict that holds. Each is probed within its interval, at the time it was told.
func TestARestartSpreadsProbes(t *testing.T) {
	t.Parallel()
	s, release := newStreaks(), []health.Release{deployed("web", "1", true)}
	halves := [2]int{}
	for i := range 200 {
		check := aCheck("http", spoken(v1alpha1.HealthHealthy, release...))
		check.UID = types.UID(fmt.Sprint(i))
		wait := s.due(check, release, false, start)
		if wait < time.Second || wait > 31*time.Second {
			t.Fatalf("waits %s", wait)
		}
		halves[min(1, int(wait/(16*time.Second)))]++
		if retryDelay := s.due(check, release, false, start.Add(wait/2)); retryDelay != wait-wait/2 {
			t.Errorf("was told to wait %s, and after half of it %s", wait, retryDelay)
		}
		if retryDelay := s.due(check, release, false, start.Add(wait)); retryDelay != 0 {
			t.Errorf("waited %s as told, and is told to wait %s more", wait, retryDelay)
		}
	}
	if halves[0] < 60 || halves[1] < 60 {
		t.Errorf("not spread: %v", halves)
	}
	news := aCheck("http", spoken(v1alpha1.HealthHealthy, release...))
	if wait := s.due(news, []health.Release{deployed("web", "2", true)}, false, start); wait != 0 {
		t.Errorf("a deployment that the verdict does not speak for waits %s", wait)
	}
	changed := aCheck("http", spoken(v1alpha1.HealthHealthy, release...), func(check *v1alpha1.HealthCheck) { check.Generation++ })
	if wait := s.due(changed, release, false, start); wait != 0 {
		t.Errorf("a spec that was never probed waits %s", wait)
	}
}

func TestProbesAreSpread(t *testing.T) {
	t.Parallel()
	different := map[time.Duration]bool{}
	for range 100 {
		d := spread(30 * time.Second)
		if d < earliest(30*time.Second) || d > 32*time.Second {
			t.Errorf("probed again after %s", d)
		}
		different[d] = true
	}
	if len(different) < 50 {
		t.Errorf("%d different intervals", len(different))
	}
}

// TestStreaksOfDeletedChecksAreEvicted: creating and deleting checks again and again fills no memory, and evicts no streak
// of another namespace.
func TestStreaksOfDeletedChecksAreEvicted(t *testing.T) {
	t.Parallel()
	s, passes := newStreaks(), health.Report{State: v1alpha1.HealthHealthy}
	quiet := aCheck("http")
	s.count(quiet, nil, passes, start)
	check := aCheck("http")
	check.Namespace = "loud"
	for i := range 2 * maxStreaks {
		check.UID = types.UID(fmt.Sprint(i))
		s.count(check, nil, passes, start.Add(time.Duration(i)*10*time.Second))
	}
	if size := s.list.Size(); size != maxStreaksOfNamespace+1 {
		t.Errorf("there are %d streaks, want %d", size, maxStreaksOfNamespace+1)
	}
	if _, ok := s.get(quiet); !ok {
		t.Error("the streak of another namespace was evicted")
	}
	s.forget(check)
	if _, ok := s.get(check); ok {
		t.Error("a check that is being deleted has a streak")
	}
}

func TestInterval(t *testing.T) {
	t.Parallel()
	asked := func(d string) func(*v1alpha1.HealthCheck) {
		return func(check *v1alpha1.HealthCheck) {
			check.Annotations = map[string]string{v1alpha1.AnnotationRequeueInterval: d}
		}
	}
	for name, c := range map[string]struct {
		check *v1alpha1.HealthCheck
		state v1alpha1.HealthState
		want  time.Duration
	}{
		"default":                         {aCheck("http"), "Healthy", 30 * time.Second},
		"as the spec has it":              {aCheck("http", every("1m")), "Unhealthy", time.Minute},
		"that cannot be read":             {aCheck("http", every("soon")), "Healthy", 30 * time.Second},
		"as the annotation has it":        {aCheck("http", asked("2m")), "Healthy", 2 * time.Minute},
		"an annotation that is too short": {aCheck("http", asked("1ms")), "Healthy", 5 * time.Second},
		"an annotation of no use":         {aCheck("http", asked("often")), "Healthy", 30 * time.Second},
		"the spec wins":                   {aCheck("http", asked("2m"), every("1m")), "Healthy", time.Minute},
		"waiting for others":              {aCheck("http"), "Pending", 30 * time.Second},
		"waiting for Flux":                {aCheck("kustomization"), "Pending", 2 * time.Second},
		"waiting for a Job":               {aCheck("script"), "Pending", 2 * time.Second},
		"waiting on a shorter interval":   {aCheck("script", every("1s")), "Pending", time.Second},
		"no waiting":                      {aCheck("kustomization"), "Healthy", 30 * time.Second},
	} {
		if got := interval(c.check, health.Report{State: c.state}); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

func TestSubjectIsADeploymentThatWaitsForAVerdict(t *testing.T) {
	t.Parallel()
	a, b := deployed("a", "1", true), deployed("b", "1", true)
	done := deployed("0", "1", false)
	for name, c := range map[string]struct {
		spoken, releases []health.Release
		want             string
	}{
		"nothing is deployed":       {nil, nil, ""},
		"nothing waits":             {nil, []health.Release{done}, "0"},
		"one waits":                 {nil, []health.Release{done, a}, "a"},
		"two wait":                  {nil, []health.Release{a, b}, "a"},
		"one has its verdict":       {[]health.Release{a}, []health.Release{a, b}, "b"},
		"both have":                 {[]health.Release{a, b}, []health.Release{a, b}, "a"},
		"of an earlier deployment":  {[]health.Release{deployed("a", "0", true), b}, []health.Release{a, b}, "a"},
		"spoken of beats not going": {[]health.Release{a}, []health.Release{done, a}, "a"},
	} {
		if got := releaseToCheck(aCheck("http", spoken(v1alpha1.HealthHealthy, c.spoken...)), c.releases); got.Rollout != c.want {
			t.Errorf("%s: got %q, want %q", name, got.Rollout, c.want)
		}
	}
}

func TestCovers(t *testing.T) {
	t.Parallel()
	a, b, retry := v1alpha1.CheckedDeployment{Rollout: "a", Token: "1"}, v1alpha1.CheckedDeployment{Rollout: "b", Token: "1"}, v1alpha1.CheckedDeployment{Rollout: "a", Token: "2"}
	type list = []v1alpha1.CheckedDeployment
	for _, c := range []struct {
		have, want list
		covers     bool
	}{
		{nil, nil, true}, {list{a}, nil, true}, {nil, list{a}, false}, {list{a}, list{a}, true}, {list{b, a}, list{a, b}, true},
		{list{a}, list{a, b}, false}, {list{a}, list{retry}, false},
	} {
		if got := covers(c.have, c.want); got != c.covers {
			t.Errorf("%v of %v: %v", c.want, c.have, got)
		}
	}
	elsewhere := deployments(aCheck("http"), []health.Release{{Namespace: "other", Rollout: "a", Token: "1"}})
	if covers(elsewhere, list{a}) || elsewhere[0].Rollout != "other/a" {
		t.Errorf("a Rollout of another namespace is %v", elsewhere)
	}
}
