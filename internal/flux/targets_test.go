package flux

import (
	"slices"
	"strings"
	"testing"

	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/release"
	"github.com/kuberik/kuberik/internal/version"
)

const (
	digest   = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	other    = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	revision = "main@sha1:1"
	image    = "registry.example.com/app"
)

var desired = Desired{
	Rollout: "app", Version: v1alpha1.VersionInfo{Tag: "1.1.0", Digest: digest}, Token: "uid/2/0", Image: image,
}

// appliedKustomization returns a Kustomization that has the version and has applied it, changed by edits.
func appliedKustomization(edits ...func(*kustomizev1.Kustomization)) kustomizev1.Kustomization {
	k := kustomizev1.Kustomization{ObjectMeta: metav1.ObjectMeta{
		Namespace: "ns", Name: "k", Generation: 3,
		Annotations: map[string]string{
			"rollout.kuberik.com/substitute.VERSION.from": "app", "rollout.kuberik.com/deployment.VERSION": "uid/2/0",
			meta.ReconcileRequestAnnotation: "r2",
		},
	}}
	k.Spec.PostBuild = &kustomizev1.PostBuild{Substitute: map[string]string{"VERSION": "1.1.0"}}
	k.Spec.SourceRef = kustomizev1.CrossNamespaceSourceReference{Kind: "GitRepository", Name: "src"}
	k.Status = kustomizev1.KustomizationStatus{
		ObservedGeneration: 3, LastAppliedRevision: revision, LastAttemptedRevision: revision,
		ReconcileRequestStatus: meta.ReconcileRequestStatus{LastHandledReconcileAt: "r2"},
	}
	ready(&k, metav1.ConditionTrue, "ReconciliationSucceeded", 3)
	for _, e := range edits {
		e(&k)
	}
	return k
}

func ready(k *kustomizev1.Kustomization, status metav1.ConditionStatus, reason string, generation int64) {
	apimeta.SetStatusCondition(&k.Status.Conditions, metav1.Condition{
		Type: meta.ReadyCondition, Status: status, Reason: reason, Message: "Flux message", ObservedGeneration: generation,
	})
}

func failing(reason string) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) {
		ready(k, metav1.ConditionFalse, reason, 3)
		k.Status.LastAttemptedRevision = "main@sha1:2"
		k.Status.ObservedGeneration = 2
	}
}

