package demo

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/devplane"
	"github.com/kuberik/kuberik/internal/view"
)

// recorder keeps every line that the demo prints, and every line that its page and kubectl get ro show meanwhile, without
// what differs from run to run.
type recorder struct {
	*lines
	mu   sync.Mutex
	seen map[string]bool
}

func (r *recorder) add(printed ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range printed {
		r.seen[masked(line)] = true
	}
}

func (r *recorder) showChange(c view.Change) {
	r.add(view.Style{}.Line(c))
	r.lines.showChange(c)
}

func (r *recorder) showStep(title, command string) {
	r.add(title)
	r.lines.showStep(title, command)
}

func (r *recorder) showState(s snapshot) {
	for _, d := range []detail{active, everything} {
		r.add(s.picture(view.Style{}, d, time.Now())...)
	}
	for _, p := range s.namespaceStates() {
		ro := p.rollout
		ready := "False"
		if apimeta.IsStatusConditionTrue(ro.Status.Conditions, v1alpha1.ConditionReady) {
			ready = "True"
		}
		r.add(strings.Join([]string{
			ro.Namespace, ro.Name, ro.Status.CurrentVersion, string(ro.Status.Phase), ro.Status.PendingVersion, ro.Status.WaitsFor, ready, "8s",
		}, " "))
	}
	r.lines.showState(s)
}

var (
	// stamped begins a line of the log.
	stamped = regexp.MustCompile(`^ *\d+\.\ds  `)
	// drawn begins a line of the page.
	drawn = regexp.MustCompile(`^[├└│✓✗◆●○]`)
	// elapsed are durations, and hashes the beginnings of digests.
	elapsed = regexp.MustCompile(`\b(\d+[hms])+\b`)
	hashes  = regexp.MustCompile(`sha256:[0-9a-f]+`)
)

// masked is a line without times, digests and the width of columns.
func masked(line string) string {
	line = stamped.ReplaceAllString(line, "")
	line = hashes.ReplaceAllString(elapsed.ReplaceAllString(line, "0s"), "sha256:0")
	return strings.Join(strings.Fields(line), " ")
}

// shows reports whether a line that was recorded is that of a guide, where … may stand for a part of it.
func (r *recorder) shows(line string) bool {
	parts := strings.Split(masked(line), "…")
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(parts) == 1 {
		return r.seen[parts[0]]
	}
	for seen := range r.seen {
		rest, found := strings.CutPrefix(seen, parts[0])
		for _, part := range parts[1:] {
			_, after, ok := strings.Cut(rest, part)
			rest, found = after, found && ok
		}
		if found {
			return true
		}
	}
	return false
}

// samples lists the lines of the README and the guide to the demo that a run of it prints: log, page and kubectl get ro.
func samples(t *testing.T) map[string][]string {
	t.Helper()
	lists := map[string][]string{}
	texts := pages(t)
	for _, page := range []string{"README.md", "first-five-minutes.md"} {
		for _, block := range blocks(texts[page]) {
			rollouts := false
			for line := range strings.Lines(block) {
				line = strings.TrimRight(line, "\n")
				if stamped.MatchString(line) || drawn.MatchString(line) || rollouts {
					lists[page] = append(lists[page], line)
				}
				rollouts = rollouts || strings.HasPrefix(line, "NAMESPACE") && strings.Contains(line, "WAITS FOR")
			}
		}
	}
	return lists
}

// TestGuidesShowWhatTheDemoPrints runs the demo and looks for every line that the README and the guide show of it.
func TestGuidesShowWhatTheDemoPrints(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a local cluster")
	}
	output := &strings.Builder{}
	r := &recorder{lines: &lines{out: output, began: time.Now()}, seen: map[string]bool{}}
	o, err := Options{Once: true, Controller: built(t), Out: output}.complete()
	if err != nil {
		t.Fatal(err)
	}
	_, err = performOn(t.Context(), o, r)
	if errors.Is(err, devplane.ErrNotBuilt) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	missing := 0
	for page, list := range samples(t) {
		if len(list) < 20 {
			t.Errorf("%s shows only %d lines", page, len(list))
		}
		for _, line := range list {
			if !r.shows(line) {
				missing++
				t.Errorf("%s shows a line that the demo does not print:\n%s", page, line)
			}
		}
	}
	if missing > 0 {
		t.Logf("the demo printed:\n%s", strings.Join(slices.Sorted(maps.Keys(r.seen)), "\n"))
	}
}
