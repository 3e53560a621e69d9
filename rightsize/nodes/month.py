"""The month again: how many nodes an autoscaler would have run, hour by hour, from the node set that ran.

The replay starts from the nodes of the first hour with their pods where they were. At the end of
every hour the pods that ended leave, new ones are scheduled in the order of their start, and the
autoscaler acts:

- scale up: a pod without a place gets a node at once, of the type most in use, else of another type
  in use. Cluster Autoscaler looks every 10 s and an EC2 node joins within minutes, both shorter than
  the step;
- Cluster Autoscaler scales down a node of which the larger share of CPU and memory requested, DaemonSets
  included, is below `--scale-down-utilization-threshold` (0.5) and of which the pods fit elsewhere,
  after it was unneeded for 10 minutes (`--scale-down-unneeded-time`) in which none was added. A wait
  shorter than the step takes effect at the next step, so a node goes that was unneeded at the end of
  two hours running (cluster-autoscaler, `simulator/utilization/info.go`, `core/scaledown`);
- Karpenter consolidates (`WhenEmptyOrUnderutilized`, `consolidateAfter` 0s): of the nodes, those with
  the fewest pods first, the longest row of which all pods fit elsewhere goes, at most a tenth of the
  nodes at once (its default disruption budget, rounded up), else the first single one; hour after
  hour until none can go (karpenter, `pkg/controllers/disruption`). Replacing nodes by other types and
  drift are left out.

Each node that joins or leaves is one scaling event, as in an Auto Scaling group's activity
history. The first hour's nodes are there from the start and are no events.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from rightsize.config import NodeSettings
from rightsize.errors import NoDataError
from rightsize.nodes.demand import hours_of
from rightsize.nodes.inventory import read_inventory
from rightsize.nodes.layout import Layout, Unplaced, lay_out
from rightsize.nodes.offers import find_offers
from rightsize.nodes.problem import Flags, Ints
from rightsize.nodes.scheduler import Cluster
from rightsize.nodes.units import to_whole
from rightsize.snapshot.schema import WINDOW_SECONDS

AutoscalerKind = Literal["cluster-autoscaler", "karpenter"]
_DEFAULT_THRESHOLD = 0.5
_MOST_CANDIDATES = 100
"""Nodes that Karpenter considers together (`MaxParallel` of multinodeconsolidation.go)."""
_WINDOW = pd.Timedelta(seconds=WINDOW_SECONDS)


@dataclass(frozen=True)
class Autoscaler:
    """An autoscaler with the settings that decide which nodes go."""

    kind: AutoscalerKind
    threshold: float = _DEFAULT_THRESHOLD
    """Cluster Autoscaler's `--scale-down-utilization-threshold`."""
    ignore_daemonsets: bool = False
    """Cluster Autoscaler's `--ignore-daemonsets-utilization`."""
    budget: float = 0.1
    """Share of the nodes that Karpenter disrupts at once."""

    @property
    def setting(self) -> str:
        """How it is configured, as its own documentation writes it."""
        if self.kind == "karpenter":
            return "consolidationPolicy: WhenEmptyOrUnderutilized, consolidateAfter: 0s"
        ignored = " --ignore-daemonsets-utilization" if self.ignore_daemonsets else ""
        return f"--scale-down-utilization-threshold={self.threshold:g}{ignored}"


TRIED: Mapping[AutoscalerKind, tuple[Autoscaler, ...]] = {
    "cluster-autoscaler": tuple(
        Autoscaler("cluster-autoscaler", threshold)
        for threshold in (0.5, 0.6, 0.65, 0.7, 0.75, 0.8)
    ),
    "karpenter": (Autoscaler("karpenter"),),
}
"""Settings by autoscaler, its default first; later ones take more nodes away."""


def autoscaler_in_use(nodes: pd.DataFrame) -> AutoscalerKind:
    """Karpenter where a node has one of its labels, else Cluster Autoscaler.

    Parameters
    ----------
    nodes : DataFrame
        The snapshot's table `nodes`.
    """
    for text in nodes["labels"].dropna().astype(str).unique():
        if any(name.startswith("karpenter.sh/") for name in json.loads(text)):
            return "karpenter"
    return "cluster-autoscaler"


@dataclass(frozen=True, slots=True)
class EventRange:
    """Nodes that joined or left, over `orders` orders in which an hour's pods arrive."""

    low: int
    median: float
    high: int
    orders: int

    def differs(self, other: EventRange) -> bool:
        """Whether the difference is more than chance: the ranges do not touch."""
        return self.high < other.low or other.high < self.low


