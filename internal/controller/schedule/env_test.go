package schedule_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/controller/schedule"
	"github.com/kuberik/kuberik/internal/devplane"
	"github.com/kuberik/kuberik/internal/kube"
)

// timeout limits how long a test waits.
const timeout = 30 * time.Second

var (
	plane *devplane.Plane
	// skipReason is why there is no API server.
	skipReason = "needs the local cluster; skipped with -short"
	scheme     = runtime.NewScheme()
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctrl.SetLogger(logr.Discard())
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	flag.Parse()
	if testing.Short() {
		return m.Run()
	}
	ctx := context.Background()
	var err error
	plane, err = devplane.Start(ctx, devplane.Options{})
	if errors.Is(err, devplane.ErrNotBuilt) {
		skipReason = err.Error()
		return m.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := 1
	if err = plane.InstallCRDs(ctx, filepath.Join("..", "..", "..", "config", "crd")); err == nil {
		code = m.Run()
	}
	if err = errors.Join(err, plane.Stop(ctx)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// clock is the real clock with an offset.
type clock struct{ offset atomic.Int64 }

func (c *clock) Now() time.Time                  { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *clock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }
func (c *clock) set(to time.Time)                { c.offset.Store(int64(time.Until(to))) }

// testEnv is a namespace of an API server, on which the controller may run.
type testEnv struct {
	*testing.T
	client.Client
	clock  clock
	events *events.FakeRecorder
	// ns is the namespace of the test.
	ns string
}

// newEnv returns a testEnv without the controller.
func newEnv(t *testing.T) *testEnv {
	t.Helper()
	if plane == nil {
		t.Skip(skipReason)
	}
	c, err := client.New(plane.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	w := &testEnv{T: t, Client: c, events: events.NewFakeRecorder(1000)}
	w.ns = w.newNamespace(nil)
	t.Cleanup(func() { w.cleanUp(context.Background()) })
	return w
}

// startController returns a testEnv with the controller. Its tests are not parallel, because ClusterRolloutSchedules
// select the Rollouts of all of them.
func startController(t *testing.T, now string) *testEnv {
	t.Helper()
	w := newEnv(t)
	w.setTime(now)
	mgr, err := ctrl.NewManager(plane.Config(), ctrl.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}, Controller: config.Controller{
			SkipNameValidation: ptr.To(true),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := kube.AddIndexes(t.Context(), mgr.GetFieldIndexer(), schedule.Indexes()...); err != nil {
		t.Fatal(err)
	}
	if err := schedule.New(mgr.GetClient(), w.events, &w.clock).Register(mgr); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w
}

// cleanUp deletes the objects that would affect other tests.
func (w *testEnv) cleanUp(ctx context.Context) {
	if err := w.DeleteAllOf(ctx, &v1alpha1.ClusterRolloutSchedule{}); err != nil {
		w.Error(err)
	}
	var all v1alpha1.RolloutList
	if err := w.List(ctx, &all); err != nil {
		w.Error(err)
	}
	for i := range all.Items {
		if err := w.Client.Delete(ctx, &all.Items[i]); err != nil {
			w.Error(err)
		}
	}
}

// setTime sets the clock.
func (w *testEnv) setTime(now string) {
	w.Helper()
	to, err := time.Parse(time.RFC3339Nano, now)
	if err != nil {
		w.Fatal(err)
	}
	w.clock.set(to)
}

func (w *testEnv) newNamespace(labels map[string]string) string {
	w.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "schedule-", Labels: labels}}
	w.create(ns)
	return ns.Name
}

func (w *testEnv) create(list ...client.Object) {
	w.Helper()
	for _, o := range list {
		if err := w.Create(w.Context(), o); err != nil {
			w.Fatalf("creating %T %s: %v", o, o.GetName(), err)
		}
	}
}

func (w *testEnv) rollout(namespace, name string, labels map[string]string) *v1alpha1.Rollout {
	w.Helper()
	ro := &v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels}}
	ro.Spec.ReleasesImagePolicy.Name = "app"
	w.create(ro)
	return ro
}

// local and cluster create schedules that select Rollouts with appLabels.
func (w *testEnv) local(name string, edit func(*v1alpha1.ScheduleSpec)) *v1alpha1.RolloutSchedule {
	w.Helper()
	s := &v1alpha1.RolloutSchedule{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name}}
	s.Spec.RolloutSelector.MatchLabels = appLabels
	edit(&s.Spec)
	w.create(s)
	return s
}

