package environment

import (
	"cmp"
	"slices"
)

// Cycle returns the names of environments that wait for each other, beginning and ending with the one that is asked about, or nil.
func (n Snapshot) Cycle(environment string, after []string) []string {
	next := func(name string) []string {
		if name == environment {
			return after // the spec is newer than what was published
		}
		s, _ := n.Find(name)
		return s.After
	}
	seen := map[string]bool{}
	var walk func(name string, path []string) []string
	walk = func(name string, path []string) []string {
		for _, up := range next(name) {
			if up == environment {
				return append(path, up)
			}
			if seen[up] {
				continue
			}
			seen[up] = true
			if found := walk(up, append(slices.Clip(path), up)); found != nil {
				return found
			}
		}
		return nil
	}
	return walk(environment, []string{environment})
}

// Connected lists the environments that one is connected with, itself among them: those that come first first, else by name. What waits
// for each other comes by name.
func (n Snapshot) Connected(environment string) []State {
	in := n.component(environment)
	list := slices.DeleteFunc(slices.Clone(n.Environments), func(s State) bool { return !in[s.Environment] })
	depths := n.depths()
	slices.SortStableFunc(list, func(a, b State) int {
		return cmp.Or(cmp.Compare(depths[a.Environment], depths[b.Environment]), cmp.Compare(a.Environment, b.Environment))
	})
	return list
}

// component names the environments that one is connected with, in either direction.
func (n Snapshot) component(environment string) map[string]bool {
	near := map[string][]string{}
	for _, s := range n.Environments {
		for _, up := range s.After {
			near[s.Environment] = append(near[s.Environment], up)
			near[up] = append(near[up], s.Environment)
		}
	}
	in := map[string]bool{environment: true}
	for queue := []string{environment}; len(queue) > 0; queue = queue[1:] {
		for _, next := range near[queue[0]] {
			if !in[next] {
				in[next] = true
				queue = append(queue, next)
			}
		}
	}
	return in
}

// depths is how many environments come before each, on the longest way. Ways are no longer than there are environments, so that cycles end.
func (n Snapshot) depths() map[string]int {
	depths := map[string]int{}
	for range n.Environments {
		for _, s := range n.Environments {
			for _, up := range s.After {
				depths[s.Environment] = min(max(depths[s.Environment], depths[up]+1), len(n.Environments))
			}
		}
	}
	return depths
}
