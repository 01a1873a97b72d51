package integration

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/test/env"
)

// explained is a wrong manifest that the API server accepts, and the part of the status that explains the mistake.
type explained struct {
	// manifests are created in this order. APP stands for a name that is unique to the case. The last object is
	// checked, unless at is set.
	manifests []string
	// at is the kind of the object that is checked, with the name APP.
	at string
	// in is the part of the status: a condition type, blockedBy, verdicts or message.
	in string
	// reason is the expected reason; empty if the part has none.
	reason string
	// message are parts of the expected message.
	message []string
}

const (
	appRollout = "kind: Rollout\nmetadata: {name: APP, labels: {app: APP}}\nspec: {releasesImagePolicy: {name: app}, bakeTime: 1m}"
	appTarget  = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: APP, annotations: {rollout.kuberik.com/substitute.VERSION.from: APP}}\nspec: {interval: 1h, prune: true, sourceRef: {kind: GitRepository, name: APP}}"
	appGate    = "kind: RolloutGate\nmetadata: {name: APP}\nspec: {rolloutRef: {name: APP}}"
)

// with replaces a part of a manifest.
func with(manifest, old, replaced string) string { return strings.Replace(manifest, old, replaced, 1) }

func httpGate(fields string) string {
	return with(appGate, "{name: APP}}", "{name: APP}, http: {"+fields+"}}")
}

func check(fields string) string {
	return "kind: HealthCheck\nmetadata: {name: APP}\nspec: {" + fields + "}"
}

func schedule(fields string) string {
	return "kind: RolloutSchedule\nmetadata: {name: APP}\nspec: {rolloutSelector: {matchLabels: {app: APP}}, " + fields + "}"
}

func approval(fields string) string {
	return "kind: Approval\nmetadata: {name: APP}\nspec: {decision: Approve, user: " + administrator + ", " + fields + "}"
}

func override(fields string) string {
	return fmt.Sprintf("kind: Override\nmetadata: {name: APP}\nspec: {bypass: [Gates], reason: the shop is down, user: %s, expiresAt: %q, %s}",
		administrator, time.Now().Add(time.Hour).UTC().Format(time.RFC3339), fields)
}

