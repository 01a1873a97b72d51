package view

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/internal/version"
)

// Tone says how something stands, which is shown as a sign and a colour.
type Tone int

const (
	// Plain: text that stands for nothing.
	Plain Tone = iota
	// Idle: known, and nothing happens to it.
	Idle
	// Good: passed.
	Good
	// Bad: failed.
	Bad
	// Busy: under way.
	Busy
	// Held: waits for something or somebody.
	Held
)

// Node is a line of a picture and what belongs below it.
type Node struct {
	// Tone of the line.
	Tone Tone
	// Title names the thing; the titles of neighbours are padded to one width.
	Title string
	// State in one word; padded like the title.
	State string
	// Note is the rest. It is wrapped where the line ends.
	Note string
	// Children belong below the line.
	Children []Node
}

// longest is how much of a text from outside is shown.
const longest = 400

func clean(s string) string { return version.Clean(s, longest) }

// span words a length of time for people.
func span(d time.Duration) string {
	d = max(d, 0).Truncate(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}

// between words the time from one moment to another, or "" if one is not known.
func between(from, to *metav1.Time) string {
	if from == nil || to == nil {
		return ""
	}
	return span(to.Sub(from.Time))
}
