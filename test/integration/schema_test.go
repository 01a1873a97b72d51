package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	environments "github.com/kuberik/kuberik/api/environments/v1alpha1"
	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/test/env"
)

// parse parses a manifest into the namespace of a test.
func parse(w *env.World, manifest string) *unstructured.Unstructured {
	w.T.Helper()
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &obj.Object); err != nil {
		w.T.Fatal(err)
	}
	if obj.GetAPIVersion() == "" {
		obj.SetAPIVersion(v1alpha1.GroupVersion.String())
	}
	obj.SetNamespace(w.Namespace)
	return obj
}

func rolloutWith(fields string) string {
	return "kind: Rollout\nmetadata: {name: app}\nspec: {releasesImagePolicy: {name: app}, " + fields + "}"
}

func gateWith(fields string) string {
	return "kind: RolloutGate\nmetadata: {name: g}\nspec: {rolloutRef: {name: app}, " + fields + "}"
}

func environmentWith(fields string) string {
	return "apiVersion: environments.kuberik.com/v1alpha1\nkind: Environment\nmetadata: {name: e}\nspec: {rolloutRef: {name: app}, name: shop, " + fields + "}"
}

// refusal is a manifest that the API server rejects, and parts of the error message.
type refusal struct {
	manifest string
	message  []string
}

