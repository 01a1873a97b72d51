package clitest

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/gate"
	"github.com/kuberik/kuberik/internal/version"
)

// At returns the time that is that long before Now, or after it if ago is negative.
func At(ago time.Duration) *metav1.Time { return &metav1.Time{Time: Now.Add(-ago)} }

// Digest returns the digest of a tag.
func Digest(tag string) string {
	const hex = "0123456789abcdef"
	sum := uint32(2166136261)
	var b strings.Builder
	for b.Len() < 64 {
		for _, r := range tag {
			sum = (sum ^ uint32(r)) * 16777619
		}
		b.WriteByte(hex[sum>>28])
	}
	return "sha256:" + b.String()
}

// Version returns the version of a tag.
func Version(tag string) v1alpha1.VersionInfo {
	return v1alpha1.VersionInfo{Tag: tag, Digest: Digest(tag)}
}

// ID returns the identity of a tag.
func ID(tag string) v1alpha1.ReleaseIdentity { return version.Identity(Version(tag)) }

// ReleaseName returns the name of the Release of a tag.
func ReleaseName(rollout, tag string) string { return version.ReleaseName(rollout, ID(tag)) }

func meta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(namespace + "-" + name), CreationTimestamp: *At(40 * 24 * time.Hour)}
}

// Deployment returns an entry of the history.
func Deployment(id int64, tag string, ago time.Duration, status v1alpha1.BakeStatus) v1alpha1.DeploymentHistoryEntry {
	e := v1alpha1.DeploymentHistoryEntry{
		ID: &id, Version: Version(tag), Timestamp: *At(ago), BakeStatus: ptr.To(string(status)), Cause: v1alpha1.CauseAutomatic,
		Message: ptr.To("Automatic deployment"), TriggeredBy: &v1alpha1.TriggeredBy{Kind: v1alpha1.TriggerSystem, Name: "rollout-controller"},
	}
	start, end := ago-time.Minute, ago-16*time.Minute
	switch status {
	case v1alpha1.BakeSucceeded:
		e.BakeStartTime, e.BakeEndTime = At(start), At(end)
	case v1alpha1.BakeInProgress:
		e.BakeStartTime = At(start)
	case v1alpha1.BakeFailed:
		e.BakeEndTime = At(ago - 4*time.Minute)
	}
	return e
}

// Release returns a release of a Rollout.
func Release(namespace, rollout, tag string, found time.Duration, phase v1alpha1.ReleasePhase) *v1alpha1.Release {
	rel := &v1alpha1.Release{ObjectMeta: meta(namespace, ReleaseName(rollout, tag))}
	rel.CreationTimestamp = *At(found)
	rel.Labels = map[string]string{v1alpha1.LabelRollout: rollout}
	rel.Spec = v1alpha1.ReleaseSpec{RolloutRef: corev1.LocalObjectReference{Name: rollout}, Version: Version(tag)}
	rel.Status.Phase = phase
	rel.Status.Details = &v1alpha1.ReleaseDetails{
		Digest: Digest(tag), Authors: "dana <dana@example.com>", Revision: strings.ReplaceAll(Digest(tag+"commit"), "sha256:", "")[:40],
		Created: At(found + 2*time.Minute),
	}
	return rel
}

