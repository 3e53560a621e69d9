"""A size tried on running pods first: resized in place, watched, and taken back.

Kubernetes resizes a container of a running pod through the pod's `resize` subresource (1.33, beta and
on; 1.35, generally available), a native sidecar too, and does not restart it unless its
`resizePolicy` says so. kubernetes.io, "Resize CPU and Memory Resources assigned to Containers".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from rightsize.border import command, promql_pattern, promql_string, remark, word
from rightsize.errors import NoDataError, UsageError
from rightsize.quantity import format_cpu, format_memory
from rightsize.results import Advice, Recommendation, Resource, Sizes
from rightsize.sizing.pod_rules import qos_class
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import newest_rows

FIRST_KUBERNETES = 33
"""Minor release of Kubernetes 1 whose `resize` subresource is on."""
RESIZED = "resized.tsv"
_SIZES = ["cpu_request", "memory_request", "cpu_limit", "memory_limit"]


@dataclass(frozen=True)
class Canary:
    """One workload's proxies, some of which are resized."""

    namespace: str
    workload: str
    container: str
    native: bool
    pods: tuple[str, ...]
    """Candidates, running at the end of the snapshot."""
    count: int
    before: Sizes
    after: Sizes
    said: tuple[str, ...]
    """What an in-place resize cannot do here."""


def plan_canary(
    snapshot: Snapshot, advice: Advice, workload: str, *, count: int = 1, end: bool = False
) -> Canary:
    """Choose the pods of a workload and the size that they try.

    Parameters
    ----------
    snapshot : Snapshot
    advice : Advice
    workload : str
        `namespace/name`.
    count : int
        Pods to resize; at least one sibling stays as it is.
    end : bool
        The end state rather than this step.

    Raises
    ------
    UsageError
        If `workload` is no name, or the pods' QoS class would change: Kubernetes refuses that.
    NoDataError
        If the workload is not there, nothing changes for it, or it has no sibling to compare with.
    """
    row = _row_of(advice, workload)
    after = _target(row) if end else row.recommended
    before = row.current
    if before.unknown:
        raise NoDataError(
            f"sizes of {workload} are not all known: a way back cannot be written",
            hint="give --objects to rightsize collect, or allow kube_pod_container_resource_limits",
        )
    after, said = _resizable(before, after)
    if after == before:
        raise NoDataError(f"nothing would be resized for {workload}", hint=row.reason)
    pods = _running(snapshot, row)
    if len(pods) < 2:
        raise NoDataError(
            f"{workload} has {len(pods)} running pods: a canary needs a sibling beside it",
            hint="roll the change out in a quiet hour instead, and use rightsize verify",
        )
    _refuse_qos(snapshot, row, pods[0], after)
    return Canary(
        str(row.namespace), str(row.workload), row.container, row.native, pods,
        min(count, len(pods) - 1), before, after, said,
    )  # fmt: skip


def _row_of(advice: Advice, workload: str) -> Recommendation:
    namespace, slash, name = workload.partition("/")
    if not slash or not name:
        raise UsageError(f"{workload!r} is no workload", hint="write it as NAMESPACE/NAME")
    rows = [
        row
        for row in advice.recommendations
        if (row.namespace, row.workload) == (namespace, name) and row.running
    ]
    if not rows:
        raise NoDataError(
            f"the snapshot has no running mesh container of {workload}",
            hint="rightsize recommend --all lists every workload",
        )
    return rows[0]


def _target(row: Recommendation) -> Sizes:
    return Sizes(
        row.cpu.target_request, row.cpu.target_limit,
        row.memory.target_request, row.memory.target_limit,
    )  # fmt: skip


def _resizable(before: Sizes, after: Sizes) -> tuple[Sizes, tuple[str, ...]]:
    """The sizes that a running container can take, and what it cannot."""
    said = []
    limit = after.memory_limit
    if before.memory_limit is not None and limit is not None and limit < before.memory_limit:
        said.append(
            f"the memory limit stays {format_memory(before.memory_limit)}: lowering it in place is "
            "not sure to succeed, and kills the container where it uses more"
        )
        limit = before.memory_limit
    values = {name: getattr(after, name) for name in _SIZES} | {"memory_limit": limit}
    for name in _SIZES:
        # A resize can neither add nor remove a size that was set when the pod was made.
        if getattr(before, name) is None:
            values[name] = None
    return Sizes(**values), tuple(said)


def _running(snapshot: Snapshot, row: Recommendation) -> tuple[str, ...]:
    pods = newest_rows(snapshot, "pods")
    mine = pods[(pods["namespace"] == row.namespace) & (pods["workload"] == row.workload)]
    alive = mine[mine["ended"].isna() & (mine["last_seen"] >= pods["last_seen"].max())]
    return tuple(sorted(alive["pod"].astype(str)))


def _refuse_qos(snapshot: Snapshot, row: Recommendation, pod: str, after: Sizes) -> None:
    containers = newest_rows(snapshot, "containers")
    mine = containers[(containers["namespace"] == row.namespace) & (containers["pod"] == pod)]
    sizes = mine[_SIZES].to_numpy(dtype=float)
    wanted = sizes.copy()
    new = [getattr(after, name) for name in _SIZES]
    wanted[(mine["container"] == row.container).to_numpy()] = [
        float("nan") if size is None else size for size in new
    ]
    classes = qos_class(sizes), qos_class(wanted)
    if classes[0] != classes[1]:
        raise UsageError(
            f"the pods would move from QoS class {classes[0]} to {classes[1]}: Kubernetes refuses "
            "such a resize",
            hint="this change needs new pods: rightsize plan",
        )


