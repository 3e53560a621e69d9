"""The month again: how many nodes an autoscaler would have run, hour by hour.

Nodes are all of one type, the one most in use. At the end of every hour the pods that ended
leave, new ones are scheduled in the order of their start, and the autoscaler acts once:

- scale up: a pod without a place gets a node at once. Cluster Autoscaler looks every 10 s and an
  EC2 node joins within minutes, both shorter than the step;
- Cluster Autoscaler scales down a node whose requests are below half of what it offers in CPU
  and in memory (`--scale-down-utilization-threshold` 0.5) and whose pods fit elsewhere, after it
  was unneeded for 10 minutes (`--scale-down-unneeded-time`) in which none was added. A wait shorter than the step takes
  effect at the next step, so a node goes that was unneeded at the end of two hours running;
- Karpenter consolidates (`WhenEmptyOrUnderutilized`, `consolidateAfter` 0s): any node goes at
  once whose pods fit elsewhere, those with the fewest pods first, at most a tenth of the nodes
  (its default disruption budget), rounded up, in one step. Replacing nodes by other types is
  left out.

Each node that joins or leaves is one scaling event, as in an Auto Scaling group's activity
history. The first hour's nodes are there from the start and are no events.
"""

from __future__ import annotations

import math
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
from rightsize.snapshot.schema import WINDOW_SECONDS

AutoscalerKind = Literal["cluster-autoscaler", "karpenter"]
UNNEEDED_BELOW = 0.5
DISRUPTED_AT_ONCE = 0.1
_WINDOW = pd.Timedelta(seconds=WINDOW_SECONDS)


@dataclass(frozen=True, eq=False)
class MonthReplay:
    """Nodes over time. `timeline` has `time` (end of the hour), `nodes`, `pods`, `added`,
    `removed`; the first row's nodes were there before."""

    autoscaler: AutoscalerKind
    instance_type: str
    timeline: pd.DataFrame
    unplaced: tuple[Unplaced, ...]

    @property
    def node_hours(self) -> float:
        return float(self.timeline["nodes"].sum())

    @property
    def peak(self) -> int:
        return int(self.timeline["nodes"].max())

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
    autoscaler: AutoscalerKind = "cluster-autoscaler",
) -> MonthReplay:
    """Replay the pods of `pod_days` on nodes of the type most in use.

    Parameters
    ----------
    days : DataFrame
        `pod_days`, with today's or the recommended requests.
    catalogue : DataFrame
        As for `plan_nodes`; prices are not needed.
    nodes : DataFrame
        The snapshot's table `nodes` of one day.
    settings : NodeSettings, optional
        Spread, CNI mode and zones.
    autoscaler : {"cluster-autoscaler", "karpenter"}

    Raises
    ------
    NoDataError
        If no node in use has a known type, or no pod ran.
    """
    chosen = settings or NodeSettings()
    known = nodes["instance_type"].dropna().astype(str)
    if days.empty or known.empty:
        raise NoDataError(
            "the replay needs pods and the type of at least one node",
            hint="collect node labels (kube_node_labels) or node objects, or leave --replay out",
        )
    name = str(known.value_counts().sort_index(kind="stable").idxmax())
    lives = _lives(days)
    layout = _lay_out(lives, catalogue, nodes[nodes["instance_type"] == name], chosen)
    return _run(layout, name, hours_of(days), autoscaler)


def _lives(days: pd.DataFrame) -> pd.DataFrame:
    """One row a pod: from the first day's `first_seen` to the last day's `last_seen`."""
    ordered = days.sort_values("day", kind="stable")
    ends = ordered.groupby(["namespace", "pod"], observed=True).agg(
        born=("first_seen", "min"), ended=("last_seen", "max")
    )
    last = ordered.drop_duplicates(["namespace", "pod"], keep="last")
    lives = last.drop(columns=["first_seen", "last_seen"]).merge(ends, on=["namespace", "pod"])
    lives["born"] = lives["born"] - _WINDOW
    return lives


def _lay_out(
    lives: pd.DataFrame, catalogue: pd.DataFrame, nodes: pd.DataFrame, settings: NodeSettings
) -> Layout:
    inventory = read_inventory(nodes)
    offers = find_offers(catalogue, inventory, settings).table
    own = offers[offers["instance_type"].isin(inventory.types)].head(1)
    if own.empty:
        raise NoDataError("the instance type in use is not in the catalogue")
    free = settings.model_copy(update={"floor_per_zone": 0})
    return lay_out(lives, own, inventory, free)


