package gate

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/gate/apicheck"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

// inQuestion lists the releases that gates are asked about next: the candidates, in the order in which they would be deployed, up to a
// limit; what is on its way and not yet with Flux; and what a failed deployment would be taken back to.
func inQuestion(ro *v1alpha1.Rollout) []v1alpha1.VersionInfo {
	candidates := slices.Clone(gate.Candidates(ro))
	if ro.Spec.Selection == v1alpha1.SelectEvery {
		slices.Reverse(candidates)
	}
	var list []v1alpha1.VersionInfo
	if e := release.Gated(ro); e != nil {
		candidates = append(candidates, e.Version)
	}
	for _, v := range candidates {
		id := version.Identity(v)
		if !slices.ContainsFunc(list, func(o v1alpha1.VersionInfo) bool { return version.Identity(o) == id }) {
			list = append(list, v)
		}
	}
	return list
}

// mostAnswers is how many answers are kept. Of more than these, a gate may be asked sooner than its interval says.
const mostAnswers = 16384

// answers remembers what was said last, and when. It may be lost: what was let pass stands in the status of the gate, and everything else is
// then asked once more. The status alone would not do, since a cache may show it as it was before the last answer.
type answers struct{ list *lru.Cache }

type question struct {
	gate       types.UID
	generation int64
	about      v1alpha1.ReleaseIdentity
}

type answer struct {
	verdict gate.Verdict
	at      time.Time
	// hard counts the answers before this one, and it, that are in a row and none: asking again costs the controller more than it is
	// likely to bring.
	hard int32
}

func newAnswers() *answers { return &answers{lru.New(mostAnswers)} }

// add remembers an answer, and returns how many in a row were none.
func (a *answers) add(g *v1alpha1.RolloutGate, id v1alpha1.ReleaseIdentity, v gate.Verdict, at time.Time) int32 {
	next := answer{verdict: v, at: at}
	if v.Reason == apicheck.ReasonNoAnswer || v.Reason == apicheck.ReasonExpressionFailed {
		last, _ := a.last(g, id)
		next.hard = last.hard + 1
	}
	a.list.Add(question{g.UID, g.Generation, id}, next)
	return next.hard
}

func (a *answers) last(g *v1alpha1.RolloutGate, id v1alpha1.ReleaseIdentity) (answer, bool) {
	found, ok := a.list.Get(question{g.UID, g.Generation, id})
	if !ok {
		return answer{}, false
	}
	last, ok := found.(answer)
	return last, ok
}
