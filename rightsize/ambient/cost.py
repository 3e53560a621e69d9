"""What ambient mode costs against the sidecars after right-sizing, through the node planner."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from rightsize.ambient.figures import PAYLOAD, Figure, Part
from rightsize.ambient.rates import Rates, by_node
from rightsize.ambient.waypoints import Need, WaypointNeed
from rightsize.config import NodeSettings
from rightsize.nodes.plan import NodeSet
from rightsize.nodes.plans import plan_same_type
from rightsize.prices.node_kinds import runs_daemonsets
from rightsize.prices.unit_price import UnitPrice
from rightsize.results import Interval
from rightsize.simulate.simulate import AMBIENT_HEADROOM

End = Literal["low", "mid", "high"]
ENDS: tuple[End, ...] = ("low", "mid", "high")
"""Of what ambient mode costs: the low end has the cheapest figures and the fewest waypoints."""
_WAYPOINTS: Mapping[End, tuple[Need, ...]] = {
    "low": ("objects", "traffic"),
    "mid": ("objects", "traffic", "telemetry"),
    "high": ("objects", "traffic", "telemetry", "unknown"),
}
_WAYPOINT_PODS = 2
"""Pods of each waypoint, so that one may be lost."""
_LEAST_CPU, _LEAST_MEMORY = 0.01, 32 * 2**20
CNI_CPU, CNI_MEMORY = 0.1, 100 * 2**20
"""Requests that the cni chart ships (manifests/charts/istio-cni/values.yaml, 1.24 to 1.30)."""
_SYSTEM = "istio-system"


@dataclass(frozen=True, slots=True)
class Request:
    """Cores and bytes requested in all."""

    cpu: float
    memory: float

    def times(self, count: float) -> Request:
        return Request(self.cpu * count, self.memory * count)

    def usd(self, price: UnitPrice, hours: float) -> float:
        """Worth at the price of a core and a byte: it ranks, and is no bill."""
        per_hour = self.cpu * price.usd_per_core_hour + self.memory * price.usd_per_byte_hour
        return per_hour * hours


@dataclass(frozen=True, eq=False)
class AmbientPlanner:
    """The mesh with some namespaces in ambient mode, as pods that nodes must hold."""

    pods: pd.DataFrame
    """As `scheduled_pods` gives with the end state's requests, and `own_cpu`, `own_memory`: what the
    pod's sidecar requests, NaN without one."""
    nodes: pd.DataFrame
    catalogue: pd.DataFrame
    settings: NodeSettings
    rates: Rates
    needs: Mapping[str, WaypointNeed]
    figures: Mapping[Part, Figure]
    istiod_memory: Interval
    """Bytes of istiod for one connected proxy."""
    has: frozenset[str]
    """Components of the mesh that run already."""

    def node_set(self, who: Collection[str], end: End) -> NodeSet | None:
        """Nodes with these namespaces in ambient mode; None where no plan can be made."""
        pods = self.pods_with(who, end).drop(columns=["own_cpu", "own_memory"])
        plan = plan_same_type(pods, self.catalogue, self.settings, self.nodes)
        if plan.promised is not None:
            return plan.promised
        return None if plan.packed is None else plan.packed.node_set

    def sidecars(self, namespace: str) -> tuple[int, Request]:
        """Sidecars of a namespace, and what they request in the end state."""
        own = self.pods[self.pods["namespace"].eq(namespace) & self.pods["own_cpu"].notna()]
        return len(own), Request(float(own["own_cpu"].sum()), float(own["own_memory"].sum()))

    def waypoint(self, namespace: str, end: End) -> Request | None:
        """What one pod of a namespace's waypoint requests; None where it needs none."""
        need = self.needs.get(namespace)
        if need is None or need.need not in _WAYPOINTS[end]:
            return None
        rate = need.requests_per_second
        price = self._cpu("waypoint", end, self.rates.busy_bytes(namespace), rate)
        memory = float(getattr(self.figures["waypoint"].memory, end))
        return _request(rate * price / _WAYPOINT_PODS, memory)

    def ztunnel(self, who: Collection[str], end: End) -> Request:
        """What the ztunnel of every node requests: sized for the node with most traffic.

        A DaemonSet has one size.
        """
        there = self.pods[self.pods["namespace"].isin(list(who)) & self.pods["own_cpu"].notna()]
        rates = by_node(self.rates.through, there)
        busiest = float(rates.max()) if len(rates) else 0.0
        moved = sum(self.rates.busy_bytes(name) for name in who)
        called = sum(self.rates.busy_into(name) for name in who)
        price = self._cpu("ztunnel", end, moved, called)
        return _request(busiest * price, float(getattr(self.figures["ztunnel"].memory, end)))

    def per_node(self, who: Collection[str]) -> pd.Series:
        """Requests a second through the ztunnel of each node."""
        there = self.pods[self.pods["namespace"].isin(list(who)) & self.pods["own_cpu"].notna()]
        return by_node(self.rates.through, there)

    def pods_with(self, who: Collection[str], end: End) -> pd.DataFrame:
        """The pods of the mesh with these namespaces in ambient mode."""
        if not who:
            return self.pods
        joins = self.pods["namespace"].isin(list(who)) & self.pods["own_cpu"].notna()
        changed = self.pods.assign(
            cpu=(self.pods["cpu"] - self.pods["own_cpu"].where(joins, 0.0)).clip(lower=0.0),
            memory=(self.pods["memory"] - self.pods["own_memory"].where(joins, 0.0)).clip(lower=0),
        )
        waypoints = {name: self.waypoint(name, end) for name in sorted(who)}
        rows = [
            _pod(name, "waypoint", "Deployment", number, size)
            for name, size in waypoints.items()
            if size is not None
            for number in range(_WAYPOINT_PODS)
        ]
        if "ztunnel" not in self.has:
            rows.append(_pod(_SYSTEM, "ztunnel", "DaemonSet", 0, self.ztunnel(who, end)))
        if "istio-cni" not in self.has:
            size = Request(CNI_CPU, CNI_MEMORY)
            rows.append(_pod(_SYSTEM, "istio-cni-node", "DaemonSet", 0, size))
        proxies = int(joins.sum()) - len(rows) - int(runs_daemonsets(self.nodes).sum())
        changed = self._smaller_istiod(changed, proxies, end)
        return pd.concat([changed, pd.DataFrame(rows)], ignore_index=True)

    def _smaller_istiod(self, pods: pd.DataFrame, fewer: int, end: End) -> pd.DataFrame:
        """istiod with fewer clients; it never grows here, and keeps a quarter of its request."""
        istiod = pods["istiod"].eq(True)
        count = int(istiod.sum())
        other: Mapping[End, float] = {
            "low": self.istiod_memory.high,
            "mid": self.istiod_memory.mid,
            "high": self.istiod_memory.low,
        }
        saved = max(fewer, 0) * other[end] / max(count, 1)
        memory = (pods["memory"] - saved).clip(lower=pods["memory"] / 4)
        return pods.assign(memory=pods["memory"].where(~istiod, memory))

    def _cpu(self, part: Part, end: End, moved: float, requests: float) -> float:
        """Cores for one request a second; the high end grows with bytes beyond the payload."""
        figure = self.figures[part]
        price = float(getattr(figure.cpu, end))
        if end == "high" and not figure.measured and requests > 0:
            price *= max(1.0, moved / requests / PAYLOAD)
        return price


