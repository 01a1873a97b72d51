package integration

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/google/go-containerregistry/pkg/registry"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/environment/github/githubtest"
	"github.com/kuberik/kuberik/test/env"
)

// published reads manifests of the public Kuberik, with the namespace and the time of a test.
func published(w *env.World, file string) []*unstructured.Unstructured {
	w.T.Helper()
	data, err := os.ReadFile(env.File("test/integration/testdata/public/" + file))
	if err != nil {
		w.T.Fatal(err)
	}
	now := time.Now().UTC()
	text := strings.NewReplacer("NAMESPACE", w.Namespace, "EARLIER", fmt.Sprintf("%q", now.Add(-time.Hour).Format(time.RFC3339)),
		"NOW", fmt.Sprintf("%q", now.Format(time.RFC3339))).Replace(string(data))
	var list []*unstructured.Unstructured
	for _, doc := range strings.Split(text, "\n---\n") {
		list = append(list, parse(w, doc))
	}
	return list
}

// store stores an object and its status, as the public controllers do, and reads it back.
func store(w *env.World, obj *unstructured.Unstructured) {
	w.T.Helper()
	owners := obj.GetOwnerReferences()
	for i, o := range owners {
		owner := &unstructured.Unstructured{}
		owner.SetAPIVersion(o.APIVersion)
		owner.SetKind(o.Kind)
		owner.SetName(o.Name)
		owner.SetNamespace(w.Namespace)
		w.Get(owner)
		owners[i].UID = owner.GetUID()
	}
	obj.SetOwnerReferences(owners)
	status, reported := obj.Object["status"]
	created := obj.DeepCopy()
	w.Eventually("the kind is served", func() error {
		created = obj.DeepCopy()
		return w.Admin.Create(w.Ctx(), created)
	})
	if reported {
		created.Object["status"] = status
		if err := w.Admin.Status().Update(w.Ctx(), created); err != nil {
			w.T.Fatal(err)
		}
	}
	obj.Object = created.Object
}

// vanished returns the fields of a stored value that another value lacks.
func vanished(path string, stored, now any) []string {
	switch stored := stored.(type) {
	case map[string]any:
		now, ok := now.(map[string]any)
		if !ok {
			return []string{path}
		}
		var list []string
		for key, value := range stored {
			list = append(list, vanished(path+"."+key, value, now[key])...)
		}
		return list
	case []any:
		now, ok := now.([]any)
		if !ok || len(now) < len(stored) {
			return []string{path}
		}
		var list []string
		for i := range stored { // what is newer stands in front
			list = append(list, vanished(fmt.Sprintf("%s[%d]", path, i), stored[i], now[len(now)-len(stored)+i])...)
		}
		return list
	}
	if stored != now {
		return []string{fmt.Sprintf("%s: %v, now %v", path, stored, now)}
	}
	return nil
}

// keeps fails the test if a stored object lacks anything of the given parts.
func keeps(w *env.World, stored *unstructured.Unstructured, parts ...string) {
	w.T.Helper()
	now := stored.DeepCopy()
	w.Get(now)
	for _, part := range parts {
		fields := strings.Split(part, ".")
		before, _, err := unstructured.NestedFieldNoCopy(stored.Object, fields...)
		after, _, err2 := unstructured.NestedFieldNoCopy(now.Object, fields...)
		if err := errors.Join(err, err2); err != nil {
			w.T.Fatal(err)
		}
		if before == nil {
			continue
		}
		if list := vanished(part, before, after); len(list) > 0 {
			w.T.Errorf("%s %s has lost %v", stored.GetKind(), stored.GetName(), list)
		}
	}
}

// public is a cluster with objects of the public Kuberik, and the staging environment of another such cluster.
type public struct {
	*env.World
	image, api string
	objects    []*unstructured.Unstructured
	shop       *v1alpha1.Rollout
}

