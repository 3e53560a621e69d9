"""The folder of a canary: the scripts that resize and take back, and the page to read first.

`resized.tsv` is a journal: pod, uid, time and what was done, one line for each step. A pod's last line
is its state, so that each script can be run again, and again after it was interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

from rightsize.border import command, promql_pattern, promql_string, remark, word
from rightsize.quantity import format_cpu, format_memory
from rightsize.results import Resource, Sizes
from rightsize.rollout.canary import FIRST_KUBERNETES, SIZE_NAMES, Canary

JOURNAL = "resized.tsv"
_POLLS, _SECONDS = 24, 5
"""How often, and how far apart, the kubelet is asked whether it has resized: two minutes."""


def canary_files(canary: Canary) -> Mapping[str, str]:
    """The folder: `resize.sh`, `way-back.sh`, `README.md` and `canary.json`."""
    return {
        "resize.sh": _resize_script(canary),
        "way-back.sh": _back_script(canary),
        "README.md": _page(canary),
        "canary.json": json.dumps(as_json(canary), indent=2, sort_keys=True) + "\n",
    }


def as_json(canary: Canary) -> dict[str, object]:
    """What `rightsize canary verify` needs to know."""
    names = ("namespace", "workload", "kind", "component", "container", "native")
    sizes = {"before": canary.before, "after": canary.after, "goal": canary.goal}
    return {
        "schema_version": 2,
        **{name: getattr(canary, name) for name in names},
        **{name: {k: asdict(of)[k] for k in SIZE_NAMES} for name, of in sizes.items()},
    }


def resize_patch(canary: Canary, sizes: Sizes) -> str:
    """The patch of a pod's `resize` subresource, as JSON."""
    blocks: dict[str, dict[str, str]] = {}
    for kind in ("request", "limit"):
        for resource, written in (("cpu", format_cpu), ("memory", format_memory)):
            size = getattr(sizes, f"{resource}_{kind}")
            if size is not None:
                blocks.setdefault(f"{kind}s", {})[resource] = written(size)
    key = "initContainers" if canary.native else "containers"
    return json.dumps({"spec": {key: [{"name": canary.container, "resources": blocks}]}})


def _json_path(canary: Canary) -> str:
    """What the scripts ask of a pod, a line for each answer.

    uid; phase; why the kubelet has not begun (`Deferred`, `Infeasible`); whether it is at it; sizes
    asked for; sizes in force; what a resize restarts.
    """
    which = f'[?(@.name=="{canary.container}")]'
    spec, status = (
        (f".spec.initContainers{which}", f".status.initContainerStatuses{which}")
        if canary.native
        else (f".spec.containers{which}", f".status.containerStatuses{which}")
    )
    sizes = [
        f"{kind}.{resource}" for kind in ("requests", "limits") for resource in ("cpu", "memory")
    ]
    lines = [
        "{.metadata.uid}",
        "{.status.phase}",
        '{.status.conditions[?(@.type=="PodResizePending")].reason}',
        '{.status.conditions[?(@.type=="PodResizeInProgress")].status}',
        *("/".join(f"{{{where}.resources.{size}}}" for size in sizes) for where in (spec, status)),
        f"{{{spec}.resizePolicy[*].restartPolicy}}",
    ]
    return "jsonpath=" + '{"\\n"}'.join(lines)


def _start(canary: Canary) -> str:
    namespace = word(canary.namespace)
    return f"""\
set -u
here=$(dirname "$0")
journal="$here/{JOURNAL}"
look() {{
  found=$(kubectl get pod -n {namespace} "$1" --ignore-not-found -o {word(_json_path(canary))} </dev/null)
}}
line() {{ printf '%s\\n' "$found" | sed -n "$1p"; }}
note() {{ printf '%s\\t%s\\t%s\\t%s\\n' "$1" "$2" "$(date +%s)" "$3" >>"$journal"; }}
state() {{
  [ -e "$journal" ] && awk -F '\\t' -v p="$1" -v u="$2" '$1 == p && $2 == u {{ s = $4 }} END {{ print s }}' "$journal"
}}
put() {{ kubectl patch pod -n {namespace} "$1" --subresource resize --patch "$2" </dev/null; }}
"""


_AMOUNTS = """\
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
"""
"""Sizes of a line of `look` in cores and bytes, however they are written."""
_WAIT = f"""\
in_force() {{
  polls=0
  why="the kubelet reported nothing for too long"
  while [ "$polls" -lt {_POLLS} ]; do
    polls=$((polls + 1))
    sleep {_SECONDS}
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
}}
"""
_VERSION = f"""\
minor=$(kubectl version -o json | tr -d ' \\n' | sed -n 's/.*"serverVersion":{{[^}}]*"minor":"\\([0-9]*\\).*/\\1/p')
if [ "${{minor:-0}}" -lt {FIRST_KUBERNETES} ]; then
  echo "resizing a running pod needs Kubernetes 1.{FIRST_KUBERNETES} or later" >&2
  exit 1
fi
"""


