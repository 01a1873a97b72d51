// Package health says what a health check reports, and whether the report speaks for what was deployed.
//
// A report without evidence for the deployed revision is neither good nor bad: it holds a release and never finishes a bake.
// The package reads no clock and calls nobody.
package health
