// Package gitlab lets the environments of an application meet in a GitLab project.
//
// People find what runs where among the Environments and Deployments of the project. Controllers read snippets: one for each environment
// and login, with the state of its deployments. A deployment of GitLab has no room for that, and everybody who may deploy may change its
// status; only its author and maintainers may change a snippet. The list of snippets contains everything about every application.
//
// All Backends of one project and token share what they read.
package gitlab
