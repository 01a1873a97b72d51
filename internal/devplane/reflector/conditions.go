package reflector

import (
	"github.com/fluxcd/pkg/apis/meta"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// object is an ImageRepository or an ImagePolicy.
type object interface {
	GetGeneration() int64
	GetConditions() []metav1.Condition
	SetConditions(conditions []metav1.Condition)
}

// succeed marks the object as ready.
func succeed(o object, message string) {
	set(o, meta.ReadyCondition, metav1.ConditionTrue, meta.SucceededReason, message)
	remove(o, meta.ReconcilingCondition, meta.StalledCondition)
}

// retry marks the object as failed and as about to be retried.
func retry(o object, reason, message string) {
	set(o, meta.ReadyCondition, metav1.ConditionFalse, reason, message)
	set(o, meta.ReconcilingCondition, metav1.ConditionTrue, meta.ProgressingWithRetryReason, message)
	remove(o, meta.StalledCondition)
}

// stall marks the object as failed until it is changed.
func stall(o object, reason, message string) {
	set(o, meta.ReadyCondition, metav1.ConditionFalse, reason, message)
	set(o, meta.StalledCondition, metav1.ConditionTrue, reason, message)
	remove(o, meta.ReconcilingCondition)
}

func set(o object, kind string, status metav1.ConditionStatus, reason, message string) {
	conditions := o.GetConditions()
	apimeta.SetStatusCondition(&conditions, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: o.GetGeneration(),
	})
	o.SetConditions(conditions)
}

func remove(o object, kinds ...string) {
	conditions := o.GetConditions()
	for _, kind := range kinds {
		apimeta.RemoveStatusCondition(&conditions, kind)
	}
	o.SetConditions(conditions)
}
