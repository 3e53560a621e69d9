"""What each recommendation is worth, given that only whole machines can be given up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

_CENT_A_MONTH = 0.01 / 730
"""USD/h below which a difference is taken for rounding."""


@dataclass(frozen=True, slots=True)
class NodeSetValue:
    """The node set that a set of pods needs."""

    nodes: float
    usd_per_hour: float


@dataclass(frozen=True, slots=True)
class Marginal:
    """One change's part in the saving; USD per hour."""

    alone: float
    """Saved if only this change is made."""
    last: float
    """Lost again if only this change is left out."""
    share: float
    """Its part of the whole saving: mean over orders in which the changes are made."""
    frees: Literal["alone", "with others", "nothing"]
    """Whether it frees a machine by itself, only with other changes, or not at all."""


def marginal_savings(
    changes: int,
    node_set_for: Callable[[Sequence[int]], NodeSetValue],
    *,
    orders: int = 4,
    seed: int = 0,
) -> tuple[Marginal, ...]:
    """Value each of `changes` changes by asking for the node set with some of them made.

    Parameters
    ----------
    changes : int
        Number of changes.
    node_set_for : callable
        Takes the indices of the changes that are made, ascending, and returns the node set needed;
        `()` is today. Asked at most `changes * (orders + 2) + 1` times, never twice for one set.
    orders : int
        Random orders over which `share` is averaged (a sample of the Shapley value; the shares
        add up to the whole saving in each order, and so in the mean).

    Returns
    -------
    tuple of Marginal
        In the order of the changes.
    """
    known: dict[frozenset[int], NodeSetValue] = {}

    def cost(made: frozenset[int]) -> float:
        if made not in known:
            known[made] = node_set_for(tuple(sorted(made)))
        return known[made].usd_per_hour

    everything = frozenset(range(changes))
    today, best = cost(frozenset()), cost(everything) if changes else 0.0
    shares = np.zeros(changes)
    random = np.random.default_rng(seed)
    for _ in range(orders):
        made: frozenset[int] = frozenset()
        before = today
        for change in random.permutation(changes):
            made = made | {int(change)}
            after = cost(made)
            shares[change] += (before - after) / orders
            before = after
    found = []
    for change in range(changes):
        alone = today - cost(frozenset({change}))
        last = cost(everything - {change}) - best
        found.append(
            Marginal(alone, last, float(shares[change]), _frees(alone, last, shares[change]))
        )
    return tuple(found)


def _frees(alone: float, last: float, share: float) -> Literal["alone", "with others", "nothing"]:
    if alone > _CENT_A_MONTH:
        return "alone"
    return "with others" if max(last, share) > _CENT_A_MONTH else "nothing"
