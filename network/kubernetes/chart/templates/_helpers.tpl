{{- /* SPDX-License-Identifier: Apache-2.0 */ -}}

{{- define "pedigree.prefix" -}}
{{- required "prefix is empty: render with the values.yaml that `pedigree-network kubernetes` wrote" .Values.prefix -}}
{{- end }}

{{- /* The labels of one component: dict "root" $ "component" NAME. */ -}}
{{- define "pedigree.selector" -}}
app.kubernetes.io/name: pedigree
app.kubernetes.io/instance: {{ include "pedigree.prefix" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "pedigree.labels" -}}
{{ include "pedigree.selector" . }}
app.kubernetes.io/part-of: pedigree
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "pedigree.annotations" -}}
{{- if .root.Values.scrape -}}
prometheus.io/scrape: "true"
prometheus.io/port: {{ .port | quote }}
prometheus.io/path: /metrics
{{- end }}
{{- end }}

{{- /* What every pod has in common. */ -}}
{{- define "pedigree.pod" -}}
serviceAccountName: {{ include "pedigree.prefix" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .Values.user }}
  runAsGroup: {{ .Values.user }}
  fsGroup: {{ .Values.user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "pedigree.container" -}}
imagePullPolicy: {{ .Values.imagePullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities:
    drop: [ALL]
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- /* dict "alive" PATH "ready" PATH "port" PORT: a minute to be taken for dead, two minutes to start. */ -}}
{{- define "pedigree.probes" -}}
startupProbe:
  httpGet: {path: {{ .alive }}, port: {{ .port }}}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: {{ .alive }}, port: {{ .port }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: {{ .ready }}, port: {{ .port }}}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 3
{{- end }}

{{- /* A StatefulSet's claim named "data": dict "storage" VALUES. */ -}}
{{- define "pedigree.claim" -}}
volumeClaimTemplates:
  - metadata:
      name: data
    spec:
      accessModes: [ReadWriteOnce]
      {{- with .storage.class }}
      storageClassName: {{ . }}
      {{- end }}
      resources:
        requests:
          storage: {{ .storage.size }}
{{- end }}

{{- /* A volume with an MSP folder, from a Secret with the keys below. */ -}}
{{- define "pedigree.msp" -}}
- name: msp
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items:
      - {key: config.yaml, path: config.yaml}
      - {key: ca.pem, path: cacerts/ca.pem}
      - {key: tlsca.pem, path: tlscacerts/tlsca.pem}
      - {key: cert.pem, path: signcerts/cert.pem}
      - {key: key.pem, path: keystore/key.pem}
{{- end }}

{{- /* A volume with a TLS certificate, its key and its issuer, from a Secret of type kubernetes.io/tls: dict "secret" NAME
       "as" what the files are called. */ -}}
{{- define "pedigree.tls" -}}
- name: tls
  secret:
    secretName: {{ .secret }}
    defaultMode: 0440
    items:
      - {key: tls.crt, path: {{ .as }}.crt}
      - {key: tls.key, path: {{ .as }}.key}
      - {key: ca.crt, path: ca.crt}
{{- end }}

{{- /* A ConfigMap's key for a path; keys cannot hold slashes. */ -}}
{{- define "pedigree.key" -}}
{{ . | replace "/" "--" }}
{{- end }}
