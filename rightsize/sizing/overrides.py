"""One default for all sidecars plus the exceptions that pay for their upkeep.

`global.proxy.resources` holds one size for the whole mesh; a workload that needs more, or much
less, gets annotations of its own. Choosing them is a small optimisation that is solved exactly:
the best default is always the need of some workload in each resource, so every pair of candidate
levels is tried, the workloads above it become exceptions, and what is left of the allowed number
goes to those that save most.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from rightsize.prices.unit_price import UnitPrice
from rightsize.results import HOURS_PER_MONTH

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class DefaultPlan:
    """The chosen default and exceptions.

    Attributes
    ----------
    cpu, memory : float
        The mesh default's requests, in cores and bytes.
    exceptions : array of bool, shape (workloads,)
    usd_per_month : float
        What all sidecars request, at the unit price, without upkeep.
    curve : DataFrame
        For each allowed number of exceptions (`overrides`) the least `usd_per_month`.
    """

    cpu: float
    memory: float
    exceptions: Flags
    usd_per_month: float
    curve: pd.DataFrame


def choose_default(
    cpu: Floats,
    memory: Floats,
    replicas: Floats,
    price: UnitPrice,
    *,
    max_overrides: int | None = None,
    upkeep_usd_per_month: float = 0.0,
) -> DefaultPlan:
    """Return the cheapest default plus exceptions that gives every workload what it needs.

    Parameters
    ----------
    cpu, memory : array, shape (workloads,)
        What each workload's sidecar needs, in cores and bytes.
    replicas : array, shape (workloads,)
        Mean number of pods.
    max_overrides : int, optional
        Most exceptions allowed.
    upkeep_usd_per_month : float
        What keeping one exception costs; it must save more.

    Raises
    ------
    ValueError
        Without any workload.
    """
    count = len(cpu)
    if count == 0:
        raise ValueError("no workload to choose a default for")
    core = replicas * price.usd_per_core_hour * HOURS_PER_MONTH
    byte = replicas * price.usd_per_byte_hour * HOURS_PER_MONTH
    own = core * cpu + byte * memory
    most = count if max_overrides is None else min(max_overrides, count)
    best = np.full(most + 1, np.inf)
    level = np.zeros((most + 1, 2))
    for c in np.unique(cpu):
        for m in np.unique(memory[cpu <= c]):
            forced = (cpu > c) | (memory > m)
            spent = int(forced.sum())
            if spent > most:
                continue
            spare = np.where(forced, 0.0, core * (c - cpu) + byte * (m - memory))
            saved = np.sort(spare[~forced])[::-1][: most - spent]
            cost = own.sum() + spare.sum() - np.concatenate([[0.0], np.cumsum(saved)])
            reach = slice(spent, spent + len(cost))
            better = cost < best[reach] - 1e-12
            best[reach][better] = cost[better]
            level[reach][better] = (c, m)
    best, level = _monotone(best, level)
    overrides = int(np.argmin(best + upkeep_usd_per_month * np.arange(most + 1)))
    c, m = level[overrides]
    curve = pd.DataFrame({"overrides": np.arange(most + 1), "usd_per_month": best})
    chosen = _exceptions(cpu, memory, core * (c - cpu) + byte * (m - memory), c, m, overrides)
    return DefaultPlan(float(c), float(m), chosen, float(best[overrides]), curve)


def _monotone(best: Floats, level: npt.NDArray[np.float64]) -> tuple[Floats, Floats]:
    """More exceptions allowed never cost more: carry the best of fewer over."""
    for k in range(1, len(best)):
        if best[k - 1] <= best[k]:
            best[k], level[k] = best[k - 1], level[k - 1]
    return best, level


def _exceptions(
    cpu: Floats, memory: Floats, spare: Floats, c: float, m: float, overrides: int
) -> Flags:
    forced = (cpu > c) | (memory > m)
    chosen = forced.copy()
    room = overrides - int(forced.sum())
    for index in np.argsort(-np.where(forced, -np.inf, spare), kind="stable")[: max(room, 0)]:
        chosen[index] = (not forced[index] and spare[index] > 0) or forced[index]
    return chosen
