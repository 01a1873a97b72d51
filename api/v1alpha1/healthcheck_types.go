package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// HealthState is the verdict of a HealthCheck.
type HealthState string

const (
	// HealthHealthy: what runs is well.
	HealthHealthy HealthState = "Healthy"
	// HealthUnhealthy: what runs is not well. It fails a release in flight.
	HealthUnhealthy HealthState = "Unhealthy"
	// HealthPending: no verdict yet. It holds a release.
	HealthPending HealthState = "Pending"
)

// Classes of health checks that Kuberik answers for.
const (
	// HealthClassKustomization looks at a Flux Kustomization and everything in its inventory.
	HealthClassKustomization = "kustomization"
	// HealthClassHTTP asks a URL.
	HealthClassHTTP = "http"
	// HealthClassDatadog asks Datadog, or a DatadogMonitor object.
	HealthClassDatadog = "datadog"
	// HealthClassPrometheus asks a Prometheus.
	HealthClassPrometheus = "prometheus"
	// HealthClassScript runs a Job.
	HealthClassScript = "script"
)

// NoData says what a source without data means.
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

// Mode says whether a check has a say.
// +kubebuilder:validation:Enum=Enforce;Observe
type Mode string

const (
	// ModeEnforce: releases are judged by the check.
	ModeEnforce Mode = "Enforce"
	// ModeObserve: the check only reports.
	ModeObserve Mode = "Observe"
)

// HTTPCheck asks a URL.
type HTTPCheck struct {
	HTTPRequest `json:",inline"`
	// ExpectedStatus lists the status codes that are healthy, single or as ranges. Default 200-299. It does not count where
	// success is given.
	// +optional
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:Pattern=`^[1-5][0-9]{2}(-[1-5][0-9]{2})?$`
	ExpectedStatus []string `json:"expectedStatus,omitempty"`
	// Success is a CEL expression that is true when the answer is healthy, over status (int), headers (map of text), body (parsed
	// JSON, or text) and release (tag, digest, revision, rollout, namespace).
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Success string `json:"success,omitempty"`
}

// DatadogSite is the region of a Datadog account.
// +kubebuilder:validation:Enum=datadoghq.com;us3.datadoghq.com;us5.datadoghq.com;datadoghq.eu;ap1.datadoghq.com;ap2.datadoghq.com;ddog-gov.com
type DatadogSite string

// DatadogCheck asks Datadog.
// +kubebuilder:validation:XValidation:rule="[has(self.monitorRef), has(self.monitorID), has(self.monitorTags), has(self.query)].filter(x, x).size() == 1",message="give exactly one of monitorRef, monitorID, monitorTags and query"
// +kubebuilder:validation:XValidation:rule="has(self.monitorRef) || has(self.apiKeyFrom)",message="apiKeyFrom is needed to ask Datadog: name a Secret with the keys api-key and app-key"
// +kubebuilder:validation:XValidation:rule="!has(self.query) || has(self.success)",message="a query needs success, such as: series.all(s, s.last < 0.01)"
type DatadogCheck struct {
	// MonitorRef is a DatadogMonitor object of the Datadog operator, in the same namespace.
	// +optional
	MonitorRef *corev1.LocalObjectReference `json:"monitorRef,omitempty"`
	// MonitorID of a monitor.
	// +optional
	MonitorID *int64 `json:"monitorID,omitempty"`
	// MonitorTags choose monitors; the worst of them decides.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=200
	MonitorTags []string `json:"monitorTags,omitempty"`
	// Query over metrics, as in avg:trace.http.request.errors{service:hello}.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Query string `json:"query,omitempty"`
	// Window that the query looks back on. Default 5m.
	// +optional
	Window *Duration `json:"window,omitempty"`
	// Success is a CEL expression over series, a list of objects with scope (text), points (list of numbers) and last (number), and
	// over release.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Success string `json:"success,omitempty"`
	// Site of the account. Default datadoghq.com.
	// +optional
	// +kubebuilder:default=datadoghq.com
	Site DatadogSite `json:"site,omitempty"`
	// APIKeyFrom is a Secret of the same namespace with the keys api-key and app-key. It has to allow the host of the site, such as
	// api.datadoghq.com, with the annotation kuberik.com/allowed-hosts.
	// +optional
	APIKeyFrom *corev1.LocalObjectReference `json:"apiKeyFrom,omitempty"`
}

