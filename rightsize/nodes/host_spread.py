"""`DoNotSchedule` spread over hosts, held against a packing.

How many pods of a workload a node may have depends on the node with the fewest, which no row of the packing
knows. A packing that breaks it is placed anew: by the scheduler's own filters, largest pods first, on the
same nodes, and on as many more as that takes. Its cost then shows in the gap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rightsize.nodes.layout import Layout
from rightsize.nodes.packing import Packed
from rightsize.nodes.problem import Ints, Packing, Problem
from rightsize.nodes.scheduler import Cluster

_MOST_TIMES = 2
"""Nodes that are tried, in times of the packed ones."""


def held_to_spread(layout: Layout, keep: Ints, found: Packed) -> Packed | None:
    """The packing, or the smallest one found that the spread over hosts allows; None without one.

    Parameters
    ----------
    keep : int array
        Offers of the layout that `found` counts within.
    """
    if all(owner.host_skew is None for owner in layout.owners):
        return found
    problem = layout.problem.with_offers(keep)
    if _even(layout, problem, found.packing):
        return found
    offers = found.packing.offers
    # The cheapest of the packed offers join; several at once where there are many nodes.
    cheapest = offers[problem.price[offers].argmin()]
    step = np.full(1 + len(offers) // 50, cheapest)
    while len(offers) <= _MOST_TIMES * len(found.packing.offers):
        for place in (Cluster.schedule, Cluster.first_fit):
            where = _placed(layout, problem, offers, place)
            if where is not None:
                packing = Packing(offers, where)
                return replace(found, packing=packing, cost=packing.cost(problem))
        offers = np.append(offers, step)
    return None


def _cluster(layout: Layout, problem: Problem, offers: Ints) -> Cluster:
    zones = problem.zone[offers] if layout.zoned else np.zeros(len(offers), dtype=np.int64)
    return Cluster(problem, layout.owners, offers, zones)


def _even(layout: Layout, problem: Problem, packing: Packing) -> bool:
    """Whether no workload's fullest eligible node is above its emptiest by more than the skew."""
    cluster = _cluster(layout, problem, packing.offers)
    cluster.place(problem.classes, packing.where)
    for k, owner in enumerate(layout.owners):
        if owner.host_skew is not None and problem.count[k]:
            here = cluster.on_node[cluster.owner_of_class[k]][problem.fits[k, packing.offers]]
            if here.max() - here.min() > owner.host_skew:
                return False
    return True


def _placed(
    layout: Layout, problem: Problem, offers: Ints, place: Callable[[Cluster, int], int]
) -> Ints | None:
    """(P,) node of each pod, the largest placed first; None if one finds no room."""
    cluster = _cluster(layout, problem, offers)
    classes = problem.classes
    share = (problem.size / problem.scale)[:, :2].max(axis=1)
    where = np.full(len(classes), -1, dtype=np.int64)
    for pod in np.argsort(-share[classes], kind="stable"):
        where[pod] = place(cluster, int(classes[pod]))
        if where[pod] < 0:
            return None
    return where
