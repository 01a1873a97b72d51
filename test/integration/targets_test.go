package integration

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/test/env"
)

func TestEveryVariableOfARolloutIsWritten(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	w.SimulateFlux()
	k := w.Kustomization("app", map[string]string{"VERSION": "app", "SIDECAR": "app", "TAG_3": "app"})
	second := w.Kustomization("jobs", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	for _, tag := range []string{"1.0.0", "1.1.0"} {
		w.Select("app", tag, env.Digest(tag))
		w.AwaitPhase(ro, v1alpha1.PhaseAvailable, tag)
		w.Get(k)
		w.Get(second)
		for _, variable := range []string{"VERSION", "SIDECAR", "TAG_3"} {
			if err := carries(k, variable, tag)(); err != nil {
				t.Error(err)
			}
		}
		if err := carries(second, "VERSION", tag)(); err != nil {
			t.Error(err)
		}
	}
	if n := len(ro.Status.Targets); n != 4 {
		t.Errorf("it lists %d targets", n)
	}
}

// TestRolloutsShareAKustomization: neither changes the variables of the other.
func TestRolloutsShareAKustomization(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	m := w.Run()
	w.SimulateFlux()
	k := w.Kustomization("shared", map[string]string{"A_VERSION": "a", "B_VERSION": "b"})
	edit := k.DeepCopy()
	edit.Spec.PostBuild = &kustomizev1.PostBuild{Substitute: map[string]string{"CLUSTER": "prod"}, SubstituteFrom: []kustomizev1.SubstituteReference{{Kind: "ConfigMap", Name: "vars"}}}
	if err := w.Admin.Patch(w.Ctx(), edit, client.MergeFrom(k), client.FieldOwner("somebody")); err != nil {
		t.Fatal(err)
	}
	ros := map[string]*v1alpha1.Rollout{}
	for _, name := range []string{"a", "b"} {
		w.Policy(name, "")
		ros[name] = w.Rollout(name)
	}
	for i := range 4 {
		tag := fmt.Sprintf("1.%d.0", i)
		w.Select("a", tag, env.Digest(tag))
		w.Select("b", tag+"-b", env.Digest(tag+"-b"))
		w.AwaitPhase(ros["a"], v1alpha1.PhaseAvailable, tag)
		w.AwaitPhase(ros["b"], v1alpha1.PhaseAvailable, tag+"-b")
		w.Get(k)
		for variable, want := range map[string]string{"A_VERSION": tag, "B_VERSION": tag + "-b", "CLUSTER": "prod"} {
			if err := carries(k, variable, want)(); err != nil {
				t.Fatalf("round %d: %v in %v", i, err, k.Spec.PostBuild.Substitute)
			}
		}
	}
	if len(k.Spec.PostBuild.SubstituteFrom) != 1 {
		t.Error("substituteFrom is gone")
	}
	for _, field := range k.ManagedFields {
		text := field.FieldsV1.GetRawString()
		if field.Manager == "kuberik" && (strings.Contains(text, "CLUSTER") || strings.Contains(text, "f:interval") || !strings.Contains(text, "A_VERSION")) {
			t.Errorf("kuberik owns %s", text)
		}
	}
	for _, c := range m.Wire.Writes(env.To("kustomizations")) {
		if strings.Contains(c.Body, "CLUSTER") || strings.Contains(c.Body, "A_VERSION") && strings.Contains(c.Body, "B_VERSION") {
			t.Errorf("one Rollout wrote more than its own: %s", c.Body)
		}
	}
}

// TestSuspendedTargetHoldsARelease: while suspended, Flux also writes the observed generation and the handled request.
func TestSuspendedTargetHoldsARelease(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind    string
		object  func(*env.World) client.Object
		message string
	}{
		"a Kustomization": {"Kustomization", func(w *env.World) client.Object { return w.Kustomization("app", map[string]string{"VERSION": "app"}) },
			"it is suspended: flux resume kustomization app --namespace "},
		"an OCIRepository": {"OCIRepository", func(w *env.World) client.Object {
			repo, _ := w.Repository("app", "app", &sourcev1.OCIRepositoryRef{Tag: "1.0.0"})
			return repo
		}, "it is suspended: flux resume source oci app --namespace "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := env.New(t)
			w.Run()
			w.SimulateFlux()
			target := c.object(w)
			check := w.Check("app", v1alpha1.HealthClassKustomization, "app")
			w.Policy("app", "1.0.0")
			ro := w.Rollout("app", env.WithHealthChecks)
			w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
			w.Patch(target, `{"spec":{"suspend":true}}`)
			w.Select("app", "1.1.0", env.Digest("1.1.0"))
			w.Await(ro, "reports what to do", func() error {
				if b := ro.Status.BlockedBy; len(b) == 0 || b[0].Kind != c.kind || b[0].Reason != v1alpha1.ReasonTargetSuspended || b[0].Message != c.message+w.Namespace {
					return fmt.Errorf("it is blocked by %+v", b)
				}
				return nil
			})
			w.Eventually("Flux has handled the request", func() error {
				w.Get(target)
				return fluxHandled(target)
			})
			w.Consistently(2*time.Second, ro, "is held", func() error { return inPhase(ro, v1alpha1.PhaseDeploying) })
			if _, ok := target.(*kustomizev1.Kustomization); ok {
				w.Await(check, "is Pending", func() error { return reports(check, v1alpha1.HealthPending) })
			}
			w.Patch(target, `{"spec":{"suspend":false}}`)
			w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.1.0")
		})
	}
}

