package devplane_test

import (
	"fmt"
	"testing"
	"time"

	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuberik/kuberik/internal/devplane"
	"github.com/kuberik/kuberik/internal/devplane/artifact"
)

// application is one manifest for all versions; 1.1.0 never becomes ready.
const application = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: app
  namespace: default
spec:
  replicas: 2
  progressDeadlineSeconds: 3
  selector: {matchLabels: {app: app}}
  template:
    metadata:
      labels: {app: app}
      annotations: {` + devplane.NeverReadyTags + `: "1.1.0"}
    spec:
      containers:
      - name: app
        image: %s/app:${VERSION}
`

func TestFluxAppliesAnArtifact(t *testing.T) {
	t.Parallel()
	plane := start(t, devplane.Options{Flux: true, Workloads: true})
	c := connect(t, plane)
	deploy(t, plane, c)

	t.Run("a new version", func(t *testing.T) {
		setVersion(t, c, "1.0.1")
		awaitDeployed(t, plane, c, "1.0.1")
	})
	t.Run("a version that never becomes ready", func(t *testing.T) {
		setVersion(t, c, "1.1.0")
		object(t, c, kustomization(), "the Kustomization failed", func(k *kustomizev1.Kustomization) error {
			ready := apimeta.FindStatusCondition(k.Status.Conditions, meta.ReadyCondition)
			if ready == nil || ready.Reason != meta.HealthCheckFailedReason {
				return fmt.Errorf("conditions are %v", k.Status.Conditions)
			}
			return nil
		})
	})
	t.Run("a version that fixes it", func(t *testing.T) {
		setVersion(t, c, "1.2.0")
		awaitDeployed(t, plane, c, "1.2.0")
	})
	t.Run("a pod that never becomes ready by its label", func(t *testing.T) { checkNeverReady(t, c) })
	t.Run("images are reflected", func(t *testing.T) { checkReflection(t, plane, c) })
}

// deploy publishes the application, has Flux apply it and waits.
func deploy(t *testing.T, plane *devplane.Plane, c client.Client) {
	t.Helper()
	if _, err := artifact.PushManifests(t.Context(), artifact.Manifests{
		Reference: plane.Registry() + "/manifests:latest",
		Files:     map[string]string{"app.yaml": fmt.Sprintf(application, plane.Registry())},
	}); err != nil {
		t.Fatal(err)
	}
	source := &sourcev1.OCIRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "app"},
		Spec: sourcev1.OCIRepositorySpec{
			URL:       "oci://" + plane.Registry() + "/manifests",
			Reference: &sourcev1.OCIRepositoryRef{Tag: "latest"},
			Interval:  metav1.Duration{Duration: time.Minute},
			Insecure:  true,
		},
	}
	k := kustomization()
	k.Spec = kustomizev1.KustomizationSpec{
		Interval:  metav1.Duration{Duration: time.Minute},
		Timeout:   &metav1.Duration{Duration: time.Minute},
		Prune:     true,
		Wait:      true,
		SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: "OCIRepository", Name: "app"},
		PostBuild: &kustomizev1.PostBuild{Substitute: map[string]string{"VERSION": "1.0.0"}},
	}
	for _, o := range []client.Object{source, k} {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	awaitDeployed(t, plane, c, "1.0.0")
}

func kustomization() *kustomizev1.Kustomization {
	return &kustomizev1.Kustomization{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "app"}}
}

func setVersion(t *testing.T, c client.Client, version string) {
	t.Helper()
	request(t, c, kustomization(), func(k *kustomizev1.Kustomization) {
		k.Spec.PostBuild.Substitute["VERSION"] = version
	})
}

// awaitDeployed waits until Flux says that the version is there, and looks
// whether it is.
func awaitDeployed(t *testing.T, plane *devplane.Plane, c client.Client, version string) {
	t.Helper()
	object(t, c, kustomization(), version+" applied and ready", func(k *kustomizev1.Kustomization) error {
		if k.Spec.PostBuild.Substitute["VERSION"] != version || k.Status.ObservedGeneration != k.Generation ||
			!apimeta.IsStatusConditionTrue(k.Status.Conditions, meta.ReadyCondition) {
			return fmt.Errorf("generation %d observed %d, conditions %v", k.Generation, k.Status.ObservedGeneration, k.Status.Conditions)
		}
		return nil
	})
	app := &appsv1.Deployment{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "app"}, app); err != nil {
		t.Fatal(err)
	}
	if got, want := app.Spec.Template.Spec.Containers[0].Image, plane.Registry()+"/app:"+version; got != want {
		t.Errorf("the Deployment has image %q, want %q", got, want)
	}
	if app.Status.ReadyReplicas != 2 || app.Status.UpdatedReplicas != 2 {
		t.Errorf("the Deployment is not ready: %+v", app.Status)
	}
}

func checkNeverReady(t *testing.T, c client.Client) {
	t.Helper()
	for name, want := range map[string]corev1.ConditionStatus{"good": corev1.ConditionTrue, "bad": corev1.ConditionFalse} {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app:1.0.0"}}},
		}
		if name == "bad" {
			pod.Labels = map[string]string{devplane.NeverReadyLabel: "true"}
		}
		if err := c.Create(t.Context(), pod); err != nil {
			t.Fatal(err)
		}
		object(t, c, pod, name+" pod runs", func(p *corev1.Pod) error {
			for _, condition := range p.Status.Conditions {
				if condition.Type == corev1.PodReady && condition.Status == want && p.Status.Phase == corev1.PodRunning {
					return nil
				}
			}
			return fmt.Errorf("phase %s, conditions %v", p.Status.Phase, p.Status.Conditions)
		})
	}
}

func checkReflection(t *testing.T, plane *devplane.Plane, c client.Client) {
	t.Helper()
	push := func(tag string) string {
		digest, err := artifact.PushImage(t.Context(), artifact.Image{Reference: plane.Registry() + "/app:" + tag})
		if err != nil {
			t.Fatal(err)
		}
		return digest
	}
	awaitLatest := func(policy *imagev1.ImagePolicy, tag, digest string) {
		t.Helper()
		object(t, c, policy, "latest is "+tag, func(p *imagev1.ImagePolicy) error {
			got := p.Status.LatestRef
			if got == nil || got.Tag != tag || got.Digest != digest || got.Name != plane.Registry()+"/app" ||
				!apimeta.IsStatusConditionTrue(p.Status.Conditions, meta.ReadyCondition) {
				return fmt.Errorf("latest is %v, conditions are %v", got, p.Status.Conditions)
			}
			return nil
		})
	}
	name := metav1.ObjectMeta{Namespace: "default", Name: "app"}
	repo := &imagev1.ImageRepository{ObjectMeta: name, Spec: imagev1.ImageRepositorySpec{
		Image: plane.Registry() + "/app", Interval: metav1.Duration{Duration: time.Hour}, Insecure: true,
	}}
	policy := &imagev1.ImagePolicy{ObjectMeta: name, Spec: imagev1.ImagePolicySpec{
		ImageRepositoryRef:     meta.NamespacedObjectReference{Name: "app"},
		Policy:                 imagev1.ImagePolicyChoice{SemVer: &imagev1.SemVerPolicy{Range: ">=1.0.0"}},
		DigestReflectionPolicy: imagev1.ReflectIfNotPresent,
	}}
	first := push("1.0.0")
	for _, o := range []client.Object{policy, repo} {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	awaitLatest(policy, "1.0.0", first)
	second := push("1.1.0")
	request(t, c, repo, func(*imagev1.ImageRepository) {})
	awaitLatest(policy, "1.1.0", second)
	if was := policy.Status.ObservedPreviousRef; was == nil || was.Digest != first {
		t.Errorf("the previous image is %v, want %s", was, first)
	}
}

// TestClusterSurvivesCrashesOfComponents kills components, which Restart starts again.
func TestClusterSurvivesCrashesOfComponents(t *testing.T) {
	t.Parallel()
	plane := start(t, devplane.Options{Flux: true, Workloads: true})
	c := connect(t, plane)
	deploy(t, plane, c)
	for i, name := range []string{"kube-apiserver", "etcd", "kustomize-controller"} {
		if err := plane.Kill(name); err != nil {
			t.Fatal(err)
		}
		if err := plane.Restart(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the API answers after the end of "+name, func() error {
			return c.List(t.Context(), &corev1.NodeList{})
		})
		version := fmt.Sprintf("1.2.%d", i)
		setVersion(t, c, version)
		awaitDeployed(t, plane, c, version)
	}
	select {
	case err := <-plane.Failed():
		t.Errorf("an intended kill was reported: %v", err)
	default:
	}
}