// object returns a stored object of the public controllers.
func (p *public) object(kind, name string) *unstructured.Unstructured {
	p.T.Helper()
	for _, o := range p.objects {
		if o.GetKind() == kind && o.GetName() == name {
			return o
		}
	}
	p.T.Fatalf("there is no %s %s", kind, name)
	return nil
}

func publicCluster(t *testing.T) *public {
	t.Helper()
	images := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(images.Close)
	hub := githubtest.New(clock.RealClock{}, "acme/shop")
	hub.AddToken("staging-token", "public-staging")
	hub.AddToken("production-token", "public-production")
	api := httptest.NewServer(hub)
	t.Cleanup(api.Close)
	p := &public{World: env.NewWithoutInstallation(t), image: strings.TrimPrefix(images.URL, "http://") + "/shop", api: api.URL}
	p.shop = &v1alpha1.Rollout{ObjectMeta: p.Meta("shop")}
	for _, crd := range published(p.World, "crds.yaml") {
		crd.SetNamespace("")
		if err := p.Admin.Create(t.Context(), crd); err != nil {
			t.Fatal(err)
		}
	}
	p.objects = published(p.World, "objects.yaml")
	for _, o := range p.objects {
		store(p.World, o)
	}
	p.Create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "github-token"}, StringData: map[string]string{"token": "production-token"}})
	p.SimulateFlux()
	for _, name := range []string{"shop", "baking", "deploying"} {
		p.deployed(name, "1.1.0")
	}
	repository(p.World, "shop", p.image, "")
	p.Policy("shop", "")
	p.publish("1.1.0", strings.Repeat("2", 40))
	p.Policy("baking", "1.1.0")
	p.Policy("deploying", "1.1.0")
	return p
}

// deployed creates a Kustomization with a version that the public controller has written. It owned every variable.
func (p *public) deployed(name, version string) {
	p.T.Helper()
	p.Kustomization(name, map[string]string{"VERSION": name})
	o := parse(p.World, fmt.Sprintf("apiVersion: %s\nkind: Kustomization\nmetadata: {name: %s}\nspec: {postBuild: {substitute: {COLOR: blue, VERSION: %s}}}",
		kustomizev1.GroupVersion, name, version))
	err := p.Admin.Apply(p.Ctx(), client.ApplyConfigurationFromUnstructured(o), client.FieldOwner("rollout-controller"), client.ForceOwnership)
	if err != nil {
		p.T.Fatal(err)
	}
}

// publish pushes a version and makes Flux select it.
func (p *public) publish(tag, revision string) {
	p.T.Helper()
	digest := push(p.T, p.image+":"+tag, map[string]string{
		"org.opencontainers.image.revision": revision, "org.opencontainers.image.version": tag, "org.opencontainers.image.title": "shop",
		"org.opencontainers.image.source": "https://github.com/acme/shop",
	})
	p.Select("shop", tag, digest)
}

// promote reports a version for staging, as its public controller does.
func (p *public) promote(tag, revision string) {
	p.T.Helper()
	payload := fmt.Sprintf(`{"id":"13","version":{"tag":%q,"revision":%q}}`, tag, revision)
	var made struct{ ID int64 }
	err := errors.Join(ask(p.T, "staging-token", http.MethodPost, p.api+"/repos/acme/shop/deployments", map[string]any{
		"ref": revision, "task": "deploy:kuberik/shop", "environment": "kuberik/shop/staging", "description": "Automatic deployment",
		"auto_merge": false, "required_contexts": []string{}, "payload": base64.StdEncoding.EncodeToString([]byte(payload)),
	}, &made), ask(p.T, "staging-token", http.MethodPost, fmt.Sprintf("%s/repos/acme/shop/deployments/%d/statuses", p.api, made.ID), map[string]any{
		"state": "success", "description": "Bake succeeded: Bake time completed successfully", "environment": "kuberik/shop/staging",
	}, nil))
	if err != nil {
		p.T.Fatal(err)
	}
}