// fluxHandled returns an error unless Flux has written the generation and the reconcile request of an object.
func fluxHandled(target client.Object) error {
	var observed int64
	var handled string
	switch target := target.(type) {
	case *kustomizev1.Kustomization:
		observed, handled = target.Status.ObservedGeneration, target.Status.LastHandledReconcileAt
	case *sourcev1.OCIRepository:
		observed, handled = target.Status.ObservedGeneration, target.Status.LastHandledReconcileAt
	}
	if observed != target.GetGeneration() || handled != target.GetAnnotations()[meta.ReconcileRequestAnnotation] {
		return errors.New("it has not")
	}
	return nil
}

// TestOCIRepositoryWaitsForTheArtifactToBeApplied: the generation of the Kustomization does not change, so only the
// artifact is evidence.
func TestOCIRepositoryWaitsForTheArtifactToBeApplied(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	repo, k := w.Repository("app", "app", &sourcev1.OCIRepositoryRef{Tag: "0.9.0"})
	w.Fetch("app")
	w.Apply("app", env.Inventory("v1", w.Namespace+"__"))
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	w.AwaitPhase(ro, v1alpha1.PhaseDeploying, "1.0.0")
	w.Await(repo, "gets the version", func() error {
		if repo.Spec.Reference.Tag != "1.0.0" || repo.Annotations[meta.ReconcileRequestAnnotation] == "" {
			return errors.New("it is not")
		}
		return nil
	})
	deploying := func() error { return inPhase(ro, v1alpha1.PhaseDeploying) }
	w.Consistently(300*time.Millisecond, ro, "waits for the artifact", deploying)
	w.Fetch("app")
	w.Consistently(300*time.Millisecond, ro, "waits until it is applied", deploying)
	w.Apply("app")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	w.Get(k)
	if k.Spec.PostBuild != nil || k.Annotations[meta.ReconcileRequestAnnotation] != "" {
		t.Errorf("the Kustomization was touched: %v, %v", k.Spec.PostBuild, k.Annotations)
	}
}

// TestArtifactOfAnotherDigestIsNotApplied: the registry serves other content than was discovered.
func TestArtifactOfAnotherDigestIsNotApplied(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	w.Repository("app", "app", nil)
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	w.AwaitPhase(ro, v1alpha1.PhaseDeploying, "1.0.0")
	w.Await(&sourcev1.OCIRepository{ObjectMeta: w.Meta("app")}, "exists", func() error { return nil })
	w.Fetch("app", func(r *sourcev1.OCIRepository) { r.Status.Artifact.Revision = "1.0.0@" + env.Digest("moved") })
	w.Apply("app")
	w.Await(ro, "reports the served digest", func() error {
		if b := ro.Status.BlockedBy; len(b) == 0 || !strings.Contains(b[0].Message, env.Digest("moved")) {
			return fmt.Errorf("its message is %+v", b)
		}
		return nil
	})
	w.Fetch("app")
	w.Apply("app")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
}

