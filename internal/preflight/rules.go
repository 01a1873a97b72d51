package preflight

// Rule is something that a cluster needs.
type Rule struct {
	// ID of its results. It never changes.
	ID string
	// Title says what is needed.
	Title string
	// Meaning says what happens without it, and Mend what to do.
	Meaning, Mend string
}

// IDs of the rules.
const (
	Kubernetes = "KC01"
	CRDs       = "KC02"
	Flux       = "KC03"
	Policies   = "KC04"
	Rights     = "KC05"
	Controller = "KC06"
	Version    = "KC07"
)

// Rules lists the rules by ID.
var Rules = []Rule{
	{
		Kubernetes, "Kubernetes is 1.31 or newer",
		"An older API server does not know the selectable fields of the CRDs and refuses them.",
		"Upgrade the cluster.",
	},
	{
		CRDs, "The CRDs are those of this program, or newer",
		"A field that the API server does not know is dropped. A setting in it has no effect, and a controller that " +
			"writes it forgets it.",
		"Apply `config/crd` of this version.",
	},
	{
		Flux, "Flux has its source-controller, kustomize-controller and image-reflector-controller",
		"Without them there are no releases, and nothing applies a version.",
		"Run `flux install --components-extra=image-reflector-controller`. Kuberik needs Flux 2.7 or newer.",
	},
	{
		Policies, "The admission policies are bound as they are shipped",
		"Without them nobody verifies who approves, so that approvals and overrides do not count. Tenants may write the " +
			"record of a Rollout.",
		"Apply `config/policy` of this version.",
	},
	{
		Rights, "You may read the objects of Kuberik",
		"The commands that show something are refused.",
		"Ask for the ClusterRole `kuberik-view` in the namespace.",
	},
	{
		Controller, "The controller runs",
		"Nothing is deployed.",
		"Look at `kubectl logs -n kuberik-system deploy/kuberik-controller`.",
	},
	{
		Version, "The controller and this program have the same version",
		"Messages and decisions of the controller may differ from what this program shows.",
		"Upgrade the older of the two.",
	},
}