// cutOver installs this version of Kuberik, as docs/guides/migrating.md describes.
func (p *public) cutOver() {
	p.T.Helper()
	if err := p.Install(p.Ctx()); err != nil {
		p.T.Fatal(err)
	}
	seen := map[string]bool{}
	for _, o := range p.objects {
		if seen[o.GetKind()] {
			continue
		}
		seen[o.GetKind()] = true
		bare := parse(p.World, fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: probe}", o.GetAPIVersion(), o.GetKind()))
		p.Eventually("our schema of "+o.GetKind()+" is served", func() error {
			if err := p.Admin.Create(p.Ctx(), bare.DeepCopy(), client.DryRunAll); !apierrors.IsInvalid(err) {
				return fmt.Errorf("one without spec: %w", err)
			}
			return nil
		})
	}
	for _, o := range p.objects {
		keeps(p.World, o, "metadata.labels", "metadata.annotations", "metadata.ownerReferences", "spec", "status")
	}
	// Tokens are not sent to the GitHub of the test by default.
	at, err := url.Parse(p.api)
	if err != nil {
		p.T.Fatal(err)
	}
	p.Patch(&corev1.Secret{ObjectMeta: p.Meta("github-token")}, fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationAllowedHosts, "http://"+at.Host))
	p.Patch(&environments.Environment{ObjectMeta: p.Meta("shop-production")}, fmt.Sprintf(`{"spec":{"backend":{"apiURL":%q}}}`, p.api+"/"))
	p.Run(local)
}

// TestCutOverFromThePublicKuberik stores objects of the public controllers, under their CustomResourceDefinitions, and
// replaces the controllers.
func TestCutOverFromThePublicKuberik(t *testing.T) {
	t.Parallel()
	p := publicCluster(t)
	p.cutOver()

	t.Run("gates are taken over or replaced", p.gates)
	t.Run("the history is kept", p.record)
	t.Run("a deployment in flight continues", p.inFlight)
	t.Run("a new tag is deployed", p.newTag)
	t.Run("invalid objects harm only themselves", p.wrong)
	t.Run("the dashboard keeps working", p.dashboard)
	t.Run("reasons are as in the guide", p.reasons)
}

func (p *public) gates(t *testing.T) {
	p.AwaitGone(&v1alpha1.RolloutGate{ObjectMeta: p.Meta("ghd-x7k2p")})
	ours := &v1alpha1.RolloutGate{ObjectMeta: p.Meta("production-after-staging")}
	p.Get(ours)
	if ours.Spec.Passing != nil || ours.Spec.AllowedVersions != nil || len(ours.OwnerReferences) != 1 || ours.OwnerReferences[0].Name != "shop-production" {
		t.Errorf("the gate in its place is %+v", ours)
	}
	hours := &v1alpha1.RolloutGate{ObjectMeta: p.Meta("schedule-gate-9qmz4")}
	p.Await(hours, "is kept by its schedule", func() error {
		if hours.Annotations[v1alpha1.AnnotationGateReason] == "" || hours.Spec.Passing == nil || !*hours.Spec.Passing {
			return errors.New("it is not")
		}
		return nil
	})
	var all v1alpha1.RolloutGateList
	if err := p.Admin.List(t.Context(), &all, inNamespace(p.World)); err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range all.Items {
		if all.Items[i].Spec.RolloutRef.Name == "shop" {
			names = append(names, all.Items[i].Name)
		}
	}
	if slices.Sort(names); !slices.Equal(names, []string{ours.Name, hours.Name}) {
		t.Errorf("the gates of shop are %v", names)
	}
}

