package environment_test

import (
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
)

func entry(id int64, v v1alpha1.VersionInfo, s v1alpha1.BakeStatus) v1alpha1.DeploymentHistoryEntry {
	status := string(s)
	return v1alpha1.DeploymentHistoryEntry{ID: &id, Version: v, BakeStatus: &status, Timestamp: metav1.NewTime(noon)}
}

func TestStateOf(t *testing.T) {
	t.Parallel()
	message, ended, retriedAt := "as planned", metav1.NewTime(noon.Add(time.Minute)), metav1.NewTime(noon.Add(time.Second))
	retried := entry(3, two, v1alpha1.BakeInProgress)
	retried.Message, retried.BakeStatusMessage, retried.LastRetryTimestamp = &message, &message, &retriedAt
	available := entry(2, one, v1alpha1.BakeSucceeded)
	available.BakeEndTime = &ended
	failed := entry(1, two, v1alpha1.BakeFailed)
	failed.BakeEndTime = &ended
	withoutID := v1alpha1.DeploymentHistoryEntry{Version: one, Timestamp: metav1.NewTime(noon)}

	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{UID: "u"}}
	ro.Status.History = []v1alpha1.DeploymentHistoryEntry{retried, available, withoutID, failed}
	ro.Status.AvailableReleases = []v1alpha1.VersionInfo{two, one}
	ro.Status.Quarantined = []v1alpha1.Quarantine{
		{ReleaseIdentity: v1alpha1.ReleaseIdentity{Tag: "2.0.0", Digest: "sha256:2"}, Reason: "it lost orders"},
		{ReleaseIdentity: v1alpha1.ReleaseIdentity{Tag: "1.0.0", Digest: "sha256:other"}, Reason: "another image of the tag"},
	}
	e := &environments.Environment{Spec: environments.EnvironmentSpec{
		Name: "kuberik/shop", Environment: "production",
		Relationship: &environments.Relationship{Environment: "staging", Type: environments.Parallel},
		DependsOn:    []environments.Dependency{{Environment: "qa"}, {Environment: "staging"}},
	}}
	e.Status.EnvironmentInfos = []environments.EnvironmentInfo{
		{
			Environment: "staging", EnvironmentURL: "https://staging/",
		}, {Environment: "production", EnvironmentURL: "https://production/"},
	}
	want := environment.State{
		Application: "shop", Environment: "production", After: []string{
			"staging", "qa",
		}, Parallel: true, // no URL: the status is not trusted
		Deployments: []environment.Deployment{
			{
				Key: "u/3", ID: 3, Version: two, Message: message, State: v1alpha1.BakeInProgress, StateMessage: message,
				Attempt: retriedAt.Time, At: noon, Order: 1, Quarantine: "it lost orders",
			},
			{Key: "u/2", ID: 2, Version: one, State: v1alpha1.BakeSucceeded, At: noon, AvailableSince: ended.Time, Order: 2},
			{Key: "u/1", ID: 1, Version: two, State: v1alpha1.BakeFailed, At: noon, Order: 1, Quarantine: "it lost orders"},
		},
	}
	if diff := gocmp.Diff(want, environment.StateOf(e, ro)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	e = &environments.Environment{Spec: environments.EnvironmentSpec{Name: "shop", Environment: "dev"}}
	if diff := gocmp.Diff(
		environment.State{Application: "shop", Environment: "dev"}, environment.StateOf(e, &v1alpha1.Rollout{}),
	); diff != "" {
		t.Errorf("without a history (-want +got):\n%s", diff)
	}
}

// TestStateOfEntryWithoutState: other controllers may have written the history.
func TestStateOfEntryWithoutState(t *testing.T) {
	t.Parallel()
	id := int64(7)
	ro := &v1alpha1.Rollout{}
	ro.Status.History = []v1alpha1.DeploymentHistoryEntry{{ID: &id, Version: one}}
	s := environment.StateOf(&environments.Environment{}, ro)
	if diff := gocmp.Diff([]environment.Deployment{{Key: "/7", ID: 7, Version: one}}, s.Deployments); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.Environment = "staging"
	if a := snapshotOf(s).Evaluate(requires("staging"), one); a.State != closed {
		t.Errorf("a deployment without a state opens the gate: %+v", a)
	}
}

