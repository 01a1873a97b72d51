package healthtest

import (
	"context"
	"encoding/base64"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/version"
)

// Situation is how a source behaves.
type Situation string

// Situations of the contract.
const (
	// Healthy: the source reports that all is well.
	Healthy Situation = "healthy"
	// Unhealthy: the source reports a problem.
	Unhealthy Situation = "unhealthy"
	// Pending: the source reports that it has no result yet.
	Pending Situation = "pending"
	// NoData: the source returns no data.
	NoData Situation = "no data"
	// Silent: the source accepts the request and never answers.
	Silent Situation = "silent"
	// Slow: the source reports that all is well after a tenth of the timeout.
	Slow Situation = "slow"
	// Failing: the source answers with an error.
	Failing Situation = "failing"
)

const (
	// cancelTimeout is how soon a checker has to return after its context ends.
	cancelTimeout = 3 * time.Second
	// grace is how long the controller waits beyond the timeout.
	grace = time.Second
	// maxMessage is the maximum length of a message in a status.
	maxMessage  = 1024
	concurrency = 8
)

// Harness is the source of a provider in the contract test.
type Harness struct {
	// Play puts the source in a situation and returns a checker for it, with its input. In the situation Silent, the
	// timeout of the check is Timeout. It is called once for each subtest.
	Play func(t *testing.T, s Situation) (health.Checker, health.CheckInput)
	// Cannot maps situations that do not exist for the provider to the reason.
	Cannot map[Situation]string
	// Timeout is that of a check. Defaults to 1s.
	Timeout time.Duration
	// Unanswered is the state for a source that is silent or failing; empty if it is an error.
	Unanswered v1alpha1.HealthState
	// Revision is that of the source, for checkers that report it. Other checkers may only report that of the input.
	Revision string
	// Canary is a secret of the request. The source repeats it in every answer.
	Canary string
}

// Run tests the contract.
func Run(t *testing.T, h Harness) {
	t.Helper()
	if h.Timeout == 0 {
		h.Timeout = time.Second
	}
	verdicts := []struct {
		in   Situation
		want v1alpha1.HealthState
	}{
		{Healthy, v1alpha1.HealthHealthy}, {Unhealthy, v1alpha1.HealthUnhealthy}, {Pending, v1alpha1.HealthPending},
		{NoData, health.NoData}, {Slow, v1alpha1.HealthHealthy}, {Silent, h.Unanswered}, {Failing, h.Unanswered},
	}
	for _, v := range verdicts {
		h.in(t, string(v.in), v.in, func(t *testing.T, c health.Checker, s health.CheckInput) {
			t.Helper()
			h.says(t, c, s, v.want)
		})
		h.in(t, "stable when "+string(v.in), v.in, h.stable)
	}
	h.in(t, "timeout", Silent, h.ends)
	h.in(t, "cancelled while asking", Silent, h.cancelled)
	h.in(t, "cancelled before asking", Healthy, h.cancelledBefore)
	h.in(t, "foreign revision", Healthy, h.claims)
	h.in(t, "nothing deployed", Healthy, h.nothingDeployed)
	h.in(t, "many at once", Healthy, h.concurrent)
}

func (h Harness) in(t *testing.T, name string, s Situation, check func(*testing.T, health.Checker, health.CheckInput)) {
	t.Helper()
	t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
		if why := h.Cannot[s]; why != "" {
			t.Skip("cannot be " + string(s) + ": " + why)
		}
		checker, subject := h.Play(t, s)
		check(t, checker, subject)
	})
}

// check runs a check once and tests what holds for every report.
func (h Harness) check(
	ctx context.Context, t *testing.T, c health.Checker, s health.CheckInput,
) (health.Report, error) {
	t.Helper()
	before := s.Check.DeepCopy()
	report, err := c.Check(ctx, s)
	if !reflect.DeepEqual(before, s.Check) {
		t.Error("the checker changed the check that it was given")
	}
	if err != nil {
		h.checkText(t, "the error", err.Error())
		return report, err
	}
	h.checkText(t, "the message", report.Message)
	h.checkFields(t, s, report)
	return report, nil
}

// checkFields tests that a report has only the fields that a checker fills in.
func (h Harness) checkFields(t *testing.T, s health.CheckInput, report health.Report) {
	t.Helper()
	switch report.State {
	case v1alpha1.HealthHealthy, v1alpha1.HealthUnhealthy, v1alpha1.HealthPending, health.NoData:
	default:
		t.Errorf("a checker may not report the state %q", report.State)
	}
	if report.Revision != "" && report.Revision != s.Release.Revision && report.Revision != h.Revision {
		t.Errorf("reports revision %q: the input has %q, and the source has %q", report.Revision, s.Release.Revision,
			h.Revision)
	}
	if report.Name != "" || report.Namespace != "" || report.Current || !report.Since.IsZero() ||
		!report.LastError.IsZero() {
		t.Errorf("fills in fields of the caller: %+v", report)
	}
}