def _request(cpu: float, memory: float) -> Request:
    return Request(
        max(cpu * AMBIENT_HEADROOM, _LEAST_CPU), max(memory * AMBIENT_HEADROOM, _LEAST_MEMORY)
    )


def _pod(namespace: str, name: str, kind: str, number: int, size: Request) -> dict[str, object]:
    return {
        "namespace": namespace,
        "workload": name,
        "workload_kind": kind,
        "pod": f"{name}-{number}",
        "cpu": size.cpu,
        "memory": size.memory,
        "unset": 0,
        "daemonset": kind == "DaemonSet",
        "own_cpu": np.nan,
        "own_memory": np.nan,
        "istiod": False,
    }


@dataclass(frozen=True, slots=True)
class NodeChange:
    """Against sidecars after right-sizing: nodes and USD a month saved, negative where it costs."""

    nodes: Interval
    usd: Interval | None
    """None where a price is unknown."""


@dataclass(frozen=True, slots=True)
class NamespaceCost:
    """One namespace in ambient mode, its share of ztunnels included.

    `usd` is what its requests are worth at the price of a core and a byte.
    """

    namespace: str
    sidecars: int
    before: Request
    after: Mapping[End, Request]
    usd: Interval
    alone: NodeChange | None
    """It alone in ambient mode, with the ztunnels of all nodes, by the node planner; None where not
    planned."""
    break_even: BreakEven


@dataclass(frozen=True, slots=True)
class BreakEven:
    """Requests a second into the namespace at which both modes are worth the same.

    `cheaper` says where ambient mode is cheaper: at every rate, below `rate`, above it, or nowhere.
    """

    cheaper: Literal["always", "below", "above", "never"]
    rate: Interval | None


