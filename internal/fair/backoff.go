package fair

import "time"

// LongestPause is the longest pause that Backoff makes of a shorter one.
const LongestPause = 2 * time.Minute

// Backoff doubles a pause so many times, up to LongestPause. A pause that is longer stays as it is.
func Backoff(pause time.Duration, times int32) time.Duration {
	if pause <= 0 {
		return pause
	}
	longest := max(pause, LongestPause)
	for ; times > 0 && pause < longest; times-- {
		pause *= 2
	}
	return min(pause, longest)
}
