package view

import (
	"strings"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// Why shows a chain of blockers, in its order: what, why, since when, until when, and who or what can clear it.
func Why(chain []v1alpha1.Blocker, now time.Time) []Node {
	var nodes []Node
	for _, b := range chain {
		n := Node{Tone: Held, Title: waitsFor(b), Note: clean(b.Message)}
		var facts []string
		if b.Since != nil {
			facts = append(facts, "since "+span(now.Sub(b.Since.Time)))
		}
		if b.Until != nil {
			facts = append(facts, span(b.Until.Sub(now))+" left")
		}
		if b.ClearedBy != "" {
			facts = append(facts, "cleared by "+clean(b.ClearedBy))
		}
		if len(facts) > 0 {
			n.Children = []Node{{Note: strings.Join(facts, ", ")}}
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// waitsFor names a blocker. A Rollout that blocks itself is named by the reason.
func waitsFor(b v1alpha1.Blocker) string {
	if b.Kind == "Rollout" {
		return clean(b.Reason)
	}
	return strings.TrimSpace(clean(b.Kind) + " " + clean(b.Name))
}
