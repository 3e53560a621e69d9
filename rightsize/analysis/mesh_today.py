"""The mesh as it stands at the end of a snapshot, for what-if questions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pandas as pd

from rightsize.analysis.nodes.demand import scheduled_pods
from rightsize.analysis.nodes.plan import Fleet
from rightsize.analysis.nodes.plans import plan_same_type
from rightsize.analysis.nodes.prices import priced_catalogue
from rightsize.analysis.simulate import MeshToday, Scale
from rightsize.config import NodeSettings
from rightsize.errors import NoDataError
from rightsize.snapshot import Snapshot

_KEY = ["namespace", "pod"]


def mesh_today(
    snapshot: Snapshot,
    proxies: pd.DataFrame,
    services: float,
    settings: NodeSettings | None = None,
) -> MeshToday:
    """Read the last day of a snapshot.

    Parameters
    ----------
    snapshot : Snapshot
    proxies : DataFrame
        `clusters` and `memory` of each sidecar, as `proxies_of` gives; may be empty.
    services : float
        `pilot_services`.
    settings : NodeSettings, optional

    Raises
    ------
    NoDataError
        Without sidecars on the last day.
    """
    last = snapshot.days[-1:]
    containers, pods = snapshot.read("containers", days=last), snapshot.read("pods", days=last)
    sidecars = containers[containers["component"] == "sidecar"]
    if sidecars.empty:
        raise NoDataError(
            "no sidecar on the snapshot's last day: there is no mesh to scale",
            hint="collect with kube-state-metrics or object files",
        )
    alive = scheduled_pods(pods, containers, at="busiest")
    meshed = _text(sidecars)[_KEY].drop_duplicates()
    count = len(alive[_KEY].astype(str).merge(meshed, on=_KEY))
    nodes = snapshot.read("nodes", days=last)
    return MeshToday(
        scale=Scale(services, float(max(count, 1)), _rate(snapshot)),
        namespaces=int(sidecars["namespace"].astype(str).nunique()),
        sidecar_cpu=float(sidecars["cpu_request"].fillna(0.0).mean()),
        sidecar_memory=float(sidecars["memory_request"].fillna(0.0).mean()),
        sidecar_memory_used=_used(snapshot, last, sidecars),
        clusters=float(proxies["clusters"].mean()) if len(proxies) else None,
        nodes=float(len(nodes)) if len(nodes) else None,
        node_cpu=_mean(nodes["allocatable_cpu"]),
        node_memory=_mean(nodes["allocatable_memory"]),
        fleet=_planner(snapshot, alive, _text(sidecars), nodes, settings) if len(nodes) else None,
    )


def _planner(
    snapshot: Snapshot,
    alive: pd.DataFrame,
    sidecars: pd.DataFrame,
    nodes: pd.DataFrame,
    settings: NodeSettings | None,
) -> Callable[[float, float, bool], Fleet]:
    """Nodes for today's pods with another data plane."""
    own = sidecars.groupby(_KEY, as_index=False)[["cpu_request", "memory_request"]].sum()
    columns = {"cpu_request": "own_cpu", "memory_request": "own_memory"}
    table = alive.assign(**{name: alive[name].astype(str) for name in _KEY})
    table = table.merge(own.rename(columns=columns), on=_KEY, how="left")
    catalogue, _ = priced_catalogue(snapshot.manifest.region, snapshot.read("prices"))

    def fleet(cpu: float, memory: float, without_sidecars: bool) -> Fleet:
        there = table["own_cpu"].notna()
        taken = 1.0 if without_sidecars else 0.0
        changed = table.assign(
            cpu=table["cpu"] + there * (cpu - taken * table["own_cpu"].fillna(0.0)),
            memory=table["memory"] + there * (memory - taken * table["own_memory"].fillna(0.0)),
        )
        changed["cpu"] = changed["cpu"].clip(lower=0.0)
        changed["memory"] = changed["memory"].clip(lower=0.0)
        plan = plan_same_type(
            changed.drop(columns=list(columns.values())), catalogue, settings, nodes
        )
        if plan.promised is not None:
            return plan.promised
        if plan.packed is not None:
            return plan.packed.fleet
        raise NoDataError(f"no node plan: {plan.reason}", hint="see rightsize nodes")

    return fleet


def _rate(snapshot: Snapshot) -> float:
    """Requests a second in the busiest hour."""
    most = 0.0
    for _, part in snapshot.by_day("traffic", columns=["time", "requests", "protocol"]):
        rows = pd.DataFrame(part.to_pandas())
        http = rows[rows["protocol"].astype(str) != "tcp"]
        if len(http):
            most = max(most, float(http.groupby("time")["requests"].sum().max()))
    return most / 3600


def _used(snapshot: Snapshot, days: list[date], sidecars: pd.DataFrame) -> float:
    usage = snapshot.read("usage", days=days)
    ours = _text(usage).merge(_text(sidecars)[[*_KEY, "container"]].drop_duplicates())
    value = ours["memory"].quantile(0.99)
    return 0.0 if pd.isna(value) else float(value)


def _text(frame: pd.DataFrame) -> pd.DataFrame:
    text = [c for c in frame.columns if isinstance(frame[c].dtype, pd.CategoricalDtype)]
    return frame.astype(dict.fromkeys(text, object))


def _mean(values: pd.Series) -> float | None:
    mean = values.mean()
    return None if pd.isna(mean) else float(mean)
