// Package githubtest is a server for tests that behaves as GitHub's API for deployments: filters, pages, ETags, rate
// limits, the statuses that GitHub adds itself, and the tokens of Apps. Its faults can be injected.
package githubtest