// refusals returns manifests that the schema rejects.
func refusals() map[string]refusal {
	return map[string]refusal{
		"wantedVersion empty":                     {rolloutWith(`wantedVersion: ""`), []string{"wantedVersion", "legal image tag", "remove the field to unpin"}},
		"wantedVersion illegal":                   {rolloutWith(`wantedVersion: "reg/app:1.0"`), []string{"wantedVersion", "legal image tag"}},
		"wantedVersion with a line":               {rolloutWith(`wantedVersion: "1.0\r  x: y"`), []string{"wantedVersion", "legal image tag"}},
		"wantedVersion too long":                  {rolloutWith(`wantedVersion: ` + strings.Repeat("a", 129)), []string{"wantedVersion", "legal image tag", "up to 128"}},
		"bakeTime beyond all bounds":              {rolloutWith(`bakeTime: 9999999999999999999h`), []string{"bakeTime", "at most one year", "15m"}},
		"bakeTime of two years":                   {rolloutWith(`bakeTime: 17520h`), []string{"bakeTime", "at most one year"}},
		"bakeTime negative":                       {rolloutWith(`bakeTime: -5m`), []string{"bakeTime", "at most one year", "15m"}},
		"bakeTime in words":                       {rolloutWith(`bakeTime: 10 minutes`), []string{"bakeTime", "at most one year", "15m"}},
		"bakeTime without a unit":                 {rolloutWith(`bakeTime: "10"`), []string{"bakeTime", "at most one year", "15m"}},
		"bakeTime a number":                       {rolloutWith(`bakeTime: 10`), []string{"bakeTime", "must be of type string"}},
		"deployTimeout in words":                  {rolloutWith(`deployTimeout: soon`), []string{"deployTimeout", "15m"}},
		"policy without name":                     {"kind: Rollout\nmetadata: {name: app}\nspec: {releasesImagePolicy: {}}", []string{"releasesImagePolicy.name is empty", "name an ImagePolicy"}},
		"policy name empty":                       {"kind: Rollout\nmetadata: {name: app}\nspec: {releasesImagePolicy: {name: ''}}", []string{"releasesImagePolicy.name is empty"}},
		"no policy":                               {"kind: Rollout\nmetadata: {name: app}\nspec: {}", []string{"spec.releasesImagePolicy: Required value: name an ImagePolicy"}},
		"no spec":                                 {"kind: Rollout\nmetadata: {name: app}", []string{"spec: Required value: the Rollout has no spec", "spec.releasesImagePolicy.name"}},
		"gate without spec":                       {"kind: RolloutGate\nmetadata: {name: g}", []string{"spec: Required value: the RolloutGate has no spec", "spec.rolloutRef.name"}},
		"check without spec":                      {"kind: HealthCheck\nmetadata: {name: c}", []string{"spec: Required value: the HealthCheck has no spec", "kustomization, http"}},
		"approval without spec":                   {"kind: Approval\nmetadata: {name: a}", []string{"spec: Required value: the Approval has no spec", "spec.releaseRef.name"}},
		"override without spec":                   {"kind: Override\nmetadata: {name: o}", []string{"spec: Required value: the Override has no spec", "spec.expiresAt"}},
		"schedule without spec":                   {"kind: RolloutSchedule\nmetadata: {name: s}", []string{"spec: Required value: the RolloutSchedule has no spec", "spec.rolloutSelector"}},
		"cluster schedule without spec":           {"kind: ClusterRolloutSchedule\nmetadata: {name: s}", []string{"spec: Required value: the ClusterRolloutSchedule has no spec", "spec.rolloutSelector"}},
		"environment without spec":                {"apiVersion: environments.kuberik.com/v1alpha1\nkind: Environment\nmetadata: {name: e}", []string{"spec: Required value: the Environment has no spec", "spec.rolloutRef.name"}},
		"check of class Kustomization":            {"kind: HealthCheck\nmetadata: {name: c}\nspec: {class: Kustomization}", []string{"spec.class", "write the class in lower case: kustomization"}},
		"check of class HTTP":                     {"kind: HealthCheck\nmetadata: {name: c}\nspec: {class: HTTP, http: {url: 'https://a.b/'}}", []string{"write the class in lower case: kustomization, http"}},
		"check with http and no class":            {"kind: HealthCheck\nmetadata: {name: c}\nspec: {http: {url: 'https://a.b/'}}", []string{"class http and the field http go together"}},
		"gate of class Manual":                    {gateWith(`class: Manual`), []string{"spec.class", "write the class in lower case: manual, http"}},
		"old selector":                            {rolloutWith(`healthCheckSelector: {matchLabels: {app: app}}`), []string{"healthCheckSelector.selector.matchLabels", "is not read"}},
		"selector missing":                        {rolloutWith(`healthCheckSelector: {}`), []string{"healthCheckSelector needs a selector", "selector: {}"}},
		"only a namespaceSelector":                {rolloutWith(`healthCheckSelector: {namespaceSelector: {}}`), []string{"healthCheckSelector needs a selector"}},
		"onFailure mistyped":                      {rolloutWith(`onFailure: rollback`), []string{"onFailure", `"Halt", "Rollback", "Pause"`}},
		"selection mistyped":                      {rolloutWith(`selection: All`), []string{"selection", `"Latest", "Every"`}},
		"afterFailure mistyped":                   {rolloutWith(`afterFailure: Allow`), []string{"afterFailure", `"Block", "AllowNewer"`}},
		"initialDeployment mistyped":              {rolloutWith(`initialDeployment: Open`), []string{"initialDeployment", `"Gated", "SkipGates"`}},
		"versionHistoryLimit zero":                {rolloutWith(`versionHistoryLimit: 0`), []string{"versionHistoryLimit", "greater than or equal to 1"}},
		"availableReleasesMinCount negative":      {rolloutWith(`availableReleasesMinCount: -1`), []string{"availableReleasesMinCount", "greater than or equal to 1"}},
		"availableReleasesRetentionDays negative": {rolloutWith(`availableReleasesRetentionDays: -7`), []string{"availableReleasesRetentionDays", "greater than or equal to 1"}},
		"rollbackFloor illegal":                   {rolloutWith(`rollbackFloor: ">=1.0"`), []string{"rollbackFloor is not a legal image tag"}},
		"gate without rolloutRef":                 {"kind: RolloutGate\nmetadata: {name: g}\nspec: {passing: true}", []string{"spec.rolloutRef: Required value: name the Rollout"}},
		"gate without a name in rolloutRef":       {"kind: RolloutGate\nmetadata: {name: g}\nspec: {rolloutRef: {}}", []string{"rolloutRef.name is empty", "name a Rollout"}},
		"gate with an empty name":                 {"kind: RolloutGate\nmetadata: {name: g}\nspec: {rolloutRef: {name: ''}}", []string{"rolloutRef.name is empty"}},
		"gate of class http without http":         {gateWith(`class: http`), []string{"class http needs the field http"}},
		"gate with http of another class":         {gateWith(`class: manual, http: {url: "https://a.b/"}`), []string{"the field http is for class http"}},
		"gate with approvals of another class":    {gateWith(`class: x.example.com, approvals: {required: 1}`), []string{"the field approvals is for class manual"}},
		"gate open for all with approvals":        {gateWith(`passing: true, approvals: {required: 1}`), []string{"passing: true opens the gate for everybody"}},
		"gate that lists half a digest":           {gateWith(`allowedVersions: ["1.0.0@sha256:abc"]`), []string{"spec.allowedVersions", "a tag and its whole digest", "kubectl get rel"}},
		"gate that lists an image":                {gateWith(`allowedVersions: ["reg/app:1.0.0@sha256:abc"]`), []string{"write a tag such as 1.2.0"}},
		"gate without approvers":                  {gateWith(`approvals: {from: {}}`), []string{"name users, groups or both"}},
		"gate that requires 0 approvals":          {gateWith(`approvals: {required: 0}`), []string{"required", "greater than or equal to 1"}},
		"gate whose approvals last no time":       {gateWith(`approvals: {expireAfter: 0s}`), []string{"expireAfter is more than 0"}},
		"gate with a path as its URL":             {gateWith(`http: {url: "/approve"}`), []string{"write an absolute URL"}},
		"gate with two bodies":                    {gateWith(`http: {url: "https://a.b/", body: x, bodyExpression: release.tag}`), []string{"give either body or bodyExpression"}},
		"approval of nothing":                     {"kind: Approval\nmetadata: {name: a}\nspec: {decision: Approve, user: me}", []string{"spec.releaseRef: Required value: name the Release", "kubectl get rel"}},
		"approval without a user":                 {"kind: Approval\nmetadata: {name: a}\nspec: {releaseRef: {name: r}, decision: Approve}", []string{"spec.user: Required value", "kubectl auth whoami"}},
		"approval without a decision":             {"kind: Approval\nmetadata: {name: a}\nspec: {releaseRef: {name: r}, user: me}", []string{"spec.decision: Required value: write Approve or Reject"}},
		"schedule for nothing":                    {"kind: RolloutSchedule\nmetadata: {name: s}\nspec: {always: true}", []string{"spec.rolloutSelector: Required value: select Rollouts by their labels"}},
		"environment of no application":           {"apiVersion: environments.kuberik.com/v1alpha1\nkind: Environment\nmetadata: {name: e}\nspec: {rolloutRef: {name: app}}", []string{"spec.name: Required value: name the application"}},
		"approval that decides nothing":           {"kind: Approval\nmetadata: {name: a}\nspec: {releaseRef: {name: r}, decision: Maybe, user: me}", []string{"decision", `"Approve", "Reject"`}},
		"override without an end":                 {"kind: Override\nmetadata: {name: o}\nspec: {rolloutRef: {name: app}, releaseRef: {name: r}, bypass: [Gates], reason: the shop is down, user: me}", []string{"spec.expiresAt: Required value: say when the Override ends"}},
		"override of everything":                  {"kind: Override\nmetadata: {name: o}\nspec: {rolloutRef: {name: app}, releaseRef: {name: r}, bypass: [All], reason: the shop is down, user: me, expiresAt: 2030-01-01T00:00:00Z}", []string{"bypass", `"Gates", "Schedules", "Health"`}},
		"override because":                        {"kind: Override\nmetadata: {name: o}\nspec: {rolloutRef: {name: app}, releaseRef: {name: r}, bypass: [Gates], reason: x, user: me, expiresAt: 2030-01-01T00:00:00Z}", []string{"reason", "at least 8"}},
		"environment with a slash":                {environmentWith(`environment: shop/staging`), []string{"an environment name has no slash"}},
		"environment without a Rollout":           {"apiVersion: environments.kuberik.com/v1alpha1\nkind: Environment\nmetadata: {name: e}\nspec: {rolloutRef: {}, name: shop}", []string{"rolloutRef.name is empty"}},
		"environment at GitHub without a project": {environmentWith(`backend: {type: github}`), []string{"name the project", "owner/repository"}},
		"environment at GitHub with half a name":  {environmentWith(`backend: {type: github, project: shop}`), []string{"a GitHub project is owner/repository"}},
		"environment at an unknown place":         {environmentWith(`backend: {type: gitea, project: a/b}`), []string{"backend.type", `"cluster", "github", "gitlab"`}},
		"environment that depends on one twice":   {environmentWith(`dependsOn: [{environment: a}, {environment: a}]`), []string{"dependsOn", "Duplicate"}},
		"environment that polls in words":         {environmentWith(`requeueInterval: often`), []string{"requeueInterval", "90s"}},
		"environment that polls two ways":         {environmentWith(`interval: 1m, requeueInterval: 2m`), []string{"interval and requeueInterval differ"}},
		"environment that polls too often":        {environmentWith(`interval: 1s`), []string{"the interval is at least 10s"}},
		"environment with two Secrets":            {environmentWith(`backend: {type: github, project: a/b, secret: one, secretRef: {name: two}}`), []string{"name different Secrets"}},
		"environment with a nameless Secret":      {environmentWith(`backend: {type: github, project: a/b, secretRef: {}}`), []string{"secretRef.name is empty"}},
		"check that probes in words":              {"kind: HealthCheck\nmetadata: {name: c}\nspec: {class: kustomization, interval: often}", []string{"spec.interval", "15m"}},
		"check that probes all the time":          {"kind: HealthCheck\nmetadata: {name: c}\nspec: {class: kustomization, interval: 1ms}", []string{"the interval is at least 1s"}},
		"environment that soaks in words":         {environmentWith(`dependsOn: [{environment: a, minAvailableFor: a while}]`), []string{"minAvailableFor", "15m"}},
		"environment of another relationship":     {environmentWith(`relationship: {environment: a, type: Before}`), []string{"relationship.type", `"After", "Parallel"`}},
		"check of a Kustomization, another class": {"kind: HealthCheck\nmetadata: {name: c}\nspec: {class: script, script: {image: a}, kustomization: {name: app}}", []string{"the field kustomization is for class kustomization"}},
		"check with an empty class":               {"kind: HealthCheck\nmetadata: {name: c}\nspec: {class: ''}", []string{"class is empty", "kustomization"}},
	}
}