// accepted returns manifests that the schema cannot reject, because they depend on other objects or are valid in other
// cases.
func accepted() map[string]explained {
	return map[string]explained{
		"gate for a Rollout that does not exist": {[]string{appGate}, "", "Ready", "RolloutNotFound",
			[]string{"Rollout APP does not exist in namespace", "correct spec.rolloutRef.name"}},
		"gate of an unknown class": {[]string{appRollout, with(appGate, "{name: APP}}", "{name: APP}, class: slack}")}, "", "Ready", "AwaitingVerdict",
			[]string{"waits for the controller of class slack", "write class manual or http"}},
		"gate whose CEL has a syntax error": {[]string{appRollout, httpGate(`url: "https://example.com/", success: "answer.status =="`)}, "", "Ready", "ExpressionFailed",
			[]string{"success: Syntax error", "at character"}},
		"gate whose CEL uses an unknown name": {[]string{appRollout, httpGate(`url: "https://example.com/", success: "result.ok"`)}, "", "Ready", "ExpressionFailed",
			[]string{"success: undeclared reference to 'result'"}},
		"gate whose query is no expression": {[]string{appRollout, httpGate(`url: "https://example.com/", query: {tag: "release.version"}`)}, "", "Ready", "ExpressionFailed",
			[]string{"query", "release"}},
		"gate that sends a missing Secret": {[]string{appRollout, httpGate(`url: "https://example.com/", headersFrom: [{header: Authorization, secretKeyRef: {name: token, key: token}}]`)},
			"", "verdicts", "Refused", []string{"Secret token does not exist"}},
		"gate with the URL of a metadata service": {[]string{appRollout, httpGate(`url: "http://169.254.169.254/"`)}, "", "verdicts", "Refused",
			[]string{"address 169.254.169.254 may not be called (link-local)"}},
		"gate that lists another version": {[]string{appRollout, with(appGate, "{name: APP}}", "{name: APP}, allowedVersions: [v1.0.0]}")},
			"Rollout", "blockedBy", "NotAllowed", []string{"1.0.0", "allowedVersions"}},
		"required gate that does not exist": {[]string{with(appRollout, "bakeTime", "requiredGates: [approve], bakeTime")}, "", "blockedBy", "NoGate",
			[]string{"spec.requiredGates lists this gate, and no RolloutGate approve for this Rollout exists"}},
		"Rollout of a missing ImagePolicy": {[]string{with(appRollout, "{name: app}", "{name: APP}")}, "", "Stalled", "ImagePolicyNotFound",
			[]string{"ImagePolicy APP does not exist in the namespace of the Rollout"}},
		"Rollout without a Kustomization": {[]string{appRollout}, "", "Stalled", "NoTargets", []string{"rollout.kuberik.com/substitute"}},
		"Kustomization that names another Rollout": {[]string{with(appTarget, "VERSION.from: APP", "VERSION.from: shop"), appRollout}, "", "TargetsReady", "NoTargets",
			[]string{"no Flux object asks for the version of this Rollout"}},
		"suspended Kustomization": {[]string{with(appTarget, "prune: true", "prune: true, suspend: true"), appRollout}, "", "Stalled", "FluxSuspended",
			[]string{"flux resume kustomization APP --namespace"}},
		"Kustomization with an illegal variable": {[]string{with(appTarget, "VERSION", "APP-VERSION"), appRollout}, "", "Stalled", "Overridden",
			[]string{"Flux does not accept APP-VERSION as the name of a variable"}},
		"Kustomization with an unknown form": {[]string{with(appTarget, "VERSION.from: APP", "VERSION.from: APP, rollout.kuberik.com/substitute.VERSION.value: sha"), appRollout},
			"", "Stalled", "Overridden", []string{"annotation rollout.kuberik.com/substitute.VERSION.value", "tag@digest"}},
		"OCIRepository with a semver range": {[]string{
			"apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {name: APP, annotations: {rollout.kuberik.com/rollout: APP}}\nspec: {interval: 1h, url: 'oci://registry.example.com/app', ref: {semver: '>=1.0.0'}}", appRollout},
			"", "TargetsReady", "Overridden", []string{"OCIRepository APP: spec.ref.semver takes precedence over the tag", "remove spec.ref.semver"}},
		"selector that selects nothing": {[]string{appTarget, with(appRollout, "bakeTime", "healthCheckSelector: {selector: {matchLabels: {app: APP}}}, bakeTime")}, "", "blockedBy", "NoHealthChecks",
			[]string{"selects no HealthCheck"}},
		"Rollout that nothing judges": {[]string{appTarget, with(appRollout, ", bakeTime: 1m", "")}, "", "DeploymentBlocked", "HealthChecksHealthy",
			[]string{"nothing judges a release", "set spec.healthCheckSelector, spec.bakeTime or both"}},
		"annotation with a typing mistake": {[]string{with(appRollout, "labels:", "annotations: {rollout.kuberik.com/bypas-gates: 1.0.0}, labels:")}, "", "ReleasesUpdated", "ReleasesUpdated",
			[]string{"the annotation rollout.kuberik.com/bypas-gates of the Rollout has no effect", "rollout.kuberik.com/bypass-gates"}},
		"wantedVersion that no release has": {[]string{appTarget, with(with(appRollout, "{name: app}", "{name: served}"), "bakeTime", "wantedVersion: 9.9.9, bakeTime")}, "", "blockedBy", "UnknownVersion",
			[]string{"spec.wantedVersion is 9.9.9, and the registry has no such tag"}},
		"schedule that never opens": {[]string{schedule(`action: Allow, rules: [{dateRange: {start: "2020-01-01", end: "2020-01-31"}}]`)}, "", "Stalled", "NeverOpens",
			[]string{"the schedule never opens again", "its dateRange ended on 2020-01-31"}},
		"schedule in an unknown time zone": {[]string{schedule(`action: Deny, always: true, timezone: Berlin`)}, "", "Ready", "InvalidSchedule",
			[]string{`timezone "Berlin" is unknown`, "Europe/Berlin"}},
		"schedule that selects nothing": {[]string{schedule(`action: Deny, always: true`)}, "", "Ready", "Closed", []string{"selects no Rollout"}},
		"Environment for a Rollout that does not exist": {[]string{promotion("dependsOn: [{environment: staging}]")}, "", "Ready", "RolloutNotFound",
			[]string{"Rollout APP"}},
		"Environment after an unknown one": {[]string{appTarget, appRollout, promotion("dependsOn: [{environment: stagin}]")}, "Rollout", "blockedBy", "UnknownEnvironment",
			[]string{"no environment stagin of this application is known", "label"}},
		"Environment at GitHub without its Secret": {[]string{appRollout, promotion("backend: {type: github, project: acme/shop}")}, "", "Ready", "BackendRefuses",
			[]string{"Secret github-token does not exist in the namespace of the Environment"}},
		"check of a missing Kustomization": {[]string{with(check("class: kustomization"), "{name: APP}", "{name: APP, annotations: {healthcheck.kuberik.com/kustomization: APP}}")},
			"", "message", "", []string{"Kustomization APP does not exist"}},
		"check of no Kustomization": {[]string{check("class: kustomization")}, "", "message", "",
			[]string{"name a Kustomization in spec.kustomization.name"}},
		"check of a Kustomization elsewhere": {[]string{with(check("class: kustomization"), "{name: APP}", "{name: APP, annotations: {healthcheck.kuberik.com/kustomization: flux-system/APP}}")},
			"", "message", "", []string{"is in another namespace: put the check beside it"}},
		"check of no class":         {[]string{check("")}, "", "message", "", []string{"the HealthCheck names no class", "kustomization"}},
		"check of an unknown class": {[]string{check("class: newrelic")}, "", "message", "", []string{"no controller of class newrelic has reported on it"}},
		"check that sends a missing Secret": {[]string{check(`class: http, http: {url: "https://example.com/", headersFrom: [{header: Authorization, secretKeyRef: {name: token, key: token}}]}`)},
			"", "Healthy", "Pending", []string{"Secret token does not exist"}},
		"check whose CEL does not compile": {[]string{check(`class: http, http: {url: "https://example.com/", success: "status = 200"}`)}, "", "Healthy", "Pending",
			[]string{"success: Syntax error"}},
		"check of a monitor that is not there": {[]string{check(`class: datadog, datadog: {monitorRef: {name: errors}}`)}, "", "Healthy", "Pending",
			[]string{"DatadogMonitor"}},
		"check whose pods reach the node": {[]string{check(`class: script, script: {jobTemplate: {spec: {template: {spec: {hostNetwork: true, containers: [{name: a, image: a}]}}}}}`)},
			"", "Healthy", "Pending", []string{"jobTemplate: the pod reaches beyond its namespace: host namespaces (hostNetwork=true)"}},
		"Approval of a Release that does not exist": {[]string{approval("releaseRef: {name: hello-1.0.0}")}, "", "Counted", "ReleaseNotFound",
			[]string{"no Release hello-1.0.0 exists in namespace", "kubectl get rel", "delete this Approval and create another"}},
		"Override for a Release that does not exist": {[]string{appGate, appRollout, override("rolloutRef: {name: APP}, releaseRef: {name: hello-1.0.0}")}, "", "Counted", "ReleaseNotFound",
			[]string{"no Release hello-1.0.0 exists in namespace", "kubectl get rel", "delete this Override and create another"}},
		"Override for a Rollout that does not exist": {[]string{appGate, appRollout, override("rolloutRef: {name: hello}, releaseRef: {name: RELEASE}")}, "", "Counted", "OtherRollout",
			[]string{"spec.rolloutRef.name is hello, and Release RELEASE belongs to Rollout APP"}},
		"Approval of a tag": {[]string{appGate, appRollout, approval("releaseRef: {name: 1.0.0}")}, "", "Counted", "ReleaseNotFound",
			[]string{"the tag 1.0.0 belongs to Release case"}},
		"Approval for a gate that does not exist": {[]string{appRollout, appGate, approval("gateRef: {name: approve}, releaseRef: {name: RELEASE}")}, "", "Counted", "GateNotFound",
			[]string{"Rollout APP has no gate approve; its manual gates are APP"}},
		"Approval for a gate with a URL": {[]string{appRollout, httpGate(`url: "https://example.com/"`), approval("gateRef: {name: APP}, releaseRef: {name: RELEASE}")}, "", "Counted", "GateNotFound",
			[]string{"RolloutGate APP is of class http, and only manual gates count Approvals"}},
		"Approval that names no group": {[]string{appRollout, with(appGate, "{name: APP}}", "{name: APP}, approvals: {allowAuthor: true, from: {groups: [managers]}}}"), approval("releaseRef: {name: RELEASE}")},
			"", "Counted", "NotCounted", []string{"RolloutGate APP does not count it", "'s Approval names no group; add groups: [managers]"}},
		"Approval by a user who is not listed": {[]string{appRollout, with(appGate, "{name: APP}}", "{name: APP}, approvals: {allowAuthor: true, from: {users: [alice]}}}"), approval("releaseRef: {name: RELEASE}")},
			"", "Counted", "NotCounted", []string{"the gate does not ask for " + administrator}},
	}
}

