package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Kinds of schedules, as the label of a gate names them.
const (
	// KindRolloutSchedule is the kind of a schedule of one namespace.
	KindRolloutSchedule = "RolloutSchedule"
	// KindClusterRolloutSchedule is the kind of a schedule of a cluster.
	KindClusterRolloutSchedule = "ClusterRolloutSchedule"
)

// Labels of a gate that was created by a schedule. A value that is too long for a label is shortened and ends in a
// hash.
const (
	// LabelScheduleName is the name of the schedule.
	LabelScheduleName = "gate.kuberik.com/schedule-name"
	// LabelScheduleNamespace is the namespace of a RolloutSchedule.
	LabelScheduleNamespace = "gate.kuberik.com/schedule-namespace"
	// LabelScheduleKind is RolloutSchedule or ClusterRolloutSchedule.
	LabelScheduleKind = "gate.kuberik.com/schedule-kind"
	// LabelScheduleRollout is the Rollout that the gate is for.
	LabelScheduleRollout = "gate.kuberik.com/rollout-name"
)

// Annotations of a schedule and of the gates that it creates.
const (
	// AnnotationGatePrettyName on a schedule is copied to its gates, for user interfaces.
	AnnotationGatePrettyName = "gate.kuberik.com/pretty-name"
	// AnnotationGateDescription on a schedule is copied to its gates, for user interfaces.
	AnnotationGateDescription = "gate.kuberik.com/description"
	// AnnotationGateReason on a gate explains in a sentence why it is open or closed. It is written together with
	// spec.passing.
	AnnotationGateReason = "gate.kuberik.com/reason"
	// AnnotationGateUntil on a gate is the time, in RFC 3339, until which spec.passing is valid. Without it,
	// spec.passing is valid until the schedule is changed.
	AnnotationGateUntil = "gate.kuberik.com/until"
)

// Reasons of the conditions of schedules.
const (
	// ReasonScheduleOpen means that the schedule allows releases of the Rollouts that it selects.
	ReasonScheduleOpen = "Open"
	// ReasonScheduleClosed means that the schedule holds releases of the Rollouts that it selects.
	ReasonScheduleClosed = "Closed"
	// ReasonScheduleInvalid means that the schedule cannot be evaluated. Its gates are closed.
	//
	// To do: correct the field that the message names.
	ReasonScheduleInvalid = "InvalidSchedule"
	// ReasonScheduleNeverOpens means that no rule of a schedule with action Allow can match any more. Its gates stay
	// closed.
	//
	// To do: extend a rule, or delete the schedule.
	ReasonScheduleNeverOpens = "NeverOpens"
	// ReasonScheduleRuleNeverMatches means that a rule cannot match on any day, and is probably a mistake.
	//
	// To do: correct the rule that the message names.
	ReasonScheduleRuleNeverMatches = "RuleNeverMatches"
	// ReasonScheduleRuleOver means that the dateRange of a rule is over and the rule does not match any more.
	ReasonScheduleRuleOver = "RuleOver"
	// ReasonScheduleGatesFailed means that a gate could not be written. The controller retries.
	//
	// To do: read the message.
	ReasonScheduleGatesFailed = "GatesFailed"
	// ReasonScheduleEvaluated means that the schedule was evaluated.
	ReasonScheduleEvaluated = "Evaluated"
)

// ScheduleAction defines the effect of a schedule while it is active.
// +kubebuilder:validation:Enum=Allow;Deny
type ScheduleAction string

const (
	// ScheduleAllow opens the gates while the schedule is active, and closes them otherwise.
	ScheduleAllow ScheduleAction = "Allow"
	// ScheduleDeny closes the gates while the schedule is active, and opens them otherwise.
	ScheduleDeny ScheduleAction = "Deny"
)

// DayOfWeek is a day of the week.
// +kubebuilder:validation:Enum=Monday;Tuesday;Wednesday;Thursday;Friday;Saturday;Sunday
type DayOfWeek string

// Date is a day such as 2026-12-24.
// +kubebuilder:validation:MaxLength=16
// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9]))$')",message="write a date that exists as year-month-day, such as 2026-12-24"
// +kubebuilder:validation:XValidation:rule="!self.matches('^[0-9]{4}-02-29$') || int(self.substring(0, 4)) % 4 == 0 && (int(self.substring(0, 4)) % 100 != 0 || int(self.substring(0, 4)) % 400 == 0)",message="February has no 29th in that year"
type Date string

