"""Balanced graph partitioning: few and light edges cut, no part too heavy.

Local search after Kernighan and Lin (Bell System Technical Journal 49, 1970) and Fiduccia and
Mattheyses (Design Automation Conference, 1982): moves and swaps while they help, from several
starts that grow parts along heavy edges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_STARTS = 12


@dataclass(frozen=True)
class Partition:
    """`parts`, shape (n,): the part of each node. `cut`: weight of edges between parts."""

    parts: Ints
    cut: float
    heaviest: float
    """Load of the heaviest part over the mean load of a part."""


def partition(
    weights: Floats, loads: Floats, parts: int, *, tolerance: float = 0.1, seed: int = 0
) -> Partition:
    """Divide nodes into parts of nearly equal load so that little weight is cut.

    Parameters
    ----------
    weights : ndarray of shape (n, n)
        Symmetric, non-negative edge weights; the diagonal is not counted.
    loads : ndarray of shape (n,)
        Non-negative load of each node.
    parts : int
        Number of parts, from 1 to n; none stays empty.
    tolerance : float
        How far a part may stand above the mean load. A node heavier than that on its own is
        allowed for.
    seed : int
        Of the starts; the same input gives the same answer.

    Raises
    ------
    ValueError
        For more parts than nodes, or fewer than one.
    """
    count = len(loads)
    if not 1 <= parts <= count:
        raise ValueError(f"{parts} parts of {count} nodes")
    inner = np.array(weights, dtype=np.float64)
    np.fill_diagonal(inner, 0.0)
    mean = max(float(loads.sum()) / parts, 1e-12)
    random = np.random.default_rng(seed)
    best: tuple[float, float] | None = None
    chosen = np.zeros(count, dtype=np.int64)
    for start in range(_STARTS if parts > 1 else 1):
        given = _grown(inner, loads, parts, random) if start % 3 else _even(loads, parts, random)
        limit = max(mean * (1 + tolerance), _heaviest(loads, given, parts))
        found = _improved(inner, loads, given, parts, mean, tolerance, limit)
        over = max(_heaviest(loads, found, parts) - mean * (1 + tolerance), 0.0)
        score = (round(over / mean, 9), cut_weight(inner, found))
        if best is None or score < best:
            best, chosen = score, found
    return Partition(chosen, cut_weight(inner, chosen), _heaviest(loads, chosen, parts) / mean)


def cut_weight(weights: Floats, parts: Ints) -> float:
    """Weight of the edges with ends in different parts."""
    return float(weights[parts[:, None] != parts[None, :]].sum()) / 2


def _heaviest(loads: Floats, parts: Ints, count: int) -> float:
    return float(np.bincount(parts, weights=loads, minlength=count).max())


def _even(loads: Floats, parts: int, random: np.random.Generator) -> Ints:
    """Heaviest node first, into the lightest part; ties in random order."""
    found = np.zeros(len(loads), dtype=np.int64)
    total = np.zeros(parts)
    noise = random.uniform(0.8, 1.25, len(loads))
    for place, node in enumerate(np.argsort(-loads * noise, kind="stable")):
        # The first nodes open one part each, so that none stays empty.
        part = place if place < parts else int(total.argmin())
        found[node] = part
        total[part] += loads[node]
    return found


def _grown(weights: Floats, loads: Floats, parts: int, random: np.random.Generator) -> Ints:
    """Parts that grow from random nodes along their heaviest edges, the lightest part next."""
    count = len(loads)
    found = np.full(count, -1, dtype=np.int64)
    total = np.zeros(parts)
    pull = np.zeros((count, parts))
    for part, node in enumerate(random.permutation(count)[:parts]):
        found[node] = part
        total[part] += loads[node]
        pull[:, part] += weights[node]
    for _ in range(count - parts):
        part = int(total.argmin())
        free = np.flatnonzero(found < 0)
        node = int(free[pull[free, part].argmax()])
        found[node] = part
        total[part] += loads[node]
        pull[:, part] += weights[node]
    return found


def _improved(
    weights: Floats,
    loads: Floats,
    start: Ints,
    parts: int,
    mean: float,
    tolerance: float,
    limit: float,
) -> Ints:
    found = start.copy()
    if parts == 1:
        return found
    ceiling = limit
    while True:
        moved = _move_while_it_helps(weights, loads, found, parts, ceiling)
        swapped = _swap_while_it_helps(weights, loads, found, parts, ceiling)
        if not moved and not swapped:
            return found
        ceiling = max(mean * (1 + tolerance), _heaviest(loads, found, parts))


def _move_while_it_helps(
    weights: Floats, loads: Floats, found: Ints, parts: int, ceiling: float
) -> bool:
    """One node at a time to the part that saves most; in place."""
    pull = weights @ np.eye(parts)[found]
    total = np.bincount(found, weights=loads, minlength=parts).astype(np.float64)
    sizes = np.bincount(found, minlength=parts)
    nodes = np.arange(len(found))
    moved = False
    while True:
        gain = pull - pull[nodes, found][:, None]
        barred = total[None, :] + loads[:, None] > ceiling + 1e-9
        gain[barred | (sizes[found] == 1)[:, None]] = 0.0
        node, part = np.unravel_index(int(gain.argmax()), gain.shape)
        if gain[node, part] <= 1e-9:
            return moved
        old = found[node]
        found[node] = part
        total[old] -= loads[node]
        total[part] += loads[node]
        sizes[old] -= 1
        sizes[part] += 1
        pull[:, old] -= weights[node]
        pull[:, part] += weights[node]
        moved = True


def _swap_while_it_helps(
    weights: Floats, loads: Floats, found: Ints, parts: int, ceiling: float
) -> bool:
    """Exchange two nodes of different parts where that saves; in place."""
    swapped = False
    improving = True
    while improving:
        improving = False
        pull = weights @ np.eye(parts)[found]
        total = np.bincount(found, weights=loads, minlength=parts)
        for one in range(parts):
            for other in range(one + 1, parts):
                a, b = np.flatnonzero(found == one), np.flatnonzero(found == other)
                gain = (
                    (pull[a, other] - pull[a, one])[:, None]
                    + (pull[b, one] - pull[b, other])[None, :]
                    - 2 * weights[np.ix_(a, b)]
                )
                shift = loads[b][None, :] - loads[a][:, None]
                gain[(total[one] + shift > ceiling) | (total[other] - shift > ceiling)] = 0.0
                if not gain.size or gain.max() <= 1e-9:
                    continue
                i, j = np.unravel_index(int(gain.argmax()), gain.shape)
                found[a[i]], found[b[j]] = other, one
                swapped = improving = True
                break
            if improving:
                break
    return swapped
