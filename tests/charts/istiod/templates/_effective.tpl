{{- define "effective" -}}
{{- $defaults := deepCopy .Values._internal_defaults_do_not_set -}}
{{- $profile := dict -}}
{{- with .Values.profile -}}
{{- $profile = $.Files.Get (printf "files/profile-%s.yaml" .) | fromYaml -}}
{{- end -}}
{{- $user := omit .Values "_internal_defaults_do_not_set" -}}
{{- $all := mustMergeOverwrite $defaults $profile (deepCopy $user) -}}
{{- mustMergeOverwrite $all (default dict $all.pilot) | toJson -}}
{{- end -}}
