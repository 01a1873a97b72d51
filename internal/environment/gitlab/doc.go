// Package gitlab is the backend that stores states in a GitLab project.
//
// Users see the Environments and Deployments of the project. Controllers read snippets: one for each environment and
// login, with the state of its deployments. A GitLab deployment cannot store that, and everybody who may deploy may
// change its status, whereas only the author and maintainers may change a snippet. One list of snippets contains the
// states of all applications.
//
// The Backends of a project and token share what they read.
package gitlab
