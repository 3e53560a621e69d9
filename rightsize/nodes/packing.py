"""The cheapest node set that can be found with the work given, with its proven gap."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rightsize.nodes.bound import fluid_node_set, lower_bound
from rightsize.nodes.exact import solve_exactly
from rightsize.nodes.greedy import dot_product, first_fit_decreasing
from rightsize.nodes.improve import improve, with_more_nodes
from rightsize.nodes.problem import Packing, Problem
from rightsize.nodes.work import Clock

_FFD_OFFERS = 3


@dataclass(frozen=True, eq=False)
class Packed:
    """A node set, what it costs, and what no node set can cost less than (USD per hour)."""

    packing: Packing
    cost: float
    bound: float

    @property
    def gap(self) -> float:
        """(cost - bound) / bound; 0 for an empty node set."""
        return max(self.cost / self.bound - 1.0, 0.0) if self.bound > 0 else 0.0


def pack(
    problem: Problem,
    *,
    time_limit: float,
    relaxed: Problem | None = None,
    seed: int = 0,
    clock: Clock | None = None,
) -> Packed | None:
    """Cheapest packing found: small cases solved exactly, others by greedy, then improved.

    Parameters
    ----------
    problem : Problem
        Every class must fit some offer.
    time_limit : float
        Work in seconds of an idle core; when it is done, the best packing so far is returned.
    relaxed : Problem, optional
        The same pods with fewer rules, from which the bound is taken: where `problem` fixes
        choices (which zone takes the odd pod) that another plan could make otherwise.
    seed : int
        Of the random moves.
    clock : Clock, optional
        Counts the work, instead of a clock of its own.

    Returns
    -------
    Packed or None
        None if no packing holds all pods (rules that exclude each other).
    """
    clock = Clock(time_limit) if clock is None else clock.part(1.0, most=time_limit)
    bound = lower_bound(relaxed or problem, clock.part(0.25, most=3.0))
    if not np.isfinite(bound):
        return None
    exact = solve_exactly(problem, clock.part(0.5))
    if exact is not None and exact[0].whole:
        packing, proven = exact
        cost = packing.cost(problem)
        bound = max(bound, proven) if relaxed is None else bound
        if cost <= bound * (1 + 1e-9):
            return _packed(problem, packing, bound)
        candidates = [packing]
    else:
        candidates = []
    tried = [
        dot_product(problem),
        *_of_few_types(problem, clock.part(1.0, most=1.0)),
        *_first_fits(problem),
    ]
    candidates += [p for p in (with_more_nodes(problem, t) for t in tried) if p is not None]
    candidates = [candidate for candidate in candidates if candidate.whole]
    if not candidates:
        return None
    best = min(candidates, key=lambda packing: packing.cost(problem))
    return _packed(problem, improve(problem, best, bound, clock, seed), bound)


def _of_few_types(problem: Problem, clock: Clock) -> list[Packing]:
    """The greedy on the types of the liquid node set alone, where types are limited.

    Left to itself the greedy may spend the types it is allowed before it meets the pods that fit
    none of them; the liquid node set has a place for each.
    """
    if problem.max_types is None:
        return []
    node_set, _ = fluid_node_set(problem, 0.0, clock)
    if node_set is None or not node_set.any():
        return []
    keep = np.flatnonzero(np.isin(problem.kind, problem.kind[node_set > 0]))
    found = dot_product(replace(problem.with_offers(keep), max_types=None))
    return [Packing(keep[found.offers], found.where)]


def _first_fits(problem: Problem) -> list[Packing]:
    """First-fit decreasing on the offers that cost least for the whole demand."""
    if problem.on_demand_share > 0:
        return []
    demand = problem.demand
    with np.errstate(divide="ignore", invalid="ignore"):
        nodes = np.nan_to_num((demand / problem.capacity).max(axis=1), posinf=np.inf)
    homogeneous = np.flatnonzero(problem.fits[problem.count > 0].all(axis=0))
    order = homogeneous[np.argsort((nodes * problem.price)[homogeneous], kind="stable")]
    found = []
    for offer in order[:_FFD_OFFERS]:
        plan = first_fit_decreasing(problem.with_offers(np.array([offer])))
        found.append(Packing(np.full(len(plan.offers), offer), plan.where))
    return found


def _packed(problem: Problem, packing: Packing, bound: float) -> Packed:
    cost = packing.cost(problem)
    # The bound is proven up to the solver's tolerance.
    return Packed(packing, cost, min(bound, cost) if bound <= cost * (1 + 1e-6) else bound)