func TestVariableTarget(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit                    func(*kustomizev1.Kustomization)
		asked, reached, applied bool
		message                 string
	}{
		"applied": {func(*kustomizev1.Kustomization) {}, true, true, true, ""},
		"written for an earlier deployment": {func(k *kustomizev1.Kustomization) {
			k.Annotations["rollout.kuberik.com/deployment.VERSION"] = "uid/1/0"
		}, false, false, false, ""},
		"has the right value by chance": {func(k *kustomizev1.Kustomization) {
			delete(k.Annotations, "rollout.kuberik.com/deployment.VERSION")
		}, false, false, false, ""},
		"edited by a user":                           {func(k *kustomizev1.Kustomization) { k.Spec.PostBuild.Substitute["VERSION"] = "x" }, true, false, false, ""},
		"request not handled":                        {func(k *kustomizev1.Kustomization) { k.Status.LastHandledReconcileAt = "r1" }, true, false, false, ""},
		"generation not observed, Ready is outdated": {func(k *kustomizev1.Kustomization) { k.Generation = 4 }, true, false, false, ""},
		"being applied": {func(k *kustomizev1.Kustomization) {
			k.Status.ObservedGeneration = 2
			ready(k, metav1.ConditionUnknown, "Progressing", 3)
		}, true, false, false, ""},
		"reconciled again, after an unknown result": {func(k *kustomizev1.Kustomization) {
			ready(k, metav1.ConditionUnknown, "Progressing", 3)
		}, true, true, false, ""},
		"a newer revision of the source is being applied": {func(k *kustomizev1.Kustomization) {
			ready(k, metav1.ConditionUnknown, "Progressing", 3)
			k.Status.LastAttemptedRevision = "main@sha1:2"
		}, true, false, false, ""},
		"the manifests cannot be built": {failing(meta.BuildFailedReason), true, false, false, "BuildFailed: Flux message"},
		"a dependency is not ready":     {failing(meta.DependencyNotReadyReason), true, false, false, "DependencyNotReady: Flux message"},
		"the source is not ready":       {failing(meta.ArtifactFailedReason), true, false, false, "ArtifactFailed: Flux message"},
		"health checks of Flux failed":  {failing(meta.HealthCheckFailedReason), true, true, false, "HealthCheckFailed: Flux message"},
		// The first reconcile of the generation succeeded, one for a later request of the same generation did not.
		"health checks of Flux failed in a retry": {func(k *kustomizev1.Kustomization) {
			ready(k, metav1.ConditionFalse, meta.HealthCheckFailedReason, 3)
		}, true, true, false, "HealthCheckFailed: Flux message"},
		"health checks were cancelled by a newer revision": {func(k *kustomizev1.Kustomization) {
			ready(k, metav1.ConditionFalse, meta.HealthCheckCanceledReason, 3)
		}, true, true, false, "HealthCheckCanceled: Flux message"},
		// A suspended kustomize-controller writes everything except conditions.
		"suspended, then written": {func(k *kustomizev1.Kustomization) {
			k.Spec.Suspend = true
			ready(k, metav1.ConditionTrue, meta.ReconciliationSucceededReason, 1)
		}, true, false, false, "it is suspended: flux resume kustomization k --namespace ns"},
		"suspended after it was applied": {func(k *kustomizev1.Kustomization) {
			k.Spec.Suspend, k.Generation = true, 4
			k.Status.ObservedGeneration = 4
		}, true, false, false, "it is suspended: flux resume kustomization k --namespace ns"},
		"resumed, Flux has not started": {func(k *kustomizev1.Kustomization) {
			k.Generation, k.Status.ObservedGeneration = 5, 5
			ready(k, metav1.ConditionTrue, meta.ReconciliationSucceededReason, 1)
		}, true, false, false, ""},
		"kustomize-controller was killed while applying": {func(k *kustomizev1.Kustomization) {
			k.Status.ObservedGeneration, k.Status.LastHandledReconcileAt = 2, "r1"
			ready(k, metav1.ConditionUnknown, meta.ProgressingReason, 3)
		}, true, false, false, ""},
		// The annotation stops a parent Kustomization from applying this one. This one still applies its own
		// manifests.
		"excluded from what its parent applies": {func(k *kustomizev1.Kustomization) {
			k.Annotations["kustomize.toolkit.fluxcd.io/reconcile"] = "disabled"
		}, true, true, true, ""},
		"never reconciled": {func(k *kustomizev1.Kustomization) {
			k.Status = kustomizev1.KustomizationStatus{ObservedGeneration: -1}
		}, true, false, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			targets := Targets(TargetObjects{Kustomizations: []kustomizev1.Kustomization{appliedKustomization(c.edit)}}, desired)
			if len(targets) != 1 {
				t.Fatalf("%d targets", len(targets))
			}
			got := targets[0]
			if got.Asked != c.asked || got.Reached != c.reached || got.Applied != c.applied || got.Message != c.message {
				t.Errorf("asked %t, reached %t, applied %t: %q; want %t, %t, %t: %q",
					got.Asked, got.Reached, got.Applied, got.Message, c.asked, c.reached, c.applied, c.message)
			}
		})
	}
}

