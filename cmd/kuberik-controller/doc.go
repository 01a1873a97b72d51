// Command kuberik-controller runs the controllers of Kuberik in a cluster, beside Flux.
package main
