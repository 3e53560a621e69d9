"""The smallest node set to promise: the scheduler places every pod on it, also on a bad day.

Pods come in the scheduler's order, by priority and then by age, and go where kube-scheduler's scores
send them. Nodes join when a pod finds no room, in the proportions of the packed node set, as they do
under an autoscaler.

Then a bad day is tried: a rollout adds the surge of the workload with the largest one, and any one
node (or zone) is lost with everything on it. Spare nodes are added until all pods find a place.

Last, the same day from the spread state: all nodes are there and pods are made anew in several
orders, as rollouts and replaced nodes do in time. The scheduler spreads small pods over every node
then, and large ones that come late find no room on any; nodes are added until none is left over,
with and without the surge. The larger count is promised.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from rightsize.config import NodeSettings
from rightsize.nodes.layout import Layout
from rightsize.nodes.orders import Orders
from rightsize.nodes.problem import CPU, MEMORY, Flags, Ints, Problem
from rightsize.nodes.scheduler import Cluster
from rightsize.nodes.work import Clock

_MOST_TIMES = 4.0
"""Node sets larger than so many times the packed one are not promised."""
_TRIAL_SECONDS = 0.035
"""What one replay of the scheduler takes with some 300 pods."""
_PLACED_SECONDS = 3e-5
"""What one pod in one order of arrival is counted as, with the losses of nodes: several times what it takes, so
that a plan is not all trials."""
_ALONE = 10
"""Orders counted at least: with few side by side, numpy's calls take longer than its arithmetic."""
_ORDERS, _FIRST_ORDERS = 200, 6
"""Orders of arrival tried on the spread state; fewer on node sets of thousands of pods. Of several node sets
the cheapest is kept, which is the one that chance favoured: many orders must pass for fifty others to."""
_ONE_FIRST = 1000
"""Pods above which one order alone is tried first: an order takes seconds then."""
_PODS_TRIED = 40_000
"""Pods placed over all orders together, at least one order's."""
_ENOUGH_ORDERS, _MARGIN = 100, 0.01
"""Where fewer orders are tried (above 400 pods), one that leaves a pod over was missed now and then: one
node set in ten breaks in fifty other orders, and none with one more node for each hundred."""
_SEED = 20261127
_NO_SURGE = ("StatefulSet", "Job", "CronJob", "Pod")
"""Kinds with a roll-out that adds no pods; DaemonSets replace theirs in place and are not packed."""


@dataclass(frozen=True, eq=False)
class Promised:
    """A node set on which the replay places every pod. `where` is the node of each pod."""

    offers: Ints
    zones: Ints
    where: Ints
    usd_per_hour: float


@dataclass(frozen=True, eq=False)
class Grown:
    """Nodes that joined while the pods were scheduled, in that order."""

    offers: Ints
    zones: Ints
    where: Ints


def promise(
    layout: Layout, keep: Ints, packed: Ints, settings: NodeSettings, clock: Clock
) -> Promised | None:
    """Find the cheapest node set of the packed node set's offers that passes the replay.

    Parameters
    ----------
    keep : int array
        Offers of the layout that the plan may use; `packed` counts within them.
    packed : (B,) int array
        Offer of each node of the packed node set.
    settings : NodeSettings
        `headroom` and `surge`.
    clock : Clock
        Ends the trials of other orders and spares; the first ones are made regardless.

    Returns
    -------
    Promised or None
        None if no node set up to four times the packed one passes.
    """
    # The scheduler chooses zones itself; the packing's choice for odd pods does not bind it.
    problem = replace(layout.problem.with_offers(keep), fits=layout.open_fits[:, keep])
    trials = _Trials(layout, problem, settings, clock)
    most = int((_MOST_TIMES - 1) * len(packed)) + 4
    best: Promised | None = None
    for sequence in _sequences(problem, packed):
        if best is not None and clock.out:
            break
        clock.spend(_TRIAL_SECONDS)
        grown = grow(layout, problem, sequence)
        if grown is None:
            continue
        grown = _with_floors(layout, problem, grown)
        # Where pods of one type's nodes fit on no other type, each type needs a spare of its own.
        every = np.unique(grown.offers)
        for spare in [*_spares(problem, grown.offers), every]:
            if best is not None and (clock.out or spare is every):
                break
            clock.spend(_TRIAL_SECONDS)
            found = trials.with_spares(grown, spare, most)
            if found is not None and (
                best is None or found.usd_per_hour < best.usd_per_hour - 1e-9
            ):
                best = found
    return best