// TestSetupProblem: which failures of Flux do not count against the version, for a variable and for a source that is
// the release itself.
func TestSetupProblem(t *testing.T) {
	t.Parallel()
	const misconfigured, notReady = v1alpha1.ReasonTargetMisconfigured, v1alpha1.ReasonTargetNotReady
	const substituting = "post build failed for 'apps/v1/app': "
	for name, c := range map[string]struct {
		reason, message string
		// applied is the last applied revision. Flux attempts main@sha1:2.
		applied string
		stalled bool
		// variable is the expected result for a variable, and source the one if the source is the release.
		variable, source string
	}{
		"the source has no artifact":                               {meta.ArtifactFailedReason, "Source artifact not found", "", false, notReady, ""},
		"the path is not in the artifact":                          {meta.ArtifactFailedReason, "kustomization path not found", "main@sha1:1", false, notReady, ""},
		"a dependency is not ready":                                {meta.DependencyNotReadyReason, "dependency is not ready", "main@sha1:1", false, notReady, notReady},
		"the disk of Flux is full":                                 {sourcev1.DirCreationFailedReason, "tmp dir error", "main@sha1:2", false, notReady, notReady},
		"new manifests do not parse":                               {meta.BuildFailedReason, "kustomize build failed", "main@sha1:1", false, misconfigured, ""},
		"the first manifests do not parse":                         {meta.BuildFailedReason, "kustomize build failed", "", false, misconfigured, ""},
		"a patch of the Kustomization is wrong now":                {meta.BuildFailedReason, "kustomize build failed", "main@sha1:2", false, misconfigured, ""},
		"a key for decryption is gone":                             {meta.BuildFailedReason, "decryption failed", "main@sha1:2", false, misconfigured, ""},
		"substituteFrom cannot be read":                            {meta.BuildFailedReason, substituting + "substitute from 'ConfigMap/settings' error: not found", "main@sha1:2", false, misconfigured, ""},
		"the version cannot be substituted in new manifests":       {meta.BuildFailedReason, substituting + "YAMLToJSON", "main@sha1:1", false, misconfigured, ""},
		"the version cannot be substituted, but another one could": {meta.BuildFailedReason, substituting + "YAMLToJSON", "main@sha1:2", false, "", ""},
		"the API server refuses new manifests":                     {meta.ReconciliationFailedReason, "dry-run failed", "main@sha1:1", false, misconfigured, ""},
		"the API server refuses the first manifests":               {meta.ReconciliationFailedReason, "namespaces not found", "", false, misconfigured, ""},
		"the API server refuses the version":                       {meta.ReconciliationFailedReason, "dry-run failed", "main@sha1:2", false, "", ""},
		"objects of older manifests cannot be deleted":             {meta.PruneFailedReason, "forbidden", "main@sha1:1", false, misconfigured, ""},
		"objects of the previous version cannot be deleted":        {meta.PruneFailedReason, "forbidden", "main@sha1:2", false, "", ""},
		"the workloads do not become healthy":                      {meta.HealthCheckFailedReason, "timeout", "main@sha1:1", false, "", ""},
		"the health checks were cancelled":                         {meta.HealthCheckCanceledReason, "New reconciliation", "main@sha1:1", false, "", ""},
		"the source is in another namespace without access":        {"AccessDenied", "acl", "main@sha1:2", true, misconfigured, misconfigured},
		"an expression does not compile":                           {meta.InvalidCELExpressionReason, "cel", "main@sha1:2", true, misconfigured, misconfigured},
		"a feature is turned off":                                  {meta.FeatureGateDisabledReason, "gate", "main@sha1:2", true, misconfigured, misconfigured},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := appliedKustomization(func(k *kustomizev1.Kustomization) {
				k.Status.LastAppliedRevision, k.Status.LastAttemptedRevision = c.applied, "main@sha1:2"
				apimeta.SetStatusCondition(&k.Status.Conditions, metav1.Condition{Type: meta.ReadyCondition, Status: metav1.ConditionFalse, Reason: c.reason, Message: c.message, ObservedGeneration: 3})
				if c.stalled {
					apimeta.SetStatusCondition(&k.Status.Conditions, metav1.Condition{Type: meta.StalledCondition, Status: metav1.ConditionTrue, Reason: c.reason, ObservedGeneration: 3})
				}
			})
			for sourceIsRelease, want := range map[bool]string{false: c.variable, true: c.source} {
				if got := setupProblem(&k, sourceIsRelease); got != want {
					t.Errorf("the source is the release: %t: got %q, want %q", sourceIsRelease, got, want)
				}
			}
			got := Targets(TargetObjects{Kustomizations: []kustomizev1.Kustomization{k}}, desired)[0]
			if got.Setup != c.variable || got.Applied || got.Setup != "" && (got.Reached || !strings.HasPrefix(got.Message, c.reason+": "+c.message)) {
				t.Errorf("%q, reached %t, applied %t: %q", got.Setup, got.Reached, got.Applied, got.Message)
			}
			k.Spec.Suspend = true
			if got := setupProblem(&k, false); got != "" {
				t.Errorf("%q while it is suspended", got)
			}
		})
	}
	for reason, want := range map[string]string{sourcev1.AuthenticationFailedReason: misconfigured, sourcev1.URLInvalidReason: misconfigured, sourcev1.OCIPullFailedReason: ""} {
		for generation, want := range map[int64]string{2: want, 1: ""} {
			w := source(func(r *sourcev1.OCIRepository, _ *kustomizev1.Kustomization) {
				apimeta.SetStatusCondition(&r.Status.Conditions, metav1.Condition{Type: meta.ReadyCondition, Status: metav1.ConditionFalse, Reason: reason, ObservedGeneration: generation})
			})
			if got := Targets(w, Desired{Rollout: "app"})[0].Setup; got != want {
				t.Errorf("%s of generation %d is %q, want %q", reason, generation, got, want)
			}
		}
	}
}