func (p *public) record(t *testing.T) {
	p.AwaitPhase(p.shop, v1alpha1.PhaseAvailable, "1.1.0")
	stays(p.World, p.shop, 3)
	keeps(p.World, p.object("Rollout", "shop"), "metadata.labels", "metadata.annotations", "spec", "status.history", "status.availableReleases", "status.source", "status.title")
	if c := condition(p.shop, v1alpha1.ConditionReady); c.Status != metav1.ConditionTrue || c.Reason != v1alpha1.ReasonAvailable || c.ObservedGeneration == 0 {
		t.Errorf("Ready is %+v", c)
	}
	k := &kustomizev1.Kustomization{ObjectMeta: p.Meta("shop")}
	p.Get(k)
	if err := errors.Join(carries(k, "VERSION", "1.1.0")(), carries(k, "COLOR", "blue")()); err != nil {
		t.Error(err)
	}
}

func (p *public) inFlight(t *testing.T) {
	for name, id := range map[string]int64{"baking": 3, "deploying": 1} {
		ro := &v1alpha1.Rollout{ObjectMeta: p.Meta(name)}
		p.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.1.0")
		if h := ro.Status.History[0]; h.ID == nil || *h.ID != id || h.BakeEndTime == nil {
			t.Errorf("%s ends with %+v", name, h)
		}
		keeps(p.World, p.object("Rollout", name), "metadata.labels", "spec", "status.availableReleases")
	}
}

func (p *public) newTag(t *testing.T) {
	revision := strings.Repeat("3", 40)
	p.promote("1.2.0", revision)
	p.publish("1.2.0", revision)
	blockedWith(p.World, p.shop, "public-staging") // whom nobody has trusted yet
	stays(p.World, p.shop, 3)
	p.Patch(&environments.Environment{ObjectMeta: p.Meta("shop-production")}, `{"spec":{"backend":{"trustedActors":["public-staging"]}}}`)
	p.AwaitPhase(p.shop, v1alpha1.PhaseAvailable, "1.2.0")
	wantTags(t, p.shop, "1.2.0", "1.1.0", "1.0.0", "0.9.0")
	if h := p.shop.Status.History[0]; h.ID == nil || *h.ID != 8 || h.Cause != v1alpha1.CauseAutomatic {
		t.Errorf("it is %+v", h)
	}
	keeps(p.World, p.object("Rollout", "shop"), "status.history")
	k := &kustomizev1.Kustomization{ObjectMeta: p.Meta("shop")}
	p.Get(k)
	if err := errors.Join(carries(k, "VERSION", "1.2.0")(), carries(k, "COLOR", "blue")()); err != nil {
		t.Error(err)
	}
	self := &environments.Environment{ObjectMeta: p.Meta("shop-production")}
	p.Await(self, "shows both environments", func() error {
		if self.Status.CurrentTag != "1.2.0" || self.Status.CurrentVersion != revision || len(self.Status.EnvironmentInfos) != 2 {
			return fmt.Errorf("it shows %+v", self.Status)
		}
		return nil
	})
}

// wrong checks objects that an older schema accepted and that this one rejects: they keep their spec and get a status
// that explains the mistake.
func (p *public) wrong(t *testing.T) {
	nowhere := &v1alpha1.Rollout{ObjectMeta: p.Meta("nowhere")}
	p.Await(nowhere, "reports the mistake", func() error { return stalled(nowhere.Status.Conditions) })
	if n := len(nowhere.Status.History); n != 1 {
		t.Errorf("it has %d deployments", n)
	}
	never := &v1alpha1.RolloutSchedule{ObjectMeta: p.Meta("never")}
	p.Await(never, "reports the mistake", func() error { return stalled(never.Status.Conditions) })
	unnamed := &environments.Environment{ObjectMeta: p.Meta("unnamed")}
	p.Await(unnamed, "reports the mistake", func() error { return stalled(unnamed.Status.Conditions) })
	for _, o := range p.objects {
		if o.GetName() != "ghd-x7k2p" {
			keeps(p.World, o, "metadata.labels", "metadata.ownerReferences", "spec")
		}
	}
}