func (w *testEnv) cluster(name string, edit func(*v1alpha1.ClusterScheduleSpec)) *v1alpha1.ClusterRolloutSchedule {
	w.Helper()
	s := &v1alpha1.ClusterRolloutSchedule{ObjectMeta: metav1.ObjectMeta{Name: name}}
	s.Spec.RolloutSelector.MatchLabels = appLabels
	edit(&s.Spec)
	w.create(s)
	return s
}

var appLabels = map[string]string{"app": "app"}

func setFreeze(s *v1alpha1.ScheduleSpec) { s.Always = true }

func setOfficeHours(s *v1alpha1.ScheduleSpec) {
	s.Action, s.Rules = v1alpha1.ScheduleAllow, []v1alpha1.ScheduleRule{
		{Name: "office", TimeRange: &v1alpha1.TimeRange{Start: "09:00", End: "17:00"}},
	}
}

// change reads an object and patches it.
func change[T client.Object](w *testEnv, o T, edit func(T)) {
	w.Helper()
	if err := w.Get(w.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		w.Fatal(err)
	}
	before := o.DeepCopyObject().(T)
	edit(o)
	if err := w.Patch(w.Context(), o, client.MergeFrom(before)); err != nil {
		w.Fatalf("changing %T %s: %v", o, o.GetName(), err)
	}
}

// triggerReconcile changes an annotation of a schedule. Its requeue timer does not notice that the clock was set.
func triggerReconcile[T client.Object](w *testEnv, s T) {
	w.Helper()
	change(w, s, func(s T) {
		annotations := s.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations["test"] = fmt.Sprint(time.Now().UnixNano())
		s.SetAnnotations(annotations)
	})
}

func (w *testEnv) delete(o client.Object) {
	w.Helper()
	if err := w.Client.Delete(w.Context(), o); err != nil {
		w.Fatal(err)
	}
}

// eventually repeats a check until it returns nil.
func (w *testEnv) eventually(want string, check func() error) {
	w.Helper()
	end := time.Now().Add(timeout)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			w.Fatalf("%s: %v", want, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// gates lists the gates of a namespace.
func (w *testEnv) gates(namespace string) []v1alpha1.RolloutGate {
	w.Helper()
	var list v1alpha1.RolloutGateList
	if err := w.List(w.Context(), &list, client.InNamespace(namespace)); err != nil {
		w.Fatal(err)
	}
	return list.Items
}

// summarize returns the sorted names of the Rollouts of gates, and whether each gate is open.
func summarize(gates []v1alpha1.RolloutGate) string {
	var list []string
	for _, g := range gates {
		list = append(list, fmt.Sprintf("%s:%t", g.Spec.RolloutRef.Name, g.Spec.Passing != nil && *g.Spec.Passing))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// awaitGates waits until the summary of the gates of a namespace is as wanted.
func (w *testEnv) awaitGates(namespace, want string) []v1alpha1.RolloutGate {
	w.Helper()
	var gates []v1alpha1.RolloutGate
	w.eventually("the gates of "+namespace, func() error {
		if gates = w.gates(namespace); summarize(gates) != want {
			return fmt.Errorf("got %q, want %q", summarize(gates), want)
		}
		return nil
	})
	return gates
}

// awaitCondition waits until a condition of a schedule has a status and a reason, and returns its message.
func (w *testEnv) awaitCondition(s client.Object, kind string, status metav1.ConditionStatus, reason string) string {
	w.Helper()
	var message string
	w.eventually(fmt.Sprintf("%s is %s (%s)", kind, status, reason), func() error {
		if err := w.Get(w.Context(), client.ObjectKeyFromObject(s), s); err != nil {
			return err
		}
		st := statusOf(s)
		c := apimeta.FindStatusCondition(st.Conditions, kind)
		if c == nil || st.ObservedGeneration != s.GetGeneration() || c.Status != status || c.Reason != reason {
			return fmt.Errorf("got %+v", st)
		}
		message = c.Message
		return nil
	})
	return message
}

func statusOf(s client.Object) *v1alpha1.ScheduleStatus {
	if local, ok := s.(*v1alpha1.RolloutSchedule); ok {
		return &local.Status
	}
	return &s.(*v1alpha1.ClusterRolloutSchedule).Status
}

// awaitEvent waits for an event that contains a text.
func (w *testEnv) awaitEvent(text string) {
	w.Helper()
	var seen []string
	end := time.After(timeout)
	for {
		select {
		case e := <-w.events.Events:
			if strings.Contains(e, text) {
				return
			}
			seen = append(seen, e)
		case <-end:
			w.Fatalf("no event %q; there were %q", text, seen)
		}
	}
}
