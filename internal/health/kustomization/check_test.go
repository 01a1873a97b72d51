package kustomization

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/flux"
	"github.com/kuberik/kuberik/internal/health"
)

// applied is a Kustomization that Flux has applied, with an inventory, changed by edits.
func applied(ids []string, edits ...func(*kustomizev1.Kustomization)) *kustomizev1.Kustomization {
	k := &kustomizev1.Kustomization{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "app", Generation: 2}}
	k.Status = kustomizev1.KustomizationStatus{
		ObservedGeneration: 2, LastAppliedRevision: "main@sha1:1", LastAttemptedRevision: "main@sha1:1", Inventory: &kustomizev1.ResourceInventory{},
	}
	for _, id := range ids {
		k.Status.Inventory.Entries = append(k.Status.Inventory.Entries, kustomizev1.ResourceRef{ID: id, Version: "v1"})
	}
	says(k, metav1.ConditionTrue, meta.ReconciliationSucceededReason)
	for _, e := range edits {
		e(k)
	}
	return k
}

// owned are the labels by which Flux marks the objects of the Kustomization.
func owned() map[string]string {
	return map[string]string{"kustomize.toolkit.fluxcd.io/name": "app", "kustomize.toolkit.fluxcd.io/namespace": "ns"}
}

func says(k *kustomizev1.Kustomization, status metav1.ConditionStatus, reason string) {
	apimeta.SetStatusCondition(&k.Status.Conditions, metav1.Condition{
		Type: meta.ReadyCondition, Status: status, Reason: reason, Message: "said Flux", ObservedGeneration: k.Generation,
	})
}

func failing(reason string) func(*kustomizev1.Kustomization) {
	return func(k *kustomizev1.Kustomization) {
		k.Status.LastAttemptedRevision = "main@sha1:2"
		says(k, metav1.ConditionFalse, reason)
	}
}

func deployment(edit func(*appsv1.Deployment)) *appsv1.Deployment {
	one := int32(1)
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", Generation: 1, Labels: owned()}, Spec: appsv1.DeploymentSpec{Replicas: &one}}
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1}
	d.Status.Conditions = []appsv1.DeploymentCondition{
		{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue}, {Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable"},
	}
	edit(d)
	return d
}

// checker reads what is given from fakes; broken says what befalls the reading of an object.
func checker(t *testing.T, objs []client.Object, broken map[string]error) Checker {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, flux.AddToScheme} {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
	}
	c := interceptor.NewClient(fake.NewClientBuilder().WithScheme(s).WithObjects(objs...).Build(), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			if err, ok := broken[key.Name]; ok {
				return err
			}
			return c.Get(ctx, key, obj, opts...)
		},
	})
	return Checker{Live: c}
}

func check(kustomization string) *v1alpha1.HealthCheck {
	return &v1alpha1.HealthCheck{ObjectMeta: metav1.ObjectMeta{
		Namespace: "ns", Name: "check", Annotations: map[string]string{v1alpha1.AnnotationKustomization: kustomization},
	}}
}

const web = "ns_web_apps_Deployment"

