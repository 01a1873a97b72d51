// Package environment says what one environment of an application may take from the others: a release that became Available
// upstream, has been so for long enough, and has been neither quarantined nor taken back there.
//
// Where environments meet is a Backend: this cluster, GitHub, GitLab. What a backend tells is news, as old as it says, and evidence only
// where the backend vouches for it. The package reads no clock and calls nobody.
package environment
