package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// HealthState is the verdict of a HealthCheck.
type HealthState string

const (
	// HealthHealthy means that what runs is healthy.
	HealthHealthy HealthState = "Healthy"
	// HealthUnhealthy means that what runs is unhealthy. It fails a release in flight.
	HealthUnhealthy HealthState = "Unhealthy"
	// HealthPending means that there is no verdict yet. It holds a release.
	HealthPending HealthState = "Pending"
	// HealthUnknown is the state of a check that could not be read, or that holds another value. No HealthCheck reports
	// it. It neither passes nor fails a bake.
	HealthUnknown HealthState = "Unknown"
)

// Classes of health checks that Kuberik evaluates.
const (
	// HealthClassKustomization checks a Flux Kustomization and every object in its inventory.
	HealthClassKustomization = "kustomization"
	// HealthClassHTTP calls a URL.
	HealthClassHTTP = "http"
	// HealthClassDatadog queries Datadog, or reads a DatadogMonitor object.
	HealthClassDatadog = "datadog"
	// HealthClassPrometheus queries a Prometheus server.
	HealthClassPrometheus = "prometheus"
	// HealthClassScript runs a Job.
	HealthClassScript = "script"
)

// NoData defines the verdict of a check whose source has no data.
// +kubebuilder:validation:Enum=Hold;Pass;Fail
type NoData string

const (
	// NoDataHold holds the release until there is data.
	NoDataHold NoData = "Hold"
	// NoDataPass counts as healthy.
	NoDataPass NoData = "Pass"
	// NoDataFail counts as unhealthy.
	NoDataFail NoData = "Fail"
)

// Mode defines whether a check decides about releases.
// +kubebuilder:validation:Enum=Enforce;Observe
type Mode string

const (
	// ModeEnforce lets the verdict of the check decide about releases.
	ModeEnforce Mode = "Enforce"
	// ModeObserve reports the verdict only.
	ModeObserve Mode = "Observe"
)

// KustomizationReference names a Flux Kustomization.
type KustomizationReference struct {
	// Name is the name of the Kustomization.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// Namespace is the namespace of the Kustomization. Only the namespace of the HealthCheck is accepted. Defaults to it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
}

// HTTPCheck defines a request whose response is the health of the release.
type HTTPCheck struct {
	HTTPRequest `json:",inline"`
	// ExpectedStatus lists the status codes that are healthy, as codes (204) or ranges (200-299). At most 16. It is
	// ignored if success is set. Defaults to 200-299.
	// +optional
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=7
	// +kubebuilder:validation:items:Pattern=`^[1-5][0-9]{2}(-[1-5][0-9]{2})?$`
	ExpectedStatus []string `json:"expectedStatus,omitempty"`
	// Success is a CEL expression that returns true if the response is healthy, over status (int), headers (map of
	// text), body (parsed JSON, or text) and release (tag, digest, revision, rollout, namespace).
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Success string `json:"success,omitempty"`
}

// DatadogSite is the site of a Datadog account.
// +kubebuilder:validation:Enum=datadoghq.com;us3.datadoghq.com;us5.datadoghq.com;datadoghq.eu;ap1.datadoghq.com;ap2.datadoghq.com;ddog-gov.com
type DatadogSite string

