package fair_test

import (
	"math"
	"testing"
	"time"

	"github.com/kuberik/kuberik/internal/fair"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pause time.Duration
		times int32
		want  time.Duration
	}{
		"not at all":           {time.Second, 0, time.Second},
		"less than not at all": {time.Second, -3, time.Second},
		"once":                 {time.Second, 1, 2 * time.Second},
		"up to the longest":    {time.Second, 7, 2 * time.Minute},
		"and no further":       {time.Second, math.MaxInt32, 2 * time.Minute},
		"a long one stays":     {time.Hour, 5, time.Hour},
		"no pause":             {0, 5, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := fair.Backoff(c.pause, c.times); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
