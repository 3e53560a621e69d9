@head@
amounts() {
  line "$1" | awk -F / '
    function amount(text, unit) {
      if (text == "") return "-"
      unit = text
      sub(/^[0-9.]+/, "", unit)
      return (unit in factor) ? sprintf("%.3f", text * factor[unit]) : text
    }
    BEGIN {
      factor[""] = 1; factor["m"] = 0.001; factor["k"] = 1000; factor["M"] = 1000 ^ 2; factor["G"] = 1000 ^ 3
      factor["Ki"] = 1024; factor["Mi"] = 1024 ^ 2; factor["Gi"] = 1024 ^ 3; factor["Ti"] = 1024 ^ 4
    }
    { print amount($1) "/" amount($2) "/" amount($3) "/" amount($4) }'
}
in_force() {
  polls=0
  why="the kubelet reported nothing for too long"
  while [ "$polls" -lt 24 ]; do
    polls=$((polls + 1))
    sleep 5
    look "$1" || continue
    if [ "$(line 1)" != "$2" ]; then why="the pod was made anew"; return 1; fi
    pending=$(line 3)
    if [ "$pending" = Infeasible ]; then why="Infeasible: the node can never take it"; return 1; fi
    if [ -n "$pending" ]; then
      why="$pending: the node has no room for it now"
    elif [ "$(line 4)" = True ]; then
      why="still in progress: the kubelet cannot set it"
    elif [ "$(line 5)" != "$(line 6)" ]; then
      why="the sizes in force are still $(line 6)"
    else
      return 0
    fi
  done
  return 1
}
minor=$(kubectl version -o json | tr -d ' \n' | sed -n 's/.*"serverVersion":{[^}]*"minor":"\([0-9]*\).*/\1/p')
if [ "${minor:-0}" -lt @first_kubernetes@ ]; then
  echo "resizing a running pod needs Kubernetes 1.@first_kubernetes@ or later" >&2
  exit 1
fi

known=@known@
before=@before@
after=@after@
wanted=@count@
done=0
for pod in \
  @pods@
do
  [ "$done" -lt "$wanted" ] || break
  if ! look "$pod"; then echo "cannot be read, skipped: $pod" >&2; continue; fi
  uid=$(line 1)
  if [ "$(line 2)" != Running ]; then echo "not running any more, skipped: $pod" >&2; continue; fi
  case "$(line 7)" in *RestartContainer*) echo "a resize would restart it, skipped: $pod" >&2; continue ;; esac
  if [ "$(state "$pod" "$uid")" = resized ]; then
    echo "resized before: $pod"
    done=$((done + 1))
    continue
  fi
  if [ "$(state "$pod" "$uid")" != trying ] && [ "$(amounts 5)" != "$known" ]; then
    echo "has other sizes than the snapshot (collect again), skipped: $pod" >&2
    continue
  fi
  note "$pod" "$uid" trying
  if ! put "$pod" "$after"; then echo "refused: $pod" >&2; note "$pod" "$uid" refused; continue; fi
  if in_force "$pod" "$uid"; then
    note "$pod" "$uid" resized
    done=$((done + 1))
  else
    echo "not resized, taken back: $pod: $why" >&2
    if put "$pod" "$before"; then note "$pod" "$uid" back; fi
  fi
done
echo "$done of $wanted pods resized"
[ "$done" -eq "$wanted" ]