def grow(layout: Layout, problem: Problem, sequence: Ints) -> Grown | None:
    """Schedule every pod in order; the next node of the sequence that suits it joins when needed.

    Where zones bind, one node of each zone is there from the start: to the scheduler a zone without
    nodes is no zone, and a spread over the others would satisfy it.
    """
    zones = _zones(layout, problem, sequence)
    cluster = Cluster(problem, layout.owners, sequence, zones)
    cluster.alive[:] = False
    if layout.zoned:
        cluster.alive[np.unique(zones, return_index=True)[1]] = True
    else:
        cluster.alive[:1] = True
    classes = problem.classes
    where = np.full(len(classes), -1, dtype=np.int64)
    for pod in arrival_order(layout):
        k = int(classes[pod])
        node = cluster.schedule(k)
        for new in _joining(cluster, k) if node < 0 else ():
            cluster.alive[new] = True
            node = cluster.schedule(k)
            if node >= 0:
                break
            cluster.alive[new] = False
        if node < 0:
            return None
        where[pod] = node
    joined = np.flatnonzero(cluster.alive)
    number = np.full(len(sequence), -1, dtype=np.int64)
    number[joined] = np.arange(len(joined))
    return Grown(sequence[joined], zones[joined], number[where])


def _joining(cluster: Cluster, k: int) -> Ints:
    """Nodes not there yet that could hold a pod of class `k`: the first of each offer and zone."""
    fits = cluster.problem.fits[k, cluster.offers]
    waiting = np.flatnonzero(~cluster.alive & fits)
    places = np.stack([cluster.offers[waiting], cluster.zones[waiting]])
    _, first = np.unique(places, axis=1, return_index=True)
    return np.asarray(waiting[np.sort(first)], dtype=np.int64)


def bad_day(layout: Layout, problem: Problem, grown: Grown, settings: NodeSettings) -> bool:
    """Do the pods, a rollout's surge, and those of any lost node all find a place?"""
    cluster = Cluster(problem, layout.owners, grown.offers, grown.zones)
    cluster.place(problem.classes, grown.where)
    if any(cluster.schedule(int(k)) < 0 for k in surge_classes(layout, problem, settings.surge)):
        return False
    full = (1 - cluster.rest / np.maximum(cluster.total, 1)).max(axis=1) * cluster.total[:, 0]
    # The fullest first: a node set that is too small shows it at once.
    lost = _lost_together(grown.zones, settings)
    losses = [] if lost is None else [lost == one for one in np.unique(lost)]
    losses.sort(key=lambda nodes: -float(full[nodes].max()))
    return all(cluster.survives(nodes) < 0 for nodes in losses)


def spread_days(
    layout: Layout,
    problem: Problem,
    grown: Grown,
    settings: NodeSettings,
    orders: Ints,
    *,
    every: bool = False,
) -> Flags:
    """The bad day where all nodes were there before the pods, which came in each of these orders.

    Parameters
    ----------
    orders : (R, P) int array
        Pods of the layout, the first to be scheduled first.
    every : bool
        Ends with the first order in which a pod is left over: then none is said to stand.

    Returns
    -------
    (R,) bool array
        Orders in which no pod was left over.
    """
    trial = Orders(layout, problem, grown.offers, grown.zones, orders)
    surge = surge_classes(layout, problem, settings.surge)
    return trial.standing(_lost_together(grown.zones, settings), surge, every=every)


