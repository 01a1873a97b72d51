package healthcheck

import (
	"context"
	"time"
)

const (
	// tick is the interval at which processClock advances.
	tick = 500 * time.Millisecond
	// maxGap is the longest gap between ticks. A probe with a longer gap does not count.
	maxGap = 4 * tick
	// retryDelay is the time until such a probe is repeated.
	retryDelay = 100 * time.Millisecond
)

// runProcessClock advances processClock. A process that was stopped, or that got no CPU, leaves a gap, in which a probe
// may have timed out without a chance to read the response.
func (c *Controller) runProcessClock(ctx context.Context) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		c.processClock.Observe(c.clock.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// gaps returns how often the process was stopped.
func (c *Controller) gaps() int { return c.processClock.Read(c.clock.Now()).Gaps }