// TestAppliedIsKeptWhileReapplying: while Flux reapplies a revision, the status of the Kustomization is the same after
// a success and after a failure, so the previous result decides.
func TestAppliedIsKeptWhileReapplying(t *testing.T) {
	t.Parallel()
	again := appliedKustomization(func(k *kustomizev1.Kustomization) { ready(k, metav1.ConditionUnknown, meta.ProgressingReason, 3) })
	for name, c := range map[string]struct {
		previous v1alpha1.TargetStatus
		want     bool
	}{
		"was applied":                           {v1alpha1.TargetStatus{Kind: "Kustomization", Name: "k", Variable: "VERSION", Applied: true}, true},
		"had failed":                            {v1alpha1.TargetStatus{Kind: "Kustomization", Name: "k", Variable: "VERSION"}, false},
		"another target was applied":            {v1alpha1.TargetStatus{Kind: "Kustomization", Name: "other", Variable: "VERSION", Applied: true}, false},
		"another variable was applied":          {v1alpha1.TargetStatus{Kind: "Kustomization", Name: "k", Variable: "OTHER", Applied: true}, false},
		"a source of the same name was applied": {v1alpha1.TargetStatus{Kind: "OCIRepository", Name: "k", Variable: "VERSION", Applied: true}, false},
	} {
		w := desired
		w.Previous = []v1alpha1.TargetStatus{c.previous}
		if got := Targets(TargetObjects{Kustomizations: []kustomizev1.Kustomization{again}}, w)[0]; got.Applied != c.want {
			t.Errorf("%s: applied %t", name, got.Applied)
		}
	}
}

// TestVariableForm: a target is applied only if its variable has the version in the requested form.
func TestVariableForm(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		form, value string
		want        version.Form
		applied     bool
		problem     string
	}{
		"unset":                  {"", "1.1.0", version.FormTag, true, ""},
		"tag":                    {"tag", "1.1.0", version.FormTag, true, ""},
		"digest":                 {"digest", digest, version.FormDigest, true, ""},
		"tag and digest":         {"tag@digest", "1.1.0@" + digest, version.FormTagDigest, true, ""},
		"tag without digest":     {"tag@digest", "1.1.0", version.FormTagDigest, false, ""},
		"tag and another digest": {"tag@digest", "1.1.0@" + other, version.FormTagDigest, false, ""},
		"unknown form":           {"sha", "1.1.0", version.FormTag, false, `"sha" is not one of tag, digest, tag@digest`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := appliedKustomization(func(k *kustomizev1.Kustomization) {
				k.Annotations["rollout.kuberik.com/substitute.VERSION.value"] = c.form
				k.Spec.PostBuild.Substitute["VERSION"] = c.value
			})
			got := Targets(TargetObjects{Kustomizations: []kustomizev1.Kustomization{k}}, desired)[0]
			if got.Form != c.want || got.Applied != c.applied || !strings.Contains(got.Problem, c.problem) || (got.Problem == "") != (c.problem == "") {
				t.Errorf("%s, applied %t: %q", got.Form, got.Applied, got.Problem)
			}
		})
	}
}

// TestDriftedTargetIsAsked: a target that was written and has another value now differs from one that was never
// written.
func TestDriftedTargetIsAsked(t *testing.T) {
	t.Parallel()
	drifted := appliedKustomization(func(k *kustomizev1.Kustomization) { k.Spec.PostBuild = nil })
	got := Targets(TargetObjects{Kustomizations: []kustomizev1.Kustomization{drifted}}, desired)[0]
	if !got.Asked || got.Value != "" {
		t.Errorf("asked %t, carries %q", got.Asked, got.Value)
	}
}

