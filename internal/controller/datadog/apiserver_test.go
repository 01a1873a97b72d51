package datadog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/kuberik/kuberik/api/v1alpha1"
	"github.com/kuberik/kuberik/internal/devplane"
)

// crd is a minimal definition of the kind DatadogMonitor.
const crd = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: datadogmonitors.datadoghq.com}
spec:
  group: datadoghq.com
  scope: Namespaced
  names: {kind: DatadogMonitor, listKind: DatadogMonitorList, plural: datadogmonitors, singular: datadogmonitor}
  versions:
  - name: v1alpha1
    served: true
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

// timeout limits how long a test waits.
const timeout = 30 * time.Second

// testEnv is an API server for the controller.
type testEnv struct {
	*testing.T
	client.Client
	plane *devplane.Plane
}

func newEnv(t *testing.T) testEnv {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a local cluster")
	}
	ctrl.SetLogger(logr.Discard())
	plane, err := devplane.Start(t.Context(), devplane.Options{})
	if errors.Is(err, devplane.ErrNotBuilt) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := plane.InstallCRDs(t.Context(), "../../../config/crd"); err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	c, err := client.New(plane.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return testEnv{t, c, plane}
}

// startController starts the controller and returns a function that stops it.
func (w testEnv) startController() (stop func()) {
	w.Helper()
	mgr, err := ctrl.NewManager(w.plane.Config(), ctrl.Options{
		Scheme: w.Scheme(), Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		Controller: config.Controller{SkipNameValidation: ptr.To(true)}, // the controller is started twice
	})
	if err != nil {
		w.Fatal(err)
	}
	c := New(mgr.GetClient(), mgr.GetAPIReader(), mgr.GetEventRecorder("kuberik-controller"))
	c.pollInterval = 50 * time.Millisecond
	if err := c.Register(mgr); err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.Error(err)
		}
	})
	w.Cleanup(stop)
	return stop
}

// awaitCheck waits until check returns "" for the HealthCheck of a monitor, which is nil if there is none.
func (w testEnv) awaitCheck(monitor, what string, check func(*v1alpha1.HealthCheck) string) *v1alpha1.HealthCheck {
	w.Helper()
	for deadline := time.Now().Add(timeout); ; <-time.After(20 * time.Millisecond) {
		got := &v1alpha1.HealthCheck{}
		err := w.Get(w.Context(), client.ObjectKey{Namespace: "default", Name: checkName(monitor)}, got)
		if apierrors.IsNotFound(err) {
			got = nil
		} else if err != nil {
			w.Fatal(err)
		}
		problem := check(got)
		if problem == "" {
			return got
		}
		if time.Now().After(deadline) {
			w.Fatalf("%s: not within %s: %s", what, timeout, problem)
		}
	}
}

func exists(check *v1alpha1.HealthCheck) string {
	if check == nil {
		return "it does not exist"
	}
	return ""
}

func (w testEnv) monitor(name string, labels, annotations map[string]string) *unstructured.Unstructured {
	w.Helper()
	m := &unstructured.Unstructured{}
	m.SetGroupVersionKind(monitorKind)
	m.SetNamespace("default")
	m.SetName(name)
	m.SetLabels(labels)
	m.SetAnnotations(annotations)
	if err := w.Create(w.Context(), m); err != nil {
		w.Fatal(err)
	}
	return m
}

func (w testEnv) edit(o client.Object, edit func()) {
	w.Helper()
	before, _ := o.DeepCopyObject().(client.Object)
	edit()
	if err := w.Patch(w.Context(), o, client.MergeFrom(before)); err != nil {
		w.Fatal(err)
	}
}

