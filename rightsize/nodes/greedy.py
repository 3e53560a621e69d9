"""Fast plans: first-fit decreasing, and nodes filled one by one by the dot product."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from rightsize.nodes.bound import problem_rows
from rightsize.nodes.problem import CPU, Floats, Ints, Packing, Problem

_OFFERS_TRIED = 10
"""Offers compared for each node: those the linear program uses, then the next cheapest."""


def first_fit_decreasing(problem: Problem) -> Packing:
    """Pods from large to small, each to the first node with room, else to a new node.

    New nodes are of the first offer that may hold the pod. With one offer this is what
    Cluster Autoscaler's estimator does.
    """
    size, share = problem.size, (problem.size / problem.capacity.max(axis=0).clip(1)).max(axis=1)
    classes = problem.classes
    offers: list[int] = []
    rest = np.zeros((0, size.shape[1]))
    hosted: list[Ints] = []
    where = np.full(len(classes), -1, dtype=np.int64)
    for pod in np.argsort(-share[classes], kind="stable"):
        k = classes[pod]
        node = _first_with_room(problem, int(k), rest, offers, hosted)
        if node is None:
            fitting = np.flatnonzero(problem.fits[k])
            if not len(fitting):
                continue
            node = len(offers)
            offers.append(int(fitting[0]))
            rest = np.vstack([rest, problem.capacity[fitting[0]]])
            hosted.append(np.zeros(len(problem.count), dtype=np.int64))
        rest[node] -= size[k]
        hosted[node][k] += 1
        where[pod] = node
    return Packing(np.array(offers, dtype=np.int64), where)


def _first_with_room(
    problem: Problem, k: int, rest: Floats, offers: list[int], hosted: list[Ints]
) -> int | None:
    for node in np.flatnonzero((rest >= problem.size[k]).all(axis=1)):
        if problem.fits[k, offers[node]] and welcome(problem, k, hosted[node]):
            return int(node)
    return None


def welcome(problem: Problem, k: int, hosted: Ints) -> bool:
    """May one more pod of class `k` join a node that hosts these numbers of each class?"""
    group = problem.group[k]
    if group >= 0 and hosted[problem.group == group].sum() >= problem.limit[group]:
        return False
    return not hosted[problem.avoid[k]].any()


def resource_values(problem: Problem) -> tuple[Floats, Floats]:
    """What a unit of each resource is worth in the fluid optimum, and the offers' use in it.

    Returns
    -------
    worth : (3,) float array
        USD per hour for one millicore, byte and slot.
    use : (O,) float array
        Nodes of each offer in the linear optimum.
    """
    rows = problem_rows(problem)
    used = linprog(problem.price, A_ub=-rows.matrix, b_ub=-rows.at_least, method="highs")
    whole = linprog(
        problem.price,
        A_ub=-(problem.capacity / problem.scale).T,
        b_ub=-(problem.demand / problem.scale),
        method="highs",
    )
    if used.status != 0 or whole.status != 0:
        return 1.0 / problem.scale, np.zeros(len(problem.price))
    worth = np.clip(-np.asarray(whole.ineqlin.marginals), 0, None) / problem.scale
    # A resource that is free in the optimum still breaks ties.
    worth = np.maximum(worth, 1e-6 * float(problem.price.mean()) / problem.scale)
    return worth, np.asarray(used.x)


def dot_product(problem: Problem) -> Packing:
    """Open, again and again, the node of which the best filling is worth most per dollar.

    A node is filled with the pod with the request that points most along what is left of it (the
    dot-product heuristic of Panigrahy et al., 2011); a filling is worth what its requests cost
    in the fluid optimum.
    """
    worth, use = resource_values(problem)
    order = np.lexsort((problem.price / (problem.capacity @ worth).clip(1e-12), -use))
    # Never so few offers that a class has none.
    candidates = list(order[:_OFFERS_TRIED])
    confined = ~problem.fits[:, candidates].any(axis=1) & (problem.count > 0)
    candidates += [
        int(np.flatnonzero(problem.fits[k])[0])
        for k in np.flatnonzero(confined)
        if problem.fits[k].any()
    ]
    left = problem.count.copy()
    nodes: list[int] = []
    patterns: list[Ints] = []
    kept: dict[int, Ints] = {}
    on_demand_cpu = problem.on_demand_share * problem.demand[CPU]
    while left.any():
        allowed = _allowed(problem, candidates, nodes, on_demand_cpu)
        best, best_value = -1, 0.0
        for offer in allowed:
            pattern = kept.get(offer)
            if pattern is None or (pattern > left).any():
                pattern = kept[offer] = fill(problem, offer, left)
            value = float(pattern @ (problem.size @ worth)) / problem.price[offer]
            if value > best_value:
                best, best_value = offer, value
        if best < 0:
            break
        on_demand_cpu -= problem.capacity[best, CPU] if problem.on_demand[best] else 0
        times = int((left[kept[best] > 0] // kept[best][kept[best] > 0]).min())
        if problem.on_demand_share > 0:
            times = 1
        nodes += [best] * times
        patterns += [kept[best]] * times
        left = left - kept[best] * times
    return _with_floors(problem, nodes, patterns)


def _allowed(
    problem: Problem, candidates: list[int], nodes: list[int], on_demand_cpu: float
) -> list[int]:
    allowed = list(dict.fromkeys(int(c) for c in candidates))
    if on_demand_cpu > 0:
        allowed = [offer for offer in allowed if problem.on_demand[offer]]
    if problem.max_types is not None:
        kinds = {int(problem.kind[node]) for node in nodes}
        if len(kinds) >= problem.max_types:
            allowed = [o for o in range(len(problem.price)) if int(problem.kind[o]) in kinds]
    return allowed


def fill(problem: Problem, offer: int, left: Ints) -> Ints:
    """(K,) pods of each class for one empty node of the offer, out of those left."""
    members = np.flatnonzero((left > 0) & problem.fits[:, offer])
    size = problem.size[members]
    weight = 1.0 / problem.scale**2
    rest = problem.capacity[offer].copy()
    remaining = left[members].copy()
    hosted = np.zeros(len(problem.count), dtype=np.int64)
    open_ = np.ones(len(members), dtype=bool)
    while True:
        open_ &= (size <= rest).all(axis=1) & (remaining > 0)
        if not open_.any():
            return hosted
        choice = int(np.where(open_, (size * weight) @ rest, -1.0).argmax())
        k = int(members[choice])
        if not welcome(problem, k, hosted):
            open_[choice] = False
            continue
        hosted[k] += 1
        remaining[choice] -= 1
        rest = rest - size[choice]


def _with_floors(problem: Problem, nodes: list[int], patterns: list[Ints]) -> Packing:
    """Add the cheapest nodes that bring every zone to its floor, and number the pods."""
    start = np.concatenate([[0], np.cumsum(problem.count)])
    where = np.full(problem.pods, -1, dtype=np.int64)
    taken = np.zeros(len(problem.count), dtype=np.int64)
    for node, pattern in enumerate(patterns):
        for k in np.flatnonzero(pattern):
            first = start[k] + taken[k]
            where[first : first + pattern[k]] = node
            taken[k] += pattern[k]
    return Packing(raise_floors(problem, np.array(nodes, dtype=np.int64)), where)


def raise_floors(problem: Problem, offers: Ints) -> Ints:
    """Append the cheapest nodes that bring every zone to its floor."""
    added = list(offers)
    kinds = {int(k) for k in problem.kind[offers]}
    closed = problem.max_types is not None and len(kinds) >= problem.max_types
    for zone in np.unique(problem.zone) if problem.floor else []:
        here = problem.zone == zone
        if closed:
            here &= np.isin(problem.kind, list(kinds))
        cheapest = np.flatnonzero(here)
        if len(cheapest):
            missing = problem.floor - int((problem.zone[offers] == zone).sum())
            added += [int(cheapest[problem.price[cheapest].argmin()])] * max(missing, 0)
    return np.array(added, dtype=np.int64)