func promotion(fields string) string {
	return "apiVersion: environments.kuberik.com/v1alpha1\nkind: Environment\nmetadata: {name: APP}\nspec: {rolloutRef: {name: APP}, name: APP, environment: production, " + fields + "}"
}

// TestWrongManifestsAreExplained covers manifests that the schema accepts but that do not do what their author wants.
// The status of the object, or of its Rollout, explains the mistake. TestWrongManifestsAreRefusedWithMessages covers
// those that the schema rejects; together there are at least 50.
func TestWrongManifestsAreExplained(t *testing.T) {
	t.Parallel()
	cases := accepted()
	if n := len(cases) + len(refusals()); n < 50 {
		t.Errorf("there are %d wrong manifests", n)
	}
	w := env.New(t)
	w.Run(local)
	awaitPolicies(w)
	w.Policy("app", "1.0.0")
	// The registry of this case responds.
	host := serve(t)
	repository(w, "served", host+"/app", "pull")
	w.Create(pullSecret(host, password))
	w.Policy("served", "")
	w.Select("served", "1.0.0", push(t, host+"/app:1.0.0", nil))
	for i, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, app := cases[name], fmt.Sprintf("case%d", i)
			here := *w
			here.T = t
			var obj *unstructured.Unstructured
			for n, manifest := range c.manifests {
				obj = parse(&here, named(manifest, app))
				if n > 0 && slices.Contains([]string{"Approval", "Override"}, obj.GetKind()) { // the Release of the Rollout before it
					rel := here.AwaitRelease(&v1alpha1.Rollout{ObjectMeta: here.Meta(app)}, "1.0.0", v1alpha1.ReleasePending)
					if err := unstructured.SetNestedField(obj.Object, string(rel.UID), "spec", "releaseRef", "uid"); err != nil {
						t.Fatal(err)
					}
				}
				if err := here.Admin.Create(here.Ctx(), obj, client.FieldValidation("Strict")); err != nil {
					t.Fatal(err)
				}
			}
			if c.at != "" {
				obj = parse(&here, "kind: "+c.at+"\nmetadata: {name: "+app+"}")
			}
			here.Await(obj, "explains the mistake", func() error { return c.found(obj, app) })
			if c.in == v1alpha1.ConditionReady || c.in == v1alpha1.ConditionCounted || c.in == "message" {
				column(&here, obj, named(c.message[0], app))
			}
		})
	}
}

