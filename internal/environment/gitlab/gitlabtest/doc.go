// Package gitlabtest is a GitLab for tests: the users, deployments, environments and snippets of one project. It
// behaves as GitLab documents its API, or else as its models do, and refuses requests that GitLab would refuse.
package gitlabtest
