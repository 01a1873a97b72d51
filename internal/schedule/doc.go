// Package schedule says whether a schedule is active at a moment, and when that changes next.
//
// The clock on the wall decides. A window belongs to the day it starts on: Friday 22:00 to 02:00 is over on Saturday at 02:00. When
// clocks are put forward, what would start in the gap starts after it, and a window that lies in the gap does not happen that day.
// When clocks are put back, a time that comes twice counts twice. A day that a place skipped has no windows, but for what reaches
// into the next day.
//
// A schedule that cannot be evaluated is neither active nor inactive: it is closed, whatever its action, and says why.
//
// The package reads no clock and calls nobody. Time zones are compiled in, for machines that have none.
package schedule
