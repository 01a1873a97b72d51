package archtest

// limits are the sizes above which a reader loses the thread.
type limits struct {
	fileLines, functionLines, complexity, nesting, parameters, interfaceMethods, filesPerPackage int
}

var usual = limits{
	fileLines: 500, functionLines: 60, complexity: 12, nesting: 3, parameters: 5, interfaceMethods: 5, filesPerPackage: 10,
}

const (
	reconcileLines     = 40
	directDependencies = 50
	makeTargets        = 25
	importChain        = 10
	statusWrites       = 1
)

// limitsFor is stricter in the core, which everybody reads, and knows no length for API types, which are documentation.
func limitsFor(pkg string) limits {
	l := usual
	switch {
	case pkg == "internal/release":
		l.functionLines, l.complexity = 30, 8
	case matches("api/...", pkg):
		l.fileLines, l.filesPerPackage = unlimited, unlimited
	}
	return l
}

const unlimited = 1 << 30
