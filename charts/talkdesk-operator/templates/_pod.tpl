{{- /* What every process's pod has in common. Argument: dict "root" $ "component" name */ -}}
{{- define "td.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "td.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "td.env" -}}
- name: TALKDESK_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: TALKDESK_POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: TALKDESK_BIND_ADDRESS
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
- name: TALKDESK_RELEASE
  value: {{ .root.Release.Name | quote }}
- name: TALKDESK_CREDENTIALS_NAMESPACE
  value: {{ include "td.credentialsNamespace" .root | quote }}
- name: TALKDESK_LOG_LEVEL
  value: {{ .root.Values.log.level | quote }}
- name: TALKDESK_LOG_FORMAT
  value: {{ .root.Values.log.format | quote }}
- name: TALKDESK_METRICS_PORT
  value: "9090"
{{- with .root.Values.kubeconfig }}
- name: TALKDESK_KUBECONFIG
  value: {{ . | quote }}
{{- end }}
{{- with .root.Values.egress.proxy }}
- name: TALKDESK_EGRESS_PROXY
  value: {{ . | quote }}
{{- end }}
{{- if .root.Values.egress.ca }}
- name: TALKDESK_CA_FILE
  value: /etc/talkdesk-operator/ca/ca.pem
{{- end }}
{{- include "td.moreEnv" (dict "value" "env" "env" .root.Values.env "own" (include "td.ownVariables" . | fromYaml)) }}
{{- end -}}

{{- /* How browsers reach Envoy. */ -}}
{{- define "td.publicEnv" -}}
- name: TALKDESK_PUBLIC_SCHEME
  value: {{ .Values.public.scheme | quote }}
- name: TALKDESK_PUBLIC_PORT
  value: {{ .Values.public.port | quote }}
{{- end -}}

{{- define "td.mounts" -}}
- name: tmp
  mountPath: /tmp
{{- if .root.Values.egress.ca }}
- name: egress-ca
  mountPath: /etc/talkdesk-operator/ca
  readOnly: true
{{- end }}
{{- end -}}

{{- define "td.volumes" -}}
- name: tmp
  emptyDir: {}
{{- if .root.Values.egress.ca }}
- name: egress-ca
  configMap:
    name: {{ .root.Release.Name }}-egress-ca
{{- end }}
{{- end -}}

{{- define "td.placement" -}}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "td.selector" . | nindent 8 }}
{{- end -}}

{{- /* Who may read metrics, as a rule of a NetworkPolicy. */ -}}
{{- define "td.metricsIngress" -}}
- ports:
    - {protocol: TCP, port: metrics}
  {{- with .Values.networkPolicy.metricsFrom }}
  from: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