func TestApplication(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"shop": "shop", "kuberik/shop": "shop", "kuberik/kuberik/shop": "kuberik/shop", "kuberik/": "kuberik/",
		"kuberik": "kuberik", "": "", "other/shop": "other/shop",
	} {
		if got := environment.Application(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestInterval(t *testing.T) {
	t.Parallel()
	for interval, want := range map[string]time.Duration{
		"": time.Minute, "10s": 10 * time.Second, "1s": 10 * time.Second, "0s": 10 * time.Second, "90s": 90 * time.Second,
		"1h30m": 90 * time.Minute,
	} {
		spec := environments.EnvironmentSpec{RequeueInterval: &interval}
		if interval == "" {
			spec.RequeueInterval = nil
		}
		if got, err := environment.Interval(spec); got != want || err != nil {
			t.Errorf("%q: got %s, %v", interval, got, err)
		}
	}
	for name, c := range map[string]struct {
		spec environments.EnvironmentSpec
		want time.Duration
		says string
	}{
		"alone":     {environments.EnvironmentSpec{Interval: new(v1alpha1.Duration("90s"))}, 90 * time.Second, ""},
		"both":      {environments.EnvironmentSpec{Interval: new(v1alpha1.Duration("2m")), RequeueInterval: new("2m")}, 2 * time.Minute, ""},
		"different": {environments.EnvironmentSpec{Interval: new(v1alpha1.Duration("2m")), RequeueInterval: new("1m")}, 10 * time.Second, "spec.requeueInterval is 1m"},
		"invalid":   {environments.EnvironmentSpec{Interval: new(v1alpha1.Duration("soon"))}, 10 * time.Second, "spec.interval:"},
	} {
		got, err := environment.Interval(c.spec)
		if got != c.want || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %s, %v, want %s and %q", name, got, err, c.want, c.says)
		}
	}
	for _, interval := range []string{"soon", "99999999999999999h", ""} {
		if _, err := environment.Interval(environments.EnvironmentSpec{RequeueInterval: &interval}); err == nil {
			t.Errorf("%q is accepted as an interval", interval)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	n := snapshotOf(state("a"), state("b"))
	if s, ok := n.Find("b"); !ok || s.Environment != "b" {
		t.Errorf("got %+v", s)
	}
	if _, ok := n.Find("c"); ok {
		t.Error("an unknown environment was found")
	}
}

func TestGateName(t *testing.T) {
	t.Parallel()
	spec := func(name string, after ...string) environments.EnvironmentSpec {
		s := environments.EnvironmentSpec{Environment: name}
		for _, up := range after {
			s.DependsOn = append(s.DependsOn, environments.Dependency{Environment: up})
		}
		return s
	}
	both := spec("global", "qa", "staging")
	both.Relationship = &environments.Relationship{Environment: "qa"}
	long := spec("production", strings.Repeat("staging", 10))
	for want, spec := range map[string]environments.EnvironmentSpec{
		"production-after-staging":                                  spec("production", "staging"),
		"global-after-qa-and-staging":                               both,
		"eu-west-1-after-pre-prod":                                  spec("eu/west.1", "Pre Prod"),
		"app-after-staging":                                         spec("", "staging"),
		"production-after-a":                                        spec("production", "--a.", "\u00e9"),
		environment.GateName(&environments.Environment{Spec: long}): long,
	} {
		got := environment.GateName(&environments.Environment{ObjectMeta: metav1.ObjectMeta{Name: "app"}, Spec: spec})
		if got != want || len(validation.IsDNS1123Label(got)) > 0 {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