func TestTargetsAreSortedAndBelongToTheRollout(t *testing.T) {
	t.Parallel()
	k := appliedKustomization(func(k *kustomizev1.Kustomization) {
		k.Annotations["rollout.kuberik.com/substitute.B.from"] = "app"
		k.Annotations["rollout.kuberik.com/substitute.A.from"] = "app"
		k.Annotations["rollout.kuberik.com/substitute.C.from"] = "other"
		k.Annotations["rollout.kuberik.com/substitute.X.Y.from"] = "app"
		k.Annotations["rollout.kuberik.com/substitute..from"] = "app"
		k.Annotations["rollout.kuberik.com/substitute.1ST.from"] = "app"
	})
	repository := func(name, rollout string) sourcev1.OCIRepository {
		return sourcev1.OCIRepository{ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: name, Annotations: map[string]string{v1alpha1.AnnotationRollout: rollout},
		}}
	}
	objects := TargetObjects{
		Kustomizations: []kustomizev1.Kustomization{k},
		Repositories:   []sourcev1.OCIRepository{repository("s", "other"), repository("r", "app")},
	}
	var got []string
	for _, target := range Targets(objects, desired) {
		label := target.Kind + " " + target.Name + " " + target.Variable
		if target.Problem != "" {
			label += "!"
		}
		got = append(got, label)
	}
	want := []string{
		"Kustomization k 1ST!", "Kustomization k A", "Kustomization k B", "Kustomization k VERSION", "OCIRepository r ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"app", "other"}, slices.Sorted(slices.Values(Rollouts(&k)))); diff != "" {
		t.Error(diff)
	}
}

// source returns an OCIRepository that has fetched the version, and a Kustomization that has applied it.
func source(edit func(*sourcev1.OCIRepository, *kustomizev1.Kustomization)) TargetObjects {
	r := sourcev1.OCIRepository{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "src", Generation: 2, Annotations: map[string]string{
		v1alpha1.AnnotationRollout: "app", "rollout.kuberik.com/deployment": "uid/2/0", meta.ReconcileRequestAnnotation: "q1",
	}}}
	r.Spec.URL, r.Spec.Reference = "oci://"+image, &sourcev1.OCIRepositoryRef{Tag: "1.1.0"}
	r.Status.ObservedGeneration, r.Status.LastHandledReconcileAt = 2, "q1"
	r.Status.Artifact = &meta.Artifact{Revision: "1.1.0@" + digest}
	setStored(&r, 2)
	k := appliedKustomization(func(k *kustomizev1.Kustomization) {
		k.Annotations = nil
		k.Spec.SourceRef = kustomizev1.CrossNamespaceSourceReference{Kind: "OCIRepository", Name: "src"}
		k.Status.LastAppliedRevision, k.Status.LastAttemptedRevision = "1.1.0@"+digest, "1.1.0@"+digest
	})
	edit(&r, &k)
	return TargetObjects{Repositories: []sourcev1.OCIRepository{r}, Kustomizations: []kustomizev1.Kustomization{k}}
}

// setStored sets ArtifactInStorage, as source-controller does after comparing the artifact with the registry.
func setStored(r *sourcev1.OCIRepository, generation int64) {
	apimeta.SetStatusCondition(&r.Status.Conditions, metav1.Condition{
		Type: sourcev1.ArtifactInStorageCondition, Status: metav1.ConditionTrue, Reason: meta.SucceededReason, ObservedGeneration: generation,
	})
}