func TestFieldsThatWinOverTheTagAreReported(t *testing.T) {
	t.Parallel()
	for field, ref := range map[string]*sourcev1.OCIRepositoryRef{
		"semver": {SemVer: "1.x", Tag: "0.9.0"}, "digest": {Digest: env.Digest("pinned"), Tag: "0.9.0"},
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			w := env.New(t)
			w.Run()
			w.SimulateFlux()
			repo, _ := w.Repository("app", "app", ref)
			w.Policy("app", "1.0.0")
			ro := w.Rollout("app")
			b := w.AwaitBlocked(ro, "OCIRepository", v1alpha1.ReasonTargetOverridden)
			if !strings.Contains(b.Message, "spec.ref."+field) {
				t.Errorf("its message is %q", b.Message)
			}
			if c := condition(ro, v1alpha1.ConditionStalled); c.Status != "True" {
				t.Errorf("Stalled is %s", c.Status)
			}
			w.Patch(repo, `{"spec":{"ref":{"semver":null,"digest":null}}}`)
			w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
			w.Get(repo)
			if repo.Spec.Reference.Tag != "1.0.0" {
				t.Errorf("it carries %q", repo.Spec.Reference.Tag)
			}
		})
	}
}

func TestDriftIsCorrectedAndReported(t *testing.T) {
	t.Parallel()
	w, ro, _ := settled(t)
	k := &kustomizev1.Kustomization{ObjectMeta: w.Meta("app")}
	w.Patch(k, `{"spec":{"postBuild":{"substitute":{"VERSION":"by-hand"}}}}`)
	w.Await(k, "is put back", carries(k, "VERSION", "1.1.0"))
	e := awaitEvent(w, "app", "DriftCorrected")
	if e.Type != "Warning" || !strings.Contains(e.Note, "put 1.1.0 back") {
		t.Errorf("the event is %s: %q", e.Type, e.Note)
	}
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.1.0")
	wantTags(t, ro, "1.1.0", "1.0.0")
}

func TestLateTargetGetsTheVersion(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	w.SimulateFlux()
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	w.AwaitBlocked(ro, "Rollout", v1alpha1.ReasonNoTargets)
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	late := w.Kustomization("late", map[string]string{"VERSION": "app"})
	w.Await(late, "gets the running version", carries(late, "VERSION", "1.0.0"))
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
	wantTags(t, ro, "1.0.0")
}

// TestTargetThatRefusesDoesNotDelayOthers: the other targets get the version, and the Rollout reports the error.
func TestTargetThatRefusesDoesNotDelayOthers(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	m := w.Run()
	w.SimulateFlux()
	m.Wire.SetFault(func(c env.Call) env.Fault {
		if c.Writes() && c.Resource == "kustomizations" && c.Name == "bad" {
			return env.Refuse
		}
		return env.Pass
	})
	bad := w.Kustomization("bad", map[string]string{"VERSION": "app"})
	good := w.Kustomization("good", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	w.Await(good, "gets the version", carries(good, "VERSION", "1.0.0"))
	b := w.AwaitBlocked(ro, "Rollout", v1alpha1.ReasonWriteFailed)
	if !strings.Contains(b.Message, `Kustomization "bad"`) || len(ro.Status.History) != 1 {
		t.Errorf("its message is %q, with %d deployments", b.Message, len(ro.Status.History))
	}
	m.Wire.SetFault(nil)
	w.Await(bad, "gets the version", carries(bad, "VERSION", "1.0.0"))
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
}

// TestGateListThatFailsOpensNothing: the gates cannot be read from the API server, so nothing is handed over.
func TestGateListThatFailsOpensNothing(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	m := w.Run()
	w.SimulateFlux()
	refused := make(chan struct{}, 100)
	m.Wire.SetFault(func(c env.Call) env.Fault {
		if c.Verb == "list" && c.Resource == "rolloutgates" {
			select {
			case refused <- struct{}{}:
			default:
			}
			return env.Refuse
		}
		return env.Pass
	})
	k := w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	<-refused
	<-refused
	w.Consistently(300*time.Millisecond, k, "is left alone", untouched(k))
	m.Wire.SetFault(nil)
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
}
