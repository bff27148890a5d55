{{/* Names are fixed: proxies, certificates and roles name them. One control plane per cluster, many meshes in it. */}}

{{- define "weft.labels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: weft
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "weft.selector" -}}
app.kubernetes.io/name: weft-operator
{{- end }}

{{/* metadata of an object: dict "root" $ "name" "..." ["namespaced" true] ["labels" {}] ["annotations" {}] ["component" "weft-operator"] */}}
{{- define "weft.metadata" -}}
name: {{ .name }}
{{- if .namespaced }}
namespace: {{ .root.Release.Namespace }}
{{- end }}
labels:
  {{- merge (dict) (.labels | default dict) (fromYaml (include "weft.labels" .root)) (dict "app.kubernetes.io/name" (.component | default "weft-operator")) | toYaml | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* repository[:tag][@digest] of dict "root" $ "image" {...} */}}
{{- define "weft.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* "yes" when a cluster answers: `helm template` and client-side dry runs have none, and look nothing up. */}}
{{- define "weft.connected" -}}
{{- if lookup "v1" "Namespace" "" "kube-system" }}yes{{ end -}}
{{- end }}

{{/* What the chart cannot do is said before anything is created. */}}
{{- define "weft.validate" -}}
{{- if ne .Release.Namespace "weft-system" -}}
{{- fail (printf "weft must be installed in the namespace weft-system, not in %s: add --namespace weft-system --create-namespace" .Release.Namespace) -}}
{{- end -}}
{{- if and .Values.crds.install (ne .Release.Name "weft") -}}
{{- fail (printf "the release must be called weft, not %s: its CustomResourceDefinitions belong to the release of that name. To manage them yourself set crds.install=false and pass --skip-crds" .Release.Name) -}}
{{- end -}}
{{- if and .Values.certManager.create (include "weft.connected" .) (not (.Capabilities.APIVersions.Has "cert-manager.io/v1")) -}}
{{- fail "cert-manager is not installed in this cluster: install it first, or set certManager.create=false and mesh.spec.identity.mode=SelfManaged" -}}
{{- end -}}
{{- end }}
