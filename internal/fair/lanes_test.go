package fair_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/kuberik/kuberik/internal/fair"
)

func namespace(item string) string { name, _, _ := strings.Cut(item, "/"); return name }

// play takes steps: an item is pushed, ~item is pushed late, ^item becomes urgent, -item is done, and ! takes as many items as there are. It
// returns what was taken, a space between two rounds.
func play(share int, steps string) string {
	l := fair.New(share, namespace)
	var rounds []string
	for _, step := range strings.Fields(steps) {
		if done, ok := strings.CutPrefix(step, "-"); ok {
			l.Done(done)
			continue
		}
		if late, ok := strings.CutPrefix(step, "~"); ok {
			l.PushLate(late)
			continue
		}
		if late, ok := strings.CutPrefix(step, "^"); ok {
			l.Hurry(late)
			continue
		}
		if step != "!" {
			l.Push(step)
			continue
		}
		var round []string
		for l.Len() > 0 {
			round = append(round, l.Pop())
		}
		rounds = append(rounds, strings.Join(round, ","))
	}
	return strings.Join(rounds, " ")
}

func TestNamespacesTakeTurnsWithinTheirShares(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		share       int
		steps, want string
	}{
		"one namespace in order":               {9, "a/1 a/2 a/3 !", "a/1,a/2,a/3"},
		"turns":                                {9, "a/1 a/2 a/3 b/1 b/2 c/1 !", "a/1,b/1,c/1,a/2,b/2,a/3"},
		"a share":                              {2, "a/1 a/2 a/3 b/1 !", "a/1,b/1,a/2"},
		"a share that is given back":           {2, "a/1 a/2 a/3 a/4 ! -a/1 !", "a/1,a/2 a/3"},
		"nobody waits for those of others":     {1, "a/1 a/2 a/3 ! b/1 ! c/1 !", "a/1 b/1 c/1"},
		"one that comes last has its turn":     {1, "a/1 a/2 b/1 b/2 ! c/1 -a/1 -b/1 !", "a/1,b/1 c/1,a/2,b/2"},
		"no share is less than one":            {0, "a/1 a/2 !", "a/1"},
		"what was never taken gives back none": {1, "a/1 a/2 ! -b/1 -b/1 !", "a/1 "},
		"an item may come again":               {1, "a/1 ! a/1 b/1 -a/1 !", "a/1 b/1,a/1"},
		"late ones come last":                  {9, "~a/1 a/2 ~b/1 b/2 !", "a/2,b/2,a/1,b/1"},
		"late ones of others do not wait":      {1, "a/1 a/2 ~b/1 ! -a/1 !", "a/1,b/1 a/2"},
		"a late one that becomes urgent":       {9, "~a/1 ~a/2 ^a/2 !", "a/2,a/1"},
		"an urgent one stays urgent":           {9, "a/1 a/2 ^a/2 ^b/1 !", "a/1,a/2"},
		"late ones within the share":           {1, "~a/1 ~a/2 ! -a/1 !", "a/1 a/2"},
		"late ones are not passed over for ever": {
			99, "~a/0 a/1 a/2 a/3 a/4 a/5 a/6 a/7 a/8 a/9 !", "a/1,a/2,a/3,a/4,a/5,a/6,a/7,a/8,a/0,a/9",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := play(c.share, c.steps); got != c.want {
				t.Errorf("%s: got %q, want %q", c.steps, got, c.want)
			}
		})
	}
}

// TestNoNamespaceIsStarved lets namespaces push as they like, and workers take and finish as they like.
func TestNoNamespaceIsStarved(t *testing.T) {
	t.Parallel()
	for range 200 {
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		share, namespaces := 1+random.IntN(4), 1+random.IntN(5)
		l := fair.New(share, namespace)
		taken, waiting, passed := map[string][]string{}, map[string]int{}, map[string]int{}
		for i := range 500 {
			ns := fmt.Sprint("ns", random.IntN(namespaces))
			switch busy := taken[ns]; {
			case random.IntN(3) > 0:
				l.Push(fmt.Sprint(ns, "/", i))
				waiting[ns]++
			case len(busy) > 0:
				l.Done(busy[0])
				taken[ns] = busy[1:]
			}
			if l.Len() > 0 && random.IntN(2) == 0 {
				item := l.Pop()
				from := namespace(item)
				taken[from] = append(taken[from], item)
				waiting[from]--
				passed[from] = 0
				for other, n := range waiting {
					if other != from && n > 0 && len(taken[other]) < share {
						passed[other]++
					}
				}
			}
			for ns := range waiting {
				if len(taken[ns]) > share {
					t.Fatalf("seed %d: %s has %d items taken, its share is %d", seed, ns, len(taken[ns]), share)
				}
				if waiting[ns] == 0 || len(taken[ns]) == share {
					passed[ns] = 0
				}
				if passed[ns] >= namespaces {
					t.Fatalf("seed %d: %s was passed over %d times in a row by %d others", seed, ns, passed[ns], namespaces-1)
				}
			}
		}
		able := slices.ContainsFunc(slices.Collect(maps.Keys(waiting)), func(ns string) bool { return waiting[ns] > 0 && len(taken[ns]) < share })
		if able != (l.Len() > 0) {
			t.Fatalf("seed %d: an item can be taken: %v, but Len is %d", seed, able, l.Len())
		}
	}
}

func TestUrgentItemsAreCounted(t *testing.T) {
	t.Parallel()
	l := fair.New(2, namespace)
	want := func(n int, when string) {
		t.Helper()
		if got := l.Urgent(); got != n {
			t.Errorf("%s, %d urgent items wait, want %d", when, got, n)
		}
	}
	l.PushLate("a/1")
	l.Push("a/2")
	want(1, "with an urgent and a late item")
	l.Hurry("a/1")
	l.Hurry("a/1")
	want(2, "after the late item was hurried")
	l.Pop()
	l.Pop()
	want(0, "after both were taken")
}

// A namespace that uses its whole share waits for its own items. If its other items counted, it would hold back the
// bookkeeping of every namespace for ever.
func TestUrgentItemsOfAFullShareDoNotCount(t *testing.T) {
	t.Parallel()
	l := fair.New(1, namespace)
	l.Push("a/1")
	l.Push("a/2")
	first := l.Pop()
	if got := l.Urgent(); got != 0 {
		t.Errorf("%d urgent items wait for a worker, want none", got)
	}
	l.Done(first)
	if got := l.Urgent(); got != 1 {
		t.Errorf("after one is done, %d urgent items wait for a worker, want 1", got)
	}
}
