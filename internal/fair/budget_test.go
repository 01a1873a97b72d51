package fair_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/kuberik/kuberik/internal/fair"
)

func TestANamespaceMayTakeSoMuchAtOnceAndThenATenthOfACore(t *testing.T) {
	t.Parallel()
	var b fair.Budget
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, c := range []struct{ passes, takes, want time.Duration }{
		{0, 0, 0},
		{0, fair.AtOnce, 0},
		{0, 100 * time.Millisecond, time.Second},
		{0, 50 * time.Millisecond, 1500 * time.Millisecond},
		{time.Second, 0, 500 * time.Millisecond},
		{time.Second, 0, 0},
		{0, 100 * time.Millisecond, 500 * time.Millisecond},
		{-time.Hour, 0, 500 * time.Millisecond}, // a clock that is set back gives nothing and takes nothing
		{2 * time.Hour, 0, 0},
		{0, fair.AtOnce + time.Millisecond, 10 * time.Millisecond},
	} {
		now = now.Add(c.passes)
		b.Spend("a", c.takes, now)
		if got := b.Wait("a", now); got != c.want {
			t.Errorf("%d: it waits %s, want %s", i, got, c.want)
		}
		if got := b.Wait("b", now); got != 0 {
			t.Errorf("%d: another waits %s", i, got)
		}
	}
	for i := range 5000 { // which rest one after the other
		b.Spend(fmt.Sprint("ns-", i), 2*fair.AtOnce, now.Add(time.Duration(i)*time.Minute))
	}
	if got := b.Wait("ns-4999", now.Add(4999*time.Minute)); got != 5*time.Second {
		t.Errorf("the last one waits %s", got)
	}
}

func TestChargesAreAddedUp(t *testing.T) {
	t.Parallel()
	var m fair.Meter
	ctx := fair.WithMeter(t.Context(), &m)
	fair.Charge(ctx, 3)
	if total := fair.Charge(ctx, 4); total != 7 || m.Taken() != 7 {
		t.Errorf("%d and %d are counted", total, m.Taken())
	}
	if total := fair.Charge(t.Context(), 5); total != 0 || m.Taken() != 7 {
		t.Error("what nobody counts is counted")
	}
}
