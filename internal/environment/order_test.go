package environment_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kuberik/kuberik/internal/environment"
)

// graph returns a snapshot of environments, each with its upstream environments.
func graph(edges map[string][]string) environment.Snapshot {
	var n environment.Snapshot
	for name, after := range edges {
		n.Environments = append(n.Environments, environment.State{Environment: name, After: after})
	}
	slices.SortFunc(n.Environments, func(x, y environment.State) int { return cmp.Compare(x.Environment, y.Environment) })
	return n
}

type edges = map[string][]string

func TestCycle(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		edges edges
		of    string
		after []string
		want  []string
	}{
		"none":                  {edges{"a": nil}, "a", nil, nil},
		"empty snapshot":        {edges{}, "a", []string{"b"}, nil},
		"itself":                {edges{"a": {"a"}}, "a", []string{"a"}, []string{"a", "a"}},
		"itself, not published": {edges{}, "a", []string{"a"}, []string{"a", "a"}},
		"two":                   {edges{"a": {"b"}, "b": {"a"}}, "a", []string{"b"}, []string{"a", "b", "a"}},
		"three": {
			edges{"a": {"b"}, "b": {"c"}, "c": {"a"}}, "b", []string{"c"}, []string{"b", "c", "a", "b"},
		},
		"by the second": {
			edges{"a": {"x", "b"}, "b": {"a"}, "x": nil}, "a", []string{"x", "b"}, []string{"a", "b", "a"},
		},
		"a chain": {edges{"a": nil, "b": {"a"}, "c": {"b"}}, "c", []string{"b"}, nil},
		"a diamond": {
			edges{"a": nil, "b": {"a"}, "c": {"a"}, "d": {"b", "c"}}, "d", []string{"b", "c"}, nil,
		},
		"a diamond that is closed": {
			edges{"a": {"d"}, "b": {"a"}, "c": {"a"}, "d": {"b", "c"}}, "a", []string{"d"}, []string{"a", "d", "b", "a"},
		},
		"a cycle upstream":                     {edges{"a": {"b"}, "b": {"c"}, "c": {"b"}}, "a", []string{"b"}, nil},
		"after a cycle":                        {edges{"a": {"b"}, "b": {"a"}, "c": {"a"}}, "c", []string{"a"}, nil},
		"removed from the spec, not published": {edges{"a": {"b"}, "b": {"a"}}, "a", nil, nil},
		"unknown names":                        {edges{"a": {"x", "y"}}, "a", []string{"x", "y"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := gocmp.Diff(tc.want, graph(tc.edges).Cycle(tc.of, tc.after)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestConnected(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		edges edges
		of    string
		want  []string
	}{
		"alone":   {edges{"a": nil, "b": nil}, "a", []string{"a"}},
		"unknown": {edges{"a": nil}, "z", nil},
		"in order": {
			edges{"production": {"staging"}, "staging": {"dev"}, "dev": nil}, "staging",
			[]string{"dev", "staging", "production"},
		},
		"from either end": {
			edges{"production": {"staging"}, "staging": {"dev"}, "dev": nil}, "dev", []string{"dev", "staging", "production"},
		},
		"by the longest path": {
			edges{"d": {"a", "c"}, "c": {"b"}, "b": {"a"}, "a": nil}, "a", []string{"a", "b", "c", "d"},
		},
		"equals by name": {
			edges{"d": {"b", "c"}, "c": {"a"}, "b": {"a"}, "a": nil}, "d", []string{"a", "b", "c", "d"},
		},
		"through an unknown one": {edges{"a": {"x"}, "b": {"x"}, "c": nil}, "a", []string{"a", "b"}},
		"itself":                 {edges{"a": {"a"}, "b": nil}, "a", []string{"a"}},
		"a cycle by name":        {edges{"b": {"c"}, "c": {"a"}, "a": {"b"}, "z": nil}, "c", []string{"a", "b", "c"}},
		"before the cycle":       {edges{"x": nil, "b": {"x", "a"}, "a": {"b"}}, "a", []string{"x", "a", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := gocmp.Diff(tc.want, names(graph(tc.edges).Connected(tc.of))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func names(list []environment.State) []string {
	var names []string
	for _, s := range list {
		names = append(names, s.Environment)
	}
	return names
}

// randomGraph returns a graph of up to twelve environments, which may refer to unknown ones.
func randomGraph(r *rand.Rand) (environment.Snapshot, edges) {
	e := edges{}
	n := 1 + r.IntN(12)
	for i := range n {
		name := fmt.Sprint(i)
		e[name] = nil
		for range r.IntN(3) {
			e[name] = append(e[name], fmt.Sprint(r.IntN(n+1)))
		}
	}
	return graph(e), e
}

// reaches reports whether one environment comes after another, by a simple search.
func (e pairs) reaches(from, to string, seen map[string]bool) bool {
	return slices.ContainsFunc(e.edges[from], func(up string) bool {
		if up == to {
			return true
		}
		if seen[up] {
			return false
		}
		seen[up] = true
		return e.reaches(up, to, seen)
	})
}

type pairs struct{ edges edges }

// checkGraph checks the results for a random graph, and returns the error, or "".
func checkGraph(r *rand.Rand) string {
	n, e := randomGraph(r)
	mixed := environment.Snapshot{Environments: slices.Clone(n.Environments)}
	r.Shuffle(len(mixed.Environments), func(i, j int) {
		mixed.Environments[i], mixed.Environments[j] = mixed.Environments[j], mixed.Environments[i]
	})
	reach := pairs{e}
	for name, after := range e {
		path := n.Cycle(name, after)
		if (path != nil) != reach.reaches(name, name, map[string]bool{}) {
			return fmt.Sprintf("the cycle of %s is %v in %v", name, path, e)
		}
		for i := range max(0, len(path)-1) {
			if !slices.Contains(e[path[i]], path[i+1]) || path[0] != name || path[len(path)-1] != name {
				return fmt.Sprintf("%v is no cycle of %v", path, e)
			}
		}
		list := names(n.Connected(name))
		if !slices.Contains(list, name) || !slices.Equal(list, names(mixed.Connected(name))) {
			return fmt.Sprintf("%s is connected with %v in %v", name, list, e)
		}
		for i, x := range list {
			for _, y := range list[:i] {
				if reach.reaches(y, x, map[string]bool{}) && !reach.reaches(x, y, map[string]bool{}) && n.Cycle(y, e[y]) == nil &&
					!afterCycle(n, e, reach, y) {
					return fmt.Sprintf("%s is listed before %s, which comes first, in %v", y, x, e)
				}
			}
		}
	}
	return ""
}

// afterCycle reports whether an environment comes after a cycle.
func afterCycle(n environment.Snapshot, e edges, reach pairs, name string) bool {
	for other := range e {
		if n.Cycle(other, e[other]) != nil && reach.reaches(name, other, map[string]bool{}) {
			return true
		}
	}
	return false
}

func TestGraphs(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3000) {
		if err := checkGraph(rand.New(rand.NewPCG(seed, 1))); err != "" {
			t.Fatalf("seed %d: %s", seed, err)
		}
	}
}

func FuzzGraphs(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, a, b uint64) {
		if err := checkGraph(rand.New(rand.NewPCG(a, b))); err != "" {
			t.Fatal(err)
		}
	})
}

// TestManyEnvironments: a large cycle does not block the controller.
func TestManyEnvironments(t *testing.T) {
	t.Parallel()
	e := edges{}
	for i := range 2000 {
		e[fmt.Sprint(i)] = []string{fmt.Sprint(i + 1), "0"}
	}
	n := graph(e)
	if n.Cycle("0", e["0"]) == nil || len(n.Connected("5")) != len(e) {
		t.Error("the cycle was not found, or not all are connected")
	}
}
