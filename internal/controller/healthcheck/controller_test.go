package healthcheck

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/expr"
	"github.com/kuberik/kuberik/internal/fair"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/health/httpcheck"
	"github.com/kuberik/kuberik/internal/outbound"
	"github.com/kuberik/kuberik/internal/outbound/outboundtest"
)

// store has a Rollout in each namespace, that selects every check there, and takes every status.
type store struct {
	client.Client
	writes atomic.Int64
	checks sync.Map
}

func (s *store) Status() client.SubResourceWriter { return statuses{store: s} }

type statuses struct {
	client.SubResourceWriter
	store *store
}

func (s statuses) Patch(_ context.Context, o client.Object, _ client.Patch, _ ...client.SubResourcePatchOption) error {
	s.store.writes.Add(1)
	s.store.checks.Store(o.GetUID(), o)
	return nil
}

func (s *store) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	rollouts, ok := list.(*v1alpha1.RolloutList)
	if !ok {
		return fmt.Errorf("%T is not kept", list)
	}
	namespace := (&client.ListOptions{}).ApplyOptions(opts).Namespace
	ro := v1alpha1.Rollout{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web", UID: types.UID(namespace)}}
	ro.Spec.HealthCheckSelector = &v1alpha1.HealthCheckSelector{Selector: &v1alpha1.LabelSelector{}}
	ro.Status.History = []v1alpha1.DeploymentHistoryEntry{{Version: v1alpha1.VersionInfo{Tag: "1.0.0"}}}
	ro.Status.Targets = []v1alpha1.TargetStatus{{Applied: true}}
	rollouts.Items = append(rollouts.Items, ro)
	return nil
}

// ticker is a clock that stands still until it is moved.
type ticker struct{ at atomic.Int64 }

func (t *ticker) Now() time.Time                  { return start.Add(time.Duration(t.at.Load())) }
func (t *ticker) Since(u time.Time) time.Duration { return t.Now().Sub(u) }
func (t *ticker) move(d time.Duration)            { t.at.Add(int64(d)) }

// world is a controller, and what it is surrounded by.
type world struct {
	*Controller
	store  *store
	clock  *ticker
	server *httptest.Server
	// answer of the server.
	answer, asked atomic.Int64
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{store: &store{}, clock: &ticker{}}
	w.answer.Store(http.StatusOK)
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		w.asked.Add(1)
		rw.WriteHeader(int(w.answer.Load()))
	}))
	tb.Cleanup(w.server.Close)
	asks := outbound.New(outbound.Options{
		Policy: outbound.Policy{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, Keys: &outboundtest.Keys{},
	})
	tb.Cleanup(asks.Close)
	w.Controller = New(w.store, w.clock, Options{Classes: map[string]Class{
		"http": {Checker: httpcheck.Checker{Client: asks, Conditions: expr.NewCache(8<<20, 8<<20)}}, "odd": {Checker: unable{}},
	}})
	return w
}

// unable cannot ask.
type unable struct{}

func (unable) Check(context.Context, health.CheckInput) (health.Report, error) {
	return health.Report{}, errors.New("Secret ns/keys does not exist")
}

func (w *world) check(n int) *v1alpha1.HealthCheck {
	return aCheck("http", func(check *v1alpha1.HealthCheck) {
		check.Name, check.UID, check.Namespace = fmt.Sprint("check-", n), types.UID(fmt.Sprint(n)), fmt.Sprint("ns-", n%100)
		check.Spec.HTTP = &v1alpha1.HTTPCheck{HTTPRequest: v1alpha1.HTTPRequest{URL: w.server.URL}}
	})
}

// reconcile reconciles a check, and returns it as it is afterwards.
func (w *world) reconcile(ctx context.Context, check *v1alpha1.HealthCheck) (*v1alpha1.HealthCheck, ctrl.Result, error) {
	result, err := w.Reconcile(ctx, check)
	if stored, ok := w.store.checks.Load(check.UID); ok {
		check, _ = stored.(*v1alpha1.HealthCheck)
	}
	return check, result, err
}

