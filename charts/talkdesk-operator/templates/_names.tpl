{{- /* Names outside the release's namespace carry namespace and release: several releases live together. */ -}}
{{- define "td.clusterName" -}}
{{ .Release.Namespace }}-{{ .Release.Name }}
{{- end -}}

{{- define "td.credentialsNamespace" -}}
{{ .Values.credentialsNamespace.name | default (printf "%s-credentials" (include "td.clusterName" .)) }}
{{- end -}}

{{- /* Mirrors talkdesk_crds.names.digest for (namespace, release); a test holds the two together. */ -}}
{{- define "td.releaseDigest" -}}
{{ printf "%d:%s%d:%s" (len .Release.Namespace) .Release.Namespace (len .Release.Name) .Release.Name | sha256sum }}
{{- end -}}

{{- /* talkdesk_crds.names.tenant_prefix */ -}}
{{- define "td.tenantPrefix" -}}
td-{{ include "td.releaseDigest" . | trunc 6 }}-
{{- end -}}

{{- /* talkdesk_crds.names.release_id */ -}}
{{- define "td.releaseId" -}}
{{- $plain := printf "%s.%s" .Release.Namespace .Release.Name -}}
{{- if le (len $plain) 63 -}}{{ $plain }}{{- else -}}x-{{ include "td.releaseDigest" . | trunc 32 }}{{- end -}}
{{- end -}}

{{- define "td.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- /* Argument: dict "root" $ "component" name */ -}}
{{- define "td.selector" -}}
app.kubernetes.io/name: talkdesk-operator
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "td.labels" -}}
{{ include "td.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: talkdesk-operator
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end -}}

{{- /* User name of a component's service account, as admission sees it. */ -}}
{{- define "td.user" -}}
system:serviceaccount:{{ .root.Release.Namespace }}:{{ .root.Release.Name }}-{{ .component }}
{{- end -}}

{{- /* The port of Envoy's Service. */ -}}
{{- define "td.envoyPort" -}}
{{ .Values.envoy.service.port | default (ternary 443 80 (ne .Values.envoy.tls.secretName "")) | int }}
{{- end -}}

{{- /* The gateway's Service. Its ClusterIP may become another's; its name does not. */ -}}
{{- define "td.gatewayHost" -}}
{{ .Release.Name }}-gateway.{{ .Release.Namespace }}.svc
{{- end -}}

{{- /* What browsers put before a path, of the launch host. */ -}}
{{- define "td.publicOrigin" -}}
{{ .Values.public.scheme }}://<launch host>{{ with .Values.public.port }}:{{ . }}{{ end }}
{{- end -}}