@dataclass(frozen=True, eq=False)
class MonthReplay:
    """Nodes over time. `timeline` has `time` (end of the hour), `nodes`, `pods`, `added`,
    `removed`; the first row's nodes were there before."""

    autoscaler: Autoscaler
    instance_type: str
    """The type of the nodes that join."""
    timeline: pd.DataFrame
    unplaced: tuple[Unplaced, ...]

    events: EventRange | None = None
    """Over several orders of arrival; None where one was replayed."""

    @property
    def node_hours(self) -> float:
        return float(self.timeline["nodes"].sum())

    @property
    def peak(self) -> int:
        return int(self.timeline["nodes"].max())

    @property
    def first(self) -> int:
        """Nodes that ran at the start."""
        return int(self.timeline["nodes"].iloc[0])

    @property
    def last(self) -> int:
        """Nodes at the end."""
        return int(self.timeline["nodes"].iloc[-1])

    @property
    def mean(self) -> float:
        return float(self.timeline["nodes"].mean())

    @property
    def scaling_events(self) -> int:
        """Nodes that joined or left."""
        return int(self.timeline[["added", "removed"]].to_numpy().sum())


def replay_month(
    days: pd.DataFrame,
    catalogue: pd.DataFrame,
    nodes: pd.DataFrame,
    settings: NodeSettings | None = None,
    autoscaler: Autoscaler | None = None,
    orders: int = 1,
) -> MonthReplay:
    """Replay the pods of `pod_days` from the node set of their first hour.

    The timeline is that of the pods' own order of start. What joins and leaves depends on the order
    in which pods that start within an hour reach the scheduler, which nobody knows: more `orders`
    give the range of that.

    Parameters
    ----------
    days : DataFrame
        `pod_days`, with today's or the recommended requests.
    catalogue : DataFrame
        As for `plan_nodes`; prices are not needed.
    nodes : DataFrame
        The snapshot's table `nodes`, of one day or of all.
    settings : NodeSettings, optional
        Spread, CNI mode and zones.
    autoscaler : Autoscaler, optional
        Cluster Autoscaler with its defaults without.
    orders : int
        Orders of arrival, the pods' own included.

    Raises
    ------
    NoDataError
        If no node in use has a known type, or no pod ran.
    """
    chosen, scaler = settings or NodeSettings(), autoscaler or Autoscaler("cluster-autoscaler")
    known = nodes[nodes["instance_type"].notna()]
    if days.empty or known.empty:
        raise NoDataError(
            "the replay needs pods and the type of at least one node",
            hint="collect node labels (kube_node_labels) or node objects, or leave --replay out",
        )
    hours = hours_of(days)
    first = _node_set_at(known, hours[0])
    types = first["instance_type"].astype(str).value_counts()
    name = str(types.sort_index(kind="stable").idxmax())
    layout = _lay_out(_lives(days), catalogue, first, chosen)
    timelines = [
        _Running(layout, scaler, first, name, hours, order).timeline() for order in range(orders)
    ]
    events = None if orders == 1 else _event_range(timelines)
    return MonthReplay(scaler, name, timelines[0], layout.unplaced, events)


def _event_range(timelines: Sequence[pd.DataFrame]) -> EventRange:
    counts = [int(one[["added", "removed"]].to_numpy().sum()) for one in timelines]
    return EventRange(min(counts), float(np.median(counts)), max(counts), len(counts))


def _node_set_at(nodes: pd.DataFrame, hour: pd.Timestamp) -> pd.DataFrame:
    """The nodes that were there at the end of an hour, once each; those of the first day else."""
    there = nodes.iloc[:0]
    if "last_seen" in nodes:
        there = nodes[(nodes["first_seen"] - _WINDOW < hour) & (hour <= nodes["last_seen"])]
    if there.empty:
        there = nodes[nodes["day"] == nodes["day"].min()] if "day" in nodes else nodes
    return there.drop_duplicates("node", keep="last").reset_index(drop=True)


