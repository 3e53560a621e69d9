@head@

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
