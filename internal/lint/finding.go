package lint

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Severity is how bad a finding is.
type Severity string

const (
	// Error means that the API server refuses the object, or that a release cannot pass.
	Error Severity = "error"
	// Warning means that the manifests do less than they seem to.
	Warning Severity = "warning"
)

// Finding is one mistake.
type Finding struct {
	// ID of the rule, such as KL012.
	ID string `json:"id"`
	// Severity is error or warning.
	Severity Severity `json:"severity"`
	// File and Line of the mistake.
	File string `json:"file"`
	Line int    `json:"line"`
	// Object that has the mistake, such as RolloutGate shop/approval. Empty if the file cannot be read.
	Object string `json:"object,omitempty"`
	// Message says what is wrong and what to write.
	Message string `json:"message"`
}

// Source is a file.
type Source struct {
	// Name of the file, as findings show it.
	Name string
	// Text of the file: YAML with any number of documents, or JSON.
	Text []byte
}

// Options of a run.
type Options struct {
	// Now is the time. A schedule whose dates are over never opens again.
	Now time.Time
	// GateClasses and HealthClasses are classes that external controllers evaluate, in addition to those of Kuberik.
	GateClasses, HealthClasses []string
}

// Result is the result of a run.
type Result struct {
	// Findings, sorted by file and line.
	Findings []Finding
	// Objects is how many Kubernetes objects the files have, of any kind.
	Objects int
}

// run is one run.
type run struct {
	Options
	findings []Finding
}

// Run checks files. References between objects are checked over all of them.
func Run(sources []Source, o Options) Result {
	r := &run{Options: o}
	var all []*object
	for _, s := range sources {
		all = append(all, r.read(s)...)
	}
	files := r.index(all)
	for _, o := range all {
		r.checkQuotes(o, files)
		r.checkSchema(o)
	}
	r.checkTwice(all)
	for _, check := range []func(*index){
		r.checkGates, r.checkSchedules, r.checkRollouts, r.checkHealthChecks, r.checkTargets, r.checkPolicies,
		r.checkEnvironments,
	} {
		check(files)
	}
	slices.SortStableFunc(r.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.ID, b.ID),
			cmp.Compare(a.Message, b.Message))
	})
	return Result{Findings: slices.Compact(r.findings), Objects: len(all)}
}

// add adds a finding about a field of an object, such as "spec.class".
func (r *run) add(id string, o *object, field, format string, args ...any) {
	r.findings = append(r.findings, Finding{
		ID: id, Severity: severityOf(id), File: o.file, Line: o.lineOf(field), Object: o.String(),
		Message: fmt.Sprintf(format, args...),
	})
}

func severityOf(id string) Severity {
	for i := range Rules {
		if Rules[i].ID == id {
			return Rules[i].Severity
		}
	}
	return Error
}
