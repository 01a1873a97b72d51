package httpcheck

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/kuberik/kuberik/internal/health"
	"github.com/kuberik/kuberik/internal/outbound"
)

// span is a range of status codes, both ends included.
type span struct{ first, last int }

// byStatus judges by the status code alone.
func byStatus(expected []string) (judge, error) {
	if len(expected) == 0 {
		expected = []string{"200-299"}
	}
	spans := make([]span, len(expected))
	for i, e := range expected {
		var err error
		if spans[i], err = parse(e); err != nil {
			return nil, err
		}
	}
	return func(_ context.Context, a outbound.Answer) (health.Report, error) {
		for _, s := range spans {
			if s.first <= a.Status && a.Status <= s.last {
				return healthy(fmt.Sprintf("answered %d", a.Status)), nil
			}
		}
		return unhealthy(fmt.Sprintf("answered %d, expected %s", a.Status, strings.Join(expected, ", "))), nil
	}, nil
}

func parse(s string) (span, error) {
	from, to, isRange := strings.Cut(s, "-")
	if !isRange {
		to = from
	}
	first, err := code(from)
	if err != nil {
		return span{}, fmt.Errorf("expectedStatus %q is neither a status code nor a range such as 200-299", s)
	}
	last, err := code(to)
	if err != nil || last < first {
		return span{}, fmt.Errorf("expectedStatus %q is neither a status code nor a range such as 200-299", s)
	}
	return span{first, last}, nil
}

func code(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err == nil && (len(s) != 3 || n < 100 || n > 599) {
		return 0, strconv.ErrRange
	}
	return n, err
}