// named replaces the placeholders of a case.
func named(text, app string) string {
	return strings.NewReplacer("RELEASE", env.ReleaseName(app, "1.0.0"), "APP", app).Replace(text)
}

// statement is one part of a status.
type statement struct{ In, Reason, Message string }

// found returns an error unless the status of an object contains what is expected.
func (c explained) found(obj *unstructured.Unstructured, app string) error {
	all := statements(obj)
	for _, s := range all {
		missing := slices.ContainsFunc(c.message, func(text string) bool { return !strings.Contains(s.Message, named(text, app)) })
		if s.In == c.in && s.Reason == c.reason && !missing {
			return nil
		}
	}
	found, err := json.MarshalIndent(all, "", " ")
	return fmt.Errorf("it does not say %s, %s, %q: %w\n%s", c.in, c.reason, c.message, err, found)
}

// statements returns the parts of a status: conditions, blockers, verdicts and the message.
func statements(obj *unstructured.Unstructured) []statement {
	var status struct {
		Status struct {
			Conditions []metav1.Condition
			BlockedBy  []v1alpha1.Blocker
			Verdicts   []v1alpha1.GateVerdict
			Message    *string
		}
	}
	data, err := obj.MarshalJSON()
	if err == nil {
		err = json.Unmarshal(data, &status)
	}
	if err != nil {
		return []statement{{In: "error", Message: err.Error()}}
	}
	list := []statement{{In: "message", Message: ptr.Deref(status.Status.Message, "")}}
	for _, c := range status.Status.Conditions {
		list = append(list, statement{c.Type, c.Reason, c.Message})
	}
	for _, b := range status.Status.BlockedBy {
		list = append(list, statement{"blockedBy", b.Reason, b.Message + " " + b.ClearedBy})
	}
	for _, v := range status.Status.Verdicts {
		list = append(list, statement{"verdicts", v.Reason, v.Message})
	}
	return list
}

// column fails the test unless kubectl get prints a text for an object. Kinds with a column MESSAGE that is never blank
// have to print it there.
func column(w *env.World, obj *unstructured.Unstructured, text string) {
	w.T.Helper()
	kind := obj.GroupVersionKind()
	m, err := w.Admin.RESTMapper().RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		w.T.Fatal(err)
	}
	row := printed(w.T, w, kind.GroupVersion().String(), m.Resource.Resource+"/"+obj.GetName())
	for heading, cell := range row {
		wide := slices.Contains([]string{"RolloutGate", "Approval", "Override"}, kind.Kind) && heading != "Message"
		if !wide && strings.Contains(cell, text) {
			return
		}
	}
	w.T.Errorf("kubectl get -o wide does not print %q: %v", text, row)
}
