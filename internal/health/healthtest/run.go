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

// Situation is what a source is doing.
type Situation string

// Situations that the contract knows.
const (
	// Healthy: the source says that all is well.
	Healthy Situation = "healthy"
	// Unhealthy: the source says that it is not.
	Unhealthy Situation = "unhealthy"
	// Pending: the source says that it is too early to tell.
	Pending Situation = "pending"
	// NoData: the source answers, and has nothing to say.
	NoData Situation = "no data"
	// Silent: the source takes the question and never answers.
	Silent Situation = "silent"
	// Slow: the source says that all is well, but takes a tenth of the time-out for it.
	Slow Situation = "slow"
	// Failing: the source answers that it cannot answer.
	Failing Situation = "failing"
)

const (
	// promptly is how soon a checker has to notice that it is no longer wanted.
	promptly = 3 * time.Second
	// grace is what the controller leaves a checker beyond its time-out.
	grace = time.Second
	// longest is what fits in a status.
	longest = 1024
	askers  = 8
)

// Harness is how the test of a provider plays its source.
type Harness struct {
	// Play puts the source in a situation and returns a checker that asks it, and what to ask. In the situation Silent the time-out of
	// the check is Timeout. It is called once for each sub-test.
	Play func(t *testing.T, s Situation) (health.Checker, health.Subject)
	// Cannot lists situations that the provider cannot be in, and why.
	Cannot map[Situation]string
	// Timeout of a check. Default 1s.
	Timeout time.Duration
	// Unanswered is what the checker makes of a source that is silent or failing: the state Unhealthy, or an error if empty.
	Unanswered v1alpha1.HealthState
	// Revision that the source itself is at, for checkers that find it out. Others must not name one that they were not asked about.
	Revision string
	// Canary is a secret that the source is asked with and repeats in whatever it answers.
	Canary string
}

// Run checks that a provider keeps the contract.
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
		h.in(t, string(v.in), v.in, func(t *testing.T, c health.Checker, s health.Subject) {
			t.Helper()
			h.says(t, c, s, v.want)
		})
		h.in(t, "stable when "+string(v.in), v.in, h.stable)
	}
	h.in(t, "time-out", Silent, h.ends)
	h.in(t, "cancelled while asking", Silent, h.cancelled)
	h.in(t, "cancelled before asking", Healthy, h.cancelledBefore)
	h.in(t, "foreign revision", Healthy, h.claims)
	h.in(t, "nothing deployed", Healthy, h.nothingDeployed)
	h.in(t, "many at once", Healthy, h.concurrent)
}

func (h Harness) in(t *testing.T, name string, s Situation, check func(*testing.T, health.Checker, health.Subject)) {
	t.Helper()
	t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
		if why := h.Cannot[s]; why != "" {
			t.Skip("cannot be " + string(s) + ": " + why)
		}
		checker, subject := h.Play(t, s)
		check(t, checker, subject)
	})
}

// ask asks once, and sees to what has to be so of every report.
func (h Harness) ask(ctx context.Context, t *testing.T, c health.Checker, s health.Subject) (health.Report, error) {
	t.Helper()
	before := s.Check.DeepCopy()
	report, err := c.Check(ctx, s)
	if !reflect.DeepEqual(before, s.Check) {
		t.Error("the checker changed the check that it was given")
	}
	if err != nil {
		h.harmless(t, "the error", err.Error())
		return report, err
	}
	h.harmless(t, "the message", report.Message)
	h.modest(t, s, report)
	return report, nil
}

// modest sees to it that a report says no more than it may.
func (h Harness) modest(t *testing.T, s health.Subject, report health.Report) {
	t.Helper()
	switch report.State {
	case v1alpha1.HealthHealthy, v1alpha1.HealthUnhealthy, v1alpha1.HealthPending, health.NoData:
	default:
		t.Errorf("state %q is none that a checker may report", report.State)
	}
	if report.Revision != "" && report.Revision != s.Release.Revision && report.Revision != h.Revision {
		t.Errorf("speaks for revision %q: was asked about %q, and the source is at %q", report.Revision, s.Release.Revision, h.Revision)
	}
	if report.Name != "" || report.Namespace != "" || report.Current || !report.Since.IsZero() || !report.LastError.IsZero() {
		t.Errorf("fills in what is for the one who asked: %+v", report)
	}
}

