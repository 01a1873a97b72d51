package archtest

import "strings"

// anyRank is the rank of packages for tests. They may import every package, and only tests may import them.
const anyRank = -1

// maxPureRank is the highest rank of pure packages, which use no client, no clock and no network.
const maxPureRank = 3

type packageRank struct {
	// pattern is the path of a package in the module, or ends in "/..." for all packages below it.
	pattern string
	rank    int
}

// ranks lists the packages. A package may only import packages of lower rank, so packages of the same rank never
// import each other. The packages named "all" have a higher rank than the providers that they list.
var ranks = []packageRank{
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
	{"internal/lease", 4},
	{"internal/outbound", 4},
	{"internal/scrape", 4},

	{"internal/environment/...", 5},
	{"internal/environment/remote", 4},
	{"internal/approval", 5},
	{"internal/flux", 5},
	{"internal/installed", 5},
	{"internal/oci", 5},

	{"internal/devplane/...", 6},
	{"internal/environment/all", 6},
	{"internal/gate/...", 6},
	{"internal/health/...", 6},

	{"internal/devplane", 7},
	{"internal/health/all", 7},

	{"internal/lint", 7},
	{"internal/preflight", 7},

	{"internal/controller/...", 8},

	{"internal/controller", 9},
	{"internal/dist", 9},
	{"internal/demo", 9},
	{"internal/demo/endpoint", 4},

	{"internal/cli/exit", 4},
	{"internal/cli/session", 10},
	{"internal/cli/...", 11},
	{"internal/cli", 12},

	{"cmd/...", 13},
	{"hack/dist", 13},

	{"internal/cli/clitest", anyRank},
	{"internal/environment/environmenttest", anyRank},
	{"internal/health/healthtest", anyRank},
	{"internal/outbound/outboundtest", anyRank},
	{"test/...", anyRank},
}

// rankOf returns the rank of a package: that of its own entry, else that of the longest matching pattern.
func rankOf(path string) (rank int, known bool) {
	longest := -1
	for _, r := range ranks {
		if r.pattern == path {
			return r.rank, true
		}
		if matches(r.pattern, path) && len(r.pattern) > longest {
			longest, rank, known = len(r.pattern), r.rank, true
		}
	}
	return rank, known
}

// matches reports whether a pattern matches a package. Unlike a pattern of the go command, "x/..." does not match x.
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
