package apicheck

import (
	"context"
	"errors"
	"net/http"
	"time"

	"k8s.io/utils/clock"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/expr"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/outbound"
	"github.com/kuberik/kuberik/internal/version"
)

// Reasons of verdicts. Every reason but ReasonAnsweredYes is of a verdict that is closed.
const (
	// ReasonAnsweredYes: the answer is a success.
	ReasonAnsweredYes = "AnsweredYes"
	// ReasonAnsweredNo: the answer is none.
	ReasonAnsweredNo = "AnsweredNo"
	// ReasonNoAnswer: nobody answered, or not in time.
	ReasonNoAnswer = "NoAnswer"
	// ReasonBadAnswer: success asks for a body that is too large, or that is malformed JSON.
	ReasonBadAnswer = "BadAnswer"
	// ReasonExpressionFailed: an expression of the gate cannot be read, or has no value for the release or for the answer.
	ReasonExpressionFailed = "ExpressionFailed"
	// ReasonRefused: the request may not be made as it is written. Somebody has to change the gate, a Secret or a flag of the controller.
	ReasonRefused = "Refused"
	// ReasonKeysUnreadable: a Secret or a ConfigMap of the request could not be read just now.
	ReasonKeysUnreadable = "KeysUnreadable"
)

const (
	// defaultRetries is how often a request is made again where the gate says nothing.
	defaultRetries = 2
	// firstPause is before the first retry. Each pause is twice the one before, up to longestPause.
	firstPause   = time.Second
	longestPause = 10 * time.Second
	// patience is how long after the first request the last retry begins.
	patience = time.Minute
	// mostMessage is how long a message may be, in bytes.
	mostMessage = 1000
)

// Asker asks for gates. It may be used by many at once.
type Asker struct {
	// Client makes the requests.
	Client *outbound.Client
	// Conditions remembers what was compiled.
	Conditions *expr.Cache
	// Clock for the pauses between retries. Default: the real one.
	Clock clock.Clock
}

// Ask asks the URL of a gate about a release. What it says is closed unless the answer is a clear yes. If ctx ends before there is an
// answer, the verdict means nothing. The message is the same for the same state of affairs, and quotes nothing of the answer.
func (a Asker) Ask(ctx context.Context, g *v1alpha1.RolloutGate, r expr.Release) gate.Verdict {
	if a.Clock == nil {
		a.Clock = clock.RealClock{}
	}
	v := a.verdict(ctx, g, r)
	v.Gate, v.Message = g.Name, version.Clean(v.Message, mostMessage)
	return v
}

func (a Asker) verdict(ctx context.Context, g *v1alpha1.RolloutGate, r expr.Release) gate.Verdict {
	spec := g.Spec.HTTP
	if spec == nil {
		return closed(ReasonRefused, "spec.http is missing")
	}
	// What cannot be judged is not asked for.
	judge, err := a.judge(ctx, spec, r)
	if err != nil {
		return closed(ReasonExpressionFailed, err.Error())
	}
	request, err := a.request(ctx, spec, r)
	if err != nil {
		return closed(ReasonExpressionFailed, err.Error())
	}
	retries := int32(defaultRetries)
	if spec.Retries != nil {
		retries = *spec.Retries
	}
	return a.insist(ctx, retries, func() (gate.Verdict, bool) {
		answer, err := a.Client.Do(ctx, g.Namespace, request, outbound.Timeout(spec.Timeout))
		if err != nil {
			return unanswered(err)
		}
		v := judge(ctx, answer)
		return v, !v.Open() && notNow(answer.Status)
	})
}

// insist asks until an answer means something, or retries or patience are at an end.
func (a Asker) insist(ctx context.Context, retries int32, ask func() (v gate.Verdict, again bool)) gate.Verdict {
	start, pause := a.Clock.Now(), firstPause
	for {
		v, again := ask()
		if !again || retries <= 0 || a.Clock.Since(start)+pause > patience || !a.wait(ctx, pause) {
			return v
		}
		retries--
		pause = min(2*pause, longestPause)
	}
}

// wait says whether the pause came to its end.
func (a Asker) wait(ctx context.Context, pause time.Duration) bool {
	timer := a.Clock.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
		return true
	}
}

// notNow says whether a status is about the one who answers, and not about the question.
func notNow(status int) bool { return status >= 500 || status == http.StatusTooManyRequests }

// unanswered is the verdict for a request without an answer, and whether it is worth making again.
func unanswered(err error) (v gate.Verdict, again bool) {
	var (
		failure *outbound.NoAnswerError
		refusal *outbound.RefusedError
	)
	switch {
	case errors.As(err, &failure):
		return closed(ReasonNoAnswer, failure.Error()), true
	case errors.As(err, &refusal):
		return closed(ReasonRefused, refusal.Error()), false
	}
	// What the API server says of it may differ each time.
	return closed(ReasonKeysUnreadable, "a Secret or a ConfigMap of the request could not be read just now"), false
}

func closed(reason, message string) gate.Verdict {
	return gate.Verdict{State: v1alpha1.GateClosed, Reason: reason, Message: message}
}