// DatadogCheck defines which monitors or metrics of Datadog are checked.
// +kubebuilder:validation:XValidation:rule="[has(self.monitorRef), has(self.monitorID), has(self.monitorTags), has(self.query)].filter(x, x).size() == 1",message="give exactly one of monitorRef, monitorID, monitorTags and query"
// +kubebuilder:validation:XValidation:rule="has(self.monitorRef) || has(self.secretRef)",message="secretRef is needed to query Datadog: name a Secret with the keys api-key and app-key"
// +kubebuilder:validation:XValidation:rule="!has(self.query) || has(self.success)",message="a query needs success, such as: series.all(s, s.last < 0.01)"
type DatadogCheck struct {
	// MonitorRef is a DatadogMonitor object of the Datadog operator, in the same namespace.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.name) || size(self.name) <= 253",message="a name has at most 253 characters"
	MonitorRef *corev1.LocalObjectReference `json:"monitorRef,omitempty"`
	// MonitorID is the ID of a monitor in Datadog.
	// +optional
	MonitorID *int64 `json:"monitorID,omitempty"`
	// MonitorTags selects the monitors that have all of the tags. The worst monitor decides. 1 to 16.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=200
	MonitorTags []string `json:"monitorTags,omitempty"`
	// Query is a metrics query, such as avg:trace.http.request.errors{service:hello}. It requires success.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Query string `json:"query,omitempty"`
	// Window is how far back the query looks. Defaults to 5m.
	// +optional
	Window *Duration `json:"window,omitempty"`
	// Success is a CEL expression that returns true if the result of the query is healthy, over release and series, a
	// list of objects with scope (text), points (list of numbers) and last (number).
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Success string `json:"success,omitempty"`
	// Site is the site of the account. Defaults to datadoghq.com.
	// +optional
	// +kubebuilder:default=datadoghq.com
	Site DatadogSite `json:"site,omitempty"`
	// SecretRef is a Secret of the same namespace with the keys api-key and app-key. The Secret must allow the host of
	// the site, such as api.datadoghq.com, with the annotation kuberik.com/allowed-hosts. Required except with
	// monitorRef.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.name) || size(self.name) <= 253",message="a name has at most 253 characters"
	SecretRef *corev1.LocalObjectReference `json:"secretRef,omitempty"`
}

// PrometheusCheck defines a query to a server with the Prometheus API.
type PrometheusCheck struct {
	// Address is the URL of the server, such as http://prometheus.monitoring.svc:9090.
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() in ['http', 'https'] && url(self).getHostname() != ''",message="write an absolute URL such as http://prometheus.monitoring.svc:9090"
	Address string `json:"address"`
	// Query is a PromQL query. It is evaluated at the time of the check.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Query string `json:"query"`
	// Success is a CEL expression that returns true if the result is healthy, over release and result, a list of objects
	// with labels (map of text) and value (number). For example: result.all(r, r.value < 0.01). An empty result is no
	// data.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Success string `json:"success"`
	// HeadersFrom lists headers whose values come from Secrets. At most 8.
	// +optional
	// +kubebuilder:validation:MaxItems=8
	HeadersFrom []HeaderFrom `json:"headersFrom,omitempty"`
	// TLS defines how the certificate of the server is verified.
	// +optional
	TLS *TLS `json:"tls,omitempty"`
}

// ScriptRuns defines how often a script runs.
// +kubebuilder:validation:Enum=Once;Interval
type ScriptRuns string

const (
	// ScriptOnce runs the script once for each deployment.
	ScriptOnce ScriptRuns = "Once"
	// ScriptInterval runs the script every spec.interval while a deployment is in flight.
	ScriptInterval ScriptRuns = "Interval"
)