func TestWithAnAPIServer(t *testing.T) {
	t.Parallel()
	w := newEnv(t)
	stop := w.startController() // before the kind is installed
	if err := w.plane.Apply(t.Context(), []byte(crd)); err != nil {
		t.Fatal(err)
	}
	w.awaitKind()
	t.Run("Lifecycle", func(t *testing.T) { w.withT(t).testLifecycle() })
	t.Run("NameTaken", func(t *testing.T) { w.withT(t).testNameTaken() })
	t.Run("ForeignChecks", func(t *testing.T) { w.withT(t).testForeignChecks() })
	t.Run("LongName", func(t *testing.T) {
		w := w.withT(t)
		long := strings.Repeat("a.", 120) + "monitor"
		w.monitor(long, nil, map[string]string{AnnotationHealthCheck: "true"})
		w.awaitCheck(long, "a monitor with a long name has a check", exists)
	})
	stop()
	owned, restored := w.createPublished("latency", true), w.createPublished("restored", false)
	w.startController()
	w.wantAdopted(owned)
	w.wantAdopted(restored)
}

func (w testEnv) withT(t *testing.T) testEnv {
	t.Helper()
	w.T = t
	return w
}

// awaitKind waits until the API server serves the kind.
func (w testEnv) awaitKind() {
	w.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(monitorKind)
	for deadline := time.Now().Add(timeout); w.List(w.Context(), list) != nil; <-time.After(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatal("the kind is not served")
		}
	}
}

// testLifecycle creates, changes and deletes the check of a monitor.
func (w testEnv) testLifecycle() {
	w.Helper()
	m := w.monitor("errors", map[string]string{"team": "shop", "kustomize.toolkit.fluxcd.io/name": "apps"}, map[string]string{
		AnnotationHealthCheck: "true", corev1.LastAppliedConfigAnnotation: "{}",
	})
	check := w.awaitCheck("errors", "the monitor has a check", exists)
	if *check.Spec.Class != "datadog" || check.Spec.Datadog.MonitorRef.Name != "errors" || !metav1.IsControlledBy(check, m) {
		w.Errorf("not a check of the monitor: %+v, owned by %v", check.Spec, check.OwnerReferences)
	}
	if check.Labels["team"] != "shop" || check.Labels[LabelManagedBy] != "datadog-controller" || check.Labels[LabelMonitor] != "errors" {
		w.Errorf("labels: got %v", check.Labels)
	}
	if len(keysNotCopied(check.Labels))+len(keysNotCopied(check.Annotations)) > 0 {
		w.Errorf("labels or annotations of other tools were copied: %v %v", check.Labels, check.Annotations)
	}
	w.edit(check, func() { check.Spec.NoData, check.Labels["mine"] = v1alpha1.NoDataPass, "yes" })
	w.edit(m, func() { m.SetLabels(map[string]string{"tier": "web"}) })
	changed := w.awaitCheck("errors", "labels follow the monitor", func(c *v1alpha1.HealthCheck) string {
		if c == nil || c.Labels["tier"] != "web" || c.Labels["team"] != "" {
			return fmt.Sprint(c)
		}
		return ""
	})
	if changed.UID != check.UID || changed.Spec.NoData != v1alpha1.NoDataPass || changed.Labels["mine"] != "yes" {
		w.Errorf("changes by users were reverted: %+v", changed)
	}
	w.edit(changed, func() { delete(changed.Labels, "tier") })
	w.awaitCheck("errors", "drift is corrected", func(c *v1alpha1.HealthCheck) string {
		if c == nil || c.Labels["tier"] != "web" {
			return fmt.Sprint(c)
		}
		return ""
	})
	if err := w.Delete(w.Context(), changed); err != nil {
		w.Fatal(err)
	}
	w.awaitCheck("errors", "a deleted check is created again", func(c *v1alpha1.HealthCheck) string {
		if c == nil || c.UID == changed.UID {
			return fmt.Sprint(c)
		}
		return ""
	})
	w.edit(m, func() { m.SetAnnotations(map[string]string{AnnotationHealthCheck: "yes"}) })
	w.awaitCheck("errors", "a monitor without the annotation has no check", func(c *v1alpha1.HealthCheck) string {
		if c != nil {
			return "it exists"
		}
		return ""
	})
}

