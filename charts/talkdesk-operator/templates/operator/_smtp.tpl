{{- /* How the operator reaches the SMTP server; nothing without a host. */ -}}
{{- define "td.smtpEnv" -}}
{{- with .Values.smtp }}
{{- if .host }}
- name: TALKDESK_SMTP_HOST
  value: {{ .host | quote }}
- name: TALKDESK_SMTP_PORT
  value: {{ .port | quote }}
- name: TALKDESK_SMTP_TLS
  value: {{ .tls | quote }}
- name: TALKDESK_SMTP_FROM
  value: {{ .from | quote }}
{{- if .credentialsSecret }}
- name: TALKDESK_SMTP_CREDENTIALS
  value: /etc/talkdesk-operator/smtp
{{- end }}
{{- if .ca }}
- name: TALKDESK_SMTP_CA_FILE
  value: /etc/talkdesk-operator/smtp-ca/ca.pem
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "td.smtpMounts" -}}
{{- with .Values.smtp }}
{{- if and .host .credentialsSecret }}
- name: smtp-credentials
  mountPath: /etc/talkdesk-operator/smtp
  readOnly: true
{{- end }}
{{- if and .host .ca }}
- name: smtp-ca
  mountPath: /etc/talkdesk-operator/smtp-ca
  readOnly: true
{{- end }}
{{- end }}
{{- end -}}

{{- define "td.smtpVolumes" -}}
{{- $release := .Release.Name }}
{{- with .Values.smtp }}
{{- if and .host .credentialsSecret }}
- name: smtp-credentials
  secret:
    secretName: {{ .credentialsSecret }}
    items:
      - {key: username, path: username}
      - {key: password, path: password}
{{- end }}
{{- if and .host .ca }}
- name: smtp-ca
  configMap:
    name: {{ $release }}-smtp-ca
{{- end }}
{{- end }}
{{- end -}}
