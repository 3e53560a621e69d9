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

_BRANCHES_A_SECOND = 200
"""Few enough that the programs of this package take less than their seconds on an idle core."""
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


@dataclass(frozen=True, slots=True)
class Effort:
    """How long an integer program may be worked on.

    A steady one counts the branches that are tried, so that a busy machine finds what an idle one
    does; the wall's time then only ends what would never end.
    """

    seconds: float
    steady: bool = False

    @property
    def options(self) -> dict[str, float]:
        """Options of `scipy.optimize.milp`."""
        seconds = max(self.seconds, 0.05)
        if not self.steady:
            return {"time_limit": seconds}
        return {"node_limit": int(seconds * _BRANCHES_A_SECOND), "time_limit": _FAR_TOO_LONG}


def minimise(
    cost: Floats,
    rows: Floats | sparse.sparray,
    at_least: Floats,
    whole: Flags,
    *,
    upper: Floats | None = None,
    effort: Effort = Effort(5.0),
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
            options={**effort.options, "mip_rel_gap": gap},
        )
    if result.status == 2:
        return Solution(None, float("inf"), True)
    bound = getattr(result, "mip_dual_bound", None)
    if bound is None:
        bound = result.fun if result.status == 0 else 0.0
    # Adding 0.0 turns the solver's -0.0 into 0.0.
    proven = max(float(bound), 0.0) + 0.0
    return Solution(result.x, proven, result.status == 0)