def _run(
    layout: Layout, name: str, hours: pd.DatetimeIndex, autoscaler: AutoscalerKind
) -> MonthReplay:
    born, ended = layout.pods["born"], layout.pods["ended"]
    running = [((born < hour) & (hour <= ended)).to_numpy(dtype=bool) for hour in hours]
    fleet = _Fleet(layout, autoscaler, max(int(alive.sum()) for alive in running))
    order = np.lexsort((layout.pods["pod"].astype(str), born.astype("int64")))
    rows = []
    for i, (hour, alive) in enumerate(zip(hours, running, strict=True)):
        changed = fleet.settle(alive, order)
        added = fleet.joined
        removed = fleet.shrink(changed)
        if i == 0:
            added = removed = 0
        rows.append((hour, fleet.nodes, int(alive.sum()), added, removed))
    timeline = pd.DataFrame(rows, columns=["time", "nodes", "pods", "added", "removed"])
    return MonthReplay(autoscaler, name, timeline, layout.unplaced)


class _Fleet:
    """Nodes that come and go. Spare nodes are kept ready, not alive, to be switched on."""

    def __init__(self, layout: Layout, autoscaler: AutoscalerKind, most: int) -> None:
        self._autoscaler = autoscaler
        self._classes = layout.problem.classes
        kinds = len(layout.problem.price)
        # Enough of every offer (pool and zone) for all pods that ever ran at once.
        offers = np.tile(np.arange(kinds), most + 1)
        number = np.repeat(np.arange(most + 1), kinds)
        zones = layout.problem.zone[offers] if layout.zoned else number % len(layout.zones)
        problem = replace(layout.problem, fits=layout.open_fits)
        self._cluster = Cluster(problem, layout.owners, offers, zones)
        self._cluster.alive[:] = False
        self._where: Ints = np.full(layout.problem.pods, -1, dtype=np.int64)
        self._unneeded: set[int] = set()
        self.joined = 0

    @property
    def nodes(self) -> int:
        return int(self._cluster.alive.sum())

    def settle(self, alive: Flags, order: Ints) -> bool:
        """Remove ended pods and place new ones, with new nodes where none has room."""
        self.joined = 0
        gone = np.flatnonzero(~alive & (self._where >= 0))
        for pod in gone:
            self._cluster.remove(int(self._classes[pod]), int(self._where[pod]))
            self._where[pod] = -1
        new = order[alive[order] & (self._where[order] < 0)]
        for pod in new:
            self._where[pod] = self._place(int(self._classes[pod]))
        return bool(len(gone) or len(new))

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
                self.joined += 1
                # Cluster Autoscaler waits 10 minutes after an addition before it takes away.
                self._unneeded.clear()
                return node
            cluster.alive[new] = False
        return -1

    def shrink(self, changed: bool) -> int:
        """Let the autoscaler take nodes away; returns how many went."""
        cluster = self._cluster
        on = np.flatnonzero(cluster.alive)
        used = 1 - cluster.rest[on, :2] / np.maximum(cluster.total[on, :2], 1.0)
        if self._autoscaler == "karpenter":
            if not changed:
                return 0
            candidates = on[np.argsort(cluster.on_node[:, on].sum(axis=0), kind="stable")]
            most = math.ceil(len(on) * DISRUPTED_AT_ONCE)
            return self._take_away(candidates.tolist(), most)
        idle = on[(used < UNNEEDED_BELOW).all(axis=1)]
        idle = idle[np.argsort(used[np.isin(on, idle)].max(axis=1), kind="stable")]
        movable = [int(n) for n in idle if cluster.survives(np.arange(len(cluster.alive)) == n) < 0]
        ripe = [node for node in movable if node in self._unneeded]
        removed = self._take_away(ripe, len(ripe))
        self._unneeded = {node for node in movable if cluster.alive[node]}
        return removed

    def _take_away(self, candidates: list[int], most: int) -> int:
        removed = 0
        for node in candidates:
            if removed >= most or self.nodes <= 1:
                break
            pods = np.flatnonzero(self._where == node)
            moved = self._cluster.drain(int(node))
            if moved is None:
                continue
            # Pods of one class are alike: any of them may be the one that moved.
            for k, target in moved:
                left = pods[(self._classes[pods] == k) & (self._where[pods] == node)]
                self._where[left[0]] = target
            removed += 1
        return removed
