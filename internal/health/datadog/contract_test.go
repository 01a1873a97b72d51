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
	canary        = "canary-7f3b9c"
	silentTimeout = 200 * time.Millisecond
)

// newContractFake returns a fake Datadog for a situation. Its responses contain the keys.
func newContractFake(t *testing.T, d v1alpha1.DatadogCheck, s healthtest.Situation, answers map[healthtest.Situation]any) (health.Checker, health.CheckInput) {
	t.Helper()
	f := newFake(t)
	f.secret("shop", "datadog", canary, canary)
	switch s {
	case healthtest.Failing:
		f.respondWithStatus(http.StatusInternalServerError)
	case healthtest.Silent:
		f.handle(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	case healthtest.Slow:
		f.handle(func(w http.ResponseWriter, _ *http.Request) {
			<-time.After(100 * time.Millisecond)
			f.write(w, answers[healthtest.Healthy])
		})
	default:
		f.respondWith(answers[s])
	}
	subject := subject(d)
	timeout := v1alpha1.Duration("5s")
	if s == healthtest.Silent {
		timeout = v1alpha1.Duration(silentTimeout.String())
	}
	subject.Check.Spec.Timeout = &timeout
	subject.Release = health.Release{
		Namespace: "shop", Rollout: "hello", Tag: "1.2.3", Revision: "main@sha1:1", Token: "1",
		DeployedAt: now.Add(-time.Hour), InFlight: true,
	}
	return f, subject
}

func withCanaryName(m *datadogV1.Monitor) { m.SetName("errors " + canary) }

func TestContract(t *testing.T) {
	states := map[healthtest.Situation]datadogV1.MonitorOverallStates{
		healthtest.Healthy: "OK", healthtest.Unhealthy: "Alert", healthtest.Pending: "Warn", healthtest.NoData: "No Data",
	}
	one, all := map[healthtest.Situation]any{}, map[healthtest.Situation]any{}
	for situation, state := range states {
		one[situation] = newMonitor(123, state, withCanaryName)
		all[situation] = []datadogV1.Monitor{newMonitor(123, state, withCanaryName), newMonitor(124, "OK", withCanaryName)}
	}
	all[healthtest.NoData] = []datadogV1.Monitor{}
	graphs := map[healthtest.Situation]any{
		healthtest.Healthy: queryResponse(newSeries("env:"+canary, 0.001)), healthtest.Unhealthy: queryResponse(
			newSeries("env:"+canary, 0.5),
		),
		healthtest.NoData: queryResponse(),
	}
	cases := map[string]struct {
		check   v1alpha1.DatadogCheck
		answers map[healthtest.Situation]any
		cannot  map[healthtest.Situation]string
	}{
		"Monitor":  {byID(), one, nil},
		"Monitors": {byTags("team:shop"), all, nil},
		"Query": {
			byQuery("series.all(s, s.last < 0.01)"), graphs,
			map[healthtest.Situation]string{healthtest.Pending: "an expression is either true or false"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			healthtest.Run(t, healthtest.Harness{
				Play: func(t *testing.T, s healthtest.Situation) (health.Checker, health.CheckInput) {
					t.Helper()
					return newContractFake(t, tc.check, s, tc.answers)
				},
				Cannot: tc.cannot, Canary: canary, Timeout: silentTimeout,
			})
		})
	}
}

// objectReader returns DatadogMonitors for a situation.
type objectReader struct {
	*fake
	healthtest.Situation
}

// Get implements client.Reader.
func (c objectReader) Get(ctx context.Context, _ client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	state := map[healthtest.Situation]string{
		healthtest.Healthy: "OK", healthtest.Slow: "OK", healthtest.Unhealthy: "Alert", healthtest.Pending: "Warn", healthtest.NoData: "No Data",
	}[c.Situation]
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case c.Situation == healthtest.Failing:
		return errors.New("unavailable")
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
	newMonitorObject(map[string]any{"monitorState": state}).DeepCopyInto(u)
	return nil
}

func TestContractOfDatadogMonitors(t *testing.T) {
	t.Parallel()
	healthtest.Run(t, healthtest.Harness{Timeout: silentTimeout, Play: func(t *testing.T, s healthtest.Situation) (health.Checker, health.CheckInput) {
		t.Helper()
		checker, subject := newContractFake(
			t, v1alpha1.DatadogCheck{MonitorRef: &corev1.LocalObjectReference{Name: "errors"}}, s, nil,
		)
		f := checker.(*fake)
		f.Checker.objects = objectReader{f, s}
		return f, subject
	}})
}
