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

[ -e "$journal" ] || { echo "nothing was resized"; exit 0; }
failed=0
noted() { awk -F '\t' -v p="$1" '$1 == p { n = 1 } END { exit !n }' "$journal"; }
for pod in \
  @pods@
do
  noted "$pod" || continue
  if ! look "$pod"; then echo "failed: $pod" >&2; failed=$((failed + 1)); continue; fi
  uid=$(line 1)
  case "$(state "$pod" "$uid")" in
    resized | trying) ;;
    *)
      echo "not there any more, or taken back before: $pod" >&2
      continue
      ;;
  esac
  if put "$pod" @before@; then
    note "$pod" "$uid" back
  else
    echo "failed: $pod" >&2
    failed=$((failed + 1))
  fi
done
[ "$failed" -eq 0 ]
