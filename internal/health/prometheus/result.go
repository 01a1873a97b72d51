package prometheus

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/kuberik/kuberik/internal/expr"
	"github.com/kuberik/kuberik/internal/outbound"
)

// samples are the values of a result.
func samples(value model.Value) ([]expr.Sample, error) {
	switch v := value.(type) {
	case *model.Scalar:
		return []expr.Sample{{Labels: map[string]string{}, Value: float64(v.Value)}}, nil
	case model.Vector:
		list := make([]expr.Sample, len(v))
		for i, s := range v {
			if s.Histogram != nil {
				return nil, errors.New("the query gives histograms: take a number from them, with histogram_quantile or histogram_count")
			}
			list[i] = expr.Sample{Labels: labels(s.Metric), Value: float64(s.Value)}
		}
		return list, nil
	case model.Matrix:
		return nil, errors.New("the query gives a range of values: take one from it, with last_over_time or max_over_time")
	}
	return nil, errors.New("the query gives no numbers")
}

func labels(metric model.Metric) map[string]string {
	m := make(map[string]string, len(metric))
	for name, value := range metric {
		m[string(name)] = string(value)
	}
	return m
}

// numbers leaves out what is NaN. Nothing can be said about it, and every comparison with it is false.
func numbers(list []expr.Sample) []expr.Sample {
	return slices.DeleteFunc(list, func(s expr.Sample) bool { return math.IsNaN(s.Value) })
}

// explain says why there is no result. Of what the server says, its kind of error is kept: the rest is text from outside.
func explain(ctx context.Context, err error) string {
	if cause := outbound.Cause(ctx, err); cause != nil {
		return "asking Prometheus: " + cause.Error()
	}
	var answer *promv1.Error
	if !errors.As(err, &answer) {
		return "the query gives no numbers"
	}
	switch answer.Type {
	case promv1.ErrBadData:
		return "Prometheus does not understand the query"
	case promv1.ErrExec:
		return "Prometheus cannot run the query"
	case promv1.ErrTimeout:
		return "Prometheus took too long to run the query"
	case promv1.ErrCanceled:
		return "Prometheus gave the query up"
	}
	if code := status(answer.Msg); code != 0 {
		return fmt.Sprintf("Prometheus answered %d", code)
	}
	return "asking Prometheus: the answer is not that of a Prometheus"
}

// status finds the code in what the client's library says of an answer that is no result. It has no other place for it.
func status(message string) int {
	for _, form := range []string{"server error: %d", "client error: %d", "bad response code %d"} {
		var code int
		if n, err := fmt.Sscanf(message, form, &code); err == nil && n == 1 {
			return code
		}
	}
	return 0
}

// mostShown is how many values of a result a message names.
const mostShown = 3

// shown lists the first values of a result. They are rounded, so that the message does not change with every probe; labels are text from
// outside and are left out.
func shown(list []expr.Sample) string {
	var texts []string
	for _, s := range list[:min(len(list), mostShown)] {
		texts = append(texts, fmt.Sprintf("%.3g", s.Value))
	}
	text := strings.Join(texts, ", ")
	if more := len(list) - mostShown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
