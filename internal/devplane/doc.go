// Package devplane runs a local cluster of real components on a machine without a container engine: etcd and the API
// server; on request Kubernetes' own controllers, the scheduler and KWOK, which simulates the kubelet; on request
// Flux's source-controller and kustomize-controller, an image reflector and a registry.
//
//	plane, err := devplane.Start(ctx, devplane.Options{Flux: true, Workloads: true})
//	…
//	defer plane.Stop(ctx)
//
// Everything listens on loopback ports that no other local cluster uses, keeps its state and logs in one folder, and
// ends with this process, however that ends. Pods are simulated: they become ready at once, and nothing runs in them.
// NeverReadyTags names the versions whose pods never become ready.
//
// The packages below: component describes each program as a value, supervise runs them, port and pki provide ports and
// certificates, artifact fills the registry, reflector replaces Flux's image-reflector-controller, and build provides
// the programs.
package devplane