// checkout returns a Rollout that waits for an approval and a schedule.
func checkout() []client.Object {
	ro := &v1alpha1.Rollout{ObjectMeta: meta("shop", "checkout")}
	ro.Spec = v1alpha1.RolloutSpec{
		ReleasesImagePolicy: corev1.LocalObjectReference{Name: "checkout"}, BakeTime: ptr.To(v1alpha1.Duration("15m")),
		HealthCheckSelector: &v1alpha1.HealthCheckSelector{Selector: &v1alpha1.LabelSelector{MatchLabels: map[string]string{"app": "checkout"}}},
	}
	failed := Deployment(40, "1.8.1", 92*time.Hour+48*time.Minute, v1alpha1.BakeFailed)
	failed.BakeStatusMessage = ptr.To("HealthCheck hello-http: status 503")
	failed.FailedHealthChecks = []v1alpha1.FailedHealthCheck{{Name: "hello-http", Namespace: "shop", Message: ptr.To("status 503")}}
	first := Deployment(39, "1.8.0", 170*time.Hour+19*time.Minute, v1alpha1.BakeSucceeded)
	first.Cause, first.TriggeredBy = v1alpha1.CauseForceDeploy, &v1alpha1.TriggeredBy{Kind: v1alpha1.TriggerUser, Name: "alice"}
	first.Message = ptr.To("INC-4711: checkout is down, 1.8.0 mends it")
	first.Overrides = []v1alpha1.UsedOverride{{
		Name: "inc-4711", User: "alice", Reason: "INC-4711: checkout is down, 1.8.0 mends it", Bypass: []v1alpha1.Bypass{v1alpha1.BypassGates},
	}}
	st := &ro.Status
	st.Phase, st.CurrentVersion, st.PendingVersion = v1alpha1.PhaseAvailable, "1.8.2", "1.9.0"
	st.AvailableReleases = []v1alpha1.VersionInfo{Version("1.8.0"), Version("1.8.1"), Version("1.8.2"), Version("1.9.0")}
	st.ReleaseCandidates = []v1alpha1.VersionInfo{Version("1.9.0")}
	st.History = []v1alpha1.DeploymentHistoryEntry{Deployment(41, "1.8.2", 75*time.Hour+55*time.Minute, v1alpha1.BakeSucceeded), failed, first}
	st.Quarantined = []v1alpha1.Quarantine{{ReleaseIdentity: ID("1.8.1"), Reason: "it failed", Since: *failed.BakeEndTime}}
	manager := v1alpha1.Blocker{
		Kind: "RolloutGate", Name: "release-manager", Reason: gate.ReasonAwaitingApproval, Message: "waits for approval of 1.9.0: 1 of 2 given (bob)",
		Since: At(119 * time.Minute), ClearedBy: "alice, bob, or whoever may list the tag in spec.allowedVersions of the gate",
	}
	hours := v1alpha1.Blocker{
		Kind: "RolloutGate", Name: "office-hours", Reason: gate.ReasonScheduleClosed, Message: "closed until 14:00", Since: At(50*time.Minute + 3*time.Second),
		Until: At(-(69*time.Minute + 57*time.Second)), ClearedBy: "time, or whoever may edit the schedule",
	}
	st.BlockedBy = []v1alpha1.Blocker{manager, hours}
	st.WaitsFor = "RolloutGate release-manager: waits for approval of 1.9.0: 1 of 2 given (bob) (and 1 more)"
	st.Gates = []v1alpha1.RolloutGateStatusSummary{
		{Name: "change-calendar", Passing: ptr.To(true), State: v1alpha1.GateOpen, Reason: gate.ReasonAllowed, Message: "answered 200"},
		{Name: "office-hours", Passing: ptr.To(false), State: v1alpha1.GateClosed, Reason: gate.ReasonScheduleClosed, Message: "closed until 14:00"},
		{Name: "release-manager", Passing: ptr.To(false), State: v1alpha1.GatePending, Reason: gate.ReasonAwaitingApproval, Message: manager.Message},
	}
	st.Checks = []v1alpha1.CheckEvidence{{Name: "hello-http", State: v1alpha1.HealthHealthy, Current: true, Message: "answered 200"}}
	st.Targets = []v1alpha1.TargetStatus{{Kind: "Kustomization", Name: "checkout", Variable: "VERSION", Value: "1.8.2", Applied: true}}
	next := Release("shop", "checkout", "1.9.0", 119*time.Minute, v1alpha1.ReleasePending)
	next.Status.Gates = []v1alpha1.GateEvidence{
		{Name: "office-hours", State: v1alpha1.GateClosed, Reason: gate.ReasonScheduleClosed, Message: "closed until 14:00"},
		{Name: "release-manager", State: v1alpha1.GatePending, Reason: gate.ReasonAwaitingApproval, Message: manager.Message},
	}
	runs := Release("shop", "checkout", "1.8.2", 76*time.Hour, v1alpha1.ReleaseAvailable)
	runs.Status.Running, runs.Status.DeploymentID, runs.Status.DeployedAt = true, ptr.To(int64(41)), &st.History[0].Timestamp
	runs.Status.BakeStartTime, runs.Status.BakeEndTime = st.History[0].BakeStartTime, st.History[0].BakeEndTime
	bad := Release("shop", "checkout", "1.8.1", 93*time.Hour, v1alpha1.ReleaseFailed)
	bad.Status.Message, bad.Status.DeploymentID, bad.Status.DeployedAt = "HealthCheck hello-http: status 503", ptr.To(int64(40)), &failed.Timestamp
	bad.Status.BakeEndTime = failed.BakeEndTime
	bad.Status.Quarantine = &v1alpha1.ReleaseQuarantine{Reason: "it failed", Since: *failed.BakeEndTime}
	old := Release("shop", "checkout", "1.8.0", 171*time.Hour, v1alpha1.ReleaseAvailable)
	old.Status.DeploymentID, old.Status.DeployedAt = ptr.To(int64(39)), &first.Timestamp
	return []client.Object{ro, next, runs, bad, old}
}