func TestCheckJudgesAKustomizationAndItsInventory(t *testing.T) {
	t.Parallel()
	gr := schema.GroupResource{Resource: "things"}
	good := deployment(func(*appsv1.Deployment) {})
	for name, c := range map[string]struct {
		k      *kustomizev1.Kustomization
		objs   []client.Object
		broken map[string]error
		state  v1alpha1.HealthState
		says   string
	}{
		"all well":                  {k: applied([]string{web}), objs: []client.Object{good}, state: "Healthy", says: "all 1 objects of Kustomization app are healthy"},
		"no such Kustomization":     {state: "Pending", says: "Kustomization app does not exist"},
		"never reconciled":          {k: applied(nil, func(k *kustomizev1.Kustomization) { k.Status = kustomizev1.KustomizationStatus{} }), state: "Pending", says: "Flux has not applied it yet"},
		"an older generation":       {k: applied([]string{web}, func(k *kustomizev1.Kustomization) { k.Generation = 3 }), objs: []client.Object{good}, state: "Pending", says: "Flux has not applied it yet"},
		"manifests cannot be built": {k: applied([]string{web}, failing(meta.BuildFailedReason)), objs: []client.Object{good}, state: "Pending", says: "BuildFailed: said Flux"},
		"a release cannot be built": {k: applied([]string{web}, failing(meta.BuildFailedReason), func(k *kustomizev1.Kustomization) {
			k.Spec.SourceRef = kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.OCIRepositoryKind, Name: "release"}
		}), objs: []client.Object{good, &sourcev1.OCIRepository{ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: "release", Annotations: map[string]string{v1alpha1.AnnotationRollout: "hello"},
		}}}, state: "Unhealthy", says: "BuildFailed: said Flux"},
		"its own health checks":                {k: applied([]string{web}, failing(meta.HealthCheckFailedReason)), objs: []client.Object{good}, state: "Unhealthy", says: "HealthCheckFailed"},
		"D21 it could not be applied just now": {k: applied([]string{web}, failing(meta.ReconciliationFailedReason)), objs: []client.Object{good}, state: "Pending", says: "ReconciliationFailed"},
		"stalled": {k: applied([]string{web}, func(k *kustomizev1.Kustomization) {
			apimeta.SetStatusCondition(&k.Status.Conditions, metav1.Condition{Type: meta.StalledCondition, Status: metav1.ConditionTrue, Reason: "InvalidSpec", ObservedGeneration: 2})
			failing("InvalidSpec")(k)
		}), objs: []client.Object{good}, state: "Pending", says: "InvalidSpec"},
		"suspended": {k: applied([]string{web}, func(k *kustomizev1.Kustomization) { k.Spec.Suspend = true }), objs: []client.Object{good},
			state: "Pending", says: "Kustomization app: it is suspended: flux resume kustomization app --namespace ns"},
		"suspended, whatever it says of itself": {k: applied([]string{web}, failing(meta.BuildFailedReason), func(k *kustomizev1.Kustomization) { k.Spec.Suspend = true }),
			objs: []client.Object{good}, state: "Pending", says: "it is suspended"},
		"resumed, Flux has not begun": {k: applied([]string{web}, func(k *kustomizev1.Kustomization) { k.Generation, k.Status.ObservedGeneration = 4, 4 }),
			objs: []client.Object{good}, state: "Pending", says: "Flux has not applied it yet"},
		"reconciled again, perhaps after a failure": {k: applied([]string{web}, func(k *kustomizev1.Kustomization) { says(k, metav1.ConditionUnknown, meta.ProgressingReason) }),
			objs: []client.Object{good}, state: "Pending", says: "Flux is reconciling it again"},
		"being deleted": {k: applied([]string{web}, func(k *kustomizev1.Kustomization) {
			now := metav1.Now()
			k.DeletionTimestamp, k.Finalizers = &now, []string{"finalizers.fluxcd.io"}
		}), objs: []client.Object{good}, state: "Pending", says: "is being deleted"},
		"nothing in its inventory": {k: applied(nil), state: "Healthy", says: "Kustomization app is ready and contains no objects"},
		"no inventory":             {k: applied(nil, func(k *kustomizev1.Kustomization) { k.Status.Inventory = nil }), state: "Healthy", says: "contains no objects"},
		"D23 an object is gone":    {k: applied([]string{web}), state: "Unhealthy", says: "Deployment ns/web does not exist"},
		"an object starts": {k: applied([]string{web}), objs: []client.Object{deployment(func(d *appsv1.Deployment) { d.Status.AvailableReplicas = 0 })},
			state: "Pending", says: "Deployment ns/web: "},
		"an object was not looked at by its controller": {k: applied([]string{web}), objs: []client.Object{deployment(func(d *appsv1.Deployment) { d.Generation = 2 })},
			state: "Pending", says: "Deployment ns/web: "},
		"an object failed": {k: applied([]string{web}), objs: []client.Object{deployment(func(d *appsv1.Deployment) {
			d.Status.Conditions[1] = appsv1.DeploymentCondition{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded", Message: "too slow"}
		})}, state: "Unhealthy", says: "Deployment ns/web: "},
		"an object is being deleted": {k: applied([]string{web}), objs: []client.Object{deployment(func(d *appsv1.Deployment) {
			now := metav1.Now()
			d.DeletionTimestamp, d.Finalizers = &now, []string{"example.com/wait"}
		})}, state: "Pending", says: "Deployment ns/web is being deleted"},
		"an object may not be read": {k: applied([]string{web}), broken: map[string]error{"web": apierrors.NewForbidden(gr, "web", nil)},
			state: "Pending", says: AggregationLabel},
		"a kind is not installed": {k: applied([]string{web}), broken: map[string]error{"web": &apimeta.NoKindMatchError{GroupKind: schema.GroupKind{Kind: "Thing"}}},
			state: "Pending", says: "its kind is not installed"},
		"a Secret is not read": {k: applied([]string{"ns_token__Secret"}), broken: map[string]error{"token": errors.New("it was read")}, state: "Healthy", says: "all 1 objects"},
		"an object of another Kustomization": {k: applied([]string{web}), objs: []client.Object{deployment(func(d *appsv1.Deployment) {
			d.Labels["kustomize.toolkit.fluxcd.io/name"] = "other"
		})}, state: "Pending", says: "Deployment ns/web lacks the labels by which Flux marks the objects of Kustomization app: flux reconcile kustomization app --namespace ns"},
		"a Kustomization of that name elsewhere": {k: applied([]string{web}), objs: []client.Object{deployment(func(d *appsv1.Deployment) {
			d.Labels["kustomize.toolkit.fluxcd.io/namespace"] = "other"
		})}, state: "Pending", says: "lacks the labels"},
		"what Flux has found and not applied": {k: applied([]string{"ns_settings__ConfigMap"}), objs: []client.Object{
			&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "settings"}},
		}, state: "Healthy", says: "all 1 objects"},
		"elsewhere, and not of it": {k: applied([]string{"other_web_apps_Deployment"}), objs: []client.Object{deployment(func(d *appsv1.Deployment) {
			d.Namespace, d.Labels = "other", nil
		})}, state: "Pending", says: "Deployment other/web does not exist, or lacks the labels by which Flux marks the objects of Kustomization app"},
		"elsewhere, and not there": {k: applied([]string{"other_web_apps_Deployment"}), state: "Pending",
			says: "Deployment other/web does not exist, or lacks the labels by which Flux marks the objects of Kustomization app"},
		"elsewhere, and of it": {k: applied([]string{"other_web_apps_Deployment"}), objs: []client.Object{deployment(func(d *appsv1.Deployment) {
			d.Namespace = "other"
		})}, state: "Healthy", says: "all 1 objects"},
		"a Deployment that Flux skips": {k: applied([]string{web}), objs: []client.Object{deployment(func(d *appsv1.Deployment) {
			d.Annotations = map[string]string{"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}
		})}, state: "Pending", says: "does not get the version: remove kustomize.toolkit.fluxcd.io/reconcile: disabled"},
		"a ConfigMap that Flux skips": {k: applied([]string{"ns_settings__ConfigMap"}), objs: []client.Object{&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: "settings", Labels: owned(), Annotations: map[string]string{"kustomize.toolkit.fluxcd.io/ssa": "ignore"},
		}}}, state: "Healthy", says: "all 1 objects"},
		"a Job that has finished and is gone": {k: applied([]string{"ns_migrate_batch_Job"}), state: "Healthy", says: "all 1 objects"},
		"objects of ours": {k: applied([]string{"ns_hello_kuberik.com_Rollout", "ns_hello_environments.kuberik.com_Environment"}),
			broken: map[string]error{"hello": errors.New("it was read")}, state: "Healthy", says: "all 2 objects"},
		"the worst decides": {k: applied([]string{web, "ns_gone__ConfigMap", "ns_secret__ConfigMap"}), objs: []client.Object{good},
			broken: map[string]error{"secret": apierrors.NewForbidden(gr, "secret", nil)}, state: "Unhealthy", says: "ConfigMap ns/gone does not exist"},
		"many are named in order, and counted": {k: applied([]string{"ns_e__ConfigMap", "ns_d__ConfigMap", "ns_c__ConfigMap", "ns_b__ConfigMap", "ns_a__ConfigMap"}),
			state: "Unhealthy", says: "ConfigMap ns/a does not exist; ConfigMap ns/b does not exist; ConfigMap ns/c does not exist; and 2 more"},
		"D23 in another cluster": {k: applied([]string{web}, remotely), state: "Pending", says: "set spec.wait"},
		"in another cluster, watched by Flux": {k: applied([]string{web}, remotely, func(k *kustomizev1.Kustomization) { k.Spec.Wait = true }),
			state: "Healthy", says: "is ready in its cluster"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objs := c.objs
			if c.k != nil {
				objs = append(objs, c.k)
			}
			report, err := checker(t, objs, c.broken).Check(t.Context(), health.CheckInput{Now: time.Now(), Check: check("app")})
			if err != nil {
				t.Fatal(err)
			}
			if report.State != c.state || !strings.Contains(report.Message, c.says) {
				t.Errorf("%s: %q", report.State, report.Message)
			}
			if c.k != nil && (report.Revision != flux.Revision(c.k) || !report.ByRevision) {
				t.Errorf("it speaks for %q", report.Revision)
			}
		})
	}
}

