"""SciPy's HiGHS, with a time limit and without a word on stdout."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from rightsize.analysis.nodes.problem import Flags, Floats


@dataclass(frozen=True, eq=False)
class Solution:
    """What HiGHS found. `bound` is proven even when the time ran out; `x` may be None."""

    x: Floats | None
    bound: float
    optimal: bool


@contextmanager
def silent_stdout() -> Iterator[None]:
    """Send file descriptor 1 to nowhere: HiGHS prints there from C, past `sys.stdout`."""
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:  # stdout is closed: there is nothing to protect
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def minimise(
    cost: Floats,
    rows: Floats | sparse.sparray,
    at_least: Floats,
    whole: Flags,
    *,
    upper: Floats | None = None,
    time_limit: float = 5.0,
    gap: float = 0.0,
) -> Solution:
    """Minimise `cost @ x` with `rows @ x >= at_least`, `0 <= x <= upper`, `x[whole]` integers.

    `bound` is the proven lower bound; infinity when nothing satisfies the rows.
    """
    with silent_stdout():
        result = milp(
            cost,
            constraints=LinearConstraint(sparse.csr_array(rows), lb=at_least),
            integrality=whole.astype(int),
            bounds=Bounds(0, np.inf if upper is None else upper),
            options={"time_limit": max(time_limit, 0.05), "mip_rel_gap": gap},
        )
    if result.status == 2:
        return Solution(None, float("inf"), True)
    bound = getattr(result, "mip_dual_bound", None)
    if bound is None:
        bound = result.fun if result.status == 0 else 0.0
    # Adding 0.0 turns the solver's -0.0 into 0.0.
    proven = max(float(bound), 0.0) + 0.0
    return Solution(result.x, proven, result.status == 0)
