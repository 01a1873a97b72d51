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
)

// maxParameter is the maximum length of the value of a URL parameter in bytes.
const maxParameter = 2048

// errLargeQuery reports a query that is larger than the schema allows.
var errLargeQuery = errors.New(
	"query is too large: at most 16 parameters, each with a name of at most 253 characters and an expression of at " +
		"most 2048")

// request returns the request of a gate for a release.
func (a Asker) request(ctx context.Context, g *v1alpha1.RolloutGate, r expr.Release) (v1alpha1.HTTPRequest, error) {
	spec := g.Spec.HTTP
	request := spec.HTTPRequest
	if spec.QueryTooLarge() {
		return request, errLargeQuery
	}
	parameters := url.Values{}
	for _, name := range slices.Sorted(maps.Keys(spec.Query)) {
		value, err := a.text(ctx, g.Namespace, spec.Query[name], r)
		if err == nil && len(value) > maxParameter {
			err = fmt.Errorf("the value is longer than %d characters", maxParameter)
		}
		if err != nil {
			return request, fmt.Errorf("query.%s: %w", name, err)
		}
		parameters.Set(name, value)
	}
	request.URL = addParameters(request.URL, parameters)
	if spec.BodyExpression == "" {
		return request, nil
	}
	var err error
	if request.Body, err = a.text(ctx, g.Namespace, spec.BodyExpression, r); err != nil {
		return request, fmt.Errorf("bodyExpression: %w", err)
	}
	return request, nil
}

// Compile returns an error if an expression of an http gate is invalid for every release.
func (a Asker) Compile(ctx context.Context, g *v1alpha1.RolloutGate) error {
	spec := g.Spec.HTTP
	if _, err := a.Conditions.CompileSuccess(ctx, g.Namespace, spec.Success, nil); err != nil {
		return err
	}
	if spec.QueryTooLarge() {
		return errLargeQuery
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Query)) {
		if _, err := a.Conditions.CompileValue(ctx, g.Namespace, spec.Query[name]); err != nil {
			return fmt.Errorf("query.%s: %w", name, err)
		}
	}
	if spec.BodyExpression != "" {
		if _, err := a.Conditions.CompileValue(ctx, g.Namespace, spec.BodyExpression); err != nil {
			return fmt.Errorf("bodyExpression: %w", err)
		}
	}
	return nil
}

func (a Asker) text(ctx context.Context, namespace, source string, r expr.Release) (string, error) {
	value, err := a.Conditions.CompileValue(ctx, namespace, source)
	if err != nil {
		return "", err
	}
	return value.Text(ctx, r)
}

// addParameters appends parameters to the query of a URL. It returns an invalid URL unchanged: the client rejects it.
func addParameters(raw string, parameters url.Values) string {
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
