package healthtest_test

import (
	"context"
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/health/healthtest"
)

const (
	canary  = "canary-value"
	faultOf = "HEALTHTEST_FAULT"
)

// checker keeps the contract, but for one fault.
type checker struct {
	situation healthtest.Situation
	timeout   time.Duration
	fault     string
	calls     *atomic.Int64
}

func (c checker) Check(ctx context.Context, s health.CheckInput) (health.Report, error) {
	n := c.calls.Add(1)
	if c.situation == healthtest.Silent {
		if err := c.silence(ctx, s); err != nil || c.fault == "silence is golden" {
			return health.Report{State: v1alpha1.HealthHealthy, Message: "fine"}, err
		}
	}
	report := health.Report{State: map[healthtest.Situation]v1alpha1.HealthState{
		healthtest.Healthy: v1alpha1.HealthHealthy, healthtest.Slow: v1alpha1.HealthHealthy, healthtest.Unhealthy: v1alpha1.HealthUnhealthy,
		healthtest.Pending: v1alpha1.HealthPending, healthtest.NoData: health.NoData,
	}[c.situation], Message: "as it should be"}
	switch c.fault {
	case "wrong verdict":
		report.State = v1alpha1.HealthUnhealthy
	case "unknown state":
		report.State = "Sick"
	case "changes its words":
		report.Message += " " + strconv.FormatInt(n, 10)
	case "tells the secret":
		report.Message = canary
	case "tells the secret encoded":
		report.Message = base64.StdEncoding.EncodeToString([]byte(canary))
	case "claims a revision":
		report.Revision = "main@sha1:none"
	case "says nothing":
		report.Message = ""
	case "two lines":
		report.Message = "one\ntwo"
	case "fills in names":
		report.Name = s.Check.Name + "x"
	case "changes the check":
		s.Check.Annotations = map[string]string{"n": strconv.FormatInt(n, 10)}
	}
	if c.situation == healthtest.Failing {
		return health.Report{}, errors.New(map[bool]string{true: canary, false: "the source is broken"}[c.fault == "tells the secret in an error"])
	}
	return report, ctx.Err()
}

// silence waits for an answer that does not come.
func (c checker) silence(ctx context.Context, s health.CheckInput) error {
	timeout := c.timeout
	if d, err := s.Check.Spec.Timeout.Parse(); err == nil {
		timeout = d
	}
	switch c.fault {
	case "ignores the time-out":
		timeout += 3 * time.Second
	case "ignores the context":
		<-time.After(min(timeout, 5*time.Second))
		return errors.New("timed out")
	case "a cancelled probe fails":
		select {
		case <-time.After(timeout):
			return errors.New("timed out")
		case <-ctx.Done():
			return nil // and so is judged
		}
	case "silence is golden":
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(timeout):
		return errors.New("timed out")
	}
}

func harness(fault string) healthtest.Harness {
	const timeout = 300 * time.Millisecond
	return healthtest.Harness{
		Canary: canary, Timeout: timeout,
		Play: func(t *testing.T, s healthtest.Situation) (health.Checker, health.CheckInput) {
			t.Helper()
			d := v1alpha1.Duration(timeout.String())
			check := &v1alpha1.HealthCheck{Spec: v1alpha1.HealthCheckSpec{Timeout: &d}}
			if fault == "a cancelled probe fails" && s == healthtest.Silent {
				return judging{checker{s, timeout, fault, new(atomic.Int64)}}, health.CheckInput{Check: check}
			}
			return checker{s, timeout, fault, new(atomic.Int64)}, health.CheckInput{Check: check}
		},
	}
}

// judging takes the end of its context for an answer.
type judging struct{ checker }

func (j judging) Check(ctx context.Context, s health.CheckInput) (health.Report, error) {
	if err := j.silence(ctx, s); err != nil {
		return health.Report{}, err
	}
	return health.Report{State: v1alpha1.HealthUnhealthy, Message: "no answer"}, nil
}

func TestKept(t *testing.T) {
	healthtest.Run(t, harness(os.Getenv(faultOf)))
}

// A contract that nothing can break is none.
func TestBroken(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the contract once for each way to break it")
	}
	for fault, want := range map[string]string{
		"wrong verdict":                "want Healthy",
		"unknown state":                `a checker may not report the state "Sick"`,
		"changes its words":            "two reports of the same differ",
		"tells the secret":             "the message contains the secret",
		"tells the secret encoded":     "the message contains the secret",
		"tells the secret in an error": "the error contains the secret",
		"claims a revision":            `reports revision "main@sha1:none"`,
		"says nothing":                 "the message is not fit for a status",
		"two lines":                    "the message is not fit for a status",
		"fills in names":               "fills in fields of the caller",
		"changes the check":            "the checker changed the check that it was given",
		"ignores the time-out":         "with a timeout of 300ms",
		"ignores the context":          "to return after the context ended",
		"a cancelled probe fails":      "a canceled check reported Unhealthy",
		"silence is golden":            "a silent source was reported as healthy",
	} {
		t.Run(strings.ReplaceAll(fault, " ", "-"), func(t *testing.T) {
			t.Parallel()
			args := []string{"-test.run=^TestKept$", "-test.failfast"}
			if fault == "silence is golden" {
				args = args[:1] // more than one sub-test minds, and the one that is meant comes later
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
			cmd.Env = append(os.Environ(), faultOf+"="+fault)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), want) {
				t.Errorf("a checker that %s: got %v, want a failure with %q:\n%s", fault, err, want, out)
			}
		})
	}
}
