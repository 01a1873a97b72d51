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

var errNotNumeric = errors.New("the query returned no numbers")

// samples returns the values of a result.
func samples(value model.Value) ([]expr.Sample, error) {
	switch v := value.(type) {
	case *model.Scalar:
		return []expr.Sample{{Labels: map[string]string{}, Value: float64(v.Value)}}, nil
	case model.Vector:
		list := make([]expr.Sample, len(v))
		for i, s := range v {
			if s.Histogram != nil {
				return nil, errors.New("the query returned histograms: " +
					"convert them to numbers with histogram_quantile or histogram_count")
			}
			list[i] = expr.Sample{Labels: labels(s.Metric), Value: float64(s.Value)}
		}
		return list, nil
	case model.Matrix:
		return nil, errors.New("the query returned a range of values: " +
			"reduce it to one value with last_over_time or max_over_time")
	}
	return nil, errNotNumeric
}

func labels(metric model.Metric) map[string]string {
	m := make(map[string]string, len(metric))
	for name, value := range metric {
		m[string(name)] = string(value)
	}
	return m
}

// withoutNaN removes NaN, because every comparison with it is false.
func withoutNaN(list []expr.Sample) []expr.Sample {
	return slices.DeleteFunc(list, func(s expr.Sample) bool { return math.IsNaN(s.Value) })
}

// explain returns the message for an error. It uses the error type of the response and omits its text, which is
// untrusted.
func explain(ctx context.Context, err error) string {
	if cause := outbound.Cause(ctx, err); cause != nil {
		return "querying Prometheus: " + cause.Error()
	}
	var apiErr *promv1.Error
	if !errors.As(err, &apiErr) {
		return errNotNumeric.Error()
	}
	switch apiErr.Type {
	case promv1.ErrBadData:
		return "Prometheus rejected the query as invalid"
	case promv1.ErrExec:
		return "Prometheus failed to run the query"
	case promv1.ErrTimeout:
		return "the query timed out in Prometheus"
	case promv1.ErrCanceled:
		return "Prometheus canceled the query"
	}
	if code := statusCode(apiErr.Msg); code != 0 {
		return fmt.Sprintf("Prometheus returned status %d", code)
	}
	return "querying Prometheus: the response is not in the format of the Prometheus API"
}

// statusCode parses the HTTP status in an error message of the client library, which does not expose it otherwise. It
// returns 0 if there is none.
func statusCode(message string) int {
	for _, form := range []string{"server error: %d", "client error: %d", "bad response code %d"} {
		var code int
		if n, err := fmt.Sscanf(message, form, &code); err == nil && n == 1 {
			return code
		}
	}
	return 0
}

// maxShownValues is the number of values of a result in a message.
const maxShownValues = 3

// formatValues returns the first values of a result. It rounds them, so that the message does not change with every
// probe, and omits labels, which are untrusted.
func formatValues(list []expr.Sample) string {
	var texts []string
	for _, s := range list[:min(len(list), maxShownValues)] {
		texts = append(texts, fmt.Sprintf("%.3g", s.Value))
	}
	text := strings.Join(texts, ", ")
	if more := len(list) - maxShownValues; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
