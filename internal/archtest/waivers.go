package archtest

import (
	"fmt"
	"strings"
	"time"
)

// Waiver disables a rule for one subject.
type Waiver struct {
	Rule, Subject, Date, Reason string
	Line                        int
}

// ParseWaivers parses lines of the form "rule | subject | date | reason". It ignores empty lines and lines that start
// with #.
func ParseWaivers(text string) ([]Waiver, error) {
	var all []Waiver
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		w, err := parseWaiver(line)
		if err != nil {
			return nil, fmt.Errorf("waivers.txt:%d: %w", number, err)
		}
		w.Line = number
		all = append(all, w)
	}
	return all, nil
}

func parseWaiver(line string) (Waiver, error) {
	parts := strings.SplitN(line, "|", 4)
	if len(parts) != 4 {
		return Waiver{}, fmt.Errorf("want %q, got %q", "rule | subject | date | reason", line)
	}
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	w := Waiver{Rule: parts[0], Subject: parts[1], Date: parts[2], Reason: parts[3]}
	if _, err := time.Parse(time.DateOnly, w.Date); err != nil {
		return Waiver{}, fmt.Errorf("the date %q is not of the form 2026-01-31", w.Date)
	}
	if len(strings.Fields(w.Reason)) < 3 {
		return Waiver{}, fmt.Errorf("the reason %q is too short: use at least three words", w.Reason)
	}
	return w, nil
}
