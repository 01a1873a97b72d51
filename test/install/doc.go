// Package install tests the ways to install Kuberik: one file, Kustomize and Helm. It is a module of its own, so that Helm and Kustomize are
// dependencies of nothing that ships.
package install