// PrometheusCheck asks a Prometheus, or what speaks its API.
type PrometheusCheck struct {
	// Address of the server, such as http://prometheus.monitoring.svc:9090.
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() in ['http', 'https'] && url(self).getHostname() != ''",message="write an absolute URL such as http://prometheus.monitoring.svc:9090"
	Address string `json:"address"`
	// Query, evaluated at the time of the check.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Query string `json:"query"`
	// Success is a CEL expression over result, a list of objects with labels (map of text) and value (number), and over release. Such
	// as result.all(r, r.value < 0.01). An empty result is no data.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Success string `json:"success"`
	// HeadersFrom are headers whose values are secret.
	// +optional
	// +kubebuilder:validation:MaxItems=8
	HeadersFrom []HeaderFrom `json:"headersFrom,omitempty"`
	// TLS says how the other side is known.
	// +optional
	TLS *TLS `json:"tls,omitempty"`
}

// ScriptRuns says how often a script runs.
// +kubebuilder:validation:Enum=Once;Interval
type ScriptRuns string

const (
	// ScriptOnce runs once for each deployment.
	ScriptOnce ScriptRuns = "Once"
	// ScriptInterval runs once every spec.interval while a deployment is in flight.
	ScriptInterval ScriptRuns = "Interval"
)

