package apicheck

import (
	"context"
	"errors"
	"net/http"
	"time"

	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/expr"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/outbound"
	"github.com/kuberik/kuberik/internal/version"
)

// Reasons of verdicts. Only a verdict with ReasonAnsweredYes is open.
const (
	// ReasonAnsweredYes: the answer is a success.
	ReasonAnsweredYes = "AnsweredYes"
	// ReasonAnsweredNo: the answer is not a success.
	ReasonAnsweredNo = "AnsweredNo"
	// ReasonNoAnswer: the API did not answer in time.
	ReasonNoAnswer = "NoAnswer"
	// ReasonBadAnswer: the condition needs the body, which is too large or malformed JSON.
	ReasonBadAnswer = "BadAnswer"
	// ReasonExpressionFailed: an expression of the gate is invalid, or has no value for the release or the answer.
	ReasonExpressionFailed = "ExpressionFailed"
	// ReasonRefused: the request is not allowed. Somebody has to change the gate, a Secret or a flag of the controller.
	ReasonRefused = "Refused"
	// ReasonKeysUnreadable: a Secret or ConfigMap of the request could not be read.
	ReasonKeysUnreadable = "KeysUnreadable"
)

const (
	// defaultRetries is the default of spec.http.retries.
	defaultRetries = 2
	// firstPause is the pause before the first retry. Each pause is twice as long as the one before, up to maxPause.
	firstPause = time.Second
	maxPause   = 10 * time.Second
	// retryTimeout is the maximum time between the first request and the start of the last retry.
	retryTimeout = time.Minute
	// maxMessage is the maximum length of a message in bytes.
	maxMessage = 1000
)

// Asker asks the APIs of gates. It is safe for concurrent use.
type Asker struct {
	// Client sends the requests.
	Client *outbound.Client
	// Conditions caches compiled expressions.
	Conditions *expr.Cache
	// Clock times the pauses between retries. Defaults to the system clock.
	Clock clock.Clock
}

// Ask asks the API of a gate about a release. The verdict is closed unless the answer is a success. If ctx ends, the
// verdict is meaningless. The message is stable while the answer is, and quotes no text of it.
func (a Asker) Ask(ctx context.Context, g *v1alpha1.RolloutGate, r expr.Release) gate.Verdict {
	if a.Clock == nil {
		a.Clock = clock.RealClock{}
	}
	v := a.verdict(ctx, g, r)
	v.Gate, v.Message = g.Name, version.Clean(v.Message, maxMessage)
	return v
}

func (a Asker) verdict(ctx context.Context, g *v1alpha1.RolloutGate, r expr.Release) gate.Verdict {
	spec := g.Spec.HTTP
	if spec == nil {
		return closed(ReasonRefused, "spec.http is missing")
	}
	// An answer that could not be evaluated is not worth a request.
	success, err := a.Conditions.CompileSuccess(ctx, g.Namespace, spec.Success, nil)
	if err != nil {
		return closed(ReasonExpressionFailed, err.Error())
	}
	request, err := a.request(ctx, g, r)
	if err != nil {
		return closed(ReasonExpressionFailed, err.Error())
	}
	return a.retry(ctx, ptr.Deref(spec.Retries, defaultRetries), func() (gate.Verdict, bool) {
		answer, err := a.Client.Do(ctx, g.Namespace, request, outbound.Timeout(spec.Timeout))
		if err != nil {
			return noAnswer(err)
		}
		v := evaluate(ctx, success, answer, r)
		return v, !v.Open() && isTemporary(answer.Status)
	})
}

// retry calls ask until it is final, or until the retries or retryTimeout are used up.
func (a Asker) retry(ctx context.Context, retries int32, ask func() (v gate.Verdict, again bool)) gate.Verdict {
	start, pause := a.Clock.Now(), firstPause
	for {
		v, again := ask()
		if !again || retries <= 0 || a.Clock.Since(start)+pause > retryTimeout || !a.wait(ctx, pause) {
			return v
		}
		retries--
		pause = min(2*pause, maxPause)
	}
}

// wait waits for a pause and reports whether it passed before ctx ended.
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

// isTemporary reports whether a status code is about the state of the server, and not about the request.
func isTemporary(status int) bool { return status >= 500 || status == http.StatusTooManyRequests }

// noAnswer returns the verdict for a request without an answer, and whether to retry it.
func noAnswer(err error) (v gate.Verdict, again bool) {
	var (
		noAnswer *outbound.NoResponseError
		refused  *outbound.RefusedError
	)
	switch {
	case errors.As(err, &noAnswer):
		return closed(ReasonNoAnswer, noAnswer.Error()), true
	case errors.As(err, &refused):
		return closed(ReasonRefused, refused.Error()), false
	}
	// The error of the API server may differ each time, so the message leaves it out.
	return closed(ReasonKeysUnreadable, "a Secret or a ConfigMap of the request could not be read just now"), false
}

func closed(reason, message string) gate.Verdict {
	return gate.Verdict{State: v1alpha1.GateClosed, Reason: reason, Message: message}
}

// evaluate returns the verdict for an answer.
func evaluate(ctx context.Context, success *expr.Success, a outbound.Response, r expr.Release) gate.Verdict {
	outcome, message, err := success.Check(ctx, expr.Response(a), r)
	switch {
	case err != nil:
		return closed(ReasonExpressionFailed, err.Error())
	case outcome == expr.Unusable:
		return closed(ReasonBadAnswer, message)
	case outcome == expr.NoValue:
		return closed(ReasonExpressionFailed, message)
	case outcome == expr.Unsuccessful:
		return closed(ReasonAnsweredNo, message)
	}
	return gate.Verdict{State: v1alpha1.GateOpen, Reason: ReasonAnsweredYes, Message: message}
}
