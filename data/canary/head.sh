#!/bin/sh
@about@
set -u
here=$(dirname "$0")
journal="$here/@journal@"
look() {
  found=$(kubectl get pod -n @namespace@ "$1" --ignore-not-found -o @json_path@ </dev/null)
}
line() { printf '%s\n' "$found" | sed -n "$1p"; }
note() { printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$(date +%s)" "$3" >>"$journal"; }
state() {
  [ -e "$journal" ] && awk -F '\t' -v p="$1" -v u="$2" '$1 == p && $2 == u { s = $4 } END { print s }' "$journal"
}
put() { kubectl patch pod -n @namespace@ "$1" --subresource resize --patch "$2" </dev/null; }