class _Trials:
    """Node sets tried on the bad day and from the spread state; what one came to is known from then on."""

    def __init__(
        self, layout: Layout, problem: Problem, settings: NodeSettings, clock: Clock
    ) -> None:
        self._layout, self._problem, self._settings = layout, problem, settings
        self._clock = clock
        # By age, and drawn from a fixed seed; the first few show most often what fails.
        first = arrival_order(layout)
        count = max(_FIRST_ORDERS, min(_ORDERS, _PODS_TRIED // max(len(first), 1)))
        draw = np.random.default_rng(_SEED)
        every = np.array([first, *(draw.permutation(first) for _ in range(count - 1))])
        cuts = [_FIRST_ORDERS] if len(first) <= _ONE_FIRST else [1, _FIRST_ORDERS]
        self._parts = [part for part in np.split(every, cuts) if len(part)]
        self._searched = range(min(len(cuts), len(self._parts)))
        """Parts by which the count is found; the others show whether it stands."""
        self._known: dict[tuple[bytes, bytes, int], bool] = {}

    def with_spares(self, grown: Grown, spare: Ints, most: int) -> Promised | None:
        """The node set with the fewest spare nodes of these offers that stands every day."""
        layout, problem = self._layout, self._problem

        def node_set(added: int) -> Grown:
            return _extended(layout, problem, grown, np.resize(spare, added))

        added = _fewest(lambda n: bad_day(layout, problem, node_set(n), self._settings), 0, most)
        for part in self._searched:
            if added is not None:
                stands = partial(lambda p, n: self._stands(p, node_set(n)), part)
                added = _fewest(stands, added, most, lambda: self._within(grown))
        parts = list(range(len(self._parts)))
        while added is not None:
            found = node_set(added)
            failed = next(
                (i for i, part in enumerate(parts) if not self._stands(part, found)), None
            )
            if failed is None:
                found = node_set(added + self._margin(len(found.offers)))
                cost = float(problem.price[found.offers].sum())
                return Promised(found.offers, found.zones, found.where, cost)
            # A larger node set spreads the pods in another way: every order is tried again, those that
            # failed first. Once the work is done the steps are larger.
            parts = parts[failed:] + parts[:failed]
            added += max(1, len(grown.offers) // (20 if self._clock.out else 100))
            added = None if added > most else added
        return None

    def _within(self, grown: Grown) -> int:
        """How near to the fewest nodes a search comes: to the last one, and to 1 % once the work is done."""
        return max(math.ceil(_MARGIN * len(grown.offers)), 1) if self._clock.out else 1

    def _margin(self, nodes: int) -> int:
        """Nodes more for the orders that were not tried."""
        few = sum(len(part) for part in self._parts) < _ENOUGH_ORDERS
        return math.ceil(_MARGIN * nodes) if few else 0

    def _stands(self, part: int, grown: Grown) -> bool:
        """Whether no pod is left over in any order of a part."""
        case = grown.offers.tobytes(), grown.zones.tobytes(), part
        if case not in self._known:
            orders = self._parts[part]
            count, pods = orders.shape
            self._clock.spend(_PLACED_SECONDS * max(count, _ALONE) * pods)
            days = spread_days(
                self._layout, self._problem, grown, self._settings, orders, every=True
            )
            self._known[case] = bool(days.all())
        return self._known[case]


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
    """Classes of the extra pods of the one rollout that asks for most, one entry a pod."""
    best: Ints = np.zeros(0, dtype=np.int64)
    heaviest = 0.0
    for owner in dict.fromkeys(layout.owners) if share > 0 else ():
        members = np.flatnonzero([o is owner for o in layout.owners])
        pods = int(problem.count[members].sum())
        if owner.key[1] in _NO_SURGE or pods == 0:
            continue
        extra = int(np.ceil(pods * share))
        if owner.zone_limit:
            extra = min(extra, owner.zone_limit * len(layout.zones) - pods)
        if extra <= 0:
            continue
        k = members[problem.count[members].argmax()]
        weight = extra * float((problem.size[k] / problem.scale)[[CPU, MEMORY]].max())
        if weight > heaviest:
            heaviest, best = weight, np.full(extra, k, dtype=np.int64)
    return best


def _lost_together(zones: Ints, settings: NodeSettings) -> Ints | None:
    """(B,) numbers of which all nodes of one may be lost together, by their zones; None: none is."""
    if settings.headroom == "node":
        return np.arange(len(zones))
    if settings.headroom == "zone":
        return np.asarray(np.unique(zones, return_inverse=True)[1], dtype=np.int64)
    return None


def _zones(layout: Layout, problem: Problem, offers: Ints) -> Ints:
    """(B,) zone of each node: its offer's, or in turn where zones do not bind."""
    if layout.zoned:
        return problem.zone[offers]
    return np.arange(len(offers), dtype=np.int64) % len(layout.zones)


def _sequences(problem: Problem, packed: Ints) -> list[Ints]:
    """Orders in which nodes may join: mixed in the packed proportions, then dearest first."""
    kinds, counts = np.unique(packed, return_counts=True)
    most = np.ceil(counts * _MOST_TIMES).astype(np.int64) + 2
    # The i-th of n nodes of an offer joins at (i + 1/2) / n of the way.
    turn = np.concatenate([(np.arange(m) + 0.5) / n for m, n in zip(most, counts, strict=True)])
    offers = np.repeat(kinds, most)
    mixed = offers[np.argsort(turn, kind="stable")]
    if len(np.unique(problem.kind[kinds])) == 1:
        return [mixed]
    return [mixed, offers[np.argsort(-problem.price[offers], kind="stable")]]


def _spares(problem: Problem, offers: Ints) -> list[Ints]:
    """Offers of one type in every zone, for each type of the node set; the dearest type first."""
    kinds = np.unique(problem.kind[offers])
    found = [np.unique(offers[problem.kind[offers] == kind]) for kind in kinds]
    return sorted(found, key=lambda of: (-float(problem.price[of].max()), int(of[0])))


def _with_floors(layout: Layout, problem: Problem, grown: Grown) -> Grown:
    added = list(grown.offers)
    for zone in np.unique(problem.zone) if problem.floor else ():
        here = np.flatnonzero((problem.zone == zone) & np.isin(problem.kind, problem.kind[added]))
        missing = problem.floor - int((problem.zone[grown.offers] == zone).sum())
        added += [int(here[problem.price[here].argmin()])] * max(missing, 0)
    return _extended(layout, problem, grown, np.array(added[len(grown.offers) :], dtype=np.int64))


def _extended(layout: Layout, problem: Problem, grown: Grown, more: Ints) -> Grown:
    offers = np.concatenate([grown.offers, more])
    if layout.zoned:
        zones = problem.zone[more]
    else:
        # New nodes go to the zone with the fewest.
        zones = np.zeros(len(more), dtype=np.int64)
        count = np.bincount(grown.zones, minlength=len(layout.zones))
        for i in range(len(more)):
            zones[i] = count.argmin()
            count[zones[i]] += 1
    return Grown(offers, np.concatenate([grown.zones, zones]), grown.where)


def _fewest(
    passes: Callable[[int], bool], start: int, most: int, within: Callable[[], int] = lambda: 1
) -> int | None:
    """The least count from `start` on that passes, by steps that double and then halve.

    It may find up to `within` - 1 more, which may grow in the meantime.
    """
    low, high, step = start - 1, start, 1
    while not passes(high):
        if high >= most:
            return None
        step = max(step, within())
        low, high, step = high, min(high + step, most), 2 * step
    while high - low > within():
        middle = (low + high) // 2
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high
