package environment

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment"
	"github.com/kuberik/kuberik/internal/version"
)

const (
	// maxInfos bounds the environments in the status, and maxHistory the history of each.
	maxInfos, maxHistory = 30, 10
	maxMessage           = 256
)

// setStatus sets the status of the Environment.
func (o *observation) setStatus(e *environments.Environment, g *v1alpha1.RolloutGate) {
	st := &e.Status
	st.ObservedGeneration = e.Generation
	st.RolloutGateRef = nil
	if g != nil {
		st.RolloutGateRef = &corev1.LocalObjectReference{Name: g.Name}
	}
	o.setCurrent(st)
	if o.own.Environment != "" {
		st.EnvironmentInfos = o.infos()
	}
	ready := o.readyCondition()
	apimeta.SetStatusCondition(&st.Conditions, ready)
	stalled := metav1.Condition{
		Type: v1alpha1.ConditionStalled, Status: metav1.ConditionFalse, Reason: environments.ReasonProgressing,
		ObservedGeneration: e.Generation,
	}
	if o.problem != nil {
		stalled.Status, stalled.Reason, stalled.Message = metav1.ConditionTrue, ready.Reason, ready.Message
	}
	apimeta.SetStatusCondition(&st.Conditions, stalled)
}

// setCurrent sets the version that runs in the environment.
func (o *observation) setCurrent(st *environments.EnvironmentStatus) {
	if o.rollout.UID == "" {
		return // the Rollout could not be read
	}
	st.CurrentVersion, st.CurrentTag, st.CurrentState = "", "", ""
	if len(o.rollout.Status.History) == 0 {
		return
	}
	h := &o.rollout.Status.History[0]
	st.CurrentTag = h.Version.Tag
	st.CurrentVersion = cmp.Or(ptr.Deref(h.Version.Revision, ""), h.Version.Tag)
	st.CurrentState = v1alpha1.BakeStatus(ptr.Deref(h.BakeStatus, ""))
}

// infos returns this environment and those that it is connected with. Its own state is that of the Rollout, which may
// be newer than the published one.
func (o *observation) infos() []environments.EnvironmentInfo {
	snapshot := environment.Snapshot{At: o.snapshot.At}
	for _, s := range o.snapshot.Environments {
		if s.Environment != o.own.Environment {
			snapshot.Environments = append(snapshot.Environments, s)
		}
	}
	snapshot.Environments = append(snapshot.Environments, o.own)
	var list []environments.EnvironmentInfo
	others := 0
	for _, s := range snapshot.Connected(o.own.Environment) {
		own := s.Environment == o.own.Environment
		if !own {
			others++
		}
		if own || others < maxInfos {
			list = append(list, info(s, o.historyLimit(s)))
		}
	}
	return list
}

// historyLimit returns how many deployments of an environment are in the status. Of environments that are not next to
// this one, only the newest is.
func (o *observation) historyLimit(s environment.State) int {
	isNext := slices.Contains(o.own.After, s.Environment) || slices.Contains(s.After, o.own.Environment)
	if s.Environment == o.own.Environment || isNext {
		return maxHistory
	}
	return 1
}

func info(s environment.State, limit int) environments.EnvironmentInfo {
	i := environments.EnvironmentInfo{
		Environment: s.Environment, EnvironmentURL: environment.SafeURL(s.URL), DependsOn: s.After,
	}
	if len(s.After) > 0 {
		i.Relationship = &environments.Relationship{Environment: s.After[0], Type: environments.After}
		if s.Parallel {
			i.Relationship.Type = environments.Parallel
		}
	}
	for _, d := range s.Deployments[:min(len(s.Deployments), limit)] {
		i.History = append(i.History, historyEntry(d))
	}
	return i
}

func historyEntry(d environment.Deployment) v1alpha1.DeploymentHistoryEntry {
	message := version.Clean(d.StateMessage, maxMessage)
	switch {
	case d.Quarantine != "":
		message = version.Clean("quarantined: "+d.Quarantine, maxMessage)
	case d.UntrustedReason != "":
		message = version.Clean("no evidence: "+d.UntrustedReason, maxMessage)
	}
	h := v1alpha1.DeploymentHistoryEntry{
		ID: new(d.ID), Version: d.Version, Timestamp: metav1.Time{Time: d.At}, BakeStatus: new(string(d.State)),
	}
	if message != "" {
		h.BakeStatusMessage = &message
	}
	return h
}