// TimeRange is a part of the day, in local time. It starts on the day that the other parts of the rule select. An end
// before the start is on the next day: 22:00 to 02:00 of a Friday ends on Saturday. An end that equals the start
// means the whole day.
//
// If clocks are put forward and the start is skipped, the range starts after the gap. If they are put back, a time
// that occurs twice counts twice.
type TimeRange struct {
	// Start is the first minute, from 00:00 to 23:59.
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([01][0-9]|2[0-3]):[0-5][0-9]$')",message="write the start as hours and minutes from 00:00 to 23:59, such as 09:00"
	Start string `json:"start"`
	// End is the first minute after the range, from 00:00 to 24:00.
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$')",message="write the end as hours and minutes from 00:00 to 24:00, such as 17:30; 24:00 is the end of the day"
	End string `json:"end"`
}

// DateRange is a number of consecutive days.
// +kubebuilder:validation:XValidation:rule="self.start <= self.end",message="the dateRange ends before it starts: the end is the last day, and may be the same as the start"
type DateRange struct {
	// Start is the first day, such as 2026-12-24.
	Start Date `json:"start"`
	// End is the last day, such as 2026-12-26.
	End Date `json:"end"`
}

// ScheduleRule matches when all of its parts match. A rule without parts always matches.
type ScheduleRule struct {
	// Name of the rule, for people. Names are unique within a schedule.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// TimeRange is the part of the day. Defaults to the whole day.
	// +optional
	TimeRange *TimeRange `json:"timeRange,omitempty"`
	// DaysOfWeek lists the days on which timeRange starts. Defaults to every day.
	// +optional
	// +kubebuilder:validation:MaxItems=7
	DaysOfWeek []DayOfWeek `json:"daysOfWeek,omitempty"`
	// DateRange limits the dates on which timeRange starts. Defaults to every date.
	// +optional
	DateRange *DateRange `json:"dateRange,omitempty"`
}

// ScheduleSpec defines when the selected Rollouts may release.
// +kubebuilder:validation:XValidation:rule="has(self.rules) != (has(self.always) && self.always)",message="give either rules, or always: true for a schedule that needs no calendar, such as a freeze"
// +kubebuilder:validation:XValidation:rule="has(self.rolloutSelector)",fieldPath=".rolloutSelector",reason=FieldValueRequired,message="select Rollouts by their labels; rolloutSelector: {} selects all"
type ScheduleSpec struct {
	// RolloutSelector selects Rollouts by label. An empty selector selects every Rollout. Required.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || self.matchExpressions.all(e, e.operator in ['In', 'NotIn'] ? has(e.values) && size(e.values) > 0 : e.operator in ['Exists', 'DoesNotExist'] && (!has(e.values) || size(e.values) == 0))",message="an operator is In or NotIn, with values, or Exists or DoesNotExist, without"
	RolloutSelector LabelSelector `json:"rolloutSelector"`

	// Exempt excludes selected Rollouts by label. Anybody who may label a Rollout can exempt it; to prevent that,
	// exclude namespaces instead. Defaults to none.
	// +optional
	// +kubebuilder:validation:XValidation:rule="has(self.matchLabels) && size(self.matchLabels) > 0 || has(self.matchExpressions) && size(self.matchExpressions) > 0",message="an empty exempt would leave every Rollout alone: say which labels those have that are exempt"
	// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || self.matchExpressions.all(e, e.operator in ['In', 'NotIn'] ? has(e.values) && size(e.values) > 0 : e.operator in ['Exists', 'DoesNotExist'] && (!has(e.values) || size(e.values) == 0))",message="an operator is In or NotIn, with values, or Exists or DoesNotExist, without"
	Exempt *LabelSelector `json:"exempt,omitempty"`

	// Rules define when the schedule is active: whenever one of them matches. 1 to 100. Either rules or always is
	// required.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:XValidation:rule="self.all(r, !has(r.name) || r.name == '' || self.exists_one(s, has(s.name) && s.name == r.name))",message="two rules have the same name"
	Rules []ScheduleRule `json:"rules,omitempty"`

	// Always true makes the schedule active at all times, without rules. With the action Deny it is a freeze. Defaults
	// to false.
	// +optional
	Always bool `json:"always,omitempty"`

	// Timezone of the rules, as an IANA name such as Europe/Berlin. Defaults to UTC.
	// +optional
	// +kubebuilder:default=UTC
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="size(self) > 0 && !(self in ['Local', 'localtime'])",message="write an IANA time zone such as Europe/Berlin, or UTC; the zone of the controller's machine cannot be meant"
	Timezone string `json:"timezone,omitempty"`

	// Action defines the effect of the schedule while it is active. Allow opens the gates, and closes them otherwise.
	// Deny closes the gates, and opens them otherwise. Defaults to Deny.
	// +optional
	// +kubebuilder:default=Deny
	Action ScheduleAction `json:"action,omitempty"`
}

