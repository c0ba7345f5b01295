{{/* The release's name, the prefix of every object. */}}
{{- define "tandem.name" -}}
{{- if contains "tandem" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-tandem" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "tandem.labels" -}}
{{ include "tandem.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "tandem.selector" -}}
app.kubernetes.io/name: tandem
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tandem.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* The five services: where their values are, their port, whom they call. As YAML, to be read with fromYaml. */}}
{{- define "tandem.services" -}}
storage: { values: storage, port: 7081, callers: [gateway, orchestrator, provider-gateway, tool-runner] }
provider-gateway: { values: providerGateway, port: 7082, peers: [storage, tool-runner], callers: [gateway, orchestrator] }
tool-runner: { values: toolRunner, port: 7083, peers: [storage], callers: [gateway, orchestrator, provider-gateway] }
orchestrator: { values: orchestrator, port: 7084, peers: [storage, provider-gateway, tool-runner], callers: [gateway, orchestrator] }
gateway: { values: gateway, port: 7080, peers: [storage, provider-gateway, tool-runner, orchestrator], callers: [] }
{{- end }}

{{/* A variable from a key of the Secret: (list $ NAME KEY OPTIONAL). */}}
{{- define "tandem.secret" -}}
- name: {{ index . 1 }}
  valueFrom:
    secretKeyRef:
      name: {{ (index . 0).Values.existingSecret }}
      key: {{ index . 2 }}
      {{- if index . 3 }}
      optional: true
      {{- end }}
{{- end }}

{{/* Where workspaces are pods. */}}
{{- define "tandem.workspaceNamespace" -}}
{{- $namespace := required "toolRunner.kubernetes.namespace must name a namespace for workspaces" .Values.toolRunner.kubernetes.namespace }}
{{- if eq $namespace .Release.Namespace }}
{{- fail "toolRunner.kubernetes.namespace must not be the release's: whoever may make workspaces could then read the release's Secrets" }}
{{- end }}
{{- $namespace }}
{{- end }}

{{/* The name of a service in variables: provider-gateway is PROVIDER_GATEWAY. */}}
{{- define "tandem.variable" -}}
{{ . | upper | replace "-" "_" }}
{{- end }}

{{/* The variables of a service: (list $ NAME SERVICE). */}}
{{- define "tandem.env" -}}
{{- $root := index . 0 }}{{- $name := index . 1 }}{{- $service := index . 2 }}
{{- $prefix := printf "TANDEM_%s__" (include "tandem.variable" $name) }}
{{- $values := index $root.Values $service.values }}
- name: POD_IP
  valueFrom: { fieldRef: { fieldPath: status.podIP } }
# Made by the service itself within the volume, because it changes its mode.
- { name: TANDEM_DATA_DIR, value: /data/tandem }
- { name: TANDEM_ADMIN_LISTEN, value: "http://0.0.0.0:{{ $root.Values.monitoring.port }}" }
- { name: TANDEM_TELEMETRY__FORMAT, value: json }
- { name: TANDEM_TELEMETRY__LOG, value: {{ $root.Values.telemetry.log | quote }} }
- { name: TANDEM_TELEMETRY__OTLP_ENDPOINT, value: {{ $root.Values.telemetry.otlpEndpoint | quote }} }
{{ include "tandem.secret" (list $root "TANDEM_SERVICE_SECRET" "service" false) }}
{{- if eq $name "gateway" }}
- { name: TANDEM_LISTEN, value: "http://0.0.0.0:{{ $service.port }}" }
{{- with $root.Values.publicUrl }}
- { name: TANDEM_GATEWAY__PUBLIC_URL, value: {{ . | quote }} }
{{- end }}
{{ include "tandem.secret" (list $root "TANDEM_BOOTSTRAP_TOKEN" "bootstrap-token" true) }}
{{- else }}
- { name: {{ $prefix }}LISTEN, value: "http://0.0.0.0:{{ $service.port }}" }
{{- end }}
{{- if eq $name "storage" }}
{{ include "tandem.secret" (list $root "DATABASE_URL" "database-url" false) }}
{{- end }}
{{- if eq $name "provider-gateway" }}
{{ include "tandem.secret" (list $root "TANDEM_PROVIDER_GATEWAY__KEK" "kek" false) }}
- { name: {{ $prefix }}REPLICA_ADDRESS, value: "http://$(POD_IP):{{ $service.port }}" }
{{- end }}
{{- if eq $name "tool-runner" }}
{{ include "tandem.secret" (list $root "TANDEM_TOOL_RUNNER__KEK" "mcp-kek" true) }}
{{- with $values.kubernetes }}
{{- if .enabled }}
{{- $scheme := ternary "http" "https" (empty .agents.tlsSecret) }}
- { name: {{ $prefix }}AGENT__LISTEN, value: "{{ $scheme }}://0.0.0.0:{{ .agents.port }}" }
- { name: {{ $prefix }}KUBERNETES__ENABLED, value: "true" }
- { name: {{ $prefix }}KUBERNETES__NAMESPACE, value: {{ include "tandem.workspaceNamespace" $root | quote }} }
- { name: {{ $prefix }}KUBERNETES__AGENT_URL, value: "{{ $scheme }}://{{ include "tandem.name" $root }}-agents.{{ $root.Release.Namespace }}:{{ .agents.port }}" }
- { name: {{ $prefix }}KUBERNETES__AGENT_IMAGE, value: {{ include "tandem.image" $root | quote }} }
{{- if .agents.tlsSecret }}
- { name: {{ $prefix }}AGENT__TLS__CERT_FILE, value: /run/tandem/agents/tls.crt }
- { name: {{ $prefix }}AGENT__TLS__KEY_FILE, value: /run/tandem/agents/tls.key }
- { name: {{ $prefix }}KUBERNETES__AGENT_CA_FILE, value: /run/tandem/agents/ca.crt }
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if eq $name "orchestrator" }}
# How other replicas find this one, to show what is streamed here.
- { name: {{ $prefix }}ADVERTISED_ADDRESS, value: "http://$(POD_IP):{{ $service.port }}" }
{{- end }}
{{- $all := include "tandem.services" $root | fromYaml }}
{{- range $service.peers }}
- { name: {{ $prefix }}PEERS__{{ include "tandem.variable" . }}, value: "http://{{ include "tandem.name" $root }}-{{ . }}:{{ (index $all .).port }}" }
{{- end }}
{{- range $key, $value := merge (dict) ($values.env | default dict) $root.Values.env }}
- { name: {{ $key }}, value: {{ $value | toString | quote }} }
{{- end }}
{{- end }}
