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

// mutantSeeds is how many worlds a mutant may survive.
const mutantSeeds = 3000

// TestEveryRuleIsNeeded takes each rule and each chore out of the policy in turn, and expects something to notice.
func TestEveryRuleIsNeeded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute or two")
	}
	chain := release.Rules()
	type mutant struct{ name, noticed string }
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
	each(len(mutants), func(i int) {
		o := options{chain: chains[i], chaos: chaosSteps}
		mutants[i].noticed = noticed(o)
		if what := brokenScript(t, o); mutants[i].noticed == "" {
			mutants[i].noticed = what
		} else if what != "" {
			mutants[i].noticed += "; " + what
		}
	})
	for _, m := range mutants {
		t.Logf("without %-28s %s", m.name, m.noticed)
		if m.noticed == "" {
			t.Errorf("nothing misses %s", m.name)
		}
	}
}

// TestOrderOfRules swaps neighbours and prints which swaps matter. Those that do not may still word things differently.
func TestOrderOfRules(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute or two")
	}
	chain := release.Rules()
	found := make([]string, len(chain.Rules)-1)
	each(len(found), func(i int) {
		rules := slices.Clone(chain.Rules)
		rules[i], rules[i+1] = rules[i+1], rules[i]
		found[i] = noticedWithin(options{chain: release.Chain{Chores: chain.Chores, Rules: rules}, chaos: chaosSteps}, mutantSeeds/6)
	})
	for i, what := range found {
		if what == "" {
			what = "not noticed"
		}
		t.Logf("%-20s after %-20s %s", chain.Rules[i].Name, chain.Rules[i+1].Name, what)
	}
}

// TestMonitorNotices breaks a promise of the core or the shell on purpose, and expects the invariant that it is about to break.
func TestMonitorNotices(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a quarter of a minute")
	}
	var names []string
	for name := range distortions {
		names = append(names, name)
	}
	slices.Sort(names)
	found := make([]string, len(names))
	each(len(names), func(i int) {
		found[i] = noticed(options{chain: release.Rules(), faulty: names[i], chaos: chaosSteps})
	})
	for i, name := range names {
		t.Logf("%-36s %s", name, found[i])
		if found[i] == "" {
			t.Errorf("nothing notices a controller that %s", name)
		}
	}
}

// noticed says what breaks under a mutant, and how soon; "" if nothing does.
func noticed(o options) string { return noticedWithin(o, mutantSeeds) }

func noticedWithin(o options, worlds int) string {
	for s := range uint64(worlds) {
		if out := run(s, o); out.Broken != "" {
			return fmt.Sprintf("world %d: %s", s, strings.SplitN(out.Broken, "\n", 2)[0])
		}
	}
	return ""
}

// each calls f for 0 to n-1, on two threads.
func each(n int, f func(int)) {
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

// brokenScript is the first script that goes another way.
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
			return fmt.Sprintf("script %s goes another way", name)
		}
	}
	return ""
}
