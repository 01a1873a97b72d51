{{- define "kuberik.name" -}}
{{ .Values.nameOverride | default "kuberik" }}
{{- end }}

{{- define "kuberik.fullname" -}}
{{ .Values.fullnameOverride | default "kuberik-controller" }}
{{- end }}

{{- define "kuberik.selector" -}}
app.kubernetes.io/name: {{ include "kuberik.name" . }}
app.kubernetes.io/component: controller
{{- end }}

{{/* Version labels are left out on purpose: a policy that is written again at each upgrade would void the Approvals before it. */}}
{{- define "kuberik.labels" -}}
{{ include "kuberik.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Metadata of an object in the namespace: a list of the root and the name. */}}
{{- define "kuberik.metadata" -}}
{{- $root := index . 0 -}}
name: {{ index . 1 }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- include "kuberik.labels" $root | nindent 2 }}
{{- with $root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "kuberik.image" -}}
{{- with .Values.image }}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end }}
{{- end }}
{{- end }}

{{/*
The manifests in a file that is the same as in config/, with the namespace and the service account of this release. It takes a dict: root,
file, and optionally names of objects that are left out, and namespaces to bind roles in.
*/}}
{{- define "kuberik.shipped" -}}
{{- $root := .root -}}
{{- $without := .without | default list -}}
{{- $namespaces := .namespaces | default list -}}
{{- $account := include "kuberik.fullname" $root -}}
{{- $text := $root.Files.Get .file | replace "system:serviceaccount:kuberik-system:kuberik-controller" (printf "system:serviceaccount:%s:%s" $root.Release.Namespace $account) -}}
{{- $text = $text | replace "kuberik-system" $root.Release.Namespace -}}
{{- range $doc := splitList "\n---\n" $text }}
{{- $o := fromYaml $doc -}}
{{- if and $o.kind (not (has $o.metadata.name $without)) (ne $o.kind "ServiceAccount") (ne $o.kind "Namespace") }}
{{- range $s := $o.subjects }}
{{- $_ := set $s "name" $account }}
{{- end }}
{{- $_ := set $o.metadata "labels" (merge (dict) ($o.metadata.labels | default dict) (include "kuberik.labels" $root | fromYaml)) }}
{{- with $root.Values.commonAnnotations }}
{{- $_ := set $o.metadata "annotations" (merge (dict) ($o.metadata.annotations | default dict) .) }}
{{- end }}
{{- if and (eq $o.kind "ClusterRole") (not $root.Values.rbac.aggregate) }}
{{- range $role := list "view" "edit" "admin" }}
{{- $_ := unset $o.metadata.labels (printf "rbac.authorization.k8s.io/aggregate-to-%s" $role) }}
{{- end }}
{{- end }}
{{- if and (eq $o.kind "ClusterRoleBinding") $namespaces }}
{{- range $namespace := $namespaces }}
{{- $bound := deepCopy $o | merge (dict "kind" "RoleBinding") }}
{{- $_ := set $bound.metadata "namespace" $namespace }}
---
{{ toYaml $bound }}
{{- end }}
{{- else }}
---
{{ toYaml $o }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
