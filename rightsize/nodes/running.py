"""Nodes that come and go under an autoscaler, with the pods on them, hour by hour."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

import numpy as np
import pandas as pd

from rightsize.nodes.autoscaler import Autoscaler
from rightsize.nodes.layout import Layout
from rightsize.nodes.problem import SLOTS, Flags, Floats, Ints, Problem
from rightsize.nodes.scheduler import Cluster
from rightsize.nodes.units import to_whole

_FIRST_ROOM = 4
"""Nodes that may join before room is made for more."""
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


@dataclass(frozen=True, eq=False)
class FirstNodes:
    """The nodes that ran in the first hour, as a cluster has them, with their pods."""

    layout: Layout
    start: Start
    problem: Problem
    classes: Ints
    """(P,) class of each pod."""
    offers: Ints
    zones: Ints
    where: Ints
    """(P,) node of each pod, -1 where it did not run yet."""
    groups: dict[int, str]
    """Node group by node, where it is known."""
    group_of_type: dict[str, str]
    spot: frozenset[int]
    pinned: Ints
    """Nodes that a pod of a DaemonSet keeps."""
    price: Floats
    """(O,) USD per hour of each offer."""
    gross: Floats
    """(O, 2) CPU and memory of each offer before DaemonSets."""
    zone_of_offer: list[int]

    @classmethod
    def of(cls, layout: Layout, start: Start) -> FirstNodes:
        """Read them from the table of nodes."""
        table, nodes = layout.offers, start.nodes
        gross = to_whole(table["cpu"].to_numpy(dtype=float), table["memory"].to_numpy(dtype=float))
        groups = nodes.get("node_group", pd.Series(None, nodes.index))
        named = nodes.assign(group=groups).dropna(subset=["group"])
        bought = nodes.get("capacity_type", pd.Series(None, nodes.index))
        names = nodes["node"].astype(str)
        here = (start.lives.first == 0) & (start.lives.end > 0)
        ran_on = pd.Index(names).get_indexer(pd.Index(layout.pods["node"].astype(str)))
        numbers = {zone: i for i, zone in enumerate(layout.zones)}
        offers, zones = _places(layout, start, numbers)
        return cls(
            layout=layout,
            start=start,
            problem=replace(layout.problem, fits=layout.open_fits),
            classes=layout.problem.classes,
            offers=offers,
            zones=zones,
            where=np.where(here, ran_on, -1),
            groups={i: str(name) for i, name in enumerate(groups) if isinstance(name, str)},
            group_of_type={
                str(kind): str(part["group"].astype(str).mode()[0])
                for kind, part in named.groupby("instance_type", observed=True)
            },
            spot=frozenset(
                np.flatnonzero(bought.eq("spot").fillna(False).to_numpy(dtype=bool)).tolist()
            ),
            pinned=np.flatnonzero(names.isin(start.pinned).to_numpy(dtype=bool)),
            price=table["usd_per_hour"].to_numpy(dtype=float),
            gross=np.maximum(gross, 1.0),
            zone_of_offer=[numbers.get(str(zone), 0) for zone in table["zone"]],
        )


def _places(layout: Layout, start: Start, numbers: dict[str, int]) -> tuple[Ints, Ints]:
    """Offer and zone of each node that ran."""
    table, nodes = layout.offers, start.nodes
    of_type = table.reset_index(drop=True).groupby("instance_type", observed=True).indices
    offers, where = [], []
    for kind, zone in zip(nodes["instance_type"].astype(str), nodes["zone"], strict=True):
        known = str(zone) if isinstance(zone, str) and zone in numbers else layout.zones[0]
        own = of_type.get(kind, of_type[start.main_type])
        same = [o for o in own if not layout.zoned or table["zone"].iloc[o] == known]
        offers.append(int((same or list(own))[0]))
        where.append(numbers[known])
    return np.array(offers, dtype=np.int64), np.array(where, dtype=np.int64)


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

    def __init__(self, first: FirstNodes, order: int = 0) -> None:
        self.first, self.layout, self._start = first, first.layout, first.start
        self.draw = np.random.default_rng(order)
        self._lives = first.start.lives
        self._order = self._lives.order
        if order:
            drawn = self.draw.permutation(first.problem.pods)
            self._order = np.lexsort((drawn, self._lives.first))
        self.classes = first.classes
        self._waiting: list[int] = []
        """Pods that found no room so far, in the order of their start."""
        self._displaced: list[int] = []
        self.cluster = Cluster(
            first.problem,
            self.layout.owners,
            first.offers.copy(),
            first.zones.copy(),
            len(self.layout.zones),
        )
        self._groups = dict(first.groups)
        self._spot = set(first.spot)
        self._pinned = first.pinned
        self.hour = 0
        """Index of the hour that is replayed."""
        self.changed = True
        """A pod or a node came or went since the autoscaler last looked."""
        self.cluster.make_room(_FIRST_ROOM)
        self.touched: Ints = np.zeros(len(self.cluster.alive), dtype=np.int64)
        """(B,) hour of the last pod event of each node."""
        self.where: Ints = first.where.copy()
        self.cluster.place(self.classes, self.where)

    def timeline(self, scaler: Scaler) -> Generator[int, int, pd.DataFrame]:
        """Nodes, pods, scaling events and USD/h at the end of each hour.

        Stops with the class of each pod that is to be scheduled (`Cluster.schedule`), and goes on with
        its node.
        """
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
            yield from self._settle(arrivals[i], ends[i], scaler)
            removed = scaler.shrink() if i else 0
            # A replacement joins while others leave.
            added = self.nodes - before + removed if i else 0
            usd = float(self.first.price[self.cluster.offers[self.cluster.alive]].sum())
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

    def _settle(self, new: Ints, ended: Ints, scaler: Scaler) -> Generator[int, int, None]:
        """Remove ended pods and place new ones, on new nodes where they must be."""
        for pod in ended[self.where[ended] >= 0]:
            node = int(self.where[pod])
            self.cluster.remove(int(self.classes[pod]), node)
            self.where[pod] = -1
            self._touch(node)
        gone = set(ended.tolist())
        waiting = [pod for pod in self._waiting if pod not in gone]
        waiting += [int(pod) for pod in new if self.where[pod] < 0]
        waiting = yield from self._bind(waiting, scaler)
        if waiting:
            scaler.provision([int(self.classes[pod]) for pod in waiting])
        displaced, self._displaced = self._displaced, []
        self._waiting = yield from self._bind(waiting + displaced, scaler)

    def _bind(self, pods: list[int], scaler: Scaler) -> Generator[int, int, list[int]]:
        """Place pods one after the other; those that found no place."""
        left = []
        for pod in pods:
            k = int(self.classes[pod])
            node = yield k
            if node < 0 and pod not in self._lives.spares:
                node = self._preempt(k)
            if node < 0:
                node = scaler.join(k)
            if node < 0:
                left.append(pod)
                continue
            self.where[pod] = node
            self._touch(node)
        return left

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
            zone = self.first.zone_of_offer[offer]
        elif zone is None:
            there = self.cluster.zones[self.cluster.alive]
            zone = int(np.bincount(there, minlength=len(self.layout.zones)).argmin())
        node = self.cluster.launch(offer, zone)
        # A node that joins is of the group of its type; where there is none, of the largest type's.
        kind = str(self.layout.offers["instance_type"].iloc[offer])
        spot = self.layout.offers["capacity_type"].iloc[offer] == "spot"
        (self._spot.add if spot else self._spot.discard)(node)
        of_type = self.first.group_of_type
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
        cluster, gross = self.cluster, self.first.gross[self.cluster.offers]
        total = cluster.total[:, :2]
        asked = total - cluster.rest[:, :2]
        if ignore_daemonsets:
            return np.asarray((asked / np.maximum(total, 1.0)).max(axis=1))
        return np.asarray(((asked + gross - total) / gross).max(axis=1))

    def pods(self) -> Ints:
        """(B,) pods on each node, DaemonSets left out: the slots that are taken."""
        taken = self.cluster.total[:, SLOTS] - self.cluster.rest[:, SLOTS]
        return np.asarray(np.rint(taken), dtype=np.int64)

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