// createPublished creates a monitor and its check as the published controller does.
func (w testEnv) createPublished(monitor string, owned bool) *v1alpha1.HealthCheck {
	w.Helper()
	m := w.monitor(monitor, map[string]string{"team": "shop"}, map[string]string{AnnotationHealthCheck: "true"})
	check := &v1alpha1.HealthCheck{ObjectMeta: metav1.ObjectMeta{
		Namespace: "default", Name: "datadog-check-" + monitor,
		Labels: map[string]string{
			"team": "shop", "argocd.argoproj.io/instance": "x", LabelMonitor: monitor, LabelManagedBy: ManagedBy,
		},
		Annotations: map[string]string{AnnotationMonitorName: monitor, AnnotationMonitorUID: string(m.GetUID())},
	}}
	if owned {
		check.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(m, monitorKind)}
	}
	if err := w.Create(w.Context(), check); err != nil {
		w.Fatal(err)
	}
	return check
}

// wantAdopted waits until a check of the published controller is adopted.
func (w testEnv) wantAdopted(check *v1alpha1.HealthCheck) {
	w.Helper()
	monitor := check.Annotations[AnnotationMonitorName]
	got := w.awaitCheck(monitor, "the check has a class", func(c *v1alpha1.HealthCheck) string {
		if c == nil || c.Spec.Class == nil {
			return fmt.Sprint(c)
		}
		return ""
	})
	if got.UID != check.UID || metav1.GetControllerOf(got) == nil || len(keysNotCopied(got.Labels)) > 0 ||
		got.Spec.Datadog.MonitorRef.Name != monitor || got.Labels["team"] != "shop" {
		w.Errorf("it was not adopted: %+v", got)
	}
}

// testNameTaken checks that a foreign check is not changed and that there is an event.
func (w testEnv) testNameTaken() {
	w.Helper()
	mine := &v1alpha1.HealthCheck{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: "datadog-check-taken", Labels: map[string]string{"mine": "yes"},
		},
	}
	if err := w.Create(w.Context(), mine); err != nil {
		w.Fatal(err)
	}
	w.monitor("taken", nil, map[string]string{AnnotationHealthCheck: "true"})
	w.awaitCheck("taken", "there is an event", func(c *v1alpha1.HealthCheck) string {
		if c == nil || c.ResourceVersion != mine.ResourceVersion {
			w.Fatalf("the foreign check was changed: %+v", c)
		}
		var list eventsv1.EventList
		if err := w.List(w.Context(), &list, client.InNamespace("default")); err != nil {
			return err.Error()
		}
		for _, e := range list.Items {
			if e.Regarding.Kind == "DatadogMonitor" && e.Regarding.Name == "taken" && e.Reason == "HealthCheckExists" {
				return ""
			}
		}
		return "no event"
	})
}

// testForeignChecks checks that the check of a deleted monitor with the same name is not changed.
func (w testEnv) testForeignChecks() {
	w.Helper()
	m := w.monitor("again", nil, nil)
	owner := *metav1.NewControllerRef(m, monitorKind)
	owner.UID = "deleted-monitor"
	check := &v1alpha1.HealthCheck{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: "datadog-check-again", OwnerReferences: []metav1.OwnerReference{owner},
		},
	}
	if err := w.Create(w.Context(), check); err != nil {
		w.Fatal(err)
	}
	w.edit(m, func() { m.SetAnnotations(map[string]string{AnnotationHealthCheck: "true"}) })
	w.monitor("marker", nil, map[string]string{AnnotationHealthCheck: "true"})
	w.awaitCheck("marker", "a later monitor has a check", exists)
	w.awaitCheck("again", "the check is unchanged", func(c *v1alpha1.HealthCheck) string {
		if c == nil || c.ResourceVersion != check.ResourceVersion {
			return fmt.Sprint(c)
		}
		return ""
	})
	if err := w.Delete(w.Context(), check); err != nil { // as the garbage collector does
		w.Fatal(err)
	}
	w.awaitCheck("again", "the monitor has a check of its own", func(c *v1alpha1.HealthCheck) string {
		if c == nil || !metav1.IsControlledBy(c, m) {
			return fmt.Sprint(c)
		}
		return ""
	})
}
