package gate

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/fair"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/gate/apicheck"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

// releasesToEvaluate returns the releases that need a verdict: the candidates in the order of their deployment, up to a
// limit; the one that is being deployed and not handed over to Flux yet; and the one that a rollback would deploy.
func releasesToEvaluate(ro *v1alpha1.Rollout) []v1alpha1.VersionInfo {
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

// maxAnswers is the size of the cache of answers, and maxAnswersOfNamespace the share of one namespace. With more
// answers, a gate may ask sooner than its interval says.
const maxAnswers, maxAnswersOfNamespace = 16384, 2048

// answers caches the last answers. It may be lost: open verdicts are in the status of the gate, and everything else is
// asked again. The status alone is not enough, since the informer cache may be older than the last answer.
type answers struct {
	list *fair.Cache[answerKey, answer]
}

type answerKey struct {
	gate       types.UID
	generation int64
	release    v1alpha1.ReleaseIdentity
}

type answer struct {
	verdict gate.Verdict
	at      time.Time
	// failures is the number of consecutive failures up to this answer. Each one makes the next request later.
	failures int32
}

func newAnswers() *answers {
	return &answers{fair.NewCache[answerKey, answer](maxAnswers, maxAnswersOfNamespace, nil)}
}

// add stores an answer and returns the number of consecutive failures.
func (a *answers) add(g *v1alpha1.RolloutGate, id v1alpha1.ReleaseIdentity, v gate.Verdict, at time.Time) int32 {
	next := answer{verdict: v, at: at}
	if v.Reason == apicheck.ReasonNoAnswer || v.Reason == apicheck.ReasonExpressionFailed {
		last, _ := a.last(g, id)
		next.failures = last.failures + 1
	}
	a.list.Add(g.Namespace, answerKey{g.UID, g.Generation, id}, next, 1)
	return next.failures
}

func (a *answers) last(g *v1alpha1.RolloutGate, id v1alpha1.ReleaseIdentity) (answer, bool) {
	return a.list.Get(g.Namespace, answerKey{g.UID, g.Generation, id})
}
