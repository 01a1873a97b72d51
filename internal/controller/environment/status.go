package environment

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/version"
)

const (
	// mostInfos and mostHistory bound what is shown of others.
	mostInfos, mostHistory = 30, 10
)

// show writes how it stands into the status of an Environment.
func (v *view) show(e *environments.Environment, g *v1alpha1.RolloutGate) {
	st := &e.Status
	st.ObservedGeneration = e.Generation
	st.RolloutGateRef = nil
	if g != nil {
		st.RolloutGateRef = &corev1.LocalObjectReference{Name: g.Name}
	}
	v.current(st)
	if v.own.Environment != "" {
		st.EnvironmentInfos = v.infos()
	}
	ready := v.condition()
	apimeta.SetStatusCondition(&st.Conditions, ready)
	stalled := metav1.Condition{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionFalse, Reason: "Progressing", ObservedGeneration: e.Generation}
	if v.problem != nil {
		stalled.Status, stalled.Reason, stalled.Message = metav1.ConditionTrue, ready.Reason, ready.Message
	}
	apimeta.SetStatusCondition(&st.Conditions, stalled)
}

// current says what runs here.
func (v *view) current(st *environments.EnvironmentStatus) {
	if v.rollout.UID == "" {
		return // it could not be read
	}
	st.CurrentVersion, st.CurrentTag, st.CurrentState = "", "", ""
	if len(v.rollout.Status.History) == 0 {
		return
	}
	h := &v.rollout.Status.History[0]
	st.CurrentTag, st.CurrentVersion = h.Version.Tag, h.Version.Tag
	if r := h.Version.Revision; r != nil && *r != "" {
		st.CurrentVersion = *r
	}
	if h.BakeStatus != nil {
		st.CurrentState = *h.BakeStatus
	}
}

// infos lists the environments that this one is connected with. Of itself it tells what is on record here, and not what others have been
// told.
func (v *view) infos() []environments.EnvironmentInfo {
	snapshot := environment.Snapshot{At: v.snapshot.At}
	for _, s := range v.snapshot.Environments {
		if s.Environment != v.own.Environment {
			snapshot.Environments = append(snapshot.Environments, s)
		}
	}
	snapshot.Environments = append(snapshot.Environments, v.own)
	var list []environments.EnvironmentInfo
	room := mostInfos - 1 // and this one
	for _, s := range snapshot.Connected(v.own.Environment) {
		own := s.Environment == v.own.Environment
		if own || room > 0 {
			list = append(list, info(s, v.shown(s)))
		}
		if !own {
			room--
		}
	}
	return list
}

// shown is how much of the history of an environment is shown: what comes right before and after this one in full, of others the newest
// deployment.
func (v *view) shown(s environment.State) int {
	near := s.Environment == v.own.Environment || slices.Contains(v.own.After, s.Environment) || slices.Contains(s.After, v.own.Environment)
	if near {
		return mostHistory
	}
	return 1
}

func info(s environment.State, most int) environments.EnvironmentInfo {
	i := environments.EnvironmentInfo{Environment: s.Environment, EnvironmentURL: environment.SafeURL(s.URL), DependsOn: s.After}
	if len(s.After) > 0 {
		i.Relationship = &environments.Relationship{Environment: s.After[0], Type: environments.After}
		if s.Parallel {
			i.Relationship.Type = environments.Parallel
		}
	}
	for _, d := range s.Deployments[:min(len(s.Deployments), most)] {
		i.History = append(i.History, shown(d))
	}
	return i
}

func shown(d environment.Deployment) v1alpha1.DeploymentHistoryEntry {
	id, state, message := d.ID, string(d.State), version.Clean(d.StateMessage, 256)
	switch {
	case d.Quarantine != "":
		message = version.Clean("quarantined: "+d.Quarantine, 256)
	case d.UntrustedReason != "":
		message = version.Clean("no evidence: "+d.UntrustedReason, 256)
	}
	h := v1alpha1.DeploymentHistoryEntry{ID: &id, Version: d.Version, Timestamp: metav1.Time{Time: d.At}, BakeStatus: &state}
	if message != "" {
		h.BakeStatusMessage = &message
	}
	return h
}
