package view

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kuberik/kuberik/internal/version"
)

// Node is a line of a tree and the nodes below it.
type Node struct {
	// Tone of the line.
	Tone Tone
	// Title names the object. Titles of siblings are padded to the same width.
	Title string
	// State in one word. States of siblings are padded to the same width.
	State string
	// Note is free text. It is wrapped at the end of the line.
	Note string
	// Children are shown below the line.
	Children []Node
}

// maxText is how many bytes of a text that comes from outside are shown.
const maxText = 400

// clean makes text that comes from outside safe to print.
func clean(s string) string { return version.Clean(s, maxText) }

// age formats a length of time as kubectl does. A negative one, which a clock that is behind produces, counts as none.
func age(d time.Duration) string { return duration.HumanDuration(max(d, 0)) }

// between formats the time from one moment to another. It returns "" if either is unknown.
func between(from, to *metav1.Time) string {
	if from == nil || to == nil {
		return ""
	}
	return age(to.Sub(from.Time))
}
