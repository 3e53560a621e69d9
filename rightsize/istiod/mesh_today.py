"""The mesh as it stands at the end of a snapshot, for what-if questions."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import date

import pandas as pd

from rightsize.config import NodeSettings
from rightsize.errors import NoDataError
from rightsize.nodes.demand import scheduled_pods
from rightsize.nodes.plan import NodeSet
from rightsize.nodes.plans import plan_same_type
from rightsize.prices.book import snapshot_book
from rightsize.prices.node_kinds import PACKED, kinds_of, runs_daemonsets
from rightsize.prices.shapes import catalogue_of
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import windows_of_containers

_KEY = ["namespace", "pod"]


@dataclass(frozen=True, slots=True)
class Scale:
    """The mesh asked about: services, pods in the mesh, and requests a second of the busiest hour.

    `waypoint_share` is the share of requests that pass a waypoint (needed for anything of HTTP).
    """

    services: float
    pods: float
    requests_per_second: float
    waypoint_share: float = 1.0


@dataclass(frozen=True)
class MeshToday:
    """What the answer starts from. Sidecar figures are by sidecar; nodes and dollars by cluster.

    `node_set` plans nodes for today's pods with `(cpu, memory)` added to each pod that has a sidecar,
    and with its sidecar's request taken off where asked; None where nodes are not known.
    """

    scale: Scale
    namespaces: int
    """Namespaces with sidecars: each would have a waypoint."""
    sidecar_cpu: float
    """Mean CPU request, cores."""
    sidecar_memory: float
    """Mean memory request, bytes."""
    sidecar_memory_used: float
    """p99 of the 5-minute windows, bytes."""
    clusters: float | None
    """Mean number of active clusters; None where proxies do not report them."""
    nodes: float | None
    node_cpu: float | None
    """Mean allocatable cores of a node."""
    node_memory: float | None
    node_set: Callable[[float, float, bool], NodeSet] | None
    without: Callable[[Collection[tuple[str, str]]], NodeSet] | None = None
    """Plans nodes without the sidecars of some workloads, given as namespace and name."""


def mesh_today(
    snapshot: Snapshot,
    proxies: pd.DataFrame,
    services: float,
    settings: NodeSettings | None = None,
) -> MeshToday:
    """Read the last day of a snapshot.

    Parameters
    ----------
    proxies : DataFrame
        `clusters` and `memory` of each sidecar, as `proxies_of` gives; may be empty.
    services : float
        `pilot_services`.

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
    planner = _planner(snapshot, alive, _text(sidecars), nodes, settings) if len(nodes) else None
    count_of_nodes = float(runs_daemonsets(nodes).sum())
    bought = nodes[kinds_of(nodes).isin(PACKED)]
    return MeshToday(
        scale=Scale(services, float(max(count, 1)), _rate(snapshot)),
        namespaces=int(sidecars["namespace"].astype(str).nunique()),
        sidecar_cpu=float(sidecars["cpu_request"].fillna(0.0).mean()),
        sidecar_memory=float(sidecars["memory_request"].fillna(0.0).mean()),
        sidecar_memory_used=_used(snapshot, last, sidecars),
        clusters=float(proxies["clusters"].mean()) if len(proxies) else None,
        nodes=count_of_nodes if len(nodes) else None,
        node_cpu=_mean(bought["allocatable_cpu"]),
        node_memory=_mean(bought["allocatable_memory"]),
        node_set=None if planner is None else planner.node_set,
        without=None if planner is None else planner.without,
    )


def _planner(
    snapshot: Snapshot,
    alive: pd.DataFrame,
    sidecars: pd.DataFrame,
    nodes: pd.DataFrame,
    settings: NodeSettings | None,
) -> _Planner:
    own = sidecars.groupby(_KEY, as_index=False)[["cpu_request", "memory_request"]].sum()
    columns = {"cpu_request": "own_cpu", "memory_request": "own_memory"}
    table = alive.assign(**{name: alive[name].astype(str) for name in _KEY})
    table = table.merge(own.rename(columns=columns), on=_KEY, how="left")
    catalogue, _ = catalogue_of(snapshot_book(snapshot, snapshot.manifest.region))
    return _Planner(table, nodes, catalogue, settings)


@dataclass(frozen=True, eq=False)
class _Planner:
    """Nodes for today's pods with another data plane."""

    pods: pd.DataFrame
    """As `scheduled_pods` gives, with `own_cpu` and `own_memory`: what the sidecar requests."""
    nodes: pd.DataFrame
    catalogue: pd.DataFrame
    settings: NodeSettings | None
    known: dict[tuple[float, float, bool], NodeSet] = field(default_factory=dict)
    """What was planned: one that shrinks nothing is today's, which most ask for first."""

    def node_set(self, cpu: float, memory: float, without_sidecars: bool) -> NodeSet:
        """With so much added to each pod with a sidecar; its own requests are taken off or not."""
        asked = (cpu, memory, without_sidecars)
        if asked not in self.known:
            there = self.pods["own_cpu"].notna()
            taken = there if without_sidecars else there & False
            self.known[asked] = self._plan(there, cpu, memory, taken=taken)
        return self.known[asked]

    def without(self, workloads: Collection[tuple[str, str]]) -> NodeSet:
        """Without the sidecars of these workloads, as namespace and name."""
        names = self.pods["workload"].astype(object).fillna(self.pods["pod"]).astype(str)
        named = pd.Series(
            [pair in workloads for pair in zip(self.pods["namespace"], names, strict=True)],
            index=self.pods.index,
        )
        return self._plan(named, 0.0, 0.0, taken=named)

    def _plan(self, there: pd.Series, cpu: float, memory: float, *, taken: pd.Series) -> NodeSet:
        pods = self.pods
        changed = pods.assign(
            cpu=(pods["cpu"] + there * cpu - taken * pods["own_cpu"].fillna(0.0)).clip(lower=0.0),
            memory=(pods["memory"] + there * memory - taken * pods["own_memory"].fillna(0.0)).clip(
                lower=0.0
            ),
        )
        plan = plan_same_type(
            changed.drop(columns=["own_cpu", "own_memory"]),
            self.catalogue,
            self.settings,
            self.nodes,
        )
        if plan.promised is not None:
            return plan.promised
        if plan.packed is not None:
            return plan.packed.node_set
        raise NoDataError(f"no node plan: {plan.reason}", hint="see rightsize nodes")


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
    names = _text(sidecars)[[*_KEY, "container"]].drop_duplicates(ignore_index=True)
    memory = [
        rows["memory"]
        for _, rows in windows_of_containers(snapshot, names, days=days, columns=["memory"])
    ]
    value = pd.concat([pd.Series(dtype=float), *memory]).quantile(0.99)
    return 0.0 if pd.isna(value) else float(value)


def _text(frame: pd.DataFrame) -> pd.DataFrame:
    text = [c for c in frame.columns if isinstance(frame[c].dtype, pd.CategoricalDtype)]
    return frame.astype(dict.fromkeys(text, object))


def _mean(values: pd.Series) -> float | None:
    mean = values.mean()
    return None if pd.isna(mean) else float(mean)
