"""A proven lower bound of what any node set for these pods costs, in whole nodes.

The pods are melted to a fluid and the nodes stay whole: a small integer program over the
number of nodes of each offer. Its rows hold for every plan:

- capacity: what the pods of a set request in a resource is at most what the nodes open to them
  have. Sets: all pods that must run within one collection of offers (Hall's condition);
- big pods: of pods larger than `t` in a resource a node of capacity `c` takes at most
  `floor(c / t)` (Martello and Toth's bound, for bins of several sizes);
- spread: a workload of which a node takes at most `limit` pods needs `n / limit` nodes;
- the floor of nodes in each zone, the number of types, the on-demand share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rightsize.nodes.problem import CPU, Flags, Floats, Ints, Problem
from rightsize.nodes.solver import minimise
from rightsize.nodes.work import Clock

_BIG_POD_ROWS = 6
_MANY_SETS = 400
NODES_AT_MOST = 100_000.0
_USUAL = 3.0
"""Work for one program where the caller has no clock, in seconds."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Linear rows `matrix @ x >= at_least` over the numbers of nodes of each offer."""

    matrix: Floats
    at_least: Floats


def lower_bound(problem: Problem, clock: Clock | None = None, *, whole: bool = True) -> float:
    """Least USD per hour that any node set costs which holds all pods; infinity if none can.

    Not `whole`: of parts of nodes, which is found at once and is never higher.
    """
    if problem.pods == 0 and problem.floor == 0:
        return 0.0
    if not len(problem.price):
        return float("inf")
    _, bound = fluid_node_set(problem, 0.0, clock, whole=whole)
    return bound


def fluid_node_set(
    problem: Problem, slack: float, clock: Clock | None = None, *, whole: bool = True
) -> tuple[Ints | None, float]:
    """Cheapest whole nodes for the pods as a fluid, with `slack` (a share) to spare.

    Returns
    -------
    node_set : (O,) int array or None
        Nodes of each offer; None when nothing was found in time or nothing can hold the pods.
    bound : float
        Proven lower bound in USD per hour of this program.
    """
    rows = problem_rows(problem, slack)
    offers = len(problem.price)
    cost, upper = problem.price, np.full(offers, np.inf)
    matrix, at_least = rows.matrix, rows.at_least
    if problem.max_types is not None:
        kinds = np.unique(problem.kind)
        matrix, at_least = _with_types(problem, kinds, matrix, at_least)
        cost = np.concatenate([cost, np.zeros(len(kinds))])
        upper = np.concatenate([upper, np.ones(len(kinds))])
    left = clock or Clock(_USUAL)
    integers = np.full(len(cost), whole)
    found = minimise(cost, matrix, at_least, integers, upper=upper, clock=left, gap=1e-6)
    if found.x is None:
        return None, found.bound
    return np.round(found.x[:offers]).astype(np.int64), found.bound


def problem_rows(problem: Problem, slack: float = 0.0) -> Rows:
    """All rows of the fluid program, scaled to about 1."""
    matrix: list[Floats] = []
    at_least: list[float] = []
    for classes, offers in _closed_sets(problem):
        for row, need in _capacity_rows(problem, classes, offers, slack):
            matrix.append(row)
            at_least.append(need)
    for row, need in (*_spread_rows(problem), *_floor_rows(problem), *_share_rows(problem)):
        matrix.append(row)
        at_least.append(need)
    return Rows(np.array(matrix).reshape(-1, len(problem.price)), np.array(at_least))


def _closed_sets(problem: Problem) -> list[tuple[Flags, Flags]]:
    """(classes, offers): each distinct set of offers and every class confined to it."""
    present = problem.count > 0
    masks = np.unique(problem.fits[present], axis=0)
    if len(masks) > _MANY_SETS:
        # Those of most pods; leaving rows out keeps the bound valid, only looser.
        share = [
            float(problem.count[present & (problem.fits == mask).all(axis=1)].sum())
            for mask in masks
        ]
        masks = masks[np.argsort(share)[-_MANY_SETS:]]
    everything = np.ones(len(problem.price), dtype=bool)
    sets = [(present & ~(problem.fits & ~mask).any(axis=1), mask) for mask in masks]
    if not any(mask.all() for mask in masks):
        sets.append((present, everything))
    return sets


def _capacity_rows(
    problem: Problem, classes: Flags, offers: Flags, slack: float
) -> list[tuple[Floats, float]]:
    rows = []
    open_to = np.where(offers[:, None], problem.capacity, 0.0)
    demand = problem.count[classes] @ problem.size[classes]
    for resource, need in enumerate(demand):
        if need > 0:
            rows.append((open_to[:, resource] / need, 1.0 + slack))
        size = problem.size[classes, resource]
        # Pods above a third of the largest node are the ones that leave gaps.
        floor = open_to[:, resource].max(initial=0.0) / 3
        for least in np.unique(size[size > floor])[-_BIG_POD_ROWS:]:
            pods = float(problem.count[classes][size >= least].sum())
            rows.append((np.floor(open_to[:, resource] / least) / pods, 1.0))
    return rows


def _spread_rows(problem: Problem) -> list[tuple[Floats, float]]:
    needed: dict[bytes, tuple[Flags, int]] = {}
    for group, limit in enumerate(problem.limit):
        members = (problem.group == group) & (problem.count > 0)
        if not members.any():
            continue
        nodes = int(-(-problem.count[members].sum() // limit))
        offers = problem.fits[members].any(axis=0)
        key = offers.tobytes()
        if key not in needed or needed[key][1] < nodes:
            needed[key] = (offers, nodes)
    return [(offers / nodes, 1.0) for offers, nodes in needed.values()]


def _floor_rows(problem: Problem) -> list[tuple[Floats, float]]:
    if problem.floor == 0:
        return []
    return [((problem.zone == zone) / problem.floor, 1.0) for zone in np.unique(problem.zone)]


def _share_rows(problem: Problem) -> list[tuple[Floats, float]]:
    need = problem.on_demand_share * problem.demand[CPU]
    if need <= 0:
        return []
    return [(np.where(problem.on_demand, problem.capacity[:, CPU], 0.0) / need, 1.0)]


def _with_types(
    problem: Problem, kinds: Ints, matrix: Floats, at_least: Floats
) -> tuple[Floats, Floats]:
    """Add one 0/1 column a type: nodes only of types chosen, at most `max_types` of them."""
    chosen = (problem.kind[:, None] == kinds).astype(float)
    # A node nobody needs is never bought: each holds a pod, or fills a floor or the share.
    most = float(problem.pods + problem.floor + 1)
    if problem.on_demand_share > 0:
        most = max(most, NODES_AT_MOST)
    link = np.hstack([-np.eye(len(problem.price)) / most, chosen])
    total = np.concatenate([np.zeros(len(problem.price)), -np.ones(len(kinds))])
    wide = np.hstack([matrix, np.zeros((len(matrix), len(kinds)))])
    assert problem.max_types is not None
    return (
        np.vstack([wide, link, total]),
        np.concatenate([at_least, np.zeros(len(link)), [-float(problem.max_types)]]),
    )