func TestRepositoryTarget(t *testing.T) {
	t.Parallel()
	type edit = func(*sourcev1.OCIRepository, *kustomizev1.Kustomization)
	for name, c := range map[string]struct {
		edit             edit
		reached, applied bool
		problem, message string
	}{
		"applied": {func(*sourcev1.OCIRepository, *kustomizev1.Kustomization) {}, true, true, "", ""},
		"written for an earlier deployment": {func(r *sourcev1.OCIRepository, _ *kustomizev1.Kustomization) {
			r.Annotations["rollout.kuberik.com/deployment"] = "uid/1/0"
		}, false, false, "", ""},
		"not fetched":             {func(r *sourcev1.OCIRepository, _ *kustomizev1.Kustomization) { r.Status.Artifact = nil }, false, false, "", ""},
		"request not handled":     {func(r *sourcev1.OCIRepository, _ *kustomizev1.Kustomization) { r.Status.LastHandledReconcileAt = "q0" }, false, false, "", ""},
		"generation not observed": {func(r *sourcev1.OCIRepository, _ *kustomizev1.Kustomization) { r.Generation = 3 }, false, false, "", ""},
		"old artifact": {func(r *sourcev1.OCIRepository, _ *kustomizev1.Kustomization) {
			r.Status.Artifact.Revision = "1.0.0@" + digest
		}, false, false, "", ""},
		"tag was moved": {func(r *sourcev1.OCIRepository, _ *kustomizev1.Kustomization) {
			r.Status.Artifact.Revision = "1.1.0@" + other
		},
			false, false, "", "the registry serves " + other},
		"another image with its own digest": {func(r *sourcev1.OCIRepository, k *kustomizev1.Kustomization) {
			r.Spec.URL = "oci://registry.example.com/manifests"
			r.Status.Artifact.Revision = "1.1.0@" + other
			k.Status.LastAppliedRevision, k.Status.LastAttemptedRevision = "1.1.0@"+other, "1.1.0@"+other
		}, true, true, "", ""},
		"fetched, not yet applied": {func(_ *sourcev1.OCIRepository, k *kustomizev1.Kustomization) {
			k.Status.LastAppliedRevision, k.Status.LastAttemptedRevision = "1.0.0@"+other, "1.0.0@"+other
		}, false, false, "", ""},
		"attempted and failed": {func(_ *sourcev1.OCIRepository, k *kustomizev1.Kustomization) {
			k.Status.LastAppliedRevision = "1.0.0@" + other
			ready(k, metav1.ConditionFalse, meta.ReconciliationFailedReason, 3)
		}, true, false, "", "ReconciliationFailed: Flux message"},
		"spec.ref.semver is set": {func(r *sourcev1.OCIRepository, _ *kustomizev1.Kustomization) {
			r.Spec.Reference.SemVer = "1.x"
		}, false, false, "spec.ref.semver", ""},
		"spec.ref.digest is set": {func(r *sourcev1.OCIRepository, _ *kustomizev1.Kustomization) {
			r.Spec.Reference.Digest = other
		}, false, false, "spec.ref.digest", ""},
		"the Kustomization is suspended": {func(_ *sourcev1.OCIRepository, k *kustomizev1.Kustomization) {
			k.Spec.Suspend = true
		}, false, false, "", "Kustomization k: it is suspended: flux resume kustomization k --namespace ns"},
		// A suspended source-controller writes everything except what it would read from the registry.
		"the OCIRepository is suspended": {func(r *sourcev1.OCIRepository, _ *kustomizev1.Kustomization) { r.Spec.Suspend = true },
			false, false, "", "it is suspended: flux resume source oci src --namespace ns"},
		"resumed, registry not queried yet": {func(r *sourcev1.OCIRepository, _ *kustomizev1.Kustomization) { setStored(r, 1) }, false, false, "", ""},
		"the last registry query failed": {func(r *sourcev1.OCIRepository, _ *kustomizev1.Kustomization) {
			apimeta.RemoveStatusCondition(&r.Status.Conditions, sourcev1.ArtifactInStorageCondition)
		}, false, false, "", ""},
		"a dependency of the Kustomization is not ready": {func(_ *sourcev1.OCIRepository, k *kustomizev1.Kustomization) {
			k.Status.LastAppliedRevision, k.Status.LastAttemptedRevision = "1.0.0@"+other, "1.0.0@"+other
			ready(k, metav1.ConditionFalse, meta.DependencyNotReadyReason, 3)
		}, false, false, "", "DependencyNotReady: Flux message"},
		"the Kustomization is reconciled again": {func(_ *sourcev1.OCIRepository, k *kustomizev1.Kustomization) {
			ready(k, metav1.ConditionUnknown, meta.ProgressingReason, 3)
		}, true, false, "", ""},
		"by digest": {func(r *sourcev1.OCIRepository, k *kustomizev1.Kustomization) {
			r.Annotations[v1alpha1.AnnotationRef] = "digest"
			r.Spec.Reference.Digest, r.Status.Artifact.Revision = digest, digest
			k.Status.LastAppliedRevision, k.Status.LastAttemptedRevision = digest, digest
		}, true, true, "", ""},
		"by digest, of the previous release": {func(r *sourcev1.OCIRepository, _ *kustomizev1.Kustomization) {
			r.Annotations[v1alpha1.AnnotationRef] = "digest"
			r.Spec.Reference.Digest, r.Status.Artifact.Revision = digest, other
		}, false, false, "", ""},
		"by digest, of another image": {func(r *sourcev1.OCIRepository, _ *kustomizev1.Kustomization) {
			r.Annotations[v1alpha1.AnnotationRef] = "digest"
			r.Spec.URL = "oci://registry.example.com/manifests"
		}, false, false, "annotation rollout.kuberik.com/ref: the digest belongs to " + image, ""},
		"unknown form": {func(r *sourcev1.OCIRepository, _ *kustomizev1.Kustomization) {
			r.Annotations[v1alpha1.AnnotationRef] = "tag@digest"
		}, false, false, `annotation rollout.kuberik.com/ref: "tag@digest" is not one of tag, digest`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Targets(source(c.edit), desired)[0]
			if got.Reached != c.reached || got.Applied != c.applied {
				t.Errorf("reached %t, applied %t", got.Reached, got.Applied)
			}
			matches := func(text, prefix string) bool {
				return strings.HasPrefix(text, prefix) && (text == "") == (prefix == "")
			}
			if !matches(got.Problem, c.problem) || !matches(got.Message, c.message) {
				t.Errorf("problem %q, message %q", got.Problem, got.Message)
			}
		})
	}
}

