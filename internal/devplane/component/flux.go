package component

import "path/filepath"

// FluxNamespace is the namespace of Flux's controllers.
const FluxNamespace = "flux-system"

// NewSourceController returns the process of source-controller, which also serves the artifacts that it fetched.
func NewSourceController(c Config) Process {
	return Process{
		Name: SourceController,
		Path: c.binary(SourceController),
		Args: append([]string{
			"--storage-path=" + filepath.Join(c.Dir, "artifacts"),
			"--storage-addr=" + address(c.Ports.SourceStorage),
			"--storage-adv-addr=" + address(c.Ports.SourceStorage),
			"--health-addr=" + address(c.Ports.SourceHealth),
		}, fluxArgs()...),
		Env:      c.controllerEnv(SourceController),
		ReadyURL: "http://" + address(c.Ports.SourceHealth) + "/readyz",
	}
}

// NewKustomizeController returns the process of kustomize-controller.
func NewKustomizeController(c Config) Process {
	return Process{
		Name: KustomizeController,
		Path: c.binary(KustomizeController),
		Args: append([]string{
			"--health-addr=" + address(c.Ports.KustHealth),
		}, fluxArgs()...),
		Env:      c.controllerEnv(KustomizeController),
		ReadyURL: "http://" + address(c.Ports.KustHealth) + "/readyz",
	}
}

// fluxArgs returns the arguments that differ from a default installation: loopback only, no leader election, quick
// retries.
func fluxArgs() []string {
	return []string{
		"--metrics-addr=0",
		"--events-addr=",
		"--min-retry-delay=200ms",
		"--max-retry-delay=5s",
		"--requeue-dependency=2s",
		"--log-level=info",
	}
}