def canary_files(canary: Canary) -> Mapping[str, str]:
    """The folder: `resize.sh`, `way-back.sh`, `README.md` and `canary.json`."""
    return {
        "resize.sh": _resize_script(canary),
        "way-back.sh": _back_script(canary),
        "README.md": _page(canary),
        "canary.json": json.dumps(as_json(canary), indent=2, sort_keys=True) + "\n",
    }


def as_json(canary: Canary) -> dict[str, object]:
    """What `rightsize canary-verify` needs to know."""
    return {
        "schema_version": 1,
        "namespace": canary.namespace,
        "workload": canary.workload,
        "container": canary.container,
        "native": canary.native,
        "before": {name: getattr(canary.before, name) for name in _SIZES},
        "after": {name: getattr(canary.after, name) for name in _SIZES},
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


_START = """\
set -u
here=$(dirname "$0")
"""
_VERSION = f"""\
minor=$(kubectl version -o json | tr -d ' \\n' | sed -n 's/.*"serverVersion":{{[^}}]*"minor":"\\([0-9]*\\).*/\\1/p')
if [ "${{minor:-0}}" -lt {FIRST_KUBERNETES} ]; then
  echo "resizing a running pod needs Kubernetes 1.{FIRST_KUBERNETES} or later" >&2
  exit 1
fi
"""


def _resize_script(canary: Canary) -> str:
    namespace, patch = word(canary.namespace), word(resize_patch(canary, canary.after))
    about = (
        f"Tries new sizes of {canary.container} on {canary.count} running pods of "
        f"{canary.namespace}/{canary.workload}, without a restart.\n"
        f"way-back.sh takes them back; {RESIZED} notes what was done."
    )
    names = " \\\n  ".join(word(name) for name in canary.pods)
    return "\n".join(
        [
            "#!/bin/sh", *remark(about), _START + _VERSION,
            f"wanted={canary.count}", "done=0", f"for pod in \\\n  {names}", "do",
            '  [ "$done" -lt "$wanted" ] || break',
            f'  phase=$(kubectl get pod -n {namespace} "$pod" --ignore-not-found '
            "-o 'jsonpath={.status.phase}')",
            '  if [ "$phase" != Running ]; then',
            '    echo "not running any more, skipped: $pod" >&2',
            f'  elif kubectl patch pod -n {namespace} "$pod" --subresource resize '
            f"--patch {patch}; then",
            f'    printf \'%s\\t%s\\n\' "$pod" "$(date +%s)" >>"$here/{RESIZED}"',
            "    done=$((done + 1))", "  else", '    echo "failed: $pod" >&2', "  fi", "done",
            'echo "$done of $wanted pods resized"', '[ "$done" -eq "$wanted" ]', "",
        ]
    )  # fmt: skip


def _back_script(canary: Canary) -> str:
    namespace, patch = word(canary.namespace), word(resize_patch(canary, canary.before))
    about = f"The sizes of {canary.container} as they were, on every pod that resize.sh changed."
    return "\n".join(
        [
            "#!/bin/sh", *remark(about), _START, "failed=0",
            f'[ -e "$here/{RESIZED}" ] || {{ echo "nothing was resized"; exit 0; }}',
            "while IFS='\t' read -r pod _; do",
            f'  if [ -z "$(kubectl get pod -n {namespace} "$pod" --ignore-not-found -o name '
            '</dev/null)" ]; then',
            '    echo "not there any more, skipped: $pod" >&2',
            f'  elif ! kubectl patch pod -n {namespace} "$pod" --subresource resize '
            f"--patch {patch} </dev/null; then",
            '    echo "failed: $pod" >&2', "    failed=$((failed + 1))", "  fi",
            f'done <"$here/{RESIZED}"', '[ "$failed" -eq 0 ]', "",
        ]
    )  # fmt: skip


def _page(canary: Canary) -> str:
    pods = "|".join(promql_pattern(name) for name in canary.pods)
    here = (
        f'namespace={promql_string(canary.namespace)},pod=~"{pods}",container="{canary.container}"'
    )
    resources: tuple[Resource, ...] = ("cpu", "memory")
    changes = [
        f"- {resource}: request {_shown(resource, getattr(canary.before, f'{resource}_request'))} to "
        f"{_shown(resource, getattr(canary.after, f'{resource}_request'))}, limit "
        f"{_shown(resource, getattr(canary.before, f'{resource}_limit'))} to "
        f"{_shown(resource, getattr(canary.after, f'{resource}_limit'))}"
        for resource in resources
    ]
    lines = [
        f"# Canary: {canary.count} of {len(canary.pods)} pods of {canary.namespace}/{canary.workload}",
        "", *changes, "",
        "What an in-place resize does not do: it changes no QoS class, and a pod made anew takes its "
        "template's sizes again. A changed mesh default reaches a pod only when it is made anew.",
        *(f"Here, {one}." for one in canary.said), "",
        "```sh", "sh resize.sh", "```", "",
        "Watch, and run `sh way-back.sh` at once where one of these shows a value:", "",
        "```promql",
        f"increase(kube_pod_container_status_restarts_total{{{here}}}[1h]) > 0",
        f"rate(container_cpu_cfs_throttled_periods_total{{{here}}}[5m]) "
        f"/ rate(container_cpu_cfs_periods_total{{{here}}}[5m]) > 0.05",
        f"container_memory_working_set_bytes{{{here}}} > 0.9 * on (namespace, pod) "
        f'max by (namespace, pod) (kube_pod_container_resource_limits{{{here},resource="memory"}})',
        "```", "", "After a day:", "", "```sh",
        command("rightsize", "canary-verify", "FOLDER", "--prometheus-url", "URL"), "```", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _shown(resource: Resource, size: float | None) -> str:
    if size is None:
        return "not set"
    return format_cpu(size) if resource == "cpu" else format_memory(size)