func TestReconcileProbesOnItsIntervalAndWritesWhatChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	check := w.check(1)
	for i, c := range []struct {
		wait          time.Duration
		answer        int64
		asked, writes int64
		status        v1alpha1.HealthState
	}{
		{0, 200, 1, 1, "Healthy"},
		{time.Second, 500, 1, 1, "Healthy"},
		{time.Minute, 200, 2, 1, "Healthy"},
		{time.Minute, 500, 3, 2, "Unhealthy"},
		{time.Minute, 500, 4, 2, "Unhealthy"},
		{time.Minute, 200, 5, 3, "Healthy"},
	} {
		w.clock.move(c.wait)
		w.answer.Store(c.answer)
		var result ctrl.Result
		var err error
		check, result, err = w.reconcile(t.Context(), check)
		if err != nil || result.RequeueAfter <= 0 || result.RequeueAfter > 32*time.Second {
			t.Errorf("%d: %+v, %v", i, result, err)
		}
		if w.asked.Load() != c.asked || w.store.writes.Load() != c.writes || check.Status.Status != c.status {
			t.Errorf("%d: asked %d times, wrote %d times, %s", i, w.asked.Load(), w.store.writes.Load(), check.Status.Status)
		}
	}
	if got := check.Status.Deployments; len(got) != 1 || got[0].Rollout != "web" {
		t.Errorf("it speaks for %v", got)
	}
	if check.Status.LastErrorTime == nil || !check.Status.LastErrorTime.Time.Equal(start.Add(121*time.Second)) {
		t.Errorf("the last error was at %v", check.Status.LastErrorTime)
	}
}

func TestACheckThatCannotBeAskedIsPendingAndSaysWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	check := w.check(1)
	check.Spec.Class = new("odd")
	check, _, err := w.reconcile(t.Context(), check)
	if err != nil {
		t.Fatal(err)
	}
	if check.Status.Status != v1alpha1.HealthPending || *check.Status.Message != "Secret ns/keys does not exist" {
		t.Errorf("%s: %s", check.Status.Status, *check.Status.Message)
	}
}

// slow answers when its time is up, or refuses an expression.
type slow struct {
	clock   *ticker
	takes   time.Duration
	err     error
	besides func()
}

func (s *slow) Check(context.Context, health.CheckInput) (health.Report, error) {
	s.clock.move(s.takes)
	if s.besides != nil {
		s.besides()
	}
	return health.Report{State: v1alpha1.HealthUnhealthy, Message: "timed out after 10s"}, s.err
}

// A source that never answers keeps a worker waiting, and an expression that is refused as too costly has cost as much as one may.
func TestACheckThatIsHardOnTheControllerIsProbedLessAndLess(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		takes time.Duration
		err   error
		want  []time.Duration
	}{
		"an answer":           {9 * time.Second, nil, []time.Duration{30 * time.Second, 30 * time.Second, 30 * time.Second}},
		"another error":       {0, errors.New("x"), []time.Duration{30 * time.Second, 30 * time.Second, 30 * time.Second}},
		"no answer":           {10 * time.Second, nil, []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 2 * time.Minute}},
		"a costly expression": {0, fmt.Errorf("success: %w", expr.ErrCost), []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.classes["slow"] = Class{Checker: &slow{clock: w.clock, takes: c.takes, err: c.err}, Traits: health.Traits{External: true}}
			check := w.check(1)
			check.Spec.Class = new("slow")
			for i, want := range c.want {
				var result ctrl.Result
				var err error
				check, result, err = w.reconcile(t.Context(), check)
				if err != nil || result.RequeueAfter < earliest(want) || result.RequeueAfter > want+want/20 {
					t.Fatalf("%d: again after %s, want about %s: %v", i, result.RequeueAfter, want, err)
				}
				if _, early, err := w.reconcile(t.Context(), check); err != nil || early.RequeueAfter != earliest(want) {
					t.Fatalf("%d: an event has it probed after %s: %v", i, early.RequeueAfter, err)
				}
				w.clock.move(want)
			}
			check.Generation++
			if _, result, err := w.reconcile(t.Context(), check); err != nil || result.RequeueAfter > 32*time.Second {
				t.Errorf("with another spec it is probed after %s: %v", result.RequeueAfter, err)
			}
		})
	}
}