// TestWrongManifestsAreRefusedWithMessages covers manifests that the schema rejects. TestWrongManifestsAreExplained
// covers those that it accepts.
func TestWrongManifestsAreRefusedWithMessages(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	// If a message of a validation rule explains the mistake, it is the only one.
	noise := []string{"should match '", "type conversion error"}
	for name, c := range refusals() {
		t.Run(name, func(t *testing.T) {
			err := w.Admin.Create(w.Ctx(), parse(w, c.manifest))
			if err == nil {
				t.Fatal("it was accepted")
			}
			for _, text := range c.message {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("the message lacks %q:\n%v", text, err)
				}
			}
			for _, text := range noise {
				if strings.Contains(err.Error(), text) {
					t.Errorf("the message has %q:\n%v", text, err)
				}
			}
			// After its own words for enumerations and types, the API server says that it has not checked our rules.
			unchecked := strings.Contains(err.Error(), "Unsupported value") || strings.Contains(err.Error(), "must be of type")
			if strings.Contains(err.Error(), "<nil>") && !unchecked {
				t.Errorf("the message speaks of <nil>:\n%v", err)
			}
		})
	}
}

// TestPublicManifestsAreAccepted covers every field of the published API.
func TestPublicManifestsAreAccepted(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	for name, manifest := range map[string]string{
		"rollout, every published field": `
kind: Rollout
metadata:
  name: all
  annotations:
    rollout.kuberik.com/force-deploy: 1.0.0
    rollout.kuberik.com/bypass-gates: 1.0.0
    rollout.kuberik.com/unblock-failed: "true"
    rollout.kuberik.com/deploy-message: because
    rollout.kuberik.com/deploy-user: maria
    rollout.kuberik.com/retry: "1"
    rollout.kuberik.com/link.Logs: https://example.com
spec:
  releasesImagePolicy: {name: app}
  wantedVersion: v1.2.3_build-7
  versionHistoryLimit: 5
  availableReleasesRetentionDays: 7
  availableReleasesMinCount: 30
  bakeTime: 1h30m
  deployTimeout: 10.5m
  healthCheckSelector:
    selector: {matchLabels: {app: app}, matchExpressions: [{key: tier, operator: In, values: [web]}]}
    namespaceSelector: {matchLabels: {team: a}}
`,
		"rollout, what is needed": "kind: Rollout\nmetadata: {name: least}\nspec: {releasesImagePolicy: {name: app}}",
		"rollout, every check":    "kind: Rollout\nmetadata: {name: every}\nspec: {releasesImagePolicy: {name: app}, healthCheckSelector: {selector: {}}}",
		"gate, passing":           "kind: RolloutGate\nmetadata: {name: passing}\nspec: {rolloutRef: {name: app}, passing: true}",
		"gate, closed":            "kind: RolloutGate\nmetadata: {name: closed, labels: {gate.kuberik.com/schedule-kind: RolloutSchedule}}\nspec: {rolloutRef: {name: app}, passing: false, allowedVersions: [1.0.0]}",
		"gate, a digest":          "kind: RolloutGate\nmetadata: {name: digest}\nspec: {rolloutRef: {name: app}, allowedVersions: ['1.0.0@" + env.Digest("1.0.0") + "', 1.1.0]}",
		"gate, nothing allowed":   "kind: RolloutGate\nmetadata: {name: none}\nspec: {rolloutRef: {name: app}, allowedVersions: []}",
		"gate, the manual approval of the documentation": "kind: RolloutGate\nmetadata: {name: manual, annotations: {gate.kuberik.com/pretty-name: Approval}}\nspec: {rolloutRef: {name: app}}",
		"environment, every published field": `
apiVersion: environments.kuberik.com/v1alpha1
kind: Environment
metadata: {name: all}
spec:
  rolloutRef: {name: app}
  name: kuberik/shop
  environment: production
  relationship: {environment: staging, type: After}
  backend: {type: github, project: acme/shop.web, secret: github-token}
  requeueInterval: 1m30s
`,
		"environment, fields of both shapes":   "apiVersion: environments.kuberik.com/v1alpha1\nkind: Environment\nmetadata: {name: both}\nspec: {rolloutRef: {name: app}, name: shop, environment: b, interval: 1m, requeueInterval: 1m, backend: {type: github, project: acme/shop, secret: t, secretRef: {name: t}}}",
		"environment, as in the documentation": "apiVersion: environments.kuberik.com/v1alpha1\nkind: Environment\nmetadata: {name: docs}\nspec: {rolloutRef: {name: app}, name: staging, backend: {type: github, project: acme/shop}}",
		"environment with interval 0":          "apiVersion: environments.kuberik.com/v1alpha1\nkind: Environment\nmetadata: {name: never}\nspec: {rolloutRef: {name: app}, name: shop, environment: a, backend: {type: github, project: acme/shop}, requeueInterval: 0s}",
		"check of a Kustomization":             "kind: HealthCheck\nmetadata: {name: k, annotations: {healthcheck.kuberik.com/kustomization: flux-system/app, healthcheck.kuberik.com/requeue-interval: 10s}}\nspec: {class: kustomization}",
		"check of a Kustomization, by field":   "kind: HealthCheck\nmetadata: {name: k2}\nspec: {class: kustomization, kustomization: {name: app}}",
		"check without class, as Datadog's":    "kind: HealthCheck\nmetadata: {name: datadog-check-x, labels: {kuberik.com/managed-by: datadog-controller}}\nspec: {}",
		"check of another class":               "kind: HealthCheck\nmetadata: {name: alert}\nspec: {class: prometheus-alert}",
	} {
		t.Run(name, func(t *testing.T) {
			obj := parse(w, manifest)
			want := obj.DeepCopy()
			if err := w.Admin.Create(w.Ctx(), obj, &client.CreateOptions{Raw: &metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict}}); err != nil {
				t.Fatal(err)
			}
			lost(t, "", want.Object, obj.Object)
		})
	}
}