func TestWorkloadsHaveToRollOut(t *testing.T) {
	t.Parallel()
	starting := deployment(func(d *appsv1.Deployment) { d.Status.UpdatedReplicas = 0 })
	for name, c := range map[string]struct {
		k            *kustomizev1.Kustomization
		obj          client.Object
		broken       map[string]error
		reason, says string
	}{
		"rolled out":  {k: applied([]string{web}), obj: deployment(func(*appsv1.Deployment) {})},
		"rolling out": {applied([]string{web}), starting, nil, v1alpha1.ReasonWorkloadsNotReady, "Deployment ns/web: "},
		"the change is not observed": {applied([]string{web}), deployment(func(d *appsv1.Deployment) { d.Generation = 2 }), nil,
			v1alpha1.ReasonWorkloadsNotReady, "Deployment ns/web: "},
		"left alone by Flux": {applied([]string{web}), deployment(func(d *appsv1.Deployment) {
			d.Annotations = map[string]string{"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}
		}), nil, v1alpha1.ReasonWorkloadsNotReady, "remove kustomize.toolkit.fluxcd.io/reconcile: disabled"},
		"may not be read": {applied([]string{web}), starting, map[string]error{"web": apierrors.NewForbidden(schema.GroupResource{}, "web", nil)},
			v1alpha1.ReasonWorkloadsUnknown, AggregationLabel},
		"not of the Kustomization": {applied([]string{web}), deployment(func(d *appsv1.Deployment) { d.Labels = nil }), nil,
			v1alpha1.ReasonWorkloadsUnknown, "lacks the labels"},
		"in another cluster":                   {applied([]string{web}, remotely), starting, nil, v1alpha1.ReasonWorkloadsUnknown, "set spec.wait: true"},
		"in another cluster, where Flux waits": {k: applied([]string{web}, remotely, func(k *kustomizev1.Kustomization) { k.Spec.Wait = true }), obj: starting},
		"other kinds do not count":             {k: applied([]string{"ns_missing__ConfigMap"}), obj: starting},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ch := checker(t, []client.Object{c.k, c.obj}, c.broken)
			k, err := (flux.Reader{Reader: ch.Live}).Kustomization(t.Context(), client.ObjectKeyFromObject(c.k))
			if err != nil {
				t.Fatal(err)
			}
			reason, message, err := ch.RolledOut(t.Context(), k)
			if err != nil || reason != c.reason || !strings.Contains(message, c.says) {
				t.Errorf("%q: %q, %v", reason, message, err)
			}
		})
	}
}

