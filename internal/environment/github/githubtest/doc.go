// Package githubtest is a server that behaves as GitHub's API does about deployments, for tests: filters, pages, ETags, rate limits, the
// statuses that it adds by itself, the tokens of Apps. It can be told to fail.
package githubtest