// lost fails the test for each field that was sent and is not stored.
func lost(t *testing.T, path string, want, got any) {
	t.Helper()
	m, ok := want.(map[string]any)
	if !ok {
		if fmt.Sprint(want) != fmt.Sprint(got) {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
		return
	}
	stored, ok := got.(map[string]any)
	if !ok && len(m) > 0 {
		t.Errorf("%s is %v, want %v", path, got, want)
		return
	}
	for key, value := range m {
		lost(t, path+"."+key, value, stored[key])
	}
}

// TestGateWithoutSpecHarmsNobody: a gate that was stored under the published schema belongs to no Rollout, and its
// status says so.
//
//nolint:paralleltest // it changes a CRD for a while
func TestGateWithoutSpecHarmsNobody(t *testing.T) {
	w := env.New(t)
	bare := "kind: RolloutGate\nmetadata: {name: bare}"
	permissive(w, "rolloutgates.kuberik.com", bare, func() {
		w.Eventually("the permissive schema is served", func() error { return w.Admin.Create(w.Ctx(), parse(w, bare)) })
	})
	w.Run()
	w.SimulateFlux()
	gate := &v1alpha1.RolloutGate{ObjectMeta: w.Meta("bare")}
	w.Await(gate, "reports that it holds nothing", func() error {
		if len(gate.Status.Conditions) == 0 || gate.Status.Conditions[0].Reason != "NoRollout" {
			return fmt.Errorf("its message is %+v", gate.Status.Conditions)
		}
		return nil
	})
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	w.AwaitPhase(ro, v1alpha1.PhaseAvailable, "1.0.0")
}

func TestReleasesCannotBeChanged(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	w.Policy("app", "1.0.0")
	ro := w.Rollout("app")
	rel := w.AwaitRelease(ro, "1.0.0", v1alpha1.ReleaseDeploying)
	// A user with every permission, and the name of the controller, which the policy allows.
	cfg := rest.CopyConfig(w.Plane.Config())
	cfg.Impersonate = rest.ImpersonationConfig{UserName: env.ServiceAccount, Groups: []string{"system:masters"}}
	controller, err := client.New(cfg, client.Options{Scheme: w.Admin.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"version":{"tag":"2.0.0"}}}`))
	if err := controller.Patch(w.Ctx(), rel, patch); err == nil || !strings.Contains(err.Error(), "a Release cannot be changed") {
		t.Errorf("changing it: %v", err)
	}
}

func TestShortNamesAndCategory(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	d, err := discovery.NewDiscoveryClientForConfig(w.Plane.Config())
	if err != nil {
		t.Fatal(err)
	}
	list, err := d.ServerResourcesForGroupVersion(v1alpha1.GroupVersion.String())
	if err != nil {
		t.Fatal(err)
	}
	more, err := d.ServerResourcesForGroupVersion(environments.GroupVersion.String())
	if err != nil {
		t.Fatal(err)
	}
	list.APIResources = append(list.APIResources, more.APIResources...)
	want := map[string]string{
		"rollouts": "ro", "releases": "rel", "rolloutgates": "gate", "healthchecks": "check", "approvals": "appr", "environments": "env",
	}
	for _, r := range list.APIResources {
		short, ok := want[r.Name]
		if !ok {
			continue
		}
		delete(want, r.Name)
		if !slices.Contains(r.ShortNames, short) || !slices.Contains(r.Categories, "kuberik") {
			t.Errorf("%s has short names %v and categories %v", r.Name, r.ShortNames, r.Categories)
		}
	}
	if len(want) > 0 {
		t.Errorf("not served: %v", want)
	}
}

// TestTablesSayWhatRunsAndWhatWaits reads what kubectl get prints.
func TestTablesSayWhatRunsAndWhatWaits(t *testing.T) {
	t.Parallel()
	w := env.New(t)
	w.Run()
	w.Kustomization("app", map[string]string{"VERSION": "app"})
	w.Policy("app", "1.0.0")
	check := w.Check("app", v1alpha1.HealthClassKustomization, "app")
	gate := w.Gate("approval", "app")
	ro := w.Rollout("app", env.WithHealthChecks)
	w.AwaitBlocked(ro, "RolloutGate", "AwaitingApproval")
	w.AwaitRelease(ro, "1.0.0", v1alpha1.ReleasePending)
	w.Await(gate, "has a verdict", func() error {
		if len(gate.Status.Verdicts) == 0 {
			return fmt.Errorf("it has none")
		}
		return nil
	})
	w.Await(check, "has a verdict", func() error { return reports(check, v1alpha1.HealthPending) })
	for resource, want := range map[string]map[string]string{
		"rollouts":     {"Phase": "Waiting", "Pending": "1.0.0", "Waits for": "RolloutGate approval: waits for approval of 1.0.0", "Ready": "True"},
		"releases":     {"Rollout": "app", "Tag": "1.0.0", "Phase": "Pending", "Running": "<nil>", "Short digest": env.Digest("1.0.0")[7:19]},
		"rolloutgates": {"Rollout": "app", "Release": "1.0.0", "State": "pending"},
		"healthchecks": {"Class": "kustomization", "Health": "Pending"},
	} {
		row := table(t, w, resource)
		for column, value := range want {
			if got := row[column]; got != value {
				t.Errorf("%s: column %q is %q, want %q in %v", resource, column, got, value, row)
			}
		}
	}
	w.Patch(gate, `{"spec":{"passing":true}}`)
	w.AwaitPhase(ro, v1alpha1.PhaseDeploying, "1.0.0")
	row := table(t, w, "rollouts")
	if row["Version"] != "1.0.0" || row["Phase"] != "Deploying" {
		t.Errorf("deploying, it prints %v", row)
	}
	w.Await(w.AwaitRelease(ro, "1.0.0", v1alpha1.ReleaseDeploying), "is shown as running", func() error {
		if row := table(t, w, "releases"); row["Running"] != "true" {
			return fmt.Errorf("it prints %v", row)
		}
		return nil
	})
}

// table returns the first row that the API server prints for a kind, by column.
func table(t *testing.T, w *env.World, resource string) map[string]string {
	t.Helper()
	return printed(t, w, v1alpha1.GroupVersion.String(), resource)
}

// printed returns the first row for a kind or an object, by column, including those of kubectl get -o wide.
func printed(t *testing.T, w *env.World, version, path string) map[string]string {
	t.Helper()
	transport, err := rest.HTTPClientFor(w.Plane.Config())
	if err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("%s/apis/%s/namespaces/%s/%s", w.Plane.Config().Host, version, w.Namespace, path)
	req, err := http.NewRequestWithContext(w.Ctx(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
	resp, err := transport.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var table metav1.Table
	if err := json.NewDecoder(resp.Body).Decode(&table); err != nil || len(table.Rows) == 0 {
		t.Fatalf("%d rows: %v", len(table.Rows), err)
	}
	row := map[string]string{}
	for i, c := range table.ColumnDefinitions {
		row[c.Name] = fmt.Sprint(table.Rows[0].Cells[i])
	}
	return row
}
