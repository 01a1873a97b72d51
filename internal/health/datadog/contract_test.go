package datadog

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/DataDog/datadog-api-client-go/v2/api/datadogV1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/health/healthtest"
)

const (
	canary  = "canary-7f3b9c"
	silence = 200 * time.Millisecond
)

// play makes a Datadog that is in a situation, and repeats the keys in whatever it answers.
func play(t *testing.T, d v1alpha1.DatadogCheck, s healthtest.Situation, answers map[healthtest.Situation]any) (health.Checker, health.Subject) {
	t.Helper()
	f := newFake(t)
	f.secret("shop", "datadog", canary, canary)
	switch s {
	case healthtest.Failing:
		f.fails(http.StatusInternalServerError)
	case healthtest.Silent:
		f.with(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	case healthtest.Slow:
		f.with(func(w http.ResponseWriter, _ *http.Request) {
			<-time.After(100 * time.Millisecond)
			f.write(w, answers[healthtest.Healthy])
		})
	default:
		f.says(answers[s])
	}
	subject := subject(d)
	timeout := v1alpha1.Duration("5s")
	if s == healthtest.Silent {
		timeout = v1alpha1.Duration(silence.String())
	}
	subject.Check.Spec.Timeout = &timeout
	subject.Release = health.Release{Namespace: "shop", Rollout: "hello", Tag: "1.2.3", Revision: "main@sha1:1", Token: "1", DeployedAt: now.Add(-time.Hour), InFlight: true}
	return f, subject
}

func named(m *datadogV1.Monitor) { m.SetName("errors " + canary) }

func TestContract(t *testing.T) {
	states := map[healthtest.Situation]datadogV1.MonitorOverallStates{
		healthtest.Healthy: "OK", healthtest.Unhealthy: "Alert", healthtest.Pending: "Warn", healthtest.NoData: "No Data",
	}
	one, all := map[healthtest.Situation]any{}, map[healthtest.Situation]any{}
	for situation, state := range states {
		one[situation] = monitorIs(123, state, named)
		all[situation] = []datadogV1.Monitor{monitorIs(123, state, named), monitorIs(124, "OK", named)}
	}
	all[healthtest.NoData] = []datadogV1.Monitor{}
	graphs := map[healthtest.Situation]any{
		healthtest.Healthy: graph(seriesOf("env:"+canary, 0.001)), healthtest.Unhealthy: graph(seriesOf("env:"+canary, 0.5)),
		healthtest.NoData: graph(),
	}
	cases := map[string]struct {
		check   v1alpha1.DatadogCheck
		answers map[healthtest.Situation]any
		cannot  map[healthtest.Situation]string
	}{
		"Monitor":  {byID(), one, nil},
		"Monitors": {byTags("team:shop"), all, nil},
		"Query":    {byQuery("series.all(s, s.last < 0.01)"), graphs, map[healthtest.Situation]string{healthtest.Pending: "a condition holds or does not"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			healthtest.Run(t, healthtest.Harness{
				Play: func(t *testing.T, s healthtest.Situation) (health.Checker, health.Subject) {
					t.Helper()
					return play(t, tc.check, s, tc.answers)
				},
				Cannot: tc.cannot, Canary: canary, Timeout: silence,
			})
		})
	}
}

// cluster reads DatadogMonitors in a situation.
type cluster struct {
	*fake
	healthtest.Situation
}

// Get implements client.Reader.
func (c cluster) Get(ctx context.Context, _ client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	state := map[healthtest.Situation]string{
		healthtest.Healthy: "OK", healthtest.Slow: "OK", healthtest.Unhealthy: "Alert", healthtest.Pending: "Warn", healthtest.NoData: "No Data",
	}[c.Situation]
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case c.Situation == healthtest.Failing:
		return errors.New("away")
	case c.Situation == healthtest.Silent:
		<-ctx.Done()
		return ctx.Err()
	case c.Situation == healthtest.Slow:
		<-time.After(100 * time.Millisecond)
	}
	u, ok := o.(*unstructured.Unstructured)
	if !ok {
		return errors.New("DatadogMonitors are read as unstructured objects")
	}
	object(map[string]any{"monitorState": state}).DeepCopyInto(u)
	return nil
}

func TestContractOfObjects(t *testing.T) {
	t.Parallel()
	healthtest.Run(t, healthtest.Harness{Timeout: silence, Play: func(t *testing.T, s healthtest.Situation) (health.Checker, health.Subject) {
		t.Helper()
		checker, subject := play(t, v1alpha1.DatadogCheck{MonitorRef: &corev1.LocalObjectReference{Name: "errors"}}, s, nil)
		f := checker.(*fake)
		f.Checker.objects = cluster{f, s}
		return f, subject
	}})
}