func TestProgressOf(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit func(*kustomizev1.Kustomization)
		want Progress
	}{
		"applied":          {func(*kustomizev1.Kustomization) {}, Succeeded},
		"reconciled again": {func(k *kustomizev1.Kustomization) { ready(k, metav1.ConditionUnknown, "Progressing", 3) }, Reapplying},
		"suspended":        {func(k *kustomizev1.Kustomization) { k.Spec.Suspend = true }, Suspended},
		"resumed, Ready is outdated": {func(k *kustomizev1.Kustomization) {
			k.Generation, k.Status.ObservedGeneration = 5, 5
		}, Reconciling},
		"no status": {func(k *kustomizev1.Kustomization) { k.Status = kustomizev1.KustomizationStatus{} }, Reconciling},
		"being applied": {func(k *kustomizev1.Kustomization) {
			ready(k, metav1.ConditionUnknown, "Progressing", 3)
			k.Status.ObservedGeneration = 2
		}, Reconciling},
		"request not handled":       {func(k *kustomizev1.Kustomization) { k.Status.LastHandledReconcileAt = "r1" }, Reconciling},
		"an older spec failed":      {func(k *kustomizev1.Kustomization) { failing(meta.BuildFailedReason)(k); k.Generation = 4 }, Reconciling},
		"the build failed":          {failing(meta.BuildFailedReason), Failed},
		"health checks failed":      {failing(meta.HealthCheckFailedReason), Failed},
		"the API server refused it": {failing(meta.ReconciliationFailedReason), Retrying},
		"health checks cancelled":   {failing(meta.HealthCheckCanceledReason), Retrying},
		"the source is not ready":   {failing(meta.ArtifactFailedReason), Blocked},
		"a dependency is not ready": {failing(meta.DependencyNotReadyReason), Blocked},
		"stalled": {func(k *kustomizev1.Kustomization) {
			failing("AccessDenied")(k)
			apimeta.SetStatusCondition(&k.Status.Conditions, metav1.Condition{Type: meta.StalledCondition, Status: metav1.ConditionTrue, Reason: "AccessDenied", ObservedGeneration: 3})
		}, Failed},
		"an older spec stalled": {func(k *kustomizev1.Kustomization) {
			failing("AccessDenied")(k)
			apimeta.SetStatusCondition(&k.Status.Conditions, metav1.Condition{Type: meta.StalledCondition, Status: metav1.ConditionTrue, Reason: "AccessDenied", ObservedGeneration: 3})
			k.Generation = 4
		}, Reconciling},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := appliedKustomization(c.edit)
			if got, message := progressOf(&k); got != c.want {
				t.Errorf("%d (%s), want %d", got, message, c.want)
			}
		})
	}
}

