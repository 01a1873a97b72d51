// Package gitlabtest is a GitLab for tests: the users, deployments, environments and snippets of one project, as GitLab documents its API and
// as its models behave where the documents do not say. What it is asked in another form than GitLab takes, it refuses.
package gitlabtest