// checkText tests that a text is fit for a status and contains no secret.
func (h Harness) checkText(t *testing.T, what, text string) {
	t.Helper()
	if strings.TrimSpace(text) == "" || version.Clean(text, maxMessage) != text {
		t.Errorf("%s is not fit for a status: %q", what, text)
	}
	if h.Canary == "" {
		return
	}
	raw := []byte(h.Canary)
	forms := []string{
		h.Canary, strings.TrimRight(base64.StdEncoding.EncodeToString(raw), "="), base64.RawURLEncoding.EncodeToString(raw),
	}
	for _, form := range forms {
		if strings.Contains(text, form) {
			t.Errorf("%s contains the secret: %q", what, text)
		}
	}
}

func (h Harness) says(t *testing.T, c health.Checker, s health.CheckInput, want v1alpha1.HealthState) {
	t.Helper()
	report, err := h.check(t.Context(), t, c, s)
	switch {
	case want == "" && err == nil:
		t.Errorf("got %+v, want an error: the source could not be asked", report)
	case want != "" && err != nil:
		t.Errorf("got error %q, want %s", err, want)
	case err == nil && want != report.State:
		t.Errorf("got %s (%s), want %s", report.State, report.Message, want)
	}
}

func (h Harness) stable(t *testing.T, c health.Checker, s health.CheckInput) {
	t.Helper()
	first, firstErr := h.check(t.Context(), t, c, s)
	s.Now = s.Now.Add(time.Minute)
	second, secondErr := h.check(t.Context(), t, c, s)
	if first != second || text(firstErr) != text(secondErr) {
		t.Errorf("two reports of the same differ:\n%+v %s\n%+v %s", first, text(firstErr), second, text(secondErr))
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (h Harness) ends(t *testing.T, c health.Checker, s health.CheckInput) {
	t.Helper()
	start := time.Now()
	// The controller does not wait longer either.
	ctx, cancel := context.WithTimeout(t.Context(), h.Timeout+grace+cancelTimeout)
	defer cancel()
	report, err := h.check(ctx, t, c, s)
	if took := time.Since(start); took > h.Timeout+grace {
		t.Errorf("took %s, with a timeout of %s", took, h.Timeout)
	}
	if err == nil && report.State == v1alpha1.HealthHealthy {
		t.Errorf("a silent source was reported as healthy: %s", report.Message)
	}
}

func (h Harness) cancelled(t *testing.T, c health.Checker, s health.CheckInput) {
	t.Helper()
	long := v1alpha1.Duration("5m")
	s.Check = s.Check.DeepCopy()
	s.Check.Spec.Timeout = &long
	ctx, cancel := context.WithCancel(t.Context())
	timer := time.AfterFunc(100*time.Millisecond, cancel)
	defer timer.Stop()
	start := time.Now()
	report, err := h.check(ctx, t, c, s)
	if took := time.Since(start); took > cancelTimeout {
		t.Errorf("took %s to return after the context ended", took)
	}
	checkUndecided(t, report, err)
}

func (h Harness) cancelledBefore(t *testing.T, c health.Checker, s health.CheckInput) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if report, err := h.check(ctx, t, c, s); err == nil && report.State != v1alpha1.HealthHealthy {
		checkUndecided(t, report, err)
	}
}

// checkUndecided tests that a canceled check has no result: a controller that shuts down must not fail a release.
func checkUndecided(t *testing.T, report health.Report, err error) {
	t.Helper()
	if err == nil && report.State != v1alpha1.HealthPending {
		t.Errorf("a canceled check reported %s (%s), want an error", report.State, report.Message)
	}
}

func (h Harness) claims(t *testing.T, c health.Checker, s health.CheckInput) {
	t.Helper()
	for _, revision := range []string{"main@sha1:0001", "main@sha1:0002", ""} {
		s.Release.Revision = revision
		if _, err := h.check(t.Context(), t, c, s); err != nil {
			t.Errorf("asked about revision %q: %s", revision, err)
		}
	}
}

func (h Harness) nothingDeployed(t *testing.T, c health.Checker, s health.CheckInput) {
	t.Helper()
	s.Release = health.Release{}
	if report, err := h.check(t.Context(), t, c, s); err == nil && report.Revision != h.Revision {
		t.Errorf("nothing is deployed, and the report is for revision %q", report.Revision)
	}
}

func (h Harness) concurrent(t *testing.T, c health.Checker, s health.CheckInput) {
	t.Helper()
	reports := make([]health.Report, concurrency)
	var group sync.WaitGroup
	for i := range reports {
		group.Go(func() {
			own := s
			own.Check = s.Check.DeepCopy()
			report, err := h.check(t.Context(), t, c, own)
			if err != nil {
				t.Errorf("a concurrent check failed: %s", err)
			}
			reports[i] = report
		})
	}
	group.Wait()
	for _, r := range reports[1:] {
		if r != reports[0] {
			t.Errorf("two concurrent checks differ: %+v and %+v", reports[0], r)
		}
	}
}