// While Flux reconciles again, as it does on every interval, a check stays healthy and does not become it.
func TestAHealthyCheckStaysHealthyWhileFluxReconcilesAgain(t *testing.T) {
	t.Parallel()
	k := applied([]string{web}, func(k *kustomizev1.Kustomization) { says(k, metav1.ConditionUnknown, meta.ProgressingReason) })
	for revision, want := range map[string]v1alpha1.HealthState{flux.Revision(k): v1alpha1.HealthHealthy, "another": v1alpha1.HealthPending} {
		asked := check("app")
		asked.Status.Status, asked.Status.ObservedRevision = v1alpha1.HealthHealthy, revision
		report, err := checker(t, []client.Object{k, deployment(func(*appsv1.Deployment) {})}, nil).Check(t.Context(), health.CheckInput{Check: asked})
		if err != nil || report.State != want {
			t.Errorf("healthy for %q: %s: %q, %v", revision, report.State, report.Message, err)
		}
	}
}

func remotely(k *kustomizev1.Kustomization) {
	k.Spec.KubeConfig = &meta.KubeConfigReference{SecretRef: &meta.SecretKeyReference{Name: "other"}}
}

// TestFailedReadIsAnErrorWithoutResult checks that an object that cannot be read is neither healthy nor unhealthy.
func TestFailedReadIsAnErrorWithoutResult(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]map[string]error{
		"the Kustomization": {"app": errors.New("away")}, "an object": {"web": apierrors.NewInternalError(errors.New("away"))},
		"too slow": {"web": context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report, err := checker(t, []client.Object{applied([]string{web})}, broken).Check(t.Context(), health.CheckInput{Now: time.Now(), Check: check("app")})
			if err == nil || report.State != "" {
				t.Errorf("%s: %v", report.State, err)
			}
		})
	}
}