def _lives(days: pd.DataFrame) -> pd.DataFrame:
    """One row a pod: from the first day's `first_seen` to the last day's `last_seen`."""
    ordered = days.sort_values("day", kind="stable")
    ends = ordered.groupby(["namespace", "pod"], observed=True).agg(
        start=("first_seen", "min"), ended=("last_seen", "max")
    )
    last = ordered.drop_duplicates(["namespace", "pod"], keep="last")
    lives = last.drop(columns=["first_seen", "last_seen"]).merge(ends, on=["namespace", "pod"])
    lives["start"] = lives["start"] - _WINDOW
    return lives


def _lay_out(
    lives: pd.DataFrame, catalogue: pd.DataFrame, nodes: pd.DataFrame, settings: NodeSettings
) -> Layout:
    inventory = read_inventory(nodes)
    offers = find_offers(catalogue, inventory, settings).table
    own = offers[offers["instance_type"].isin(inventory.types)].drop_duplicates("instance_type")
    if own.empty:
        raise NoDataError("the instance type in use is not in the catalogue")
    free = settings.model_copy(update={"floor_per_zone": 0})
    return lay_out(lives, own, inventory, free)


class _Running:
    """Nodes that come and go. Spare nodes are kept ready, not alive, to be switched on."""

    def __init__(
        self,
        layout: Layout,
        autoscaler: Autoscaler,
        nodes: pd.DataFrame,
        name: str,
        hours: pd.DatetimeIndex,
        order: int = 0,
    ) -> None:
        self._layout, self._autoscaler, self._hours = layout, autoscaler, hours
        pods = layout.pods
        start, ended = pods["start"], pods["ended"]
        self._alive = [((start < hour) & (hour <= ended)).to_numpy(dtype=bool) for hour in hours]
        self._order: Ints = np.lexsort((pods["pod"].astype(str), start.astype("int64")))
        if order:
            drawn = np.random.default_rng(order).permutation(len(pods))
            self._order = np.lexsort((drawn, start.dt.floor("h").astype("int64")))
        self._classes = layout.problem.classes
        offers, zones = self._places(nodes, name)
        problem = replace(layout.problem, fits=layout.open_fits)
        self._cluster = Cluster(problem, layout.owners, offers, zones)
        self._cluster.alive[:] = False
        self._cluster.alive[: len(nodes)] = True
        gross = to_whole(
            layout.offers["cpu"].to_numpy(dtype=float),
            layout.offers["memory"].to_numpy(dtype=float),
        )
        self._gross = np.maximum(gross[offers], 1.0)
        self._where: Ints = np.full(layout.problem.pods, -1, dtype=np.int64)
        self._unneeded: set[int] = set()
        self._settle_where_they_ran(nodes)

    def _places(self, nodes: pd.DataFrame, name: str) -> tuple[Ints, Ints]:
        """Offer and zone of each node: those that ran, then spares, the type most in use first."""
        table, layout = self._layout.offers, self._layout
        zones = {zone: i for i, zone in enumerate(layout.zones)}
        of_type = table.reset_index(drop=True).groupby("instance_type", observed=True).indices
        offers, where = [], []
        for kind, zone in zip(nodes["instance_type"].astype(str), nodes["zone"], strict=True):
            known = str(zone) if isinstance(zone, str) and zone in zones else layout.zones[0]
            own = of_type.get(kind, of_type[name])
            same = [o for o in own if not layout.zoned or table["zone"].iloc[o] == known]
            offers.append(int((same or list(own))[0]))
            where.append(zones[known])
        most = max(int(alive.sum()) for alive in self._alive) + 1
        main = {int(o) for o in of_type[name]}
        kinds = sorted(range(len(table)), key=lambda o: (o not in main, o))
        for number in range(most):
            for o in kinds if number == 0 else sorted(main):
                offers.append(o)
                zone = table["zone"].iloc[o]
                where.append(zones[zone] if layout.zoned else number % len(zones))
        return np.array(offers, dtype=np.int64), np.array(where, dtype=np.int64)

    def _settle_where_they_ran(self, nodes: pd.DataFrame) -> None:
        number = {name: i for i, name in enumerate(nodes["node"].astype(str))}
        for pod in np.flatnonzero(self._alive[0]):
            node = number.get(str(self._layout.pods["node"].iloc[pod]), -1)
            if node >= 0:
                self._cluster.put(int(self._classes[pod]), node)
                self._where[pod] = node

    def timeline(self) -> pd.DataFrame:
        """Nodes, pods and scaling events at the end of each hour."""
        rows = []
        for i, (hour, alive) in enumerate(zip(self._hours, self._alive, strict=True)):
            added = self._settle(alive)
            removed = self._shrink() if i else 0
            if i == 0:
                added = 0
            rows.append((hour, self._nodes, int(alive.sum()), added, removed))
        return pd.DataFrame(rows, columns=["time", "nodes", "pods", "added", "removed"])

    @property
    def _nodes(self) -> int:
        return int(self._cluster.alive.sum())

    def _settle(self, alive: Flags) -> int:
        """Remove ended pods and place new ones; returns how many nodes that took."""
        for pod in np.flatnonzero(~alive & (self._where >= 0)):
            self._cluster.remove(int(self._classes[pod]), int(self._where[pod]))
            self._where[pod] = -1
        before = self._nodes
        for pod in self._order[alive[self._order] & (self._where[self._order] < 0)]:
            self._where[pod] = self._place(int(self._classes[pod]))
        return self._nodes - before

    def _place(self, k: int) -> int:
        """Schedule a pod of class `k`, on a new node if it must be; -1 if even that fails."""
        cluster = self._cluster
        node = cluster.schedule(k)
        if node >= 0:
            return node
        spare = np.flatnonzero(~cluster.alive & cluster.problem.fits[k, cluster.offers])
        places = np.stack([cluster.offers[spare], cluster.zones[spare]])
        _, first = np.unique(places, axis=1, return_index=True)
        for new in spare[np.sort(first)]:
            cluster.alive[new] = True
            node = cluster.schedule(k)
            if node >= 0:
                # Cluster Autoscaler waits 10 minutes after an addition before it takes away.
                self._unneeded.clear()
                return node
            cluster.alive[new] = False
        return -1

    def _shrink(self) -> int:
        """Let the autoscaler take nodes away; returns how many went."""
        if self._autoscaler.kind == "karpenter":
            return self._consolidate()
        below = [int(n) for n in np.flatnonzero(self._cluster.alive) if self._idle(int(n))]
        below.sort(key=lambda n: (self._used(n), n))
        movable = [n for n in below if self._cluster.survives(self._only(n)) < 0]
        removed = 0
        for node in movable:
            # A pod that moved may have filled it since.
            if node in self._unneeded and self._idle(node) and self._nodes > 1:
                removed += self._take_away(node)
        self._unneeded = {node for node in movable if self._cluster.alive[node]}
        return removed

    def _idle(self, node: int) -> bool:
        return self._used(node) < self._autoscaler.threshold

    def _used(self, node: int) -> float:
        """The larger share of CPU and memory that is requested of what the node offers."""
        cluster, gross = self._cluster, self._gross[node]
        asked = cluster.total[node, :2] - cluster.rest[node, :2]
        if self._autoscaler.ignore_daemonsets:
            return float((asked / np.maximum(cluster.total[node, :2], 1.0)).max())
        return float(((asked + gross - cluster.total[node, :2]) / gross).max())

    def _consolidate(self) -> int:
        """One round of Karpenter: the longest row of nodes that can go, else the first that can."""
        cluster = self._cluster
        on = np.flatnonzero(cluster.alive)
        pods = cluster.on_node[:, on].sum(axis=0)
        budget = math.ceil(len(on) * self._autoscaler.budget)
        row = on[np.argsort(pods, kind="stable")][: min(budget, _MOST_CANDIDATES, len(on) - 1)]
        low, high = 0, len(row)
        while low < high:
            middle = (low + high + 1) // 2
            chosen = np.isin(np.arange(len(cluster.alive)), row[:middle])
            low, high = (middle, high) if cluster.survives(chosen) < 0 else (low, middle - 1)
        if low > 1:
            return sum(self._take_away(int(node)) for node in row[:low])
        removed = 0
        for node in on[np.argsort(pods, kind="stable")]:
            if removed < budget and self._nodes > 1:
                removed += self._take_away(int(node))
        return removed

    def _only(self, node: int) -> Flags:
        only: Flags = np.arange(len(self._cluster.alive)) == node
        return only

    def _take_away(self, node: int) -> int:
        """Drain a node; 1 if its pods found places, else 0 and nothing changed."""
        pods = np.flatnonzero(self._where == node)
        moved = self._cluster.drain(node)
        if moved is None:
            return 0
        # Pods of one class are alike: any of them may be the one that moved.
        for k, target in moved:
            left = pods[(self._classes[pods] == k) & (self._where[pods] == node)]
            self._where[left[0]] = target
        return 1
