package view

import (
	"strings"
	"time"

	"github.com/kuberik/kuberik/api/v1alpha1"
)

// Why shows blockers in their order: what blocks, why, for how long, how long it will last, and who or what can clear
// it.
func Why(blockers []v1alpha1.Blocker, now time.Time) []Node {
	var nodes []Node
	for _, b := range blockers {
		n := Node{Tone: Held, Title: blockerName(b), Note: clean(b.Message)}
		var facts []string
		if b.Since != nil {
			facts = append(facts, "for "+age(now.Sub(b.Since.Time)))
		}
		if b.Until != nil {
			facts = append(facts, age(b.Until.Sub(now))+" left")
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

// blockerName returns the kind and name of a blocker. A Rollout that blocks itself goes by the reason.
func blockerName(b v1alpha1.Blocker) string {
	if b.Kind == "Rollout" {
		return clean(b.Reason)
	}
	return strings.TrimSpace(clean(b.Kind) + " " + clean(b.Name))
}
