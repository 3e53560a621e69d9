"""A size tried on running pods first: which pods, which sizes, and what an in-place resize cannot do.

Kubernetes resizes a container of a running pod through the pod's `resize` subresource (1.33, beta and
on; 1.35, generally available), a native sidecar too, and does not restart it unless its
`resizePolicy` says so. kubernetes.io, "Resize CPU and Memory Resources assigned to Containers".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from rightsize.errors import NoDataError, UsageError
from rightsize.quantity import format_memory
from rightsize.results import Advice, Component, Recommendation, Sizes
from rightsize.sizing.pod_rules import qos_class
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import newest_rows

FIRST_KUBERNETES = 33
"""Minor release of Kubernetes 1 whose `resize` subresource is on."""
_LOWERS_MEMORY = 34
"""The first whose API server takes a lower memory limit of a container that is not restarted; its
kubelet sets it where the container uses less (kubernetes/enhancements, KEP-1287, "Memory Limit
Decreases")."""
SIZE_NAMES = ("cpu_request", "memory_request", "cpu_limit", "memory_limit")
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
"""A name that Kubernetes has: nothing else becomes part of a script's JSONPath."""
_RELEASE = re.compile(r"v?1\.(\d{1,3})(?!\d)")


@dataclass(frozen=True)
class Canary:
    """One workload's proxies, some of which are resized."""

    namespace: str
    workload: str
    kind: str
    component: Component
    container: str
    native: bool
    pods: tuple[str, ...]
    """Candidates, running at the end of the snapshot on nodes that can resize them."""
    siblings: int
    """Running pods, the candidates included."""
    count: int
    before: Sizes
    after: Sizes
    """What the resize asks for."""
    back: Sizes
    """What the way back asks for: `before`, but for what a running pod cannot go back to."""
    goal: Sizes
    """What the recommendation is, whether a running pod can take it or not."""
    said: tuple[str, ...]
    """What an in-place resize cannot do here."""


def plan_canary(
    snapshot: Snapshot, advice: Advice, workload: str, *, count: int = 1, end: bool = False
) -> Canary:
    """Choose the pods of a workload and the size that they try.

    Parameters
    ----------
    workload : str
        `namespace/name`.
    count : int
        Pods to resize; at least one sibling stays as it is.
    end : bool
        The end state rather than this step.

    Raises
    ------
    UsageError
        If `workload` is no name, no node can resize, or the pods' QoS class would change.
    NoDataError
        If the workload is not there, nothing changes for it, or it has no sibling to compare with.
    """
    row = _row_of(advice, workload)
    goal = _target(row) if end else row.recommended
    if row.current.unknown:
        raise NoDataError(
            f"sizes of {workload} are not all known: a way back cannot be written",
            hint="give --objects to rightsize collect, or allow kube_pod_container_resource_limits",
        )
    pods = _running(snapshot, row)
    if len(pods) < 2:
        raise NoDataError(
            f"{workload} has {'one' if len(pods) else 'no'} running pod: a canary needs a sibling beside it",
            hint="roll the change out in a quiet hour instead, and use rightsize verify",
        )
    able, minor = _able(snapshot, pods)
    after, back, said = _resizable(row.current, goal, minor)
    if after == row.current:
        raise NoDataError(
            f"nothing of {workload} can be resized in place", hint="; ".join(said) or row.reason
        )
    _refuse_qos(snapshot, row, able[0], after)
    if minor is None:
        said += ("the snapshot has no release of the nodes: resize.sh asks the cluster first",)
    return Canary(
        str(row.namespace), str(row.workload), str(row.kind), row.component, row.container,
        row.native, able, len(pods), min(count, len(pods) - 1, len(able)), row.current, after, back,
        goal, said,
    )  # fmt: skip


def kubernetes_minor(snapshot: Snapshot) -> int | None:
    """Minor release of the newest kubelet of the nodes alive at the end; None where it is unknown."""
    known = _minors(newest_rows(snapshot, "nodes"))
    return int(known.max()) if known.notna().any() else None


def _minors(nodes: pd.DataFrame) -> pd.Series:
    """Minor release of each node's kubelet, NaN where it is unknown, by the node's name."""
    alive = nodes[nodes["last_seen"] >= nodes["last_seen"].max()]
    found = [_RELEASE.match(str(text)) for text in alive["kubelet_version"]]
    minors = [float(match[1]) if match else float("nan") for match in found]
    return pd.Series(minors, index=alive["node"].astype(str), dtype=float)


def _row_of(advice: Advice, workload: str) -> Recommendation:
    namespace, slash, name = workload.partition("/")
    if not slash or not name:
        raise UsageError(f"{workload!r} is no workload", hint="write it as NAMESPACE/NAME")
    rows = [
        row
        for row in advice.recommendations
        if row.workload and row.is_called(workload) and row.running
    ]
    if not rows:
        raise NoDataError(
            f"the snapshot has no running mesh container of {workload}",
            hint="rightsize recommend --all lists every workload",
        )
    row = rows[0]
    if any(other.key != row.key for other in rows):
        keys = " or ".join(dict.fromkeys(other.key for other in rows))
        raise UsageError(f"{workload} is the name of several workloads", hint=f"say {keys}")
    if not all(NAME.fullmatch(one) for one in (namespace, str(row.workload), row.container)):
        raise NoDataError(
            f"{workload} or its container has a name that Kubernetes does not have",
            hint="look at what the metrics server was sent",
        )
    return row


def _target(row: Recommendation) -> Sizes:
    return Sizes(
        row.cpu.target_request, row.cpu.target_limit,
        row.memory.target_request, row.memory.target_limit,
    )  # fmt: skip


def _resizable(
    before: Sizes, goal: Sizes, minor: int | None
) -> tuple[Sizes, Sizes, tuple[str, ...]]:
    """The sizes that a running container can take, those it can go back to, and what it cannot."""
    said = []
    after, back = _set_on_both(before, goal), before
    if any((getattr(before, name) is None) != (getattr(goal, name) is None) for name in SIZE_NAMES):
        said.append(
            "a size that is set cannot be removed from a running pod, and none is added, since the "
            "way back would have to remove it"
        )
    limits = before.memory_limit, after.memory_limit
    if limits[0] is not None and limits[1] is not None and limits[0] != limits[1]:
        lower = limits[1] < limits[0]
        if minor is not None and minor >= _LOWERS_MEMORY:
            if lower:
                said.append(
                    "the kubelet lowers the memory limit where the container uses less at that "
                    "moment, and else leaves it: resize.sh then takes the pod back"
                )
        elif lower:
            said.append(
                f"the memory limit stays {format_memory(limits[0])}: Kubernetes 1.{FIRST_KUBERNETES} "
                "does not lower it without a restart. rightsize canary verify holds the working set "
                f"against {format_memory(limits[1])} all the same"
            )
            after = replace(after, memory_limit=limits[0])
        else:
            said.append(
                f"the way back leaves the memory limit at {format_memory(limits[1])}: Kubernetes "
                f"1.{FIRST_KUBERNETES} does not lower it without a restart"
            )
            back = replace(back, memory_limit=limits[1])
    return after, back, tuple(said)


def _set_on_both(before: Sizes, goal: Sizes) -> Sizes:
    """The goal with as many sizes set as today; a limit is never below its request."""
    found: dict[str, float | None] = {}
    for name in SIZE_NAMES:
        size, wanted = getattr(before, name), getattr(goal, name)
        found[name] = None if size is None else size if wanted is None else wanted
    for resource in ("cpu", "memory"):
        request, limit = found[f"{resource}_request"], found[f"{resource}_limit"]
        if request is not None and limit is not None:
            found[f"{resource}_limit"] = max(request, limit)
    return Sizes(
        found["cpu_request"], found["cpu_limit"], found["memory_request"], found["memory_limit"]
    )


def _running(snapshot: Snapshot, row: Recommendation) -> pd.DataFrame:
    """Pods of exactly this workload that ran at the end of the snapshot."""
    pods = newest_rows(snapshot, "pods")
    mine = pods[
        (pods["namespace"] == row.namespace)
        & (pods["workload"] == row.workload)
        & (pods["workload_kind"] == row.kind)
    ]
    alive = mine[mine["ended"].isna() & (mine["last_seen"] >= pods["last_seen"].max())]
    names = alive["pod"].astype(str)
    kept: pd.DataFrame = alive[[bool(NAME.fullmatch(name)) for name in names]].sort_values("pod")
    return kept


def _able(snapshot: Snapshot, pods: pd.DataFrame) -> tuple[tuple[str, ...], int | None]:
    """Pods whose node can resize them, and the lowest known release of their nodes.

    Where a node's release is unknown, `resize.sh` finds out.
    """
    known = _minors(newest_rows(snapshot, "nodes"))
    minors = pods["node"].astype(str).map(known[~known.index.duplicated()]).astype(float)
    able = pods[~(minors < FIRST_KUBERNETES)]
    if able.empty:
        raise UsageError(
            f"its nodes run Kubernetes 1.{minors.max():.0f}: a running pod can be resized from "
            f"1.{FIRST_KUBERNETES} on",
            hint="roll the change out in a quiet hour instead, and use rightsize verify",
        )
    found = minors[able.index]
    return tuple(able["pod"].astype(str)), None if found.isna().any() else int(found.min())


def _refuse_qos(snapshot: Snapshot, row: Recommendation, pod: str, after: Sizes) -> None:
    containers = newest_rows(snapshot, "containers")
    mine = containers[(containers["namespace"] == row.namespace) & (containers["pod"] == pod)]
    names: Sequence[str] = list(SIZE_NAMES)
    sizes = mine[names].to_numpy(dtype=float)
    wanted = sizes.copy()
    new = [getattr(after, name) for name in names]
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