// greedy takes time for its expression.
type greedy struct{ takes time.Duration }

func (g greedy) Check(ctx context.Context, _ health.CheckInput) (health.Report, error) {
	fair.Charge(ctx, g.takes)
	return health.Report{State: v1alpha1.HealthHealthy, Message: "well"}, nil
}

// TestExpressionsOfOneNamespaceWait: those that take more than their namespace has are probed later, and those of others are not.
func TestExpressionsOfOneNamespaceWaitForNobodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.classes["greedy"] = Class{Checker: greedy{fair.AtOnce + time.Second}}
	first, second, other := w.check(1), w.check(101), w.check(2)
	first.Spec.Class, second.Spec.Class = new("greedy"), new("greedy")
	if first.Namespace != second.Namespace || other.Namespace == first.Namespace {
		t.Fatal("the namespaces are not as the test needs them")
	}
	for _, step := range []struct {
		check *v1alpha1.HealthCheck
		wrote int64
	}{{first, 1}, {second, 1}, {other, 2}} {
		_, result, err := w.reconcile(t.Context(), step.check)
		if err != nil || w.store.writes.Load() != step.wrote {
			t.Errorf("%s: %v, wrote %d times, want %d", step.check.Name, err, w.store.writes.Load(), step.wrote)
		}
		if step.check == second && (result.RequeueAfter < 9*time.Second || result.RequeueAfter > 11*time.Second) {
			t.Errorf("%s waits %s", step.check.Name, result.RequeueAfter)
		}
	}
	w.clock.move(10 * time.Second)
	if _, _, err := w.reconcile(t.Context(), second); err != nil || w.store.writes.Load() != 3 {
		t.Errorf("%v, wrote %d times", err, w.store.writes.Load())
	}
}

// What a check has asked before it was changed or deleted is no verdict.
func TestAProbeEndsWithItsCheck(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	check := w.check(1)
	check.Spec.Class = new("slow")
	w.classes["slow"] = Class{Checker: &slow{clock: w.clock, besides: func() {
		w.probes.Delete(t.Context(), event.DeleteEvent{Object: check}, nil)
	}}}
	if _, result, err := w.reconcile(t.Context(), check); err != nil || result.RequeueAfter != 0 || w.store.writes.Load() != 0 {
		t.Errorf("%+v, %v, wrote %d times", result, err, w.store.writes.Load())
	}
}

func TestATimeoutThatIsNotUsedIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	check := w.check(1)
	long := v1alpha1.Duration("5m")
	check.Spec.Timeout = &long
	check, _, err := w.reconcile(t.Context(), check)
	if err != nil {
		t.Fatal(err)
	}
	want := "answered 200; spec.timeout is 5m, of which 30s are used"
	if got := check.Status.Conditions[0].Message; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// stopping stands still during a probe, as a process does that gets SIGSTOP: the time-out has passed when it goes on.
type stopping struct{ w *world }

func (s stopping) Check(context.Context, health.CheckInput) (health.Report, error) {
	s.w.clock.move(38 * time.Second)
	return health.Report{State: v1alpha1.HealthUnhealthy, Message: "timed out after 10s"}, nil
}

