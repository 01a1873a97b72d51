package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/controller"
	"github.com/kuberik/kuberik/internal/devplane/artifact"
)

// TestIdentityOnFlux checks with Flux that a release is its digest, and that only what the ImagePolicy selects is
// deployed.
func TestIdentityOnFlux(t *testing.T) {
	w := start(t)
	for name, test := range map[string]func(*testing.T, *app){
		"a moved tag by digest goes out":       movedByDigest,
		"a moved tag by tag holds":             movedByTag,
		"what was approved is what runs":       approvedThenMoved,
		"what was listed is what runs":         listedThenMoved,
		"an OCIRepository of the image":        repositoryOfImage,
		"what is not selected does not go out": withdrawnAtGate,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, w.app(t))
		})
	}
}

// content pushes a tag with content of its own, and returns the digest.
func (a *app) content(tag, content string) string {
	a.t.Helper()
	digest, err := artifact.PushImage(a.t.Context(), artifact.Image{Reference: a.plane.Registry() + "/" + a.namespace + ":" + tag, Content: content})
	if err != nil {
		a.t.Fatal(err)
	}
	return digest
}

// byDigest makes the Kustomization take the tag and the digest.
func (a *app) byDigest() {
	a.t.Helper()
	var k kustomizev1.Kustomization
	a.get("app", &k)
	a.patch(&k, `{"metadata":{"annotations":{"rollout.kuberik.com/substitute.VERSION.value":"tag@digest"}}}`)
}

// runs waits until a release is Available, and checks that every pod runs it.
func (a *app) runs(tag, digest string) {
	a.t.Helper()
	a.eventually(tag+"@"+digest+" is Available", time.Minute, func() (bool, string) {
		ro, state := a.state()
		h := ro.Status.History
		return len(h) > 0 && h[0].Version.Tag == tag && h[0].Version.Digest == digest && ro.Status.Phase == v1alpha1.PhaseAvailable, state
	})
	if images, want := a.images(), ":"+tag+"@"+digest; len(images) != 1 || !strings.HasSuffix(images[0], want) {
		a.t.Errorf("%s is Available, and the pods are of %q", want, images)
	}
}

// images returns the images of the pods that are not being deleted, without duplicates.
func (a *app) images() []string {
	a.t.Helper()
	var pods corev1.PodList
	if err := a.client.List(a.t.Context(), &pods, client.InNamespace(a.namespace)); err != nil {
		a.t.Fatal(err)
	}
	var images []string
	for _, p := range pods.Items {
		if p.DeletionTimestamp.IsZero() {
			images = append(images, p.Spec.Containers[0].Image)
		}
	}
	slices.Sort(images)
	return slices.Compact(images)
}

// stays waits until a condition holds, and checks that it stays so.
func (a *app) stays(what string, holds func() (bool, string)) {
	a.t.Helper()
	a.eventually(what, time.Minute, holds)
	for deadline := time.Now().Add(4 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if held, state := holds(); !held {
			a.t.Fatalf("%s: not any more: %s", what, state)
		}
	}
}

// release returns the Release of a digest.
func (a *app) release(digest string) *v1alpha1.Release {
	a.t.Helper()
	var list v1alpha1.ReleaseList
	if err := a.client.List(a.t.Context(), &list, client.InNamespace(a.namespace)); err != nil {
		a.t.Fatal(err)
	}
	for i := range list.Items {
		if list.Items[i].Spec.Version.Digest == digest {
			return &list.Items[i]
		}
	}
	return &v1alpha1.Release{}
}

// waits returns the Release of a digest once it is Pending.
func (a *app) waits(digest string) *v1alpha1.Release {
	a.t.Helper()
	var rel *v1alpha1.Release
	a.eventually(digest+" is Pending", time.Minute, func() (bool, string) {
		rel = a.release(digest)
		return rel.Status.Phase == v1alpha1.ReleasePending, string(rel.Status.Phase)
	})
	return rel
}

