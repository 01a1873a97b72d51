package sim

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kuberik/kuberik/internal/release"
)

// mutantSeeds is the number of seeds that are tried on a mutant.
const mutantSeeds = 3000

// TestEveryRuleIsNeeded removes each rule and each chore in turn, and expects a seed or a script to fail.
func TestEveryRuleIsNeeded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute or two")
	}
	chain := release.Rules()
	type mutant struct{ name, firstViolation string }
	var mutants []*mutant
	var chains []release.Chain
	for i, c := range chain.Chores {
		mutants = append(mutants, &mutant{name: "chore " + c.Name})
		chains = append(chains, release.Chain{Chores: slices.Delete(slices.Clone(chain.Chores), i, i+1), Rules: chain.Rules})
	}
	for i, r := range chain.Rules {
		mutants = append(mutants, &mutant{name: "rule " + r.Name})
		chains = append(chains, release.Chain{Chores: chain.Chores, Rules: slices.Delete(slices.Clone(chain.Rules), i, i+1)})
	}
	inParallel(len(mutants), func(i int) {
		o := options{chain: chains[i], chaos: chaosSteps}
		mutants[i].firstViolation = firstViolation(o)
		if what := brokenScript(t, o); mutants[i].firstViolation == "" {
			mutants[i].firstViolation = what
		} else if what != "" {
			mutants[i].firstViolation += "; " + what
		}
	})
	for _, m := range mutants {
		t.Logf("without %-28s %s", m.name, m.firstViolation)
		if m.firstViolation == "" {
			t.Errorf("no test fails without %s", m.name)
		}
	}
}

// TestOrderOfRules swaps neighbouring rules and logs which swaps matter. The others may still change messages.
func TestOrderOfRules(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute or two")
	}
	chain := release.Rules()
	found := make([]string, len(chain.Rules)-1)
	inParallel(len(found), func(i int) {
		rules := slices.Clone(chain.Rules)
		rules[i], rules[i+1] = rules[i+1], rules[i]
		found[i] = firstViolationWithin(options{chain: release.Chain{Chores: chain.Chores, Rules: rules}, chaos: chaosSteps}, mutantSeeds/6)
	})
	for i, what := range found {
		if what == "" {
			what = "not noticed"
		}
		t.Logf("%-20s after %-20s %s", chain.Rules[i].Name, chain.Rules[i+1].Name, what)
	}
}

// TestMonitorNotices runs controllers with defects, and expects the monitor to notice each.
func TestMonitorNotices(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a quarter of a minute")
	}
	var names []string
	for name := range brokenControllers {
		names = append(names, name)
	}
	slices.Sort(names)
	found := make([]string, len(names))
	inParallel(len(names), func(i int) {
		found[i] = firstViolation(options{chain: release.Rules(), faulty: names[i], chaos: chaosSteps})
	})
	for i, name := range names {
		t.Logf("%-36s %s", name, found[i])
		if found[i] == "" {
			t.Errorf("nothing notices a controller that %s", name)
		}
	}
}

// firstViolation returns the first violation of a mutant; empty if there is none.
func firstViolation(o options) string { return firstViolationWithin(o, mutantSeeds) }

func firstViolationWithin(o options, seeds int) string {
	for s := range uint64(seeds) {
		if out := run(s, o); out.Violation != "" {
			return fmt.Sprintf("seed %d: %s", s, strings.SplitN(out.Violation, "\n", 2)[0])
		}
	}
	return ""
}

// inParallel calls f with 0 to n-1 on two threads.
func inParallel(n int, f func(int)) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	next := 0
	for range 2 {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= n {
					return
				}
				f(i)
			}
		})
	}
	wg.Wait()
}

// brokenScript returns the first script that has another result.
func brokenScript(t *testing.T, o options) string {
	t.Helper()
	all := scripts(t)
	for _, file := range slices.Sorted(maps.Keys(all)) {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		lines, err := play(all[file][0], o)
		switch {
		case err != nil:
			return fmt.Sprintf("script %s: %v", name, err)
		case strings.Join(lines, "\n")+"\n" != all[file][1]:
			return fmt.Sprintf("script %s has another result", name)
		}
	}
	return ""
}