// TestAProbeDuringWhichTheProcessStoodStillCountsForNothing and is made again at once.
func TestAProbeDuringWhichTheProcessStoodStillCountsForNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.processClock.Observe(w.clock.Now())
	http := w.classes["http"]
	w.classes["http"] = Class{Checker: stopping{w}}
	check, result, err := w.reconcile(t.Context(), w.check(1))
	if err != nil || result.RequeueAfter != retryDelay || check.Status.Status != "" || w.store.writes.Load() != 0 {
		t.Fatalf("%+v, %v; it is %q", result, err, check.Status.Status)
	}
	w.classes["http"] = http
	w.processClock.Observe(w.clock.Now())
	if check, _, err = w.reconcile(t.Context(), check); err != nil || check.Status.Status != v1alpha1.HealthHealthy {
		t.Errorf("the next probe: %q, %v", check.Status.Status, err)
	}
}

// BenchmarkFiveThousandChecks probes 5,000 endpoints, each iteration once: one controller has 30 seconds for it.
func BenchmarkFiveThousandChecks(b *testing.B) {
	const checks = 5000
	w := newWorld(b)
	all := make([]*v1alpha1.HealthCheck, checks)
	for i := range all {
		all[i] = w.check(i)
	}
	var probing atomic.Int64
	for b.Loop() {
		w.clock.move(time.Minute)
		w.all(b, all, &probing)
	}
	probes := int64(b.N) * checks
	if w.asked.Load() != probes {
		b.Errorf("asked %d times, want %d", w.asked.Load(), probes)
	}
	if w.store.writes.Load() != checks {
		b.Errorf("wrote %d times, want once for each check", w.store.writes.Load())
	}
	b.ReportMetric(float64(probes)/b.Elapsed().Seconds(), "checks/s")
	b.ReportMetric(float64(probing.Load())/float64(probes)/1e6, "ms/probe")
}

// all reconciles checks, as many at once as the controller does.
func (w *world) all(b *testing.B, checks []*v1alpha1.HealthCheck, probing *atomic.Int64) {
	b.Helper()
	queue := make(chan int)
	done := make(chan struct{})
	for range Workers {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range queue {
				begun := time.Now()
				check, _, err := w.reconcile(b.Context(), checks[i])
				if err != nil || check.Status.Status != v1alpha1.HealthHealthy {
					b.Errorf("%s: %s, %v", check.Name, check.Status.Status, err)
				}
				checks[i] = check
				probing.Add(int64(time.Since(begun)))
			}
		}()
	}
	for i := range checks {
		queue <- i
	}
	close(queue)
	for range Workers {
		<-done
	}
}

// chatty answers Healthy with another message each time.
type chatty struct{ n int }

func (c *chatty) Check(context.Context, health.CheckInput) (health.Report, error) {
	c.n++
	return health.Report{State: v1alpha1.HealthHealthy, Message: fmt.Sprint("answered in ", c.n, "ms")}, nil
}

// TestMessagesThatChangeAllTheTime: a server whose answer differs each time does not have the controller write each time. A change of the
// state is written at once.
func TestMessagesThatChangeAllTheTimeAreWrittenNowAndThen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	kind := w.classes["http"]
	http := kind.Checker
	kind.Checker = &chatty{}
	w.classes["http"] = kind
	check := w.check(1)
	check.Spec.Interval = new(v1alpha1.Duration("1s"))
	var err error
	for range 200 {
		if check, _, err = w.reconcile(t.Context(), check); err != nil {
			t.Fatal(err)
		}
		w.clock.move(1100 * time.Millisecond)
	}
	if n := w.store.writes.Load(); n < 20 || n > 30 {
		t.Errorf("220 seconds of changing messages cost %d writes", n)
	}
	kind.Checker = http
	w.classes["http"] = kind
	w.answer.Store(500)
	if check, _, err = w.reconcile(t.Context(), check); err != nil || check.Status.Status != v1alpha1.HealthUnhealthy {
		t.Errorf("it is %s, %v", check.Status.Status, err)
	}
}