func movedByDigest(_ *testing.T, a *app) {
	a.publish(deployment, rollout)
	a.byDigest()
	a.runs("1.1.0", a.content("1.1.0", "A"))
	a.runs("1.1.0", a.content("1.1.0", "B"))
}

func movedByTag(_ *testing.T, a *app) {
	a.publish(deployment, rollout)
	first := a.content("1.1.0", "A")
	a.available("1.1.0")
	second := a.content("1.1.0", "B")
	a.stays("the moved tag is held", func() (bool, string) {
		ro, state := a.state()
		b, h, rel := ro.Status.BlockedBy, ro.Status.History[0], a.release(second)
		state += fmt.Sprintf(", Release %s: %s", rel.Status.Phase, rel.Status.Message)
		return len(b) > 0 && b[0].Reason == v1alpha1.ReasonTagMoved && strings.Contains(b[0].Message, first) && strings.Contains(b[0].Message, second) &&
			h.Version.Digest == first && rel.Status.Phase == v1alpha1.ReleasePending, state
	})
	a.byDigest()
	a.runs("1.1.0", second)
}

// decided is a gate that alice opens for each release.
const decided = `
apiVersion: kuberik.com/v1alpha1
kind: RolloutGate
metadata: {name: approval, namespace: %[2]s}
spec: {rolloutRef: {name: app}, approvals: {required: 1, allowAuthor: true, from: {users: [alice]}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: alice, namespace: %[2]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: kuberik-approver}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: alice}]
`

// The tag moves while the release waits at the gate.
func approvedThenMoved(_ *testing.T, a *app) {
	a.publish(deployment, decided, rollout)
	a.byDigest()
	first := a.content("1.1.0", "A")
	rel := a.waits(first)
	second := a.content("1.1.0", "B")
	a.waits(second)
	cfg := rest.CopyConfig(a.plane.Config())
	cfg.Impersonate.UserName = "alice"
	alice, err := client.New(cfg, client.Options{Scheme: controller.Scheme()})
	if err != nil {
		a.t.Fatal(err)
	}
	a.eventually("alice approves", time.Minute, func() (bool, string) { // once the policy that proves users is in force
		err := alice.Create(a.t.Context(), &v1alpha1.Approval{
			ObjectMeta: metav1.ObjectMeta{Namespace: a.namespace, Name: "alice"},
			Spec:       v1alpha1.ApprovalSpec{ReleaseRef: v1alpha1.ReleaseReference{Name: rel.Name, UID: string(rel.UID)}, Decision: v1alpha1.Approve, User: "alice"},
		})
		return err == nil, fmt.Sprint(err)
	})
	a.runs("1.1.0", first)
	a.waits(second)
}

const listed = `
apiVersion: kuberik.com/v1alpha1
kind: RolloutGate
metadata: {name: approval, namespace: %[2]s}
spec: {rolloutRef: {name: app}, allowedVersions: []}
`

// A listed tag stands for the first digest that was known for it.
func listedThenMoved(_ *testing.T, a *app) {
	a.publish(deployment, listed, rollout)
	a.byDigest()
	first := a.content("1.1.0", "A")
	a.waits(first)
	second := a.content("1.1.0", "B")
	a.waits(second)
	var gate v1alpha1.RolloutGate
	a.get("approval", &gate)
	a.patch(&gate, `{"spec":{"allowedVersions":["1.1.0"]}}`)
	a.runs("1.1.0", first)
	a.waits(second)
	a.get("approval", &gate)
	a.patch(&gate, fmt.Sprintf(`{"spec":{"allowedVersions":["1.1.0@%s"]}}`, second))
	a.runs("1.1.0", second)
}

const configMap = `
apiVersion: v1
kind: ConfigMap
metadata: {name: app, namespace: %s}
data: {content: %s}
`

