"""The optimum of small cases: every way to fill a node, chosen by an integer program."""

from __future__ import annotations

import numpy as np

from rightsize.nodes.greedy import raise_floors
from rightsize.nodes.problem import CPU, Floats, Ints, Packing, Problem
from rightsize.nodes.solver import minimise
from rightsize.nodes.work import Clock

_CLASSES = 14
_PATTERNS = 3_000
_STEPS = 40_000
"""Most fillings, and most pods put into a node to find them, over all offers together."""
_STEP_SECONDS = 1.2e-5


def solve_exactly(problem: Problem, clock: Clock) -> tuple[Packing, float] | None:
    """Cheapest node set and its proven bound; None where there are too many ways to fill a node.

    Every maximal filling of each offer is a column, and the program buys fillings until each
    class is covered (Gilmore and Gomory, 1961, with all columns written out).
    """
    present = np.flatnonzero(problem.count)
    if not len(present) or len(present) > _CLASSES:
        return None
    offers: list[int] = []
    patterns: list[Ints] = []
    steps = min(_STEPS, int(clock.left / _STEP_SECONDS))
    for offer in range(len(problem.price)):
        found, taken = maximal_fillings(problem, offer, _PATTERNS - len(patterns), steps)
        steps -= taken
        clock.spend(taken * _STEP_SECONDS)
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
    found_x = minimise(cost, rows, at_least, whole, upper=upper, clock=clock)
    if found_x.x is None:
        return None
    times = np.round(found_x.x[: len(bought)]).astype(np.int64)
    return _placed(problem, bought, columns, times), found_x.bound


def maximal_fillings(
    problem: Problem, offer: int, most: int, steps: int
) -> tuple[list[Ints] | None, int]:
    """All fillings of one node to which no further pod can be added, and the steps it took.

    None instead of the fillings beyond `most` of them or beyond `steps`. A filling holds at most
    as many pods of a class as there are. The empty one is listed where nothing fits, so that
    floors and shares can be met.
    """
    classes = np.flatnonzero((problem.count > 0) & problem.fits[:, offer]).tolist()
    size = [tuple(problem.size[k].tolist()) for k in classes]
    count = [int(problem.count[k]) for k in classes]
    at_of = {k: at for at, k in enumerate(classes)}
    avoid = [[at_of[k] for k in problem.avoid[own].tolist() if k in at_of] for own in classes]
    group = problem.group[classes].tolist()
    limit = {g: int(problem.limit[g]) for g in group if g >= 0}
    in_group = dict.fromkeys(limit, 0)
    hosted = [0] * len(classes)
    found: list[list[int]] = []
    left = steps

    def room(at: int, rest: tuple[float, ...]) -> bool:
        return (
            hosted[at] < count[at]
            and size[at][0] <= rest[0]
            and size[at][1] <= rest[1]
            and size[at][2] <= rest[2]
            and (group[at] < 0 or in_group[group[at]] < limit[group[at]])
            and not (avoid[at] and any(hosted[other] for other in avoid[at]))
        )

    def extend(start: int, rest: tuple[float, ...], before: list[int]) -> bool:
        nonlocal left
        left -= 1
        if left < 0 or len(found) > most:
            return False
        # What had no room before the last pod has none after it.
        open_classes = [at for at in before if room(at, rest)]
        for at in open_classes:
            if at < start:
                continue
            hosted[at] += 1
            if group[at] >= 0:
                in_group[group[at]] += 1
            cpu, memory, slots = size[at]
            free = rest[0] - cpu, rest[1] - memory, rest[2] - slots
            alive = extend(at, free, open_classes)
            hosted[at] -= 1
            if group[at] >= 0:
                in_group[group[at]] -= 1
            if not alive:
                return False
        if not open_classes:
            found.append(hosted.copy())
        return True

    whole = extend(0, tuple(problem.capacity[offer].tolist()), list(range(len(classes))))
    if not whole:
        return None, steps - max(left, 0)
    patterns = np.zeros((len(found), len(problem.count)), dtype=np.int64)
    patterns[:, classes] = np.array(found, dtype=np.int64).reshape(len(found), len(classes))
    return list(patterns), steps - left


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
    """Add one 0/1 column a type: fillings only of types chosen, at most `max_types` of them."""
    kinds = np.unique(problem.kind)
    most = float(problem.pods + problem.floor + 1)
    of_kind = (problem.kind[bought][None, :] == kinds[:, None]).astype(float)
    link = np.hstack([-of_kind / most, np.eye(len(kinds))])
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