// ScriptCheck runs a Job: exit code 0 is healthy. The container gets KUBERIK_VERSION, KUBERIK_DIGEST, KUBERIK_REVISION and
// KUBERIK_ROLLOUT.
// +kubebuilder:validation:XValidation:rule="has(self.jobTemplate) != has(self.image)",message="give either an image, or a whole jobTemplate"
// +kubebuilder:validation:XValidation:rule="!has(self.script) || !has(self.command)",message="give either a script or a command"
type ScriptCheck struct {
	// Image of the container.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Image string `json:"image,omitempty"`
	// Command of the container. Default: that of the image.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	Command []string `json:"command,omitempty"`
	// Args of the command.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	Args []string `json:"args,omitempty"`
	// Script is run by the interpreter.
	// +optional
	// +kubebuilder:validation:MaxLength=65536
	Script string `json:"script,omitempty"`
	// Interpreter of the script. Default /bin/sh.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Interpreter string `json:"interpreter,omitempty"`
	// Env of the container.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	Env []corev1.EnvVar `json:"env,omitempty"`
	// ServiceAccountName of the pod. Default: none, and no token is mounted.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ServiceAccountName string `json:"serviceAccountName,omitempty"`
	// Resources of the container. Default: requests of 10m CPU and 32Mi memory, a limit of 256Mi.
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`
	// ActiveDeadline ends a run that takes longer. Default 5m.
	// +optional
	ActiveDeadline *Duration `json:"activeDeadline,omitempty"`
	// Runs Once for each deployment (the default), or every Interval.
	// +optional
	// +kubebuilder:default=Once
	Runs ScriptRuns `json:"runs,omitempty"`
	// JobTemplate is a whole batch/v1 JobTemplateSpec, instead of all the above but runs.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Type=object
	JobTemplate *runtime.RawExtension `json:"jobTemplate,omitempty"`
}

// ConditionHealthy is the verdict of a HealthCheck: True is Healthy, False is Unhealthy, Unknown is Pending.
const ConditionHealthy = "Healthy"

// HealthCheckSpec says how health is found out.
// +kubebuilder:validation:XValidation:rule="!has(self.class) || size(self.class) > 0",message="class is empty: write kustomization, http, datadog, prometheus, script, or the class of the controller that reports this check"
// +kubebuilder:validation:XValidation:rule="has(self.http) == (has(self.class) && self.class == 'http')",message="class http and the field http go together"
// +kubebuilder:validation:XValidation:rule="has(self.prometheus) == (has(self.class) && self.class == 'prometheus')",message="class prometheus and the field prometheus go together"
// +kubebuilder:validation:XValidation:rule="has(self.script) == (has(self.class) && self.class == 'script')",message="class script and the field script go together"
// +kubebuilder:validation:XValidation:rule="has(self.datadog) == (has(self.class) && self.class == 'datadog')",message="class datadog and the field datadog go together"
type HealthCheckSpec struct {
	// Class says who reports: kustomization, http, datadog, prometheus, script, or the class of an external controller that writes the
	// status. A check that nobody reports on holds the releases it is selected for.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self in ['kustomization', 'http', 'datadog', 'prometheus', 'script'] || !(self.lowerAscii() in ['kustomization', 'http', 'datadog', 'prometheus', 'script'])",message="write the class in lower case: kustomization, http, datadog, prometheus or script"
	Class *string `json:"class,omitempty"`
	// Interval between probes. Default 30s, at least 1s. While a check that is Unhealthy gets no answer in time, the pauses double, up to 2m.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,5}([.][0-9]+)?h|[0-9]{1,7}([.][0-9]+)?m|[0-9]{1,9}([.][0-9]+)?s|[0-9]{1,11}([.][0-9]+)?ms)+$') || duration(self) >= duration('1s')",message="the interval is at least 1s"
	Interval *Duration `json:"interval,omitempty"`
	// Timeout of one probe. Default 10s, at most 30s: of a longer one, 30s are used.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,5}([.][0-9]+)?h|[0-9]{1,7}([.][0-9]+)?m|[0-9]{1,9}([.][0-9]+)?s|[0-9]{1,11}([.][0-9]+)?ms)+$') || duration(self) > duration('0s') && duration(self) <= duration('5m')",message="the timeout is more than 0 and at most 5m"
	Timeout *Duration `json:"timeout,omitempty"`
	// FailureThreshold is how many probes in a row have to fail before the check is Unhealthy. Default 1.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	FailureThreshold int32 `json:"failureThreshold,omitempty"`
	// SuccessThreshold is how many probes in a row have to pass before the check is Healthy. Default 1.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	SuccessThreshold int32 `json:"successThreshold,omitempty"`
	// NoData says what a source without data means. Default Hold.
	// +optional
	// +kubebuilder:default=Hold
	NoData NoData `json:"noData,omitempty"`
	// Mode Observe only reports. Default Enforce.
	// +optional
	// +kubebuilder:default=Enforce
	Mode Mode `json:"mode,omitempty"`
	// HTTP asks a URL.
	// +optional
	HTTP *HTTPCheck `json:"http,omitempty"`
	// Datadog asks Datadog.
	// +optional
	Datadog *DatadogCheck `json:"datadog,omitempty"`
	// Prometheus asks a Prometheus.
	// +optional
	Prometheus *PrometheusCheck `json:"prometheus,omitempty"`
	// Script runs a Job.
	// +optional
	Script *ScriptCheck `json:"script,omitempty"`
}

// CheckedDeployment is a deployment that a verdict speaks for.
type CheckedDeployment struct {
	// Rollout of the namespace of the check, or namespace/name.
	Rollout string `json:"rollout"`
	// Token of the deployment.
	Token string `json:"token"`
}

// HealthCheckStatus is the last verdict.
type HealthCheckStatus struct {
	// ObservedGeneration is the generation this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Status is Healthy, Unhealthy or Pending.
	// +optional
	Status HealthState `json:"status,omitempty"`
	// Message for a person.
	// +optional
	Message *string `json:"message,omitempty"`
	// LastErrorTime is when the check last became unhealthy.
	// +optional
	LastErrorTime *metav1.Time `json:"lastErrorTime,omitempty"`
	// LastChangeTime is when Status last changed.
	// +optional
	LastChangeTime *metav1.Time `json:"lastChangeTime,omitempty"`
	// ObservedRevision is what the verdict speaks for. For class kustomization: the generation of the Kustomization and the
	// revision that Flux applied. A verdict for another revision than the deployed one counts for nothing.
	// +optional
	ObservedRevision string `json:"observedRevision,omitempty"`
	// Deployments that the verdict speaks for: those that Flux had applied before the probes began. For classes that probe.
	// +optional
	// +kubebuilder:validation:MaxItems=50
	Deployments []CheckedDeployment `json:"deployments,omitempty"`
	// Conditions of the check: Healthy has the verdict, Ready says whether the check is evaluated.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// HealthCheck says whether what runs is well.
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
	// Status is the last verdict.
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
