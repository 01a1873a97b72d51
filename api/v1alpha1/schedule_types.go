package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Kinds of schedules, as the label of a gate names them.
const (
	// KindRolloutSchedule is the schedule of one namespace.
	KindRolloutSchedule = "RolloutSchedule"
	// KindClusterRolloutSchedule is the schedule of a cluster.
	KindClusterRolloutSchedule = "ClusterRolloutSchedule"
)

// Labels of a gate that a schedule made. What is too long for a label is shortened and ends in a hash.
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

// Annotations of a schedule and of the gates it makes.
const (
	// AnnotationGatePrettyName on a schedule is copied to its gates, for user interfaces.
	AnnotationGatePrettyName = "gate.kuberik.com/pretty-name"
	// AnnotationGateDescription on a schedule is copied to its gates, for user interfaces.
	AnnotationGateDescription = "gate.kuberik.com/description"
	// AnnotationGateReason on a gate says in a sentence why it is open or closed. It is written together with spec.passing.
	AnnotationGateReason = "gate.kuberik.com/reason"
	// AnnotationGateUntil on a gate is the time, as in RFC 3339, until which spec.passing is right. Without it spec.passing holds
	// until somebody changes the schedule.
	AnnotationGateUntil = "gate.kuberik.com/until"
)

// Reasons of the conditions of schedules.
const (
	// ReasonScheduleOpen: the schedule lets the Rollouts it selects pass.
	ReasonScheduleOpen = "Open"
	// ReasonScheduleClosed: the schedule holds the Rollouts it selects.
	ReasonScheduleClosed = "Closed"
	// ReasonScheduleInvalid: the schedule cannot be evaluated as it stands; its gates are closed.
	ReasonScheduleInvalid = "InvalidSchedule"
	// ReasonScheduleNeverOpens: no rule of a schedule that allows can match any more; its gates stay closed.
	ReasonScheduleNeverOpens = "NeverOpens"
	// ReasonScheduleRuleNeverMatches: a rule cannot match on any day, so it was written by mistake.
	ReasonScheduleRuleNeverMatches = "RuleNeverMatches"
	// ReasonScheduleRuleOver: a rule does not match any more, as its dateRange is over. Nothing is wrong with that.
	ReasonScheduleRuleOver = "RuleOver"
	// ReasonScheduleGatesFailed: a gate could not be written.
	ReasonScheduleGatesFailed = "GatesFailed"
	// ReasonScheduleEvaluated: nothing is wrong with the schedule.
	ReasonScheduleEvaluated = "Evaluated"
)

// ScheduleAction says what a schedule does while it is active.
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

// TimeRange is a part of the day by the clock on the wall. It begins on the day that the other parts of the rule are about. An end
// before the start is on the next day: 22:00 to 02:00 of a Friday ends on Saturday. An end that equals the start means the whole day.
//
// When clocks are put forward, a start that is skipped is the moment after the gap. When they are put back, a time that comes twice
// counts twice.
type TimeRange struct {
	// Start is the first minute, from 00:00 to 23:59.
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([01][0-9]|2[0-3]):[0-5][0-9]$')",message="write the start as hours and minutes from 00:00 to 23:59, such as 09:00"
	Start string `json:"start"`
	// End is the first minute after it, from 00:00 to 24:00.
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$')",message="write the end as hours and minutes from 00:00 to 24:00, such as 17:30; 24:00 is the end of the day"
	End string `json:"end"`
}

// DateRange is a number of days in a row.
// +kubebuilder:validation:XValidation:rule="self.start <= self.end",message="the dateRange ends before it starts: the end is the last day, and may be the same as the start"
type DateRange struct {
	// Start is the first day.
	Start Date `json:"start"`
	// End is the last day.
	End Date `json:"end"`
}

// ScheduleRule matches when all its parts do. A rule without any part always matches.
type ScheduleRule struct {
	// Name of the rule, for people.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// TimeRange is the part of the day. Default: all of it.
	// +optional
	TimeRange *TimeRange `json:"timeRange,omitempty"`
	// DaysOfWeek on which the timeRange starts. Default: every day.
	// +optional
	// +kubebuilder:validation:MaxItems=7
	DaysOfWeek []DayOfWeek `json:"daysOfWeek,omitempty"`
	// DateRange in which the timeRange starts. Default: every date.
	// +optional
	DateRange *DateRange `json:"dateRange,omitempty"`
}

