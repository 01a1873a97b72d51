// Package gitlab is a GitLab project as the place where the environments of an application meet.
//
// People find what runs where among the project's Environments and Deployments. Controllers read snippets: one for each environment and
// login, with what became of its deployments. A deployment of GitLab has no room for that, and anybody who may deploy may change its
// status; a snippet is changed by its author alone, and by maintainers. One list of snippets tells everything about every application.
//
// All Backends of one project and one token share what was read.
package gitlab
