"""Nodes that may be in any zone are spread over the zones, as an Auto Scaling group spreads its own.

To a packing the zones of one price are alike, and it takes whichever comes first. Promised in such
proportions, small zones fill up with pods that may run anywhere, before those that must run there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rightsize.nodes.layout import Layout
from rightsize.nodes.packing import Packed
from rightsize.nodes.problem import Ints, Packing


def evened_over_zones(layout: Layout, keep: Ints, found: Packed) -> Packed:
    """The same nodes with the same pods for the same money, in zones with as few of the type as may be.

    Parameters
    ----------
    keep : int array
        Offers of the layout that `found` counts within.
    """
    if not layout.zoned:
        return found
    problem, table = layout.problem.with_offers(keep), layout.offers.iloc[keep]
    price = problem.price
    alike = table.groupby(["instance_type", "capacity_type", "pool"], observed=True).ngroup()
    alike_of, classes = alike.to_numpy(), problem.classes
    offers, where = found.packing.offers, found.packing.where
    choices: list[Ints] = []
    for node, offer in enumerate(offers):
        same = (alike_of == alike_of[offer]) & (np.abs(price - price[offer]) < 1e-9)
        on_it = np.unique(classes[where == node])
        choices.append(np.flatnonzero(same & problem.fits[on_it].all(axis=0)))
    nodes_in = np.zeros(len(keep), dtype=np.int64)
    moved = offers.copy()
    for node in sorted(range(len(offers)), key=lambda n: (len(choices[n]), n)):
        best = choices[node][nodes_in[choices[node]].argmin()]
        moved[node] = best
        nodes_in[best] += 1
    return replace(found, packing=Packing(moved, where))