func TestRevisionChangesWithTheState(t *testing.T) {
	t.Parallel()
	k := appliedKustomization()
	seen := map[string]string{Revision(&k): "unchanged"}
	for name, edit := range map[string]func(*kustomizev1.Kustomization){
		"spec": func(k *kustomizev1.Kustomization) { k.Generation++ }, "request": func(k *kustomizev1.Kustomization) { k.Status.LastHandledReconcileAt = "r3" },
		"revision": func(k *kustomizev1.Kustomization) { k.Status.LastAppliedRevision = "main@sha1:2" },
	} {
		k := appliedKustomization(edit)
		if before, ok := seen[Revision(&k)]; ok {
			t.Errorf("%s and %s have the same revision", name, before)
		}
		seen[Revision(&k)] = name
	}
}

func TestInventoryObject(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"ns_web_apps_Deployment":                                    "apps/v1 Deployment ns/web",
		"ns_settings__ConfigMap":                                    "/v1 ConfigMap ns/settings",
		"_kuberik_rbac.authorization.k8s.io_ClusterRole":            "rbac.authorization.k8s.io/v1 ClusterRole /kuberik",
		"_system__controller_rbac.authorization.k8s.io_ClusterRole": "rbac.authorization.k8s.io/v1 ClusterRole /system:controller",
		"ns_system__a__b_rbac.authorization.k8s.io_Role":            "rbac.authorization.k8s.io/v1 Role ns/system:a:b",
		"garbage": "/  /garbage",
		"":        "/  /",
	} {
		o := inventoryObject(kustomizev1.ResourceRef{ID: id, Version: "v1"})
		if got := o.Group + "/" + o.Version + " " + o.Kind + " " + o.Namespace + "/" + o.Name; got != want {
			t.Errorf("%q is %q, want %q", id, got, want)
		}
	}
}

func TestPolicyOrdersTags(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec imagev1.ImagePolicySpec
		want int
	}{
		"semver":       {imagev1.ImagePolicySpec{Policy: imagev1.ImagePolicyChoice{SemVer: &imagev1.SemVerPolicy{Range: "*"}}}, 1},
		"alphabetical": {imagev1.ImagePolicySpec{Policy: imagev1.ImagePolicyChoice{Alphabetical: &imagev1.AlphabeticalPolicy{}}}, -1},
		"descending":   {imagev1.ImagePolicySpec{Policy: imagev1.ImagePolicyChoice{Alphabetical: &imagev1.AlphabeticalPolicy{Order: "desc"}}}, 1},
		"filtered": {imagev1.ImagePolicySpec{
			FilterTags: &imagev1.TagFilter{Pattern: `^1\.(?P<minor>[0-9]+)\.0$`, Extract: "$minor"},
			Policy:     imagev1.ImagePolicyChoice{Numerical: &imagev1.NumericalPolicy{Order: "desc"}},
		}, -1},
		"no policy": {imagev1.ImagePolicySpec{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, _ := Policy(&imagev1.ImagePolicy{Spec: c.spec}).Order.Compare("1.10.0", "1.9.0"); got != c.want {
				t.Errorf("1.10.0 against 1.9.0 is %d, want %d", got, c.want)
			}
		})
	}
}

// A Rollout evaluates the pattern in each pass, so one ImagePolicy could take the memory of the controller.
func TestPolicyWithAHugePatternSelectsNothing(t *testing.T) {
	t.Parallel()
	p := &imagev1.ImagePolicy{Spec: imagev1.ImagePolicySpec{
		FilterTags: &imagev1.TagFilter{Pattern: strings.Repeat(".{0,999}", 100)},
		Policy:     imagev1.ImagePolicyChoice{Alphabetical: &imagev1.AlphabeticalPolicy{}},
	}}
	p.Status.LatestRef = &imagev1.ImageRef{Tag: "1.0.0"}
	got := Policy(p)
	if got.Tag != "" || got.Problem != "spec.filterTags.pattern of the ImagePolicy repeats too much" {
		t.Errorf("tag %q, problem %q", got.Tag, got.Problem)
	}
}

func TestPolicyDoesNotExist(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(release.Policy{}, Policy(nil)); diff != "" || Image(nil) != "" {
		t.Error(diff)
	}
}