// harmless looks at what people will read.
func (h Harness) harmless(t *testing.T, what, text string) {
	t.Helper()
	if strings.TrimSpace(text) == "" || version.Clean(text, longest) != text {
		t.Errorf("%s cannot be shown as it is: %q", what, text)
	}
	if h.Canary == "" {
		return
	}
	raw := []byte(h.Canary)
	forms := []string{h.Canary, strings.TrimRight(base64.StdEncoding.EncodeToString(raw), "="), base64.RawURLEncoding.EncodeToString(raw)}
	for _, form := range forms {
		if strings.Contains(text, form) {
			t.Errorf("%s tells the secret: %q", what, text)
		}
	}
}

func (h Harness) says(t *testing.T, c health.Checker, s health.Subject, want v1alpha1.HealthState) {
	t.Helper()
	report, err := h.ask(t.Context(), t, c, s)
	switch {
	case want == "" && err == nil:
		t.Errorf("got %+v, want an error: the source could not be asked", report)
	case want != "" && err != nil:
		t.Errorf("got error %q, want %s", err, want)
	case err == nil && want != report.State:
		t.Errorf("got %s (%s), want %s", report.State, report.Message, want)
	}
}

func (h Harness) stable(t *testing.T, c health.Checker, s health.Subject) {
	t.Helper()
	first, firstErr := h.ask(t.Context(), t, c, s)
	s.Now = s.Now.Add(time.Minute)
	second, secondErr := h.ask(t.Context(), t, c, s)
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

func (h Harness) ends(t *testing.T, c health.Checker, s health.Subject) {
	t.Helper()
	start := time.Now()
	// The controller would not wait longer either.
	ctx, cancel := context.WithTimeout(t.Context(), h.Timeout+grace+promptly)
	defer cancel()
	report, err := h.ask(ctx, t, c, s)
	if took := time.Since(start); took > h.Timeout+grace {
		t.Errorf("took %s, with a time-out of %s", took, h.Timeout)
	}
	if err == nil && report.State == v1alpha1.HealthHealthy {
		t.Errorf("a source that says nothing was found healthy: %s", report.Message)
	}
}

func (h Harness) cancelled(t *testing.T, c health.Checker, s health.Subject) {
	t.Helper()
	long := v1alpha1.Duration("5m")
	s.Check = s.Check.DeepCopy()
	s.Check.Spec.Timeout = &long
	ctx, cancel := context.WithCancel(t.Context())
	timer := time.AfterFunc(100*time.Millisecond, cancel)
	defer timer.Stop()
	start := time.Now()
	report, err := h.ask(ctx, t, c, s)
	if took := time.Since(start); took > promptly {
		t.Errorf("took %s to notice that nobody waits any more", took)
	}
	undecided(t, report, err)
}

func (h Harness) cancelledBefore(t *testing.T, c health.Checker, s health.Subject) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if report, err := h.ask(ctx, t, c, s); err == nil && report.State != v1alpha1.HealthHealthy {
		undecided(t, report, err)
	}
}

// undecided: a controller that shuts down gives up its probes, and this must not fail a release.
func undecided(t *testing.T, report health.Report, err error) {
	t.Helper()
	if err == nil && report.State != v1alpha1.HealthPending {
		t.Errorf("a probe that was given up found %s (%s), want an error", report.State, report.Message)
	}
}

func (h Harness) claims(t *testing.T, c health.Checker, s health.Subject) {
	t.Helper()
	for _, revision := range []string{"main@sha1:0001", "main@sha1:0002", ""} {
		s.Release.Revision = revision
		if _, err := h.ask(t.Context(), t, c, s); err != nil {
			t.Errorf("asked about revision %q: %s", revision, err)
		}
	}
}

func (h Harness) nothingDeployed(t *testing.T, c health.Checker, s health.Subject) {
	t.Helper()
	s.Release = health.Release{}
	if report, err := h.ask(t.Context(), t, c, s); err == nil && report.Revision != h.Revision {
		t.Errorf("nothing is deployed, and the report speaks for %q", report.Revision)
	}
}

func (h Harness) concurrent(t *testing.T, c health.Checker, s health.Subject) {
	t.Helper()
	reports := make([]health.Report, askers)
	var group sync.WaitGroup
	for i := range reports {
		group.Go(func() {
			own := s
			own.Check = s.Check.DeepCopy()
			report, err := h.ask(t.Context(), t, c, own)
			if err != nil {
				t.Errorf("one of many askers: %s", err)
			}
			reports[i] = report
		})
	}
	group.Wait()
	for _, r := range reports[1:] {
		if r != reports[0] {
			t.Errorf("two of many askers were told different things: %+v and %+v", reports[0], r)
		}
	}
}
