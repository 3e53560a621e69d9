"""SciPy's HiGHS, with a limit on its work and without a word on stdout."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from rightsize.nodes.problem import Flags, Floats
from rightsize.nodes.work import Clock

_CALL_SECONDS, _ENTRY_SECONDS, _BRANCH_SECONDS = 0.002, 4e-6, 2e-7
"""What a program takes on an idle core: at least, for each entry of its rows at the root, and for
each entry and branch; measured with SciPy 1.17 on programs of this package."""
_FAR_TOO_LONG = 600.0


@dataclass(frozen=True, eq=False)
class Solution:
    """What HiGHS found. `bound` is proven even when the effort ended; `x` may be None."""

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
    clock: Clock,
    gap: float = 0.0,
) -> Solution:
    """Minimise `cost @ x` with `rows @ x >= at_least`, `0 <= x <= upper`, `x[whole]` integers.

    `bound` is the proven lower bound; infinity when nothing satisfies the rows. The branches tried
    are limited by what the clock has left, and counted on it.
    """
    entries = float(rows.size if isinstance(rows, np.ndarray) else rows.nnz)
    branch = max(entries * _BRANCH_SECONDS, 1e-4)
    clock.spend(_CALL_SECONDS + entries * _ENTRY_SECONDS)
    branches = max(int(clock.left / branch), 1)
    with silent_stdout():
        result = milp(
            cost,
            constraints=LinearConstraint(sparse.csr_array(rows), lb=at_least),
            integrality=whole.astype(int),
            bounds=Bounds(0, np.inf if upper is None else upper),
            options={"node_limit": branches, "time_limit": _FAR_TOO_LONG, "mip_rel_gap": gap},
        )
    clock.spend(branch * (getattr(result, "mip_node_count", None) or 0))
    if result.status == 2:
        return Solution(None, float("inf"), True)
    bound = getattr(result, "mip_dual_bound", None)
    if bound is None:
        bound = result.fun if result.status == 0 else 0.0
    # Adding 0.0 turns the solver's -0.0 into 0.0.
    proven = max(float(bound), 0.0) + 0.0
    return Solution(result.x, proven, result.status == 0)
