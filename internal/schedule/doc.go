// Package schedule reports whether a schedule is active at a time, and when that changes next.
//
// Rules are evaluated in local time. A window belongs to the day on which it starts: a window on Friday from 22:00 to
// 02:00 ends on Saturday at 02:00. When clocks move forward, a window that would start in the skipped hour starts
// after it, and a window that lies within it does not occur on that day. When clocks move back, a window in the
// repeated hour occurs twice. A day that a time zone skipped has no windows, except for the part of a window that
// reaches into the next day.
//
// A schedule that cannot be evaluated is closed whatever its action is, and reports its problems.
//
// The package reads no clock and does no I/O. It embeds the time zone database, because container images may have none.
package schedule
