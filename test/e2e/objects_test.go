package e2e

import (
	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

func newLogger() logr.Logger { return zap.New(zap.UseDevMode(true)) }

// application contains the manifests of the application. The version is quoted, because YAML would read some tags as
// numbers.
const application = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: hello
  namespace: demo
spec:
  replicas: 2
  progressDeadlineSeconds: 3
  selector:
    matchLabels: {app: hello}
  template:
    metadata:
      labels: {app: hello}
      annotations:
        devplane.kuberik.com/never-ready-tags: "1.1.0"
    spec:
      containers:
        - name: hello
          image: "%s/hello:${VERSION}"
`

const objects = `
apiVersion: v1
kind: Namespace
metadata: {name: demo}
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata: {name: hello, namespace: demo}
spec: {image: %[1]s/hello, interval: 1s, insecure: true}
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata: {name: hello, namespace: demo}
spec:
  imageRepositoryRef: {name: hello}
  policy: {semver: {range: ">=1.0.0"}}
  digestReflectionPolicy: Always
  interval: 1s
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: hello, namespace: demo}
spec: {url: "oci://%[1]s/hello-manifests", interval: 1m, insecure: true, ref: {tag: latest}}
---
apiVersion: kuberik.com/v1alpha1
kind: RolloutGate
metadata: {name: approval, namespace: demo}
spec: {rolloutRef: {name: hello}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: hello
  namespace: demo
  annotations: {rollout.kuberik.com/substitute.VERSION.from: hello}
spec:
  sourceRef: {kind: OCIRepository, name: hello}
  interval: 1m
  timeout: 10s
  prune: true
  wait: true
---
apiVersion: kuberik.com/v1alpha1
kind: HealthCheck
metadata:
  name: hello
  namespace: demo
  labels: {app: hello}
  annotations: {healthcheck.kuberik.com/kustomization: hello}
spec: {class: kustomization}
---
apiVersion: kuberik.com/v1alpha1
kind: HealthCheck
metadata:
  name: hello-smoke
  namespace: demo
  labels: {app: hello}
spec:
  class: script
  script: {image: "registry.example/smoke:1", script: "exit 0"}
---
apiVersion: kuberik.com/v1alpha1
kind: Rollout
metadata: {name: hello, namespace: demo}
spec:
  releasesImagePolicy: {name: hello}
  bakeTime: 3s
  deployTimeout: 45s
  healthCheckSelector: {selector: {matchLabels: {app: hello}}}
`
