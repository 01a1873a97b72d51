package gitlab

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/kuberik/kuberik/internal/outbound"
)

const (
	// maxBody bounds an answer. It is what our way out reads of one.
	maxBody = 4<<20 - 1
	// maxObject bounds an answer that is about one thing, and is no list.
	maxObject = 1 << 20
	// maxElements bounds a list, and maxNested the elements of all lists within an answer: what is small there may be large here.
	maxElements, maxNested = 100, 10000
	// maxKept bounds what is kept of the records of a project, in bytes.
	maxKept = 32 << 20
)

// bound reads an answer, and refuses it before anybody decodes what is much larger than it looks.
func bound(resp *http.Response) error {
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return err
	}
	text := bytes.TrimSpace(body)
	elements, nested := outbound.Elements(text, "")
	switch list := bytes.HasPrefix(text, []byte("[")); {
	case len(body) > maxBody:
		return fmt.Errorf("the answer of GitLab is longer than %d bytes", maxBody)
	case !list && len(body) > maxObject:
		return fmt.Errorf("GitLab answers with %d bytes where no more than %d were expected", len(body), maxObject)
	case elements > maxElements:
		return fmt.Errorf("GitLab answers with a page of %d things where no more than %d were expected", elements, maxElements)
	case nested > maxNested:
		return fmt.Errorf("GitLab answers with %d things in lists within lists, which is more than anybody needs", nested)
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return nil
}

// weight is what a record takes, in bytes.
func (r *record) weight() int { return 2*len(r.raw) + 1024 }

// fit drops records until the rest can be kept. Whoever wrote the most loses some first, the largest of them, so that a flood of one is at nobody
// else's cost.
func fit(records []*record, most int) []*record {
	total, of := 0, map[string]int{}
	for _, r := range records {
		total += r.weight()
		of[strings.ToLower(r.author)] += r.weight()
	}
	for total > most {
		worst := slices.MaxFunc(slices.Sorted(maps.Keys(of)), func(x, y string) int { return of[x] - of[y] })
		largest := -1
		for i, r := range records {
			if strings.EqualFold(r.author, worst) && (largest < 0 || r.weight() > records[largest].weight()) {
				largest = i
			}
		}
		if largest < 0 {
			return nil
		}
		of[worst] -= records[largest].weight()
		total -= records[largest].weight()
		records = slices.Delete(records, largest, largest+1)
	}
	return records
}
