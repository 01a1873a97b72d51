package archtest

import "strings"

// anyRank marks code that only tests use: it may import everything, and no program may import it.
const anyRank = -1

// quiet is the highest rank whose packages touch no client, no clock and no network.
const quiet = 3

type room struct {
	// path is a package below the module root; "/..." at its end stands for all packages below it.
	path string
	rank int
}

// rooms is the one list of packages. An import goes from a higher rank to a lower one. A list of variants ("all") and a
// program above several rooms have a rank of their own, since those of one rank never meet.
var rooms = []room{
	{"api/v1alpha1", 0},
	{"api/environments/v1alpha1", 1},

	{"internal/buildinfo", 1},
	{"internal/fair", 1},
	{"internal/gate", 1},
	{"internal/health", 1},
	{"internal/observed", 1},
	{"internal/schedule", 1},
	{"internal/version", 1},

	{"internal/release", 2},

	{"internal/devplane/component", 3},
	{"internal/environment", 3},
	{"internal/view", 3},
	{"sim", 3},

	{"internal/archtest", 4},
	{"config", 3},
	{"internal/expr", 4},
	{"internal/kube", 4},
	{"internal/outbound", 4},
	{"web", 4},

	{"internal/environment/...", 5},
	{"internal/environment/remote", 4},
	{"internal/consent", 5},
	{"internal/flux", 5},
	{"internal/oci", 5},

	{"internal/devplane/...", 6},
	{"internal/environment/all", 6},
	{"internal/gate/...", 6},
	{"internal/health/...", 6},

	{"internal/devplane", 7},
	{"internal/health/all", 7},

	{"internal/controller/...", 8},
	{"internal/dashboard", 8},

	{"internal/controller", 9},
	{"internal/demo", 9},
	{"internal/demo/endpoint", 4},

	{"internal/cli", 10},

	{"cmd/...", 11},

	{"internal/environment/environmenttest", anyRank},
	{"internal/health/healthtest", anyRank},
	{"internal/outbound/outboundtest", anyRank},
	{"test/...", anyRank},
}

// rankOf finds the entry that names the package, else the longest that names those around it.
func rankOf(path string) (rank int, known bool) {
	longest := -1
	for _, r := range rooms {
		if r.path == path {
			return r.rank, true
		}
		if matches(r.path, path) && len(r.path) > longest {
			longest, rank, known = len(r.path), r.rank, true
		}
	}
	return rank, known
}

// matches reports whether a pattern names the package. Unlike Go's own, "x/..." leaves out x itself.
func matches(pattern, path string) bool {
	parent, below := strings.CutSuffix(pattern, "...")
	if below {
		return strings.HasPrefix(path, parent)
	}
	return pattern == path
}

func matchesAny(patterns []string, path string) bool {
	for _, p := range patterns {
		if matches(p, path) {
			return true
		}
	}
	return false
}
