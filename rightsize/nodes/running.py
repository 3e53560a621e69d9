"""Nodes that come and go under an autoscaler, with the pods on them, hour by hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

import numpy as np
import pandas as pd

from rightsize.nodes.autoscaler import Autoscaler
from rightsize.nodes.layout import Layout
from rightsize.nodes.problem import Flags, Floats, Ints
from rightsize.nodes.scheduler import Cluster
from rightsize.nodes.units import to_whole

SPARE = "overprovisioning"
"""Workload of the pod of low priority that keeps room for others."""


@dataclass(frozen=True, eq=False)
class Lives:
    """When each of P pods runs, in hours of the replay."""

    hours: pd.DatetimeIndex
    first: Ints
    """(P,) index of the first hour at the end of which the pod is there."""
    end: Ints
    """(P,) index of the first hour at the end of which it is gone."""
    order: Ints
    """(P,) pods in the order of their start."""
    spares: Ints
    """Pods of low priority that others may displace."""

    @classmethod
    def of(cls, pods: pd.DataFrame, hours: pd.DatetimeIndex) -> Lives:
        """Read `start` and `ended` of each pod."""
        return cls(
            hours,
            np.searchsorted(hours, pods["start"], side="right"),
            np.searchsorted(hours, pods["ended"], side="right"),
            np.lexsort((pods["pod"].astype(str), pods["start"].astype("int64"))),
            np.flatnonzero(pods["workload"].astype(str) == SPARE),
        )


@dataclass(frozen=True, eq=False)
class Start:
    """Where a replay begins, beside the pods."""

    nodes: pd.DataFrame
    """The nodes that ran in the first hour."""
    main_type: str
    """The type of the nodes that join."""
    lives: Lives
    held: Flags
    """(P,) pods that keep their node, in the order of `Layout.pods`."""
    minimum: dict[str, int]
    """Fewest nodes by node group."""
    pinned: frozenset[str] = frozenset()
    """Nodes that a pod of a DaemonSet keeps."""


class Scaler(Protocol):
    """What an autoscaler does of its own accord."""

    alike: Sequence[Autoscaler]
    """Other settings under which the month went the same way."""

    @property
    def waits(self) -> bool:
        """Whether it may act though nothing changes."""

    def join(self, k: int) -> int:
        """Bring a node for a pod of class `k` at once; its node, -1 if it waits or none can be."""

    def provision(self, waiting: Sequence[int]) -> None:
        """Bring nodes for the pods that found no room in this hour."""

    def shrink(self) -> int:
        """Take nodes away at the end of the hour; how many went."""


class Running:
    """The cluster at one moment, and the pods' moves since the start."""

    def __init__(self, layout: Layout, start: Start, order: int = 0) -> None:
        self.layout, self._start = layout, start
        self.draw = np.random.default_rng(order)
        self._lives = start.lives
        self._order = start.lives.order
        if order:
            drawn = self.draw.permutation(layout.problem.pods)
            self._order = np.lexsort((drawn, start.lives.first))
        self.classes = layout.problem.classes
        self.where: Ints = np.full(layout.problem.pods, -1, dtype=np.int64)
        self._waiting: list[int] = []
        """Pods that found no room so far, in the order of their start."""
        self._displaced: list[int] = []
        offers, zones = self._places()
        problem = replace(layout.problem, fits=layout.open_fits)
        self.cluster = Cluster(problem, layout.owners, offers, zones, len(layout.zones))
        gross = to_whole(
            layout.offers["cpu"].to_numpy(dtype=float),
            layout.offers["memory"].to_numpy(dtype=float),
        )
        self._gross: Floats = np.maximum(gross, 1.0)
        self.price: Floats = layout.offers["usd_per_hour"].to_numpy(dtype=float)
        groups = start.nodes.get("node_group", pd.Series(None, start.nodes.index))
        self._groups = {i: str(name) for i, name in enumerate(groups) if isinstance(name, str)}
        named = start.nodes.assign(group=groups).dropna(subset=["group"])
        self._group_of_type = {
            str(kind): str(part["group"].astype(str).mode()[0])
            for kind, part in named.groupby("instance_type", observed=True)
        }
        bought = start.nodes.get("capacity_type", pd.Series(None, start.nodes.index))
        self._spot = set(
            np.flatnonzero(bought.eq("spot").fillna(False).to_numpy(dtype=bool)).tolist()
        )
        names = start.nodes["node"].astype(str)
        self._pinned = np.flatnonzero(names.isin(start.pinned).to_numpy(dtype=bool))
        self.hour = 0
        """Index of the hour that is replayed."""
        self.changed = True
        """A pod or a node came or went since the autoscaler last looked."""
        self.touched: Ints = np.zeros(len(offers), dtype=np.int64)
        """(B,) hour of the last pod event of each node."""
        self._settle_where_they_ran()

    def _places(self) -> tuple[Ints, Ints]:
        """Offer and zone of each node that ran."""
        table, layout = self.layout.offers, self.layout
        zones = {zone: i for i, zone in enumerate(layout.zones)}
        self._zone_of_offer = [zones.get(str(zone), 0) for zone in table["zone"]]
        of_type = table.reset_index(drop=True).groupby("instance_type", observed=True).indices
        offers, where = [], []
        nodes = self._start.nodes
        for kind, zone in zip(nodes["instance_type"].astype(str), nodes["zone"], strict=True):
            known = str(zone) if isinstance(zone, str) and zone in zones else layout.zones[0]
            own = of_type.get(kind, of_type[self._start.main_type])
            same = [o for o in own if not layout.zoned or table["zone"].iloc[o] == known]
            offers.append(int((same or list(own))[0]))
            where.append(zones[known])
        return np.array(offers, dtype=np.int64), np.array(where, dtype=np.int64)

    def _settle_where_they_ran(self) -> None:
        here = (self._lives.first == 0) & (self._lives.end > 0)
        nodes = pd.Index(self._start.nodes["node"].astype(str))
        self.where = np.where(
            here, nodes.get_indexer(pd.Index(self.layout.pods["node"].astype(str))), -1
        )
        self.cluster.place(self.classes, self.where)

    def timeline(self, scaler: Scaler) -> pd.DataFrame:
        """Nodes, pods, scaling events and USD/h at the end of each hour."""
        lives, pods = self._lives, 0
        rows: list[tuple[int, int, int, int, float]] = []
        seen = np.flatnonzero(lives.end > lives.first)
        arrivals = _by_hour(lives.first, self._order[np.isin(self._order, seen)], len(lives.hours))
        ends = _by_hour(lives.end, seen, len(lives.hours))
        for i in range(len(lives.hours)):
            self.hour = i
            pods += len(arrivals[i]) - len(ends[i])
            if i and not (len(arrivals[i]) or len(ends[i]) or self._unsettled or scaler.waits):
                # Nothing came or went since the autoscaler last looked, and nothing will.
                rows.append((rows[-1][0], pods, 0, 0, rows[-1][4]))
                continue
            before = self.nodes
            self._settle(arrivals[i], ends[i], scaler)
            removed = scaler.shrink() if i else 0
            # A replacement joins while others leave.
            added = self.nodes - before + removed if i else 0
            usd = float(self.price[self.cluster.offers[self.cluster.alive]].sum())
            rows.append((self.nodes, pods, added, removed, usd))
        table = pd.DataFrame(rows, columns=["nodes", "pods", "added", "removed", "usd"])
        table.insert(0, "time", lives.hours)
        return table

    @property
    def _unsettled(self) -> bool:
        """A pod waits for room, or the autoscaler has not looked at the last change."""
        return bool(self._waiting or self._displaced or self.changed)

    @property
    def nodes(self) -> int:
        return int(np.count_nonzero(self.cluster.alive))

    def _settle(self, new: Ints, ended: Ints, scaler: Scaler) -> None:
        """Remove ended pods and place new ones, on new nodes where they must be."""
        for pod in ended[self.where[ended] >= 0]:
            node = int(self.where[pod])
            self.cluster.remove(int(self.classes[pod]), node)
            self.where[pod] = -1
            self._touch(node)
        gone = set(ended.tolist())
        waiting = [pod for pod in self._waiting if pod not in gone]
        waiting += [int(pod) for pod in new if self.where[pod] < 0]
        waiting = [pod for pod in waiting if not self._bind(pod, scaler)]
        if waiting:
            scaler.provision([int(self.classes[pod]) for pod in waiting])
        displaced, self._displaced = self._displaced, []
        self._waiting = [pod for pod in waiting + displaced if not self._bind(pod, scaler)]

    def _bind(self, pod: int, scaler: Scaler) -> bool:
        k = int(self.classes[pod])
        node = self.cluster.schedule(k)
        if node < 0 and pod not in self._lives.spares:
            node = self._preempt(k)
        if node < 0:
            node = scaler.join(k)
        if node < 0:
            return False
        self.where[pod] = node
        self._touch(node)
        return True

    def _preempt(self, k: int) -> int:
        """Let a pod of low priority make room; it finds another place later."""
        for spare in self._lives.spares:
            node = int(self.where[spare])
            if node < 0:
                continue
            own = int(self.classes[spare])
            self.cluster.remove(own, node)
            found = self.cluster.schedule(k)
            if found >= 0:
                self.where[spare] = -1
                self._displaced.append(int(spare))
                self._touch(node)
                return found
            self.cluster.put(own, node)
        return -1

    def launch(self, offer: int, zone: int | None = None) -> int:
        """Let a node join, in the zone with the fewest where any will do; returns its index."""
        if self.layout.zoned:
            zone = self._zone_of_offer[offer]
        elif zone is None:
            there = self.cluster.zones[self.cluster.alive]
            zone = int(np.bincount(there, minlength=len(self.layout.zones)).argmin())
        node = self.cluster.launch(offer, zone)
        # A node that joins is of the group of its type; where there is none, of the largest type's.
        kind = str(self.layout.offers["instance_type"].iloc[offer])
        spot = self.layout.offers["capacity_type"].iloc[offer] == "spot"
        (self._spot.add if spot else self._spot.discard)(node)
        of_type = self._group_of_type
        self._groups[node] = of_type.get(kind, of_type.get(self._start.main_type, ""))
        self._pinned = self._pinned[self._pinned != node]
        if node >= len(self.touched):
            self.touched = np.resize(self.touched, len(self.cluster.alive))
        self._touch(node)
        return node

    def _touch(self, node: int) -> None:
        self.touched[node] = self.hour
        self.changed = True

    def used(self, *, ignore_daemonsets: bool = False) -> Floats:
        """(B,) the larger share of CPU and memory that is requested of what each node offers."""
        cluster, gross = self.cluster, self._gross[self.cluster.offers]
        total = cluster.total[:, :2]
        asked = total - cluster.rest[:, :2]
        if ignore_daemonsets:
            return np.asarray((asked / np.maximum(total, 1.0)).max(axis=1))
        return np.asarray(((asked + gross - total) / gross).max(axis=1))

    def pods(self) -> Ints:
        """(B,) pods on each node, DaemonSets left out."""
        return np.asarray(self.cluster.on_node.sum(axis=0), dtype=np.int64)

    def may_go(self) -> Flags:
        """(B,) nodes that run and hold no pod that keeps its node, above their group's minimum."""
        free = self.cluster.alive.copy()
        held = self.where[self._start.held]
        free[held[held >= 0]] = False
        free[self._pinned] = False
        for group, least in self._start.minimum.items():
            members = [i for i, name in self._groups.items() if name == group]
            running = [i for i in members if self.cluster.alive[i]]
            if len(running) <= least:
                free[members] = False
        return free

    def group(self, node: int) -> str:
        """Node group or NodePool of a node; empty where none is known."""
        return self._groups.get(node, "")

    def spot(self, nodes: Sequence[int]) -> bool:
        """Whether one of these nodes is Spot."""
        return not self._spot.isdisjoint(nodes)

    def drain(self, nodes: Sequence[int]) -> bool:
        """Take nodes away together; False if their pods found no places, and nothing changed."""
        gone = np.zeros(len(self.cluster.alive), dtype=bool)
        gone[list(nodes)] = True
        pods = np.flatnonzero(gone[self.where] & (self.where >= 0))
        moved = self.cluster.drain(gone)
        if moved is None:
            return False
        # Pods of one class are alike: any of them may be the one that moved.
        left: dict[int, list[int]] = {}
        for pod in pods:
            left.setdefault(int(self.classes[pod]), []).append(int(pod))
        for k, target in moved:
            self.where[left[k].pop()] = target
            self._touch(target)
        self.changed = True
        return True


def _by_hour(hour: Ints, order: Ints, hours: int) -> list[Ints]:
    """Pods by hour, in an order."""
    by = order[np.argsort(hour[order], kind="stable")]
    cuts = np.searchsorted(hour[by], np.arange(hours + 1)).tolist()
    cuts[0] = 0
    return [by[begin:end] for begin, end in pairwise(cuts)]