func TestSubjectStaysInItsNamespace(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{"app": "ns/app", "ns/app": "ns/app", "": "", "other/app": "", "a/b/c": "", "/": "", "ns/": ""} {
		key, err := KeyOf(check(value))
		if got := key.String(); (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%q: %s, %v", value, got, err)
		}
		report, err := checker(t, nil, nil).Check(t.Context(), health.CheckInput{Check: check(value)})
		if err != nil || report.State != v1alpha1.HealthPending {
			t.Errorf("%q: %s, %v", value, report.State, err)
		}
	}
}

func TestSubjectPrefersTheField(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		annotation string
		field      v1alpha1.KustomizationReference
		want, says string
	}{
		"the field alone":             {"", v1alpha1.KustomizationReference{Name: "app"}, "ns/app", ""},
		"with its namespace":          {"", v1alpha1.KustomizationReference{Name: "app", Namespace: "ns"}, "ns/app", ""},
		"both the same":               {"ns/app", v1alpha1.KustomizationReference{Name: "app"}, "ns/app", ""},
		"both different":              {"other", v1alpha1.KustomizationReference{Name: "app"}, "", "spec.kustomization names ns/app and the annotation healthcheck.kuberik.com/kustomization names ns/other"},
		"both, in another namespace":  {"other/app", v1alpha1.KustomizationReference{Name: "app"}, "", "names other/app: remove the annotation"},
		"the field names a stranger":  {"", v1alpha1.KustomizationReference{Name: "app", Namespace: "other"}, "", "is in another namespace"},
		"the field has an empty name": {"", v1alpha1.KustomizationReference{}, "", "spec.kustomization.name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hc := check(c.annotation)
			hc.Spec.Kustomization = &c.field
			if c.annotation == "" {
				hc.Annotations = nil
			}
			key, err := KeyOf(hc)
			switch {
			case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
				t.Errorf("got %v, want an error that says %q", err, c.says)
			case c.says == "" && (err != nil || key.String() != c.want):
				t.Errorf("got %s, %v, want %s", key, err, c.want)
			}
		})
	}
}

// TestBigInventory: every object is read, not only the first ones.
func TestEveryObjectOfABigInventoryIsRead(t *testing.T) {
	t.Parallel()
	var ids []string
	var objs []client.Object
	for i := range 200 {
		ids = append(ids, fmt.Sprintf("ns_c%d__ConfigMap", i))
		if i != 150 {
			objs = append(objs, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: fmt.Sprintf("c%d", i), Labels: owned()}})
		}
	}
	report, err := checker(t, append(objs, applied(ids)), nil).Check(t.Context(), health.CheckInput{Check: check("app")})
	if err != nil || report.State != v1alpha1.HealthUnhealthy || report.Message != "ConfigMap ns/c150 does not exist" {
		t.Errorf("%s: %q, %v", report.State, report.Message, err)
	}
}
