// Package devplane runs a local cluster of real components on a machine with no
// container engine: etcd and the API server; on request Kubernetes' own
// controllers, the scheduler and KWOK, which plays the kubelet; on request
// Flux's source- and kustomize-controller, an image reflector and a registry.
//
//	plane, err := devplane.Start(ctx, devplane.Options{Flux: true, Workloads: true})
//	…
//	defer plane.Stop(ctx)
//
// Everything listens on loopback ports that no other local cluster has, keeps
// its state and logs in one folder, and ends with this process, however that
// ends. Pods are simulated: they become ready at once, and nothing runs in
// them. What never becomes ready is said with NeverReadyTags.
//
// The rooms below: component describes each program as a value, supervise runs
// them, port and pki hand out ports and certificates, artifact fills the
// registry, reflector stands in for Flux's image-reflector-controller.
//
// The programs are built by hack/components; none is downloaded.
package devplane