// ClusterScheduleSpec defines when the selected Rollouts of several namespaces may release.
type ClusterScheduleSpec struct {
	ScheduleSpec `json:",inline"`

	// NamespaceSelector selects namespaces by label. Defaults to every namespace.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || self.matchExpressions.all(e, e.operator in ['In', 'NotIn'] ? has(e.values) && size(e.values) > 0 : e.operator in ['Exists', 'DoesNotExist'] && (!has(e.values) || size(e.values) == 0))",message="an operator is In or NotIn, with values, or Exists or DoesNotExist, without"
	NamespaceSelector *LabelSelector `json:"namespaceSelector,omitempty"`
}

// ScheduleStatus reports the current state of the schedule.
type ScheduleStatus struct {
	// ObservedGeneration is the generation of the spec that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Active is true if a rule matches now.
	// +optional
	// +kubebuilder:default=false
	Active bool `json:"active"`
	// ActiveRules lists the names of the rules that match now. A rule without a name is listed as "".
	// +optional
	ActiveRules []string `json:"activeRules,omitempty"`
	// NextTransition is when active changes next. Unset if it never changes.
	// +optional
	NextTransition *metav1.Time `json:"nextTransition,omitempty"`
	// ManagedGates lists the gates of the schedule; those of a cluster schedule as namespace/name. At most 500.
	// +optional
	ManagedGates []string `json:"managedGates,omitempty"`
	// MatchingRollouts is how many Rollouts the schedule applies to.
	// +optional
	// +kubebuilder:default=0
	MatchingRollouts int32 `json:"matchingRollouts"`
	// Conditions of the schedule: Ready.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// RolloutSchedule defines when Rollouts of its namespace may release. It creates a RolloutGate for each of them.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=sched,categories=kuberik
// +kubebuilder:printcolumn:name="Action",type=string,JSONPath=`.spec.action`
// +kubebuilder:printcolumn:name="Active",type=boolean,JSONPath=`.status.active`
// +kubebuilder:printcolumn:name="Matching",type=integer,JSONPath=`.status.matchingRollouts`
// +kubebuilder:printcolumn:name="Next",type=string,JSONPath=`.status.nextTransition`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,priority=1
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="has(self.spec) || oldSelf.hasValue() && !has(oldSelf.value().spec)",fieldPath=".spec",reason=FieldValueRequired,optionalOldSelf=true,message="the RolloutSchedule has no spec: write spec.rolloutSelector, and spec.rules or spec.always"
type RolloutSchedule struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec defines the Rollouts and the times at which they may release. It is required.
	// +optional
	Spec ScheduleSpec `json:"spec"`
	// Status reports the current state of the schedule.
	// +optional
	Status ScheduleStatus `json:"status,omitempty"`
}

// RolloutScheduleList is a list of RolloutSchedules.
// +kubebuilder:object:root=true
type RolloutScheduleList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []RolloutSchedule `json:"items"`
}

// ClusterRolloutSchedule defines when Rollouts of many namespaces may release. It creates a RolloutGate for each of
// them.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=csched,categories=kuberik
// +kubebuilder:printcolumn:name="Action",type=string,JSONPath=`.spec.action`
// +kubebuilder:printcolumn:name="Active",type=boolean,JSONPath=`.status.active`
// +kubebuilder:printcolumn:name="Matching",type=integer,JSONPath=`.status.matchingRollouts`
// +kubebuilder:printcolumn:name="Next",type=string,JSONPath=`.status.nextTransition`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,priority=1
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="has(self.spec) || oldSelf.hasValue() && !has(oldSelf.value().spec)",fieldPath=".spec",reason=FieldValueRequired,optionalOldSelf=true,message="the ClusterRolloutSchedule has no spec: write spec.rolloutSelector, and spec.rules or spec.always"
type ClusterRolloutSchedule struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec defines the Rollouts and the times at which they may release. It is required.
	// +optional
	Spec ClusterScheduleSpec `json:"spec"`
	// Status reports the current state of the schedule.
	// +optional
	Status ScheduleStatus `json:"status,omitempty"`
}

// ClusterRolloutScheduleList is a list of ClusterRolloutSchedules.
// +kubebuilder:object:root=true
type ClusterRolloutScheduleList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterRolloutSchedule `json:"items"`
}