def namespace_cost(
    planner: AmbientPlanner, namespace: str, price: UnitPrice, hours: float, nodes: int
) -> NamespaceCost:
    """One namespace by the price of cores and bytes, with its share of the nodes' ztunnels."""
    count, before = planner.sidecars(namespace)
    all_sidecars = float(planner.pods["own_cpu"].notna().sum())
    share = nodes * count / max(all_sidecars, 1.0)
    after: dict[End, Request] = {}
    for end in ENDS:
        fixed = planner.ztunnel((), end).times(share)
        tunnel = _tunnel_cpu(planner, namespace, end)
        pod = planner.waypoint(namespace, end)
        way = Request(0.0, 0.0) if pod is None else pod.times(_WAYPOINT_PODS)
        cni = Request(0, 0) if "istio-cni" in planner.has else Request(CNI_CPU, CNI_MEMORY)
        cni = cni.times(share)
        after[end] = Request(
            max(fixed.cpu, tunnel) + way.cpu + cni.cpu, fixed.memory + way.memory + cni.memory
        )
    saved = sorted(before.usd(price, hours) - after[end].usd(price, hours) for end in ENDS)
    mid = before.usd(price, hours) - after["mid"].usd(price, hours)
    return NamespaceCost(
        namespace,
        count,
        before,
        after,
        Interval(min(saved[0], mid), mid, max(saved[2], mid)),
        None,
        break_even(planner, namespace, price, hours, before, after),
    )


def _tunnel_cpu(planner: AmbientPlanner, namespace: str, end: End) -> float:
    """Cores of ztunnels for a namespace: each call crosses the caller's and the called node's."""
    through = planner.rates.through
    mine = through.loc[:, through.columns.get_level_values(0) == namespace]
    rate = float(mine.sum(axis=1).quantile(0.99)) if mine.size else 0.0
    return rate * float(getattr(planner.figures["ztunnel"].cpu, end)) * AMBIENT_HEADROOM


def break_even(
    planner: AmbientPlanner,
    namespace: str,
    price: UnitPrice,
    hours: float,
    before: Request,
    after: Mapping[End, Request],
) -> BreakEven:
    """The rate at which the worth of both modes' requests is the same.

    Both are a level plus a price for each request: two sidecars against two ztunnels and, where one
    is needed, a waypoint. The level of the sidecars is what they request above today's traffic.
    """
    need = planner.needs.get(namespace)
    rate = 0.0 if need is None else need.requests_per_second
    core = price.usd_per_core_hour * hours
    found: list[tuple[float, float]] = []
    for end in ENDS:
        slope = 2 * float(planner.figures["sidecar"].cpu.mid) * core
        level = max(before.usd(price, hours) - slope * rate, 0.0)
        way = planner.waypoint(namespace, end)
        each = 2 * float(getattr(planner.figures["ztunnel"].cpu, end))
        each += 0.0 if way is None else float(getattr(planner.figures["waypoint"].cpu, end))
        other = each * AMBIENT_HEADROOM * core
        base = max(after[end].usd(price, hours) - other * rate, 0.0)
        found.append((level - base, other - slope))
    return _crossing(found)


def _crossing(lines: list[tuple[float, float]]) -> BreakEven:
    """From `(advantage at no traffic, what each request takes of it)` for low, mid and high."""
    advantage, takes = lines[1]
    if advantage >= 0 and takes <= 0:
        return BreakEven("always", None)
    if advantage <= 0 and takes >= 0:
        return BreakEven("never", None)
    rates = sorted(a / t for a, t in lines if t and a / t > 0)
    mid = advantage / takes
    rate = Interval(min(*rates, mid), mid, max(*rates, mid)) if rates else Interval.exactly(mid)
    return BreakEven("below" if takes > 0 else "above", rate)


def node_change(
    planner: AmbientPlanner, who: Collection[str], base: NodeSet, hours: float
) -> NodeChange | None:
    """Nodes and dollars with these namespaces in ambient mode, against `base`."""
    node_sets = [planner.node_set(who, end) for end in ENDS]
    if any(node_set is None for node_set in node_sets):
        return None
    known = [node_set for node_set in node_sets if node_set is not None]
    counts = [float(base.nodes - node_set.nodes) for node_set in known]
    nodes = Interval(min(counts), counts[1], max(counts))
    prices = [node_set.usd_per_hour for node_set in known]
    if base.usd_per_hour is None or any(usd is None for usd in prices):
        return NodeChange(nodes, None)
    saved = [(base.usd_per_hour - (usd or 0.0)) * hours for usd in prices]
    return NodeChange(nodes, Interval(min(saved), saved[1], max(saved)))
