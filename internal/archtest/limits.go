package archtest

// limits are the maximum sizes of files, functions, interfaces and packages.
type limits struct {
	fileLines, functionLines, complexity, nesting, parameters, interfaceMethods, filesPerPackage int
}

var defaultLimits = limits{
	fileLines: 500, functionLines: 60, complexity: 12, nesting: 3, parameters: 5, interfaceMethods: 5, filesPerPackage: 10,
}

const (
	maxReconcileLines     = 40
	maxDirectDependencies = 50
	maxMakeTargets        = 25
	maxImportChain        = 10
	maxStatusWrites       = 1
)

// limitsFor returns the limits of a package. They are stricter for internal/release and do not limit the length of API
// types, which are mostly documentation.
func limitsFor(pkg string) limits {
	l := defaultLimits
	switch {
	case pkg == "internal/release":
		l.functionLines, l.complexity = 30, 8
	case matches("api/...", pkg):
		l.fileLines, l.filesPerPackage = unlimited, unlimited
	}
	return l
}

const unlimited = 1 << 30