func gates() []client.Object {
	manager := &v1alpha1.RolloutGate{ObjectMeta: meta("shop", "release-manager")}
	manager.Spec = v1alpha1.RolloutGateSpec{
		RolloutRef: corev1.LocalObjectReference{Name: "checkout"},
		Approvals:  &v1alpha1.ApprovalPolicy{Required: 2, From: &v1alpha1.Approvers{Users: []string{"alice", "bob"}}},
	}
	hours := &v1alpha1.RolloutGate{ObjectMeta: meta("shop", "office-hours")}
	hours.Spec = v1alpha1.RolloutGateSpec{RolloutRef: corev1.LocalObjectReference{Name: "checkout"}, Passing: ptr.To(false)}
	hours.OwnerReferences = []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: "RolloutSchedule", Name: "office-hours", Controller: ptr.To(true)}}
	hours.Annotations = map[string]string{v1alpha1.AnnotationGateReason: "closed until 14:00"}
	calendar := &v1alpha1.RolloutGate{ObjectMeta: meta("shop", "change-calendar")}
	calendar.Spec = v1alpha1.RolloutGateSpec{RolloutRef: corev1.LocalObjectReference{Name: "checkout"}, HTTP: &v1alpha1.HTTPGate{}}
	check := &v1alpha1.HealthCheck{ObjectMeta: meta("shop", "hello-http")}
	check.Labels = map[string]string{"app": "checkout"}
	check.Spec.Class = ptr.To(v1alpha1.HealthClassHTTP)
	check.Status.Status, check.Status.Message, check.Status.LastChangeTime = v1alpha1.HealthHealthy, ptr.To("answered 200"), At(75*time.Hour)
	approval := &v1alpha1.Approval{ObjectMeta: meta("shop", "checkout-1.9.0-bob")}
	approval.CreationTimestamp = *At(2 * time.Minute)
	approval.Spec = v1alpha1.ApprovalSpec{ReleaseRef: v1alpha1.ReleaseReference{Name: ReleaseName("checkout", "1.9.0")}, Decision: v1alpha1.Approve, User: "bob", Comment: "looks good"}
	approval.Status.Conditions = []metav1.Condition{{
		Type: v1alpha1.ConditionCounted, Status: metav1.ConditionTrue, Reason: gate.ReasonCounted, Message: "counted by release-manager",
	}}
	place := &environments.Environment{ObjectMeta: meta("shop", "checkout")}
	place.Spec = environments.EnvironmentSpec{
		RolloutRef: corev1.LocalObjectReference{Name: "checkout"}, Name: "checkout", Environment: "production",
		DependsOn: []environments.Dependency{{Environment: "staging"}},
	}
	place.Status.CurrentTag, place.Status.CurrentState = "1.8.2", v1alpha1.BakeSucceeded
	place.Status.LastStatusChangeTime = At(3 * time.Minute)
	place.Status.EnvironmentInfos = []environments.EnvironmentInfo{
		{Environment: "staging"}, {Environment: "production"},
		{Environment: "production-us", DependsOn: []string{"production"}, History: []v1alpha1.DeploymentHistoryEntry{
			Deployment(8, "1.8.2", 70*time.Hour, v1alpha1.BakeSucceeded), Deployment(7, "1.8.0", 160*time.Hour, v1alpha1.BakeSucceeded),
		}},
	}
	return []client.Object{manager, hours, calendar, check, approval, place}
}

// staging returns the environment before production, and what production knows of another cluster.
func staging() []client.Object {
	ro := &v1alpha1.Rollout{ObjectMeta: meta("shop-stg", "checkout")}
	ro.Status.Phase, ro.Status.CurrentVersion = v1alpha1.PhaseAvailable, "1.9.0"
	ro.Status.AvailableReleases = []v1alpha1.VersionInfo{Version("1.8.0"), Version("1.8.1"), Version("1.8.2"), Version("1.9.0")}
	ro.Status.History = []v1alpha1.DeploymentHistoryEntry{
		Deployment(52, "1.9.0", 188*time.Minute, v1alpha1.BakeSucceeded), Deployment(51, "1.8.2", 76*time.Hour, v1alpha1.BakeSucceeded),
		Deployment(50, "1.8.1", 93*time.Hour, v1alpha1.BakeSucceeded), Deployment(49, "1.8.0", 171*time.Hour, v1alpha1.BakeSucceeded),
	}
	rel := Release("shop-stg", "checkout", "1.9.0", 189*time.Minute, v1alpha1.ReleaseAvailable)
	rel.Status.Running, rel.Status.DeploymentID, rel.Status.DeployedAt = true, ptr.To(int64(52)), &ro.Status.History[0].Timestamp
	rel.Status.BakeStartTime, rel.Status.BakeEndTime = ro.Status.History[0].BakeStartTime, ro.Status.History[0].BakeEndTime
	place := &environments.Environment{ObjectMeta: meta("shop-stg", "checkout")}
	place.Spec = environments.EnvironmentSpec{RolloutRef: corev1.LocalObjectReference{Name: "checkout"}, Name: "checkout", Environment: "staging"}
	place.Status.CurrentTag, place.Status.CurrentState = "1.9.0", v1alpha1.BakeSucceeded
	return []client.Object{ro, rel, place}
}

