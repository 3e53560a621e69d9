"""Which mesh a server speaks of, so that a folder holds one mesh and not two.

A folder remembers the matchers and the uid of the namespace kube-system. Where no metric has that
uid, the machines of a day that is there already are compared with those the server has for it: two
port-forwards one after the other lead to two clusters at the same address.
"""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from rightsize.collectors.prometheus.labels import node_of
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
_VALUE = re.compile(r'[^=!~]+=\s*"?([^"~][^"]*)"?')


def mesh_identity(source: Source, at: int) -> dict[str, str]:
    """What distinguishes this mesh from others: `kube_system_uid`, where a metric has it."""
    uids = {labels.get("uid", "") for labels in source.instant(_UID, at).labels} - {""}
    return {"kube_system_uid": uids.pop()} if len(uids) == 1 else {}


def folder_name(label: str | None, settings: PrometheusSettings) -> str:
    """Name of the cluster by its label, else by the values of the matchers, else `cluster`."""
    values = [match.group(1) for text in settings.matchers if (match := _VALUE.fullmatch(text))]
    name = label if label is not None else "-".join(values)
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or _NO_NAME


def cluster_of(folder: Path | None, name: str) -> str:
    """The name that the folder knows its cluster by, where it was none."""
    try:
        there = Snapshot(folder).manifest if folder is not None else None
    except SnapshotError:
        return name
    return _NO_NAME if there is not None and there.cluster == _NO_NAME else name


def refuse_other_machines(folder: Path, manifest: Manifest, source: Source) -> None:
    """Raise if no machine of the newest day in the folder is one that the server has for that day.

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
            raise SnapshotError(
                f"{folder}: holds another cluster: none of its {len(there)} nodes of {day} "
                f"({min(there)}, …) is among the {len(here)} that the server has for that day "
                f"({min(here)}, …)",
                hint="give another folder with --out, or check which cluster the address leads to",
            )
        return


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
