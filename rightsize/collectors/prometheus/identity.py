"""Which mesh a server speaks of, so that a folder holds one mesh and not two.

A folder remembers the matchers and the uid of the namespace kube-system. Where no metric has that
uid, the machines of a day that is there already are compared with those the server has for it, or,
without kube-state-metrics, the day's pods: two port-forwards one after the other lead to two
clusters at the same address.
"""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from rightsize.collectors.prometheus.labels import PodKey, node_of, pod_key
from rightsize.collectors.prometheus.queries import MESH_CONTAINERS
from rightsize.collectors.prometheus.source import Source
from rightsize.config import PrometheusSettings
from rightsize.errors import SnapshotError
from rightsize.snapshot import Manifest, Snapshot

_NO_NAME = "cluster"
_UID = (
    'group by (uid) (last_over_time({__name__=~"kube_namespace_.+",'
    'namespace="kube-system",uid!="",$M}[$day]))'
)
_MACHINES = (
    "group by (node, exported_node, provider_id) (last_over_time(kube_node_info{$M}[$hour]))"
)
_PODS = (
    "group by (namespace, exported_namespace, pod, exported_pod) (last_over_time("
    f'container_memory_working_set_bytes{{container=~"{MESH_CONTAINERS}",$M}}[$day]))'
)
_SAME_PODS = 0.5
"""Share of a past day's pods that the same cluster still has more of; StatefulSets' pods have the
same names in all clusters."""
_VALUE = re.compile(r'[^=!~]+=\s*"?([^"~][^"]*)"?')


def mesh_identity(source: Source, at: int) -> dict[str, str]:
    """What distinguishes this mesh from others: `kube_system_uid`, where a metric has it."""
    uids = {labels.get("uid", "") for labels in source.instant(_UID, at).labels} - {""}
    return {"kube_system_uid": uids.pop()} if len(uids) == 1 else {}


def folder_name(label: str | None, settings: PrometheusSettings, context: str | None = None) -> str:
    """Name of the cluster: its label, else the matchers' values, else its context, else `cluster`."""
    values = [match.group(1) for text in settings.matchers if (match := _VALUE.fullmatch(text))]
    name = label if label is not None else "-".join(values) or context or ""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or _NO_NAME


def cluster_of(folder: Path | None, name: str) -> str:
    """The name that the folder knows its cluster by, where it was none."""
    try:
        there = Snapshot(folder).manifest if folder is not None else None
    except SnapshotError:
        return name
    return _NO_NAME if there is not None and there.cluster == _NO_NAME else name


def refuse_other_machines(folder: Path, manifest: Manifest, source: Source) -> None:
    """Raise if the newest day in the folder has other machines, or pods, than the server has for it.

    Raises
    ------
    SnapshotError
        If the folder holds another cluster.
    """
    for day in sorted(manifest.days, reverse=True):
        there = _known_machines(folder, day)
        if not there:
            continue
        found = source.instant(_MACHINES, int(manifest.days[day].end.timestamp()))
        here = {_machine(one.get("provider_id"), node_of(one)) for one in found.labels} - {""}
        if here and not here & there:
            raise _another_cluster(
                folder,
                f"none of its {len(there)} nodes of {day} ({min(there)}, …) is among the {len(here)} "
                f"that the server has for that day ({min(here)}, …)",
            )
        if here:
            return
    _refuse_other_pods(folder, manifest, source)


def _refuse_other_pods(folder: Path, manifest: Manifest, source: Source) -> None:
    for day in sorted(manifest.days, reverse=True):
        there = _known_pods(folder, day)
        if not there:
            continue
        found = source.instant(_PODS, int(manifest.days[day].end.timestamp()))
        here = {pod_key(labels) for labels in found.labels}
        if here and len(here & there) <= _SAME_PODS * min(len(here), len(there)):
            raise _another_cluster(
                folder,
                f"of its {len(there)} pods with a proxy on {day} the server has "
                f"{len(here & there)}, and {len(here - there)} others",
            )
        return


def _another_cluster(folder: Path, why: str) -> SnapshotError:
    return SnapshotError(
        f"{folder}: holds another cluster: {why}",
        hint="give another folder with --out, or check which cluster the address leads to",
    )


def _known_pods(folder: Path, day: date) -> set[PodKey]:
    try:
        columns = ["namespace", "pod", "component"]
        rows = Snapshot(folder).read("containers", days=[day], columns=columns)
    except SnapshotError:
        return set()
    mesh = rows[rows["component"].notna()].astype(str)
    return set(zip(mesh["namespace"], mesh["pod"], strict=True))


def _known_machines(folder: Path, day: date) -> set[str]:
    try:
        nodes = Snapshot(folder).read("nodes", days=[day], columns=["node", "provider_id"])
    except SnapshotError:
        # Damage is for the collect to repair.
        return set()
    known = nodes.astype(object).where(nodes.notna(), "")
    machines = zip(known["provider_id"], known["node"], strict=True)
    return {_machine(provider_id, node) for provider_id, node in machines} - {""}


def _machine(provider_id: str | None, node: str) -> str:
    return provider_id or node