// The manifests are in the image that the ImagePolicy selects from.
func repositoryOfImage(_ *testing.T, a *app) {
	push := func(content string) string {
		digest, err := artifact.PushManifests(a.t.Context(), artifact.Manifests{
			Reference: a.plane.Registry() + "/" + a.namespace + ":2.0.0", Files: map[string]string{"app.yaml": fmt.Sprintf(configMap, a.namespace, content)},
		})
		if err != nil {
			a.t.Fatal(err)
		}
		return digest
	}
	first := push("A")
	itself := strings.NewReplacer("%[2]s-manifests", "%[2]s", "metadata: {name: app, namespace: %[2]s}\nspec: {url",
		"metadata: {name: app, namespace: %[2]s, annotations: {rollout.kuberik.com/rollout: app, rollout.kuberik.com/ref: digest}}\nspec: {url",
		"  annotations: {rollout.kuberik.com/substitute.VERSION.from: app}\n", "")
	a.publishWith(itself.Replace(surroundings), deployment, rollout)
	applied := func(content, digest string) {
		a.eventually(content+" is Available", time.Minute, func() (bool, string) {
			ro, state := a.state()
			h := ro.Status.History
			return len(h) > 0 && h[0].Version.Digest == digest && ro.Status.Phase == v1alpha1.PhaseAvailable, state
		})
		var c corev1.ConfigMap
		a.get("app", &c)
		var repo sourcev1.OCIRepository
		a.get("app", &repo)
		if c.Data["content"] != content || repo.Spec.Reference.Digest != digest {
			a.t.Errorf("%s (%s) is Available; the ConfigMap holds %q, spec.ref is %+v", content, digest, c.Data["content"], repo.Spec.Reference)
		}
	}
	applied("A", first)
	applied("B", push("B"))
}

// The range of the ImagePolicy is narrowed while a release waits at a gate, and later for a moment while it runs.
func withdrawnAtGate(_ *testing.T, a *app) {
	a.publish(deployment, listed, rollout)
	var gate v1alpha1.RolloutGate
	a.get("approval", &gate)
	a.patch(&gate, `{"spec":{"allowedVersions":["1.0.0"]}}`)
	a.available("1.0.0")
	digest := a.content("1.1.0", "A")
	a.waits(digest)
	selects := func(r string) {
		var p imagev1.ImagePolicy
		a.get("app", &p)
		a.patch(&p, fmt.Sprintf(`{"spec":{"policy":{"semver":{"range":%q}}}}`, r))
	}
	selects(">=1.0.0 <1.1.0")
	a.eventually("1.1.0 is withdrawn", time.Minute, func() (bool, string) {
		rel := a.release(digest)
		return rel.Status.Reason == v1alpha1.ReasonWithdrawn, rel.Status.Reason + ": " + rel.Status.Message
	})
	a.get("approval", &gate)
	a.patch(&gate, `{"spec":{"allowedVersions":["1.0.0","1.1.0"]}}`)
	var before kustomizev1.Kustomization
	a.get("app", &before)
	untouched := func(tag, reason string) func() (bool, string) {
		return func() (bool, string) {
			ro, state := a.state()
			var k kustomizev1.Kustomization
			a.get("app", &k)
			blocked := reason == "" && len(ro.Status.BlockedBy) == 0 || len(ro.Status.BlockedBy) > 0 && ro.Status.BlockedBy[0].Reason == reason
			return blocked && ro.Status.CurrentVersion == tag && ro.Status.Phase == v1alpha1.PhaseAvailable && k.Generation == before.Generation,
				fmt.Sprintf("%s, generation %d after %d", state, k.Generation, before.Generation)
		}
	}
	a.stays("1.1.0 does not go out", untouched("1.0.0", ""))
	selects(">=1.0.0")
	a.available("1.1.0")
	a.get("app", &before)
	selects(">=1.0.0 <1.1.0")
	a.stays("the dip changes nothing", untouched("1.1.0", v1alpha1.ReasonDowngrade))
	selects(">=1.0.0")
	a.stays("after the dip nothing has changed", untouched("1.1.0", ""))
	if ro, state := a.state(); len(ro.Status.History) != 2 {
		a.t.Errorf("there were %d deployments: %s", len(ro.Status.History), state)
	}
}
