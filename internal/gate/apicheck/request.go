package apicheck

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/expr"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/outbound"
)

// longestParameter is how long the value of a parameter of the URL may be, in bytes.
const longestParameter = 2048

// request is what a gate asks about a release.
func (a Asker) request(ctx context.Context, spec *v1alpha1.HTTPGate, r expr.Release) (v1alpha1.HTTPRequest, error) {
	request := spec.HTTPRequest
	parameters := url.Values{}
	for _, name := range slices.Sorted(maps.Keys(spec.Query)) {
		value, err := a.text(ctx, spec.Query[name], r)
		if err == nil && len(value) > longestParameter {
			err = fmt.Errorf("the value is longer than %d characters", longestParameter)
		}
		if err != nil {
			return request, fmt.Errorf("query.%s: %w", name, err)
		}
		parameters.Set(name, value)
	}
	request.URL = with(request.URL, parameters)
	if spec.BodyExpression == "" {
		return request, nil
	}
	var err error
	if request.Body, err = a.text(ctx, spec.BodyExpression, r); err != nil {
		return request, fmt.Errorf("bodyExpression: %w", err)
	}
	return request, nil
}

// Compile returns what is wrong with the expressions of a gate, whatever release it is asked about.
func (a Asker) Compile(ctx context.Context, spec *v1alpha1.HTTPGate) error {
	if spec.Success != "" {
		if _, err := a.Conditions.Compile(ctx, spec.Success, expr.HTTPAnswer); err != nil {
			return fmt.Errorf("success: %w", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Query)) {
		if _, err := a.Conditions.CompileValue(ctx, spec.Query[name]); err != nil {
			return fmt.Errorf("query.%s: %w", name, err)
		}
	}
	if spec.BodyExpression != "" {
		if _, err := a.Conditions.CompileValue(ctx, spec.BodyExpression); err != nil {
			return fmt.Errorf("bodyExpression: %w", err)
		}
	}
	return nil
}

func (a Asker) text(ctx context.Context, source string, r expr.Release) (string, error) {
	value, err := a.Conditions.CompileValue(ctx, source)
	if err != nil {
		return "", err
	}
	return value.Text(ctx, r)
}

// with adds parameters to a URL, behind those that it has. What is wrong with one that cannot be read says the request.
func with(raw string, parameters url.Values) string {
	u, err := url.Parse(raw)
	if err != nil || len(parameters) == 0 {
		return raw
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += parameters.Encode()
	return u.String()
}

// judge turns an answer into a verdict.
type judge func(context.Context, outbound.Answer) gate.Verdict

func (a Asker) judge(ctx context.Context, spec *v1alpha1.HTTPGate, r expr.Release) (judge, error) {
	if spec.Success == "" {
		return byStatus, nil
	}
	program, err := a.Conditions.Compile(ctx, spec.Success, expr.HTTPAnswer)
	if err != nil {
		return nil, fmt.Errorf("success: %w", err)
	}
	return byCondition(program, r), nil
}

func byStatus(_ context.Context, answer outbound.Answer) gate.Verdict {
	if answer.Status < 200 || answer.Status > 299 {
		return closed(ReasonAnsweredNo, fmt.Sprintf("answered %d, expected 200-299", answer.Status))
	}
	return yes(answer)
}

func byCondition(program *expr.Program, r expr.Release) judge {
	return func(ctx context.Context, answer outbound.Answer) gate.Verdict {
		data := expr.Answer{Status: answer.Status, Headers: answer.Headers, Body: answer.Body, Truncated: answer.Truncated}
		holds, err := program.EvalAnswer(ctx, data, r)
		switch {
		case errors.Is(err, expr.ErrTruncated):
			return closed(ReasonBadAnswer, err.Error())
		case errors.Is(err, expr.ErrMalformed):
			return closed(ReasonBadAnswer, fmt.Sprintf("answered %d with %s", answer.Status, err))
		case errors.Is(err, expr.ErrCost):
			return closed(ReasonExpressionFailed, "success: "+err.Error())
		case err != nil:
			return closed(ReasonExpressionFailed, fmt.Sprintf("success has no value for status %d: %s", answer.Status, err))
		case !holds:
			return closed(ReasonAnsweredNo, fmt.Sprintf("success is false for status %d%s", answer.Status, program.Compared(ctx, data)))
		}
		return yes(answer)
	}
}

func yes(answer outbound.Answer) gate.Verdict {
	return gate.Verdict{State: v1alpha1.GateOpen, Reason: ReasonAnsweredYes, Message: fmt.Sprintf("answered %d", answer.Status)}
}
