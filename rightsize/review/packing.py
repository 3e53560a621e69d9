"""How full each node is, now and as planned: shares of what it offers, the mesh's part apart."""

from __future__ import annotations

import pandas as pd

from rightsize.nodes.requests import with_advice
from rightsize.prices.node_kinds import PACKED, kinds_of
from rightsize.results import Advice
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import newest_rows

_COLUMNS = ["cpu_mesh", "cpu_other", "memory_mesh", "memory_other"]
_PODS = ["namespace", "pod"]


def packed_shares(
    snapshot: Snapshot, placement: pd.DataFrame | None, advice: Advice
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the nodes of the last day as they are, and those of a planned placement.

    Nodes that no plan replaces (`rightsize.prices.node_kinds`) are in neither.

    Parameters
    ----------
    placement : DataFrame or None
        `namespace`, `pod`, `node`: where the plan puts each pod. DaemonSet pods, which every node
        runs, are not in it; each planned node gets the mean of today's.
    advice : Advice
        Requests on the planned nodes.

    Returns
    -------
    (DataFrame, DataFrame)
        One row a node, fullest first: `cpu_mesh`, `cpu_other`, `memory_mesh`, `memory_other` as
        shares of allocatable. The second is empty without a placement.
    """
    nodes = newest_rows(snapshot, "nodes")
    nodes = nodes[kinds_of(nodes).isin(PACKED)]
    last = snapshot.days[-1:] if nodes.empty else list(nodes["day"].dt.date.unique())
    pods = snapshot.read("pods", days=last)
    alive = pods[pods["last_seen"] >= pods["last_seen"].max()]
    containers = snapshot.read("containers", days=last)
    now = _by_pod(containers).merge(
        alive[[*_PODS, "node", "workload_kind"]].astype(dict.fromkeys([*_PODS, "node"], object)),
        on=_PODS,
    )
    offers = nodes.astype({"node": object}).set_index("node")
    offers = offers[["allocatable_cpu", "allocatable_memory"]]
    before = _shares(now.groupby("node")[_COLUMNS].sum(), offers)
    if placement is None or placement.empty:
        return before, before.iloc[:0]
    everywhere = now[now["workload_kind"].astype(str) == "DaemonSet"]
    daemons = everywhere.groupby("node")[_COLUMNS].sum().mean()
    # A plan holds the pods of the busiest hour, which need not have lived to the last day.
    changed = _by_pod(
        _newest(with_advice(snapshot.read("containers"), snapshot.read("pods"), advice))
    )
    placed = placement.astype(dict.fromkeys(_PODS, object)).merge(changed, on=_PODS, how="left")
    per_node = placed.groupby("node")[_COLUMNS].sum().add(daemons.fillna(0.0))
    typical = offers.median()
    return before, _shares(per_node, pd.DataFrame([typical] * len(per_node), index=per_node.index))


def _newest(containers: pd.DataFrame) -> pd.DataFrame:
    """Each container of each pod on the last day it was seen."""
    ordered = containers.sort_values("day", kind="stable")
    return ordered.drop_duplicates([*_PODS, "container"], keep="last")


def _by_pod(containers: pd.DataFrame) -> pd.DataFrame:
    """Requests of each pod's containers that keep running, the mesh's and the others'."""
    running = containers[~containers["init"].fillna(False) | containers["native"].fillna(False)]
    mesh = running["component"].notna()
    rows = running[_PODS].astype(object)
    for resource in ("cpu", "memory"):
        request = running[f"{resource}_request"].fillna(0.0)
        rows[f"{resource}_mesh"] = request.where(mesh, 0.0)
        rows[f"{resource}_other"] = request.where(~mesh, 0.0)
    return rows.groupby(_PODS)[_COLUMNS].sum().reset_index()


def _shares(requests: pd.DataFrame, offers: pd.DataFrame) -> pd.DataFrame:
    found = requests.join(offers, how="inner")
    shares = pd.DataFrame(
        {
            column: found[column] / found[f"allocatable_{column.split('_')[0]}"]
            for column in _COLUMNS
        }
    )
    return shares.sort_values(["cpu_mesh", "cpu_other"], ascending=False).reset_index(drop=True)
