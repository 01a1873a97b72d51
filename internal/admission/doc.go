// Package admission says whether an admission policy that Kuberik ships is in force in the cluster, as it ships. What people claim
// to be is worth nothing without the policy that proves it.
package admission