// others returns a Rollout that failed, one that bakes, and one that a freeze holds.
func others() []client.Object {
	search := &v1alpha1.Rollout{ObjectMeta: meta("shop", "search")}
	bad := Deployment(12, "2.1.0", 18*time.Minute, v1alpha1.BakeFailed)
	bad.BakeStatusMessage = ptr.To("HealthCheck hello-http: status 503")
	bad.FailedHealthChecks = []v1alpha1.FailedHealthCheck{{Name: "hello-http", Namespace: "shop", Message: ptr.To("status 503")}}
	search.Status = v1alpha1.RolloutStatus{
		Phase: v1alpha1.PhaseFailed, CurrentVersion: "2.1.0", PendingVersion: "2.1.1",
		AvailableReleases: []v1alpha1.VersionInfo{Version("2.0.0"), Version("2.1.0"), Version("2.1.1")},
		ReleaseCandidates: []v1alpha1.VersionInfo{Version("2.1.1")},
		History:           []v1alpha1.DeploymentHistoryEntry{bad, Deployment(11, "2.0.0", 50*time.Hour, v1alpha1.BakeSucceeded)},
		Quarantined:       []v1alpha1.Quarantine{{ReleaseIdentity: ID("2.1.0"), Reason: "it failed", Since: *bad.BakeEndTime}},
		WaitsFor:          "2.1.0 failed: HealthCheck hello-http: status 503",
		BlockedBy: []v1alpha1.Blocker{{
			Kind: "Rollout", Name: "search", Reason: v1alpha1.ReasonPreviousFailed, Message: "2.1.0 failed: HealthCheck hello-http: status 503",
			Since: bad.BakeEndTime, ClearedBy: "a person: retry, unblock-failed, force-deploy or wantedVersion",
		}},
	}
	ledger := &v1alpha1.Rollout{ObjectMeta: meta("pay", "ledger")}
	ledger.Spec.BakeTime = ptr.To(v1alpha1.Duration("15m"))
	ledger.Status = v1alpha1.RolloutStatus{
		Phase: v1alpha1.PhaseBaking, CurrentVersion: "4.0.1", AvailableReleases: []v1alpha1.VersionInfo{Version("4.0.1")},
		History:  []v1alpha1.DeploymentHistoryEntry{Deployment(3, "4.0.1", 9*time.Minute, v1alpha1.BakeInProgress)},
		WaitsFor: "bakes until 12:57",
		BlockedBy: []v1alpha1.Blocker{{
			Kind: "Rollout", Name: "ledger", Reason: v1alpha1.ReasonBaking, Message: "4.0.1 bakes for 15m", Since: At(8 * time.Minute), Until: At(-7 * time.Minute), ClearedBy: "time",
		}},
	}
	fees := &v1alpha1.Rollout{ObjectMeta: meta("pay", "fees")}
	fees.Status = v1alpha1.RolloutStatus{
		Phase: v1alpha1.PhaseAvailable, CurrentVersion: "1.2.0", PendingVersion: "1.3.0",
		AvailableReleases: []v1alpha1.VersionInfo{Version("1.2.0"), Version("1.3.0")},
		ReleaseCandidates: []v1alpha1.VersionInfo{Version("1.3.0")},
		History:           []v1alpha1.DeploymentHistoryEntry{Deployment(7, "1.2.0", 240*time.Hour, v1alpha1.BakeSucceeded)},
		WaitsFor:          `RolloutGate freeze: freeze "quarter end"`,
		BlockedBy: []v1alpha1.Blocker{{
			Kind: "RolloutGate", Name: "freeze", Reason: gate.ReasonScheduleClosed, Message: `freeze "quarter end"`, Since: At(26 * time.Hour),
			Until: At(-(65*time.Hour + 9*time.Minute + 57*time.Second)), ClearedBy: "time, or whoever may edit the schedule",
		}},
	}
	web := &v1alpha1.Rollout{ObjectMeta: meta("web", "site")}
	web.Status = v1alpha1.RolloutStatus{
		Phase: v1alpha1.PhaseAvailable, CurrentVersion: "5.0.0", AvailableReleases: []v1alpha1.VersionInfo{Version("5.0.0")},
		History: []v1alpha1.DeploymentHistoryEntry{Deployment(1, "5.0.0", 30*time.Hour, v1alpha1.BakeSucceeded)},
	}
	return []client.Object{search, ledger, fees, web}
}

// Shop returns the objects of the examples: checkout waits in production for an approval and a schedule, search failed,
// ledger bakes, fees waits for a freeze, and site is Available.
func Shop() []client.Object {
	return slices.Concat(checkout(), gates(), staging(), others())
}