def _resize_script(canary: Canary) -> str:
    about = (
        f"Tries new sizes of {canary.container} on {_pods(canary.count)} of "
        f"{canary.namespace}/{canary.workload}, without a restart.\n"
        f"way-back.sh takes them back; {JOURNAL} notes what was done. Run again, it goes on where it "
        "stopped."
    )
    loop = f"""\
wanted={canary.count}
done=0
for pod in \\
  {_names(canary)}
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
"""
    return "\n".join(
        [
            "#!/bin/sh", *remark(about), _start(canary) + _AMOUNTS + _WAIT + _VERSION,
            f"known={word(_amounts(canary.before))}",
            f"before={word(resize_patch(canary, canary.back))}",
            f"after={word(resize_patch(canary, canary.after))}", loop,
        ]
    )  # fmt: skip


def _pods(count: int) -> str:
    return "one running pod" if count == 1 else f"{count} running pods"


def _names(canary: Canary) -> str:
    return " \\\n  ".join(word(name) for name in canary.pods)


def _amounts(sizes: Sizes) -> str:
    """As the script's `amounts` writes them."""
    values = [sizes.cpu_request, sizes.memory_request, sizes.cpu_limit, sizes.memory_limit]
    return "/".join("-" if value is None else f"{value:.3f}" for value in values)


def _back_script(canary: Canary) -> str:
    about = f"The sizes of {canary.container} as they were, on every pod that resize.sh changed."
    loop = f"""\
[ -e "$journal" ] || {{ echo "nothing was resized"; exit 0; }}
failed=0
noted() {{ awk -F '\\t' -v p="$1" '$1 == p {{ n = 1 }} END {{ exit !n }}' "$journal"; }}
for pod in \\
  {_names(canary)}
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
  if put "$pod" {word(resize_patch(canary, canary.back))}; then
    note "$pod" "$uid" back
  else
    echo "failed: $pod" >&2
    failed=$((failed + 1))
  fi
done
[ "$failed" -eq 0 ]
"""
    return "\n".join(["#!/bin/sh", *remark(about), _start(canary), loop])


def _page(canary: Canary) -> str:
    pods = "|".join(promql_pattern(name) for name in canary.pods)
    here = (
        f'namespace={promql_string(canary.namespace)},pod=~"{pods}",'
        f"container={promql_string(canary.container)}"
    )
    family = "kube_pod_init_container" if canary.native else "kube_pod_container"
    resources: tuple[Resource, ...] = ("cpu", "memory")
    changes = [
        f"- {resource}: request {_shown(resource, getattr(canary.before, f'{resource}_request'))} to "
        f"{_shown(resource, getattr(canary.after, f'{resource}_request'))}, limit "
        f"{_shown(resource, getattr(canary.before, f'{resource}_limit'))} to "
        f"{_shown(resource, getattr(canary.after, f'{resource}_limit'))}"
        for resource in resources
    ]
    lines = [
        f"# Canary: {canary.count} of {canary.siblings} pods of {canary.namespace}/{canary.workload}",
        "", *changes, "",
        "What an in-place resize does not do: it changes no QoS class, and a pod made anew takes its "
        "template's sizes again. A changed mesh default reaches a pod only when it is made anew.",
        *(f"Here, {one}." for one in canary.said), "",
        "`resize.sh` needs kubectl 1.32 or later, on the cluster's context. It counts a pod as resized "
        "when the kubelet says that the sizes are in force, and takes back a resize that is deferred, "
        "infeasible or still in progress after two minutes.", "",
        "```sh", "sh resize.sh", "```", "",
        "Watch, and run `sh way-back.sh` at once where one of these shows a value:", "",
        "```promql",
        f"increase({family}_status_restarts_total{{{here}}}[1h]) > 0",
        f"rate(container_cpu_cfs_throttled_periods_total{{{here}}}[5m]) "
        f"/ rate(container_cpu_cfs_periods_total{{{here}}}[5m]) > 0.05",
        f"container_memory_working_set_bytes{{{here}}} > 0.9 * on (namespace, pod) group_left () "
        f'max by (namespace, pod) ({family}_resource_limits{{{here},resource="memory"}})',
        "```", "", "After a day:", "", "```sh",
        command("rightsize", "canary", "verify", "FOLDER", "--prometheus-url", "URL"), "```", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _shown(resource: Resource, size: float | None) -> str:
    if size is None:
        return "not set"
    return format_cpu(size) if resource == "cpu" else format_memory(size)
