{{- /* Variables of the processes that the chart sets, and the values that they come from; "": none. A test holds
it to the templates. */ -}}
{{- define "td.ownVariables" -}}
TALKDESK_NAMESPACE: ""
TALKDESK_POD_NAME: ""
TALKDESK_BIND_ADDRESS: ""
TALKDESK_RELEASE: ""
TALKDESK_CREDENTIALS_NAMESPACE: credentialsNamespace.name
TALKDESK_LOG_LEVEL: log.level
TALKDESK_LOG_FORMAT: log.format
TALKDESK_METRICS_PORT: ""
TALKDESK_KUBECONFIG: kubeconfig
TALKDESK_EGRESS_PROXY: egress.proxy
TALKDESK_CA_FILE: egress.ca
TALKDESK_PUBLIC_SCHEME: public.scheme
TALKDESK_PUBLIC_PORT: public.port
TALKDESK_PORT: webhook.port
TALKDESK_GATEWAYS: webhook.gateways
TALKDESK_DRAIN_SECONDS: gateway.drainSeconds or webhook.drainSeconds
TALKDESK_DECISION_PORT: ""
TALKDESK_RELAY_PORT: ""
TALKDESK_JWKS_PORT: ""
TALKDESK_STALE_SECONDS: gateway.staleSeconds or operator.staleSeconds
TALKDESK_WAIT_SECONDS: gateway.waitSeconds
TALKDESK_TENANT_CLUSTER_ROLE: ""
TALKDESK_WORKERS: operator.workers
TALKDESK_RESYNC_SECONDS: operator.resyncSeconds
TALKDESK_PENDING_RESYNC_SECONDS: operator.pendingResyncSeconds
TALKDESK_LEASE_SECONDS: operator.lease.seconds
TALKDESK_LEASE_RENEW_SECONDS: operator.lease.renewSeconds
TALKDESK_LEASE_RETRY_SECONDS: operator.lease.retrySeconds
TALKDESK_SMTP_HOST: smtp.host
TALKDESK_SMTP_PORT: smtp.port
TALKDESK_SMTP_TLS: smtp.tls
TALKDESK_SMTP_FROM: smtp.from
TALKDESK_SMTP_CREDENTIALS: smtp.credentialsSecret
TALKDESK_SMTP_CA_FILE: smtp.ca
{{- end -}}

{{- define "td.ownEnvoyVariables" -}}
TALKDESK_ENVOY_POD_NAME: ""
TALKDESK_ENVOY_BIND_ADDRESS: ""
TALKDESK_ENVOY_GATEWAY_HOSTS: envoy.gatewayHosts
TALKDESK_ENVOY_PORT: ""
TALKDESK_ENVOY_METRICS_PORT: ""
TALKDESK_ENVOY_DRAIN_PORT: ""
TALKDESK_ENVOY_DRAIN_SECONDS: envoy.drainSeconds
TALKDESK_ENVOY_PUBLIC_SCHEME: public.scheme
TALKDESK_ENVOY_PUBLIC_PORT: public.port
TALKDESK_ENVOY_TRUSTED_HOPS: envoy.trustedHops
TALKDESK_ENVOY_TLS_CERTIFICATE: envoy.tls.secretName
TALKDESK_ENVOY_TLS_KEY: envoy.tls.secretName
{{- end -}}

{{- /* Variables from a value. One that is there twice would be refused by the API server, or silently lost.
Argument: dict "value" its name "env" name → text "own" the chart's variables */ -}}
{{- define "td.moreEnv" -}}
{{- $taken := list }}
{{- range $name, $_ := .env }}
{{- if hasKey $.own $name }}
{{- $value := get $.own $name }}
{{- $taken = append $taken (printf "%s (%s)" $name (ternary (print "use " $value) "fixed" (ne $value ""))) }}
{{- end }}
{{- end }}
{{- with $taken }}
{{- fail (printf "%s holds variables that the chart sets itself: %s" $.value (join ", " .)) }}
{{- end }}
{{- range $name, $value := .env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}