// ScheduleSpec says when the Rollouts that it selects may release.
// +kubebuilder:validation:XValidation:rule="has(self.rules) != (has(self.always) && self.always)",message="give either rules, or always: true for a schedule that needs no calendar, such as a freeze"
// +kubebuilder:validation:XValidation:rule="has(self.rolloutSelector)",fieldPath=".rolloutSelector",reason=FieldValueRequired,message="select Rollouts by their labels; rolloutSelector: {} selects all"
type ScheduleSpec struct {
	// RolloutSelector selects Rollouts by their labels. An empty selector selects all.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || self.matchExpressions.all(e, e.operator in ['In', 'NotIn'] ? has(e.values) && size(e.values) > 0 : e.operator in ['Exists', 'DoesNotExist'] && (!has(e.values) || size(e.values) == 0))",message="an operator is In or NotIn, with values, or Exists or DoesNotExist, without"
	RolloutSelector metav1.LabelSelector `json:"rolloutSelector"`

	// Exempt leaves alone those of the selected Rollouts that it matches. Whoever may label a Rollout may exempt it; to keep that
	// from its owners, leave out namespaces instead.
	// +optional
	// +kubebuilder:validation:XValidation:rule="has(self.matchLabels) && size(self.matchLabels) > 0 || has(self.matchExpressions) && size(self.matchExpressions) > 0",message="an empty exempt would leave every Rollout alone: say which labels those have that are exempt"
	// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || self.matchExpressions.all(e, e.operator in ['In', 'NotIn'] ? has(e.values) && size(e.values) > 0 : e.operator in ['Exists', 'DoesNotExist'] && (!has(e.values) || size(e.values) == 0))",message="an operator is In or NotIn, with values, or Exists or DoesNotExist, without"
	Exempt *metav1.LabelSelector `json:"exempt,omitempty"`

	// Rules say when the schedule is active: whenever one of them matches.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:XValidation:rule="self.all(r, !has(r.name) || r.name == '' || self.exists_one(s, has(s.name) && s.name == r.name))",message="two rules have the same name"
	Rules []ScheduleRule `json:"rules,omitempty"`

	// Always true makes the schedule active at all times, without rules. With the action Deny it is a freeze.
	// +optional
	Always bool `json:"always,omitempty"`

	// Timezone of the rules, as the IANA names it. Default UTC.
	// +optional
	// +kubebuilder:default=UTC
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="size(self) > 0 && !(self in ['Local', 'localtime'])",message="write an IANA time zone such as Europe/Berlin, or UTC; the zone of the controller's machine cannot be meant"
	Timezone string `json:"timezone,omitempty"`

	// Action says what happens while the schedule is active. Allow opens the gates then, and only then; Deny closes them. Default
	// Deny.
	// +optional
	// +kubebuilder:default=Deny
	Action ScheduleAction `json:"action,omitempty"`
}

// ClusterScheduleSpec says when the Rollouts that it selects may release, in several namespaces.
type ClusterScheduleSpec struct {
	ScheduleSpec `json:",inline"`

	// NamespaceSelector selects namespaces by their labels. Default: all.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || self.matchExpressions.all(e, e.operator in ['In', 'NotIn'] ? has(e.values) && size(e.values) > 0 : e.operator in ['Exists', 'DoesNotExist'] && (!has(e.values) || size(e.values) == 0))",message="an operator is In or NotIn, with values, or Exists or DoesNotExist, without"
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
}

// ScheduleStatus is what the schedule says now.
type ScheduleStatus struct {
	// ObservedGeneration is the generation of the spec that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Active is whether a rule matches now.
	// +optional
	// +kubebuilder:default=false
	Active bool `json:"active"`
	// ActiveRules are the names of the rules that match now. A rule without a name counts as "".
	// +optional
	ActiveRules []string `json:"activeRules,omitempty"`
	// NextTransition is when active changes next. Unset if it never does.
	// +optional
	NextTransition *metav1.Time `json:"nextTransition,omitempty"`
	// ManagedGates are the gates of the schedule; those of a cluster schedule as namespace/name. At most 500 are listed.
	// +optional
	ManagedGates []string `json:"managedGates,omitempty"`
	// MatchingRollouts is how many Rollouts the schedule has a say in.
	// +optional
	// +kubebuilder:default=0
	MatchingRollouts int `json:"matchingRollouts"`
	// Conditions of the schedule.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// RolloutSchedule says when Rollouts of its namespace may release. It makes a RolloutGate for each of them.
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
	// Status is what the schedule says now.
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

// ClusterRolloutSchedule says when Rollouts of many namespaces may release. It makes a RolloutGate for each of them.
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
	// Status is what the schedule says now.
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
