// Package config holds the manifests that install Kuberik on a cluster, so that programs can carry them.
package config

import "embed"

// Install holds what has to be there before the controller starts, in folders: crd, rbac and policy. The Deployment of
// the controller, in the folder manager, is left to those who have a cluster that runs containers.
//
//go:embed crd/*.yaml rbac/*.yaml policy/*.yaml
var Install embed.FS
