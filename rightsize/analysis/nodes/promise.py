"""The smallest fleet to promise: the scheduler places every pod on it, also on a bad day.

A bad day is one in which a rollout adds the surge of the workload with the largest one, and any
one node (or zone) is lost with everything on it. Pods come in the scheduler's order: by priority,
then by age. The search buys nodes in the proportions of the packed fleet until the replay
succeeds, then gives back those it can do without.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rightsize.analysis.nodes.improve import Clock
from rightsize.analysis.nodes.layout import Layout
from rightsize.analysis.nodes.problem import CPU, MEMORY, Flags, Ints, Problem
from rightsize.analysis.nodes.scheduler import Cluster
from rightsize.config import NodeSettings

_MOST_ADDED = 4.0
"""Fleets larger than so many times the packed one are not promised."""


@dataclass(frozen=True, eq=False)
class Promised:
    """A fleet on which the replay places every pod. `where` is the node of each pod."""

    offers: Ints
    zones: Ints
    where: Ints
    usd_per_hour: float


@dataclass(frozen=True, eq=False)
class Trial:
    """One replay: did everything find a place, and where."""

    passed: bool
    where: Ints
    failed: int
    """Class of the first pod without a place, -1 if there is none."""


def promise(
    layout: Layout, keep: Ints, packed: Ints, settings: NodeSettings, clock: Clock
) -> Promised | None:
    """Find the smallest fleet of the packed fleet's offers that passes the replay.

    Parameters
    ----------
    layout : Layout
    keep : int array
        Offers of the layout that the plan may use; `packed` counts within them.
    packed : (B,) int array
        Offer of each node of the packed fleet.
    settings : NodeSettings
        `headroom` and `surge`.
    clock : Clock
        Ends the giving back; a fleet that passes is looked for regardless.

    Returns
    -------
    Promised or None
        None if no fleet up to four times the packed one passes.
    """
    # The scheduler chooses zones itself; the packing's choice for odd pods does not bind it.
    problem = replace(layout.problem.with_offers(keep), fits=layout.open_fits[:, keep])
    order = arrival_order(layout)
    most = int(_MOST_ADDED * len(packed)) + 4

    def fleet(added: int) -> Ints:
        return np.concatenate([packed, _further(problem, packed, added)])

    low, high = -1, 0
    while not replay(layout, problem, fleet(high), order, settings).passed:
        if high >= most:
            return None
        low, high = high, min(max(2 * high, 1), most)
    while high - low > 1:
        middle = (low + high) // 2
        if replay(layout, problem, fleet(middle), order, settings).passed:
            high = middle
        else:
            low = middle
    offers = _give_back(layout, problem, fleet(high), order, settings, clock)
    trial = replay(layout, problem, offers, order, settings)
    zones = node_zones(layout, problem, offers)
    return Promised(offers, zones, trial.where, float(problem.price[offers].sum()))


def replay(
    layout: Layout, problem: Problem, offers: Ints, order: Ints, settings: NodeSettings
) -> Trial:
    """Schedule all pods in order, then the rollout's surge, then lose each node in turn."""
    cluster = Cluster(problem, layout.owners, offers, node_zones(layout, problem, offers))
    classes = problem.classes
    where = np.full(len(classes), -1, dtype=np.int64)
    for pod in order:
        where[pod] = cluster.schedule(int(classes[pod]))
        if where[pod] < 0:
            return Trial(False, where, int(classes[pod]))
    for k in surge_classes(layout, problem, settings.surge):
        if cluster.schedule(int(k)) < 0:
            return Trial(False, where, int(k))
    for nodes in _losses(cluster, settings):
        failed = cluster.survives(nodes)
        if failed >= 0:
            return Trial(False, where, failed)
    return Trial(True, where, -1)


def arrival_order(layout: Layout) -> Ints:
    """Pods as the scheduler takes them: priority first, then age, then name."""
    priority = np.array([-layout.rules[k].priority for k in layout.problem.classes])
    pods = layout.pods
    if "started" in pods.columns and pods["started"].notna().any():
        age = pods["started"].fillna(pods["started"].max()).astype("int64").to_numpy()
    else:
        age = np.zeros(len(pods), dtype=np.int64)
    return np.lexsort((pods["pod"].astype(str).to_numpy(), age, priority))


def surge_classes(layout: Layout, problem: Problem, share: float) -> Ints:
    """Classes of the extra pods of the one rollout that asks for most, one entry a pod.

    DaemonSets replace their pods in place, and StatefulSets one by one, so neither adds any.
    """
    best: Ints = np.zeros(0, dtype=np.int64)
    heaviest = 0.0
    for owner in dict.fromkeys(layout.owners) if share > 0 else ():
        if owner.key[1] in ("StatefulSet", "Job", "CronJob", "Pod"):
            continue
        members = np.flatnonzero([o is owner for o in layout.owners])
        pods = int(problem.count[members].sum())
        if pods == 0:
            continue
        extra = int(np.ceil(pods * share))
        k = members[problem.count[members].argmax()]
        weight = extra * float((problem.size[k] / problem.scale)[[CPU, MEMORY]].max())
        if weight > heaviest:
            heaviest, best = weight, np.full(extra, k, dtype=np.int64)
    return best


def _losses(cluster: Cluster, settings: NodeSettings) -> list[Flags]:
    nodes = np.arange(len(cluster.offers))
    if settings.headroom == "node":
        # The fullest first: a fleet that is too small shows it at once.
        full = (1 - cluster.rest / np.maximum(cluster.total, 1)).max(axis=1)
        return [nodes == node for node in np.argsort(-full * cluster.total[:, 0], kind="stable")]
    if settings.headroom == "zone":
        return [cluster.zones == zone for zone in np.unique(cluster.zones)]
    return []


def node_zones(layout: Layout, problem: Problem, offers: Ints) -> Ints:
    """(B,) zone of each node: its offer's, or in turn where zones do not bind."""
    if layout.zoned:
        return problem.zone[offers]
    zones = np.zeros(len(offers), dtype=np.int64)
    zones[np.argsort(offers, kind="stable")] = np.arange(len(offers)) % len(layout.zones)
    return zones


def _further(problem: Problem, packed: Ints, added: int) -> Ints:
    """The next nodes, so that the fleet keeps the packed one's proportions."""
    if not len(packed):
        return np.full(added, int(problem.price.argmin()), dtype=np.int64)
    kinds, counts = np.unique(packed, return_counts=True)
    have = np.zeros(len(kinds))
    chosen = []
    for i in range(added):
        next_ = int((counts / counts.sum() * (i + 1) - have).argmax())
        have[next_] += 1
        chosen.append(int(kinds[next_]))
    return np.array(chosen, dtype=np.int64)


def _give_back(
    layout: Layout,
    problem: Problem,
    offers: Ints,
    order: Ints,
    settings: NodeSettings,
    clock: Clock,
) -> Ints:
    """Drop nodes one by one, dearest offer first, as long as the replay still passes.

    A zone keeps its last node: to the scheduler a zone without nodes is no zone, and a spread over
    the others would satisfy it.
    """
    floor = max(problem.floor, 1 if layout.zoned else 0)
    for offer in sorted(set(offers.tolist()), key=lambda o: (-problem.price[o], o)):
        while not clock.out:
            nodes = np.flatnonzero(offers == offer)
            if not len(nodes):
                break
            zone = problem.zone[offer]
            if (problem.zone[offers] == zone).sum() <= floor:
                break
            fewer = np.delete(offers, nodes[-1])
            if not replay(layout, problem, fewer, order, settings).passed:
                break
            offers = fewer
    return offers
