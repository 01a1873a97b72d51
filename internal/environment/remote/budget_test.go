package remote_test

import (
	"testing"
	"time"

	"github.com/kuberik/kuberik/internal/environment/remote"
)

func TestBudget(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	b := remote.NewBudget(2, time.Hour)
	for _, step := range []struct {
		reason string
		after  time.Duration
		ok     bool
		until  time.Duration
		left   int
	}{
		{"the first request", 0, true, 0, 1},
		{"the second request", 20 * time.Minute, true, 0, 0},
		{"the third request waits for the first to expire", 30 * time.Minute, false, time.Hour, 0},
		{"the first has expired", time.Hour, true, 0, 0},
		{"the fourth waits for the second to expire", time.Hour, false, 80 * time.Minute, 0},
		{"all have expired", 3 * time.Hour, true, 0, 1},
	} {
		until, ok := b.Take(start.Add(step.after))
		if ok != step.ok || !ok && !until.Equal(start.Add(step.until)) {
			t.Errorf("%s: got %t, until %s", step.reason, ok, until)
		}
		if left := b.Left(start.Add(step.after)); left != step.left {
			t.Errorf("%s: %d left, want %d", step.reason, left, step.left)
		}
	}
}

func TestBudgetIsAtLeastOne(t *testing.T) {
	if _, ok := remote.NewBudget(0, time.Hour).Take(time.Time{}); !ok {
		t.Error("a budget of 0 allows no request")
	}
}
