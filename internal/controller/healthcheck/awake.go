package healthcheck

import (
	"context"
	"time"
)

const (
	// tick is how often the process notes that it runs.
	tick = 500 * time.Millisecond
	// stoodStill is how long it may not have before a probe of that time counts for nothing.
	stoodStill = 4 * tick
	// again is how soon such a probe is repeated.
	again = 100 * time.Millisecond
)

// stayAwake notes that the process runs. A process that was stopped, or that got no CPU, leaves a gap: the time-out of a probe has passed
// then without a chance for the answer to be read.
func (c *Controller) stayAwake(ctx context.Context) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		c.awake.Observe(c.clock.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// gaps is how often the process has stood still so far.
func (c *Controller) gaps() int { return c.awake.Read(c.clock.Now()).Gaps }
