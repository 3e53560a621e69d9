{{- define "rightsize.name" -}}
{{- $name := ternary .Release.Name (printf "%s-rightsize" .Release.Name) (contains "rightsize" .Release.Name) -}}
{{- /* A CronJob's name has 52 characters at most; the longest job adds "-recommend". */ -}}
{{- $name | trunc 42 | trimSuffix "-" -}}
{{- end -}}

{{- define "rightsize.labels" -}}
app.kubernetes.io/name: rightsize
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "rightsize.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "rightsize.name" .) -}}
{{- end -}}

{{- define "rightsize.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}{{ with .tag }}:{{ . }}{{ end }}@{{ .digest }}
{{- else -}}
{{- $tag := .tag | default (ternary "" $.Chart.AppVersion (eq $.Chart.AppVersion "0.0.0")) -}}
{{ .repository }}:{{ required "image.tag or image.digest: a chart out of the source tree has no version of its own" $tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The scripts read names from the environment: a value is never a part of a command. */ -}}
{{- define "rightsize.script" -}}
{{- $s3 := eq .root.Values.storage.kind "s3" -}}
{{- $pull := "python /scripts/object-store.py pull" -}}
{{- $push := "python /scripts/object-store.py push" -}}
{{- if $s3 }}
{{ $pull }} "$PREFIX/snapshots/$CLUSTER" "snapshots/$CLUSTER"
{{- end }}
{{- if eq .job "collect" }}
rightsize collect --prometheus-url "$PROMETHEUS_URL" --days "$DAYS" --cluster "$CLUSTER" --out "snapshots/$CLUSTER" "$@"
{{- if $s3 }}
{{ $push }} "$PREFIX/snapshots/$CLUSTER" "snapshots/$CLUSTER"
{{- end }}
{{- else if eq .job "recommend" }}
out="recommendations/$CLUSTER/$(date -u +%Y-%m-%d)"
mkdir -p "$out"
{{- if .root.Values.recommend.valuesConfigMap }}
for file in /values/*; do
  set -- "$@" -f "$file"
done
{{- end }}
rightsize recommend --snapshot "snapshots/$CLUSTER" -o "$out" --format json "$@" > "$out/recommendation.json"
rightsize alerts --snapshot "snapshots/$CLUSTER" -o "$out/alerts.yaml"
rightsize dashboard --snapshot "snapshots/$CLUSTER" -o "$out/dashboard.json"
{{- if $s3 }}
{{ $push }} "$PREFIX/recommendations/$CLUSTER" "recommendations/$CLUSTER"
{{- end }}
{{- else }}
month=$(date -u -d "$(date -u +%Y-%m-01) -1 day" +%Y-%m)
rightsize report --snapshot "snapshots/$CLUSTER" --month "$month" -o "reports/$CLUSTER/$month" "$@"
rightsize report --snapshot "snapshots/$CLUSTER" --month "$month" -o "reports/$CLUSTER/$month" --summary
{{- if $s3 }}
{{ $push }} "$PREFIX/reports/$CLUSTER" "reports/$CLUSTER"
{{- end }}
{{- end }}
{{- end -}}

{{- define "rightsize.options" -}}
{{- $options := list -}}
{{- if eq .job "collect" -}}
{{- range .root.Values.prometheus.matchers -}}
{{- $options = concat $options (list "--matcher" .) -}}
{{- end -}}
{{- if .root.Values.prometheus.tokenSecret.name -}}
{{- $options = append $options "--bearer-token-file=/secrets/prometheus/token" -}}
{{- end -}}
{{- if .root.Values.aws.enabled -}}
{{- $options = append $options "--aws" -}}
{{- with .root.Values.aws.region -}}
{{- $options = append $options (printf "--aws-region=%s" .) -}}
{{- end -}}
{{- end -}}
{{- if .root.Values.kubernetes.enabled -}}
{{- $options = append $options "--in-cluster" -}}
{{- end -}}
{{- end -}}
{{- concat $options (index .root.Values .job).args | toJson -}}
{{- end -}}
