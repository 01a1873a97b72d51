package environment

import (
	"cmp"
	"slices"
)

// Cycle returns the names of environments that depend on each other, beginning and ending with the given one, or nil.
// After are the environments that the given one depends on.
func (s Snapshot) Cycle(environment string, after []string) []string {
	upstreams := func(name string) []string {
		if name == environment {
			return after // the spec is newer than the published state
		}
		env, _ := s.Find(name)
		return env.After
	}
	visited := map[string]bool{}
	var walk func(name string, path []string) []string
	walk = func(name string, path []string) []string {
		for _, up := range upstreams(name) {
			if up == environment {
				return append(path, up)
			}
			if visited[up] {
				continue
			}
			visited[up] = true
			if cycle := walk(up, append(slices.Clip(path), up)); cycle != nil {
				return cycle
			}
		}
		return nil
	}
	return walk(environment, []string{environment})
}

// Connected returns the given environment and those that it is connected with, upstream ones first, else by name. The
// environments of a cycle are in the order of their names.
func (s Snapshot) Connected(environment string) []State {
	connected := s.component(environment)
	list := slices.DeleteFunc(slices.Clone(s.Environments), func(env State) bool { return !connected[env.Environment] })
	depths := s.depths()
	slices.SortStableFunc(list, func(a, b State) int {
		return cmp.Or(cmp.Compare(depths[a.Environment], depths[b.Environment]), cmp.Compare(a.Environment, b.Environment))
	})
	return list
}

// component returns the names of the environments that the given one is connected with, in either direction.
func (s Snapshot) component(environment string) map[string]bool {
	neighbours := map[string][]string{}
	for _, env := range s.Environments {
		for _, up := range env.After {
			neighbours[env.Environment] = append(neighbours[env.Environment], up)
			neighbours[up] = append(neighbours[up], env.Environment)
		}
	}
	connected := map[string]bool{environment: true}
	for queue := []string{environment}; len(queue) > 0; queue = queue[1:] {
		for _, next := range neighbours[queue[0]] {
			if !connected[next] {
				connected[next] = true
				queue = append(queue, next)
			}
		}
	}
	return connected
}

// depths returns the length of the longest path from each environment to one without upstreams. No path is longer than
// the number of environments, so that cycles end.
func (s Snapshot) depths() map[string]int {
	depths := map[string]int{}
	for range s.Environments {
		for _, env := range s.Environments {
			for _, up := range env.After {
				depths[env.Environment] = min(max(depths[env.Environment], depths[up]+1), len(s.Environments))
			}
		}
	}
	return depths
}
