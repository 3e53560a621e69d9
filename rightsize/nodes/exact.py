"""The optimum of small cases: every way to fill a node, chosen by an integer program."""

from __future__ import annotations

import numpy as np

from rightsize.nodes.greedy import raise_floors, welcome
from rightsize.nodes.problem import CPU, Floats, Ints, Packing, Problem
from rightsize.nodes.solver import Effort, minimise

_CLASSES = 14
_PATTERNS = 12_000


def solve_exactly(problem: Problem, effort: Effort) -> tuple[Packing, float] | None:
    """Cheapest fleet and its proven bound; None where there are too many ways to fill a node.

    Every maximal filling of each offer is a column, and the program buys fillings until each
    class is covered (Gilmore and Gomory, 1961, with all columns written out).
    """
    present = np.flatnonzero(problem.count)
    if not len(present) or len(present) > _CLASSES:
        return None
    offers: list[int] = []
    patterns: list[Ints] = []
    for offer in range(len(problem.price)):
        found = maximal_fillings(problem, offer, _PATTERNS - len(patterns))
        if found is None:
            return None
        offers += [offer] * len(found)
        patterns += found
    if not patterns:
        return None
    columns, bought = np.array(patterns), np.array(offers)
    rows, at_least = _rows(problem, present, columns, bought)
    cost, whole = problem.price[bought], np.ones(len(bought), dtype=bool)
    if problem.max_types is not None:
        rows, at_least = _limit_types(problem, bought, rows, at_least)
        extra = rows.shape[1] - len(cost)
        cost = np.concatenate([cost, np.zeros(extra)])
        whole = np.ones(len(cost), dtype=bool)
    upper = np.full(len(cost), float(problem.pods + problem.floor + 1))
    upper[len(bought) :] = 1.0
    found_x = minimise(cost, rows, at_least, whole, upper=upper, effort=effort)
    if found_x.x is None:
        return None
    times = np.round(found_x.x[: len(bought)]).astype(np.int64)
    return _placed(problem, bought, columns, times), found_x.bound


def maximal_fillings(problem: Problem, offer: int, most: int) -> list[Ints] | None:
    """All fillings of one node to which no further pod can be added; None beyond `most`.

    A filling holds at most as many pods of a class as there are. The empty one is listed where
    nothing fits, so that floors and shares can be met.
    """
    classes = np.flatnonzero((problem.count > 0) & problem.fits[:, offer])
    found: list[Ints] = []
    steps = 0

    def extend(start: int, hosted: Ints, rest: Floats) -> bool:
        nonlocal steps
        steps += 1
        if steps > 20 * _PATTERNS or len(found) > most:
            return False
        grown = False
        for at, k in enumerate(classes):
            room = hosted[k] < problem.count[k] and (problem.size[k] <= rest).all()
            if not room or not welcome(problem, int(k), hosted):
                continue
            grown = True
            if at < start:
                continue
            hosted[k] += 1
            alive = extend(at, hosted, rest - problem.size[k])
            hosted[k] -= 1
            if not alive:
                return False
        if not grown:
            found.append(hosted.copy())
        return True

    empty = np.zeros(len(problem.count), dtype=np.int64)
    return found if extend(0, empty, problem.capacity[offer]) else None


def _rows(problem: Problem, present: Ints, columns: Ints, bought: Ints) -> tuple[Floats, Floats]:
    rows = [columns[:, k].astype(float) for k in present]
    at_least = [float(problem.count[k]) for k in present]
    if problem.floor:
        for zone in np.unique(problem.zone):
            rows.append((problem.zone[bought] == zone).astype(float))
            at_least.append(float(problem.floor))
    need = problem.on_demand_share * problem.demand[CPU]
    if need > 0:
        cpu = np.where(problem.on_demand, problem.capacity[:, CPU], 0.0)
        rows.append(cpu[bought] / need)
        at_least.append(1.0)
    return np.array(rows), np.array(at_least)


def _limit_types(
    problem: Problem, bought: Ints, rows: Floats, at_least: Floats
) -> tuple[Floats, Floats]:
    kinds = np.unique(problem.kind)
    most = float(problem.pods + problem.floor + 1)
    link = np.hstack(
        [-np.eye(len(bought)) / most, (problem.kind[bought][:, None] == kinds).astype(float)]
    )
    total = np.concatenate([np.zeros(len(bought)), -np.ones(len(kinds))])
    wide = np.hstack([rows, np.zeros((len(rows), len(kinds)))])
    assert problem.max_types is not None
    limits = np.concatenate([at_least, np.zeros(len(link)), [-float(problem.max_types)]])
    return np.vstack([wide, link, total]), limits


def _placed(problem: Problem, bought: Ints, columns: Ints, times: Ints) -> Packing:
    """Hand the pods to the fillings bought, leaving out places that are one too many."""
    start = np.concatenate([[0], np.cumsum(problem.count)])
    left = problem.count.copy()
    where = np.full(problem.pods, -1, dtype=np.int64)
    offers: list[int] = []
    for column in np.flatnonzero(times):
        for _ in range(times[column]):
            for k in np.flatnonzero(columns[column]):
                here = min(int(columns[column, k]), int(left[k]))
                first = start[k + 1] - left[k]
                where[first : first + here] = len(offers)
                left[k] -= here
            offers.append(int(bought[column]))
    return Packing(raise_floors(problem, np.array(offers, dtype=np.int64)), where)