func stalled(conditions []metav1.Condition) error {
	if c := apimeta.FindStatusCondition(conditions, v1alpha1.ConditionStalled); c == nil || c.Status != metav1.ConditionTrue || c.Message == "" {
		return fmt.Errorf("its conditions are %+v", conditions)
	}
	return nil
}

// dashboard has the roles that the guide gives it instead of the removed one. No controller aggregates roles here, so
// view and kuberik-view are bound separately.
func (p *public) dashboard(t *testing.T) {
	c := p.As("dashboard", "system:aggregate-to-view", "kuberik-view", "kuberik-edit")
	for _, list := range []client.ObjectList{
		&v1alpha1.RolloutList{}, &v1alpha1.RolloutGateList{}, &v1alpha1.HealthCheckList{}, &v1alpha1.RolloutScheduleList{}, &environments.EnvironmentList{},
	} {
		if err := c.List(t.Context(), list, inNamespace(p.World)); err != nil {
			t.Errorf("%T: %v", list, err)
		}
	}
	check := &v1alpha1.HealthCheck{ObjectMeta: p.Meta("shop")}
	for what, err := range map[string]error{
		"mark successful": patchStatus(p.World, c, p.shop, `{"status":{"history":[]}}`),
		"continue":        patchStatus(p.World, c, check, `{"status":{"status":"Pending"}}`),
		"reconcile":       patch(p.World, c, &kustomizev1.Kustomization{ObjectMeta: p.Meta("shop")}, `{"metadata":{"annotations":{"reconcile.fluxcd.io/requestedAt":"1"}}}`),
	} {
		if !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	err := patch(p.World, c, p.shop, `{"metadata":{"annotations":{"rollout.kuberik.com/force-deploy":"1.1.0",
		"rollout.kuberik.com/deploy-message":"1.2.0 is slow","rollout.kuberik.com/deploy-user":"bob@example.com"}}}`)
	if err != nil {
		t.Fatal(err)
	}
	p.AwaitPhase(p.shop, v1alpha1.PhaseAvailable, "1.1.0")
	wantTags(t, p.shop, "1.1.0", "1.2.0", "1.1.0", "1.0.0", "0.9.0")
	h := p.shop.Status.History[0]
	if *h.ID != 9 || ptrText(h.Message) != "1.2.0 is slow" || h.TriggeredBy == nil || h.TriggeredBy.Name != "bob@example.com" {
		t.Errorf("it is %+v", h)
	}
}

// reasons checks that existing alerts match as the guide says.
func (p *public) reasons(t *testing.T) {
	for _, reason := range []string{"Deploying", "BakeTimeStarted", "DeploymentSucceeded"} {
		awaitEvent(p.World, "shop", reason)
	}
	gone := []string{
		"RolloutSucceeded", "BakeTimePassed", "BakeTimeRetrying", "DeploymentMarkedSuccessful", "BakeTimeFailed", "BakeTimeDeploying", "GateListFailed",
		"HealthCheckListFailed", "RetryRequested", "HealthCheckBlocking", "PreviousBakeFailed",
	}
	var events eventsv1.EventList
	if err := p.Admin.List(t.Context(), &events, inNamespace(p.World)); err != nil {
		t.Fatal(err)
	}
	for _, e := range events.Items {
		if slices.Contains(append(gone, "AllGatesPassing", "GatesBypassed", "SomeGatesBlocking", "NoAllowedVersions"), e.Reason) {
			t.Errorf("there is an event %s about %s", e.Reason, e.Regarding.Name)
		}
	}
	var list v1alpha1.RolloutList
	if err := p.Admin.List(t.Context(), &list, inNamespace(p.World)); err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		for _, c := range list.Items[i].Status.Conditions {
			if slices.Contains(append(gone, "RolloutFailed"), c.Reason) {
				t.Errorf("%s of %s has the reason %s", c.Type, list.Items[i].Name, c.Reason)
			}
		}
	}
}
