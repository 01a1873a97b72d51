package lint

// Rule is a kind of mistake.
type Rule struct {
	// ID of its findings. It never changes.
	ID       string
	Severity Severity
	// Title says what is wrong.
	Title string
	// Meaning says what happens because of it, and Mend what to do.
	Meaning, Mend string
}

// Rules lists the rules by ID.
var Rules = []Rule{
	{
		"KL001", Error, "The file cannot be read",
		"The text is not valid YAML, or a key appears twice in one object. The API server refuses the file, or keeps only " +
			"one of the two values.",
		"Correct the line that the message names.",
	},
	{
		"KL002", Error, "A field has an invalid value",
		"The schema or a CEL rule of the CRD does not allow the value, or a required field is missing. The API server " +
			"refuses the object.",
		"Write what the message asks for. `kubectl explain KIND.spec` describes the fields.",
	},
	{
		"KL003", Error, "A variable of the version is not quoted",
		"Flux replaces the variable in the text of the manifest before it parses the YAML. Without quotes, the tag 1.10 " +
			"becomes the number 1.1, " +
			"and a tag such as 1e3 or 012 becomes another number.",
		"Put the variable in quotes: `\"${VERSION}\"`.",
	},
	{
		"KL004", Error, "The CRD does not have the field",
		"The API server drops unknown fields without an error, unless the client asks it to be strict. The setting has no " +
			"effect.",
		"Correct the name of the field, or remove it.",
	},
	{
		"KL005", Error, "The kind or its version does not exist",
		"Kuberik has no such kind, or not in that version. The API server refuses the object.",
		"Write the `apiVersion` and the `kind` that the message names.",
	},
	{
		"KL006", Error, "An object is defined twice",
		"Two documents define the same object. Only the one that is applied last takes effect, and kustomize refuses both.",
		"Remove one of them.",
	},
	{
		"KL010", Error, "The schedule never opens",
		"No time in the future is open, so that the gates of the schedule hold every release. A freeze with `always: " +
			"true` is not meant: it holds until somebody removes it.",
		"Correct the dates, the days or the action of the schedule, or remove it.",
	},
	{
		"KL011", Error, "The schedule cannot be evaluated",
		"The time zone, the selectors or the rules are invalid. Such a schedule is closed.",
		"Correct what the message names.",
	},
	{
		"KL012", Error, "Nobody evaluates the class of the gate",
		"Kuberik evaluates the classes `manual`, `http` and `environment`. A gate of another class stays closed until " +
			"another controller writes its verdicts.",
		"Correct the class. If another controller evaluates it, run `kuberik lint --gate-class CLASS`.",
	},
	{
		"KL013", Warning, "The Rollout of a gate does not exist in these files",
		"A gate of a Rollout that does not exist holds nothing.",
		"Correct `spec.rolloutRef.name`, or give the files of the Rollout too.",
	},
	{
		"KL014", Error, "An expression of the gate does not compile",
		"The gate stays closed, with the reason `ExpressionFailed`.",
		"Correct the CEL expression as the message says.",
	},
	{
		"KL015", Warning, "A rule of the schedule never matches",
		"The days and the dates of the rule exclude each other, or its dates are over. The rule has no effect.",
		"Correct the rule, or remove it.",
	},
	{
		"KL016", Warning, "The schedule selects no Rollout of these files",
		"The schedule holds nothing.",
		"Compare its selectors with the labels of the Rollouts and of their namespaces.",
	},
	{
		"KL017", Warning, "The gate can never open for a release",
		"The gate has `passing: false`, or an empty `allowedVersions` and no `approvals`. It holds every release until " +
			"somebody edits it.",
		"If that is intended, ignore the finding. Otherwise add `spec.approvals`, or use a schedule.",
	},
	{
		"KL020", Error, "The ImagePolicy of the Rollout does not exist in these files",
		"The Rollout has no releases, with the reason `ImagePolicyNotFound`.",
		"Correct `spec.releasesImagePolicy.name`. The ImagePolicy has to be in the namespace of the Rollout.",
	},
	{
		"KL021", Warning, "The selector selects no HealthCheck of these files",
		"A Rollout whose selector selects no HealthCheck holds every release, with the reason `NoHealthChecks`.",
		"Compare `spec.healthCheckSelector` with the labels of the HealthChecks.",
	},
	{
		"KL022", Error, "No Flux object takes the version of the Rollout",
		"The release is held with the reason `NoTargets`.",
		"Annotate a Kustomization with `rollout.kuberik.com/substitute.VERSION.from: ROLLOUT`, or an OCIRepository with " +
			"`rollout.kuberik.com/rollout: ROLLOUT`.",
	},
	{
		"KL023", Error, "A required gate does not exist in these files",
		"The release is held with the reason `NoGate`.",
		"Create the gate, or correct `spec.requiredGates`.",
	},
	{
		"KL030", Error, "Nobody reports on the class of the health check",
		"Kuberik evaluates the classes `kustomization`, `http`, `datadog`, `prometheus` and `script`. A check of another " +
			"class stays Pending until " +
			"another controller reports, and holds the releases of the Rollouts that select it.",
		"Correct the class. If another controller reports on it, run `kuberik lint --health-class CLASS`.",
	},
	{
		"KL031", Error, "An expression of the health check does not compile",
		"The check stays Pending and holds the release.",
		"Correct the CEL expression as the message says.",
	},
	{
		"KL032", Error, "The Kustomization of the health check does not exist in these files",
		"The check stays Pending and holds the release.",
		"Correct `spec.kustomization.name`. The Kustomization has to be in the namespace of the check.",
	},
	{
		"KL033", Warning, "No Rollout of these files selects the health check",
		"The check is evaluated, and no release waits for it.",
		"Compare its labels with the `spec.healthCheckSelector` of the Rollouts. With `mode: Observe`, the finding does " +
			"not appear.",
	},
	{
		"KL040", Error, "The Rollout of a Flux object does not exist in these files",
		"Nothing writes the version to the object.",
		"Correct the value of the annotation. The Rollout has to be in the namespace of the object.",
	},
	{
		"KL041", Error, "Flux does not use the version that Kuberik writes",
		"Another field takes precedence over the version, or the annotation is invalid. The release is held with the " +
			"reason `Overridden`.",
		"Remove the field, or correct the annotation, as the message says.",
	},
	{
		"KL042", Warning, "The manifests set the version",
		"The manifest has a value for the variable that Kuberik writes. Whoever applies the manifest and Kuberik " +
			"overwrite each other's version.",
		"Remove the variable from `spec.postBuild.substitute`, or the tag from `spec.ref`.",
	},
	{
		"KL043", Warning, "The Kustomization is suspended",
		"Flux applies nothing. The release is held with the reason `FluxSuspended`.",
		"Remove `spec.suspend`.",
	},
	{
		"KL050", Warning, "A tag that is pushed again is not noticed",
		"The ImagePolicy does not read the digest of the tag again, so that an image that was pushed again under the same " +
			"tag is no new release.",
		"Set `spec.digestReflectionPolicy: Always` and `spec.interval` in the ImagePolicy.",
	},
	{
		"KL060", Error, "Environments wait for each other",
		"Each waits until a release is Available in the other. Nothing is ever promoted.",
		"Remove one of the dependencies.",
	},
	{
		"KL061", Error, "The environment that comes before does not exist in these files",
		"The gate of the Environment holds every release, with the reason `UnknownEnvironment`.",
		"Correct the name in `spec.dependsOn` or `spec.relationship`.",
	},
	{
		"KL062", Error, "The Rollout of an Environment does not exist in these files",
		"The Environment reports nothing, and its gate holds nothing.",
		"Correct `spec.rolloutRef.name`.",
	},
	{
		"KL063", Error, "The namespaces of two environments are not in one group",
		"Environments see each other across namespaces only if both namespaces have the label " +
			"`environments.kuberik.com/group` with the same value.",
		"Add the label to both namespaces.",
	},
}