// ScriptCheck defines a Job. Exit code 0 is healthy. The container gets the environment variables KUBERIK_VERSION,
// KUBERIK_DIGEST, KUBERIK_REVISION and KUBERIK_ROLLOUT.
// +kubebuilder:validation:XValidation:rule="has(self.jobTemplate) != has(self.image)",message="give either an image, or a whole jobTemplate"
// +kubebuilder:validation:XValidation:rule="!has(self.script) || !has(self.command)",message="give either a script or a command"
type ScriptCheck struct {
	// Image is the image of the container. Either image or jobTemplate is required.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Image string `json:"image,omitempty"`
	// Command is the command of the container. Defaults to the entrypoint of the image.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=65536
	Command []string `json:"command,omitempty"`
	// Args are the arguments of the command.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=65536
	Args []string `json:"args,omitempty"`
	// Script is the text that the interpreter runs, instead of a command. At most 65536 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=65536
	Script string `json:"script,omitempty"`
	// Interpreter runs the script. Defaults to /bin/sh.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Interpreter string `json:"interpreter,omitempty"`
	// Env lists environment variables of the container. At most 64.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	Env []corev1.EnvVar `json:"env,omitempty"`
	// ServiceAccountName is the service account of the pod. Defaults to none, and no token is mounted.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ServiceAccountName string `json:"serviceAccountName,omitempty"`
	// Resources of the container. Defaults to requests of 10m CPU and 32Mi memory, and a memory limit of 256Mi.
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`
	// ActiveDeadline is how long one run may take. Defaults to 5m.
	// +optional
	ActiveDeadline *Duration `json:"activeDeadline,omitempty"`
	// Runs defines how often the script runs: Once for each deployment, or at every Interval. Defaults to Once.
	// +optional
	// +kubebuilder:default=Once
	Runs ScriptRuns `json:"runs,omitempty"`
	// JobTemplate is a complete batch/v1 JobTemplateSpec. It replaces every field above except runs.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Type=object
	JobTemplate *runtime.RawExtension `json:"jobTemplate,omitempty"`
}

// ConditionHealthy is the verdict of a HealthCheck: True is Healthy, False is Unhealthy, and Unknown is Pending.
const ConditionHealthy = "Healthy"

// HealthCheckSpec defines how health is determined.
// +kubebuilder:validation:XValidation:rule="!has(self.kustomization) || has(self.class) && self.class == 'kustomization'",message="the field kustomization is for class kustomization"
// +kubebuilder:validation:XValidation:rule="!has(self.class) || size(self.class) > 0",message="class is empty: write kustomization, http, datadog, prometheus, script, or the class of the controller that reports this check"
// +kubebuilder:validation:XValidation:rule="has(self.http) == (has(self.class) && self.class == 'http')",message="class http and the field http go together"
// +kubebuilder:validation:XValidation:rule="has(self.prometheus) == (has(self.class) && self.class == 'prometheus')",message="class prometheus and the field prometheus go together"
// +kubebuilder:validation:XValidation:rule="has(self.script) == (has(self.class) && self.class == 'script')",message="class script and the field script go together"
// +kubebuilder:validation:XValidation:rule="has(self.datadog) == (has(self.class) && self.class == 'datadog')",message="class datadog and the field datadog go together"
type HealthCheckSpec struct {
	// Class names who reports: kustomization, http, datadog, prometheus, script, or the class of an external controller
	// that writes the status. A check that nobody reports on holds the releases that select it.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self in ['kustomization', 'http', 'datadog', 'prometheus', 'script'] || !(self.lowerAscii() in ['kustomization', 'http', 'datadog', 'prometheus', 'script'])",message="write the class in lower case: kustomization, http, datadog, prometheus or script"
	Class *string `json:"class,omitempty"`
	// Interval is the time between two probes. It is at least 1s. While an unhealthy check gets no answer, the interval
	// doubles each time, up to 2m. Defaults to 30s.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,5}([.][0-9]+)?h|[0-9]{1,7}([.][0-9]+)?m|[0-9]{1,9}([.][0-9]+)?s|[0-9]{1,11}([.][0-9]+)?ms)+$') || duration(self) >= duration('1s')",message="the interval is at least 1s"
	Interval *Duration `json:"interval,omitempty"`
	// Timeout is the limit for one probe. It is more than 0 and at most 5m; above 30s, 30s is used. Defaults to 10s.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,5}([.][0-9]+)?h|[0-9]{1,7}([.][0-9]+)?m|[0-9]{1,9}([.][0-9]+)?s|[0-9]{1,11}([.][0-9]+)?ms)+$') || duration(self) > duration('0s') && duration(self) <= duration('5m')",message="the timeout is more than 0 and at most 5m"
	Timeout *Duration `json:"timeout,omitempty"`
	// FailureThreshold is how many consecutive probes must fail before the check is Unhealthy, from 1 to 100. Defaults
	// to 1.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	FailureThreshold int32 `json:"failureThreshold,omitempty"`
	// SuccessThreshold is how many consecutive probes must pass before the check is Healthy, from 1 to 100. Defaults to
	// 1.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	SuccessThreshold int32 `json:"successThreshold,omitempty"`
	// NoData defines the verdict while the source has no data: Hold, Pass or Fail. Defaults to Hold.
	// +optional
	// +kubebuilder:default=Hold
	NoData NoData `json:"noData,omitempty"`
	// Mode is Enforce or Observe. A check in mode Observe reports its verdict and does not decide about releases.
	// Defaults to Enforce.
	// +optional
	// +kubebuilder:default=Enforce
	Mode Mode `json:"mode,omitempty"`
	// Kustomization is the Kustomization that a check of class kustomization watches. It replaces the annotation
	// healthcheck.kuberik.com/kustomization. If both are set, they must name the same Kustomization.
	// +optional
	Kustomization *KustomizationReference `json:"kustomization,omitempty"`
	// HTTP defines a request. Required for class http.
	// +optional
	HTTP *HTTPCheck `json:"http,omitempty"`
	// Datadog defines monitors or a query. Required for class datadog.
	// +optional
	Datadog *DatadogCheck `json:"datadog,omitempty"`
	// Prometheus defines a query. Required for class prometheus.
	// +optional
	Prometheus *PrometheusCheck `json:"prometheus,omitempty"`
	// Script defines a Job. Required for class script.
	// +optional
	Script *ScriptCheck `json:"script,omitempty"`
}

// CheckedDeployment is a deployment that a verdict applies to.
type CheckedDeployment struct {
	// Rollout is the name of a Rollout in the namespace of the check, or namespace/name.
	// +kubebuilder:validation:MaxLength=317
	Rollout string `json:"rollout"`
	// Token identifies the deployment.
	// +kubebuilder:validation:MaxLength=1024
	Token string `json:"token"`
}

// HealthCheckStatus is the latest verdict.
type HealthCheckStatus struct {
	// ObservedGeneration is the generation of the spec that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Status is Healthy, Unhealthy or Pending.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Status HealthState `json:"status,omitempty"`
	// Message explains the status to people, in at most 32768 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=32768
	Message *string `json:"message,omitempty"`
	// LastErrorTime is when the check last became Unhealthy.
	// +optional
	LastErrorTime *metav1.Time `json:"lastErrorTime,omitempty"`
	// LastChangeTime is when status last changed.
	// +optional
	LastChangeTime *metav1.Time `json:"lastChangeTime,omitempty"`
	// ObservedRevision is the revision that the verdict applies to. For class kustomization, it is the generation of the
	// Kustomization and the revision that Flux applied. A verdict for another revision than the deployed one is ignored.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	ObservedRevision string `json:"observedRevision,omitempty"`
	// Deployments lists the deployments that the verdict applies to: those that Flux had applied before the probes
	// began. Classes that probe set it. At most 50.
	// +optional
	// +kubebuilder:validation:MaxItems=50
	Deployments []CheckedDeployment `json:"deployments,omitempty"`
	// Conditions of the check. Healthy holds the verdict, and Ready reports whether the check is evaluated.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=64
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// HealthCheck reports whether what runs is healthy.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=check,categories=kuberik
// +kubebuilder:printcolumn:name="Class",type=string,JSONPath=`.spec.class`
// +kubebuilder:printcolumn:name="Health",type=string,JSONPath=`.status.status`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.message`
// +kubebuilder:printcolumn:name="Since",type=date,JSONPath=`.status.lastChangeTime`
// +kubebuilder:printcolumn:name="Revision",type=string,JSONPath=`.status.observedRevision`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="has(self.spec) || oldSelf.hasValue() && !has(oldSelf.value().spec)",fieldPath=".spec",reason=FieldValueRequired,optionalOldSelf=true,message="the HealthCheck has no spec: write spec.class, which is kustomization, http, datadog, prometheus, script, or the class of the controller that reports this check"
type HealthCheck struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec defines how the check determines health. It is required.
	// +optional
	Spec HealthCheckSpec `json:"spec,omitempty"`
	// Status is the latest verdict.
	// +optional
	Status HealthCheckStatus `json:"status,omitempty"`
}

// HealthCheckList is a list of HealthChecks.
// +kubebuilder:object:root=true
type HealthCheckList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []HealthCheck `json:"items"`
}
