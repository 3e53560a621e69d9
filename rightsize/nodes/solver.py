"""SciPy's HiGHS, with a limit on its work and without a word on stdout."""

from __future__ import annotations

import hashlib
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
_TOLERANCE = 1e-6
"""By which HiGHS lets a row fall short."""


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
    are limited by what the clock has left, and counted on it. A program that was solved before counts as if
    it were solved anew, so that what is kept changes no answer.
    """
    entries = float(rows.size if isinstance(rows, np.ndarray) else rows.nnz)
    branch = max(entries * _BRANCH_SECONDS, 1e-4)
    clock.spend(_CALL_SECONDS + entries * _ENTRY_SECONDS)
    most = max(int(clock.left / branch), 1)
    table = sparse.csr_array(rows)
    bounds = np.full(len(cost), np.inf) if upper is None else upper
    if len(cost) == 1 and whole.all():
        column = np.asarray(table.todense())[:, 0]
        return _of_one_column(float(cost[0]), column, at_least, float(bounds[0]))
    program = hashlib.sha256(f"{gap} {table.shape}".encode())
    for array in (cost, table.data, table.indices, table.indptr, at_least, whole, bounds):
        program.update(array.tobytes())
    key = program.digest()
    run = _RUNS.get(key)
    if run is None or not run.would_be(most):
        run = _run(cost, LinearConstraint(table, lb=at_least), whole, bounds, most, gap)
        if len(_RUNS) >= _RUNS_KEPT:
            del _RUNS[next(iter(_RUNS))]
        _RUNS[key] = run
    clock.spend(branch * run.branches)
    return run.solution


@dataclass(frozen=True, eq=False)
class _Run:
    """What HiGHS came to in so many branches of the `most` that it was allowed."""

    solution: Solution
    branches: int
    most: int
    ended: bool
    """By itself, and not by the limit."""

    def would_be(self, most: int) -> bool:
        """Whether a run that is allowed so many branches is this one again."""
        return most == self.most or (self.ended and self.branches < most)


_RUNS: dict[bytes, _Run] = {}
"""By program. Plans ask for the bound of one set of pods several times."""
_RUNS_KEPT = 1_000


def _run(
    cost: Floats, rows: LinearConstraint, whole: Flags, upper: Floats, most: int, gap: float
) -> _Run:
    with silent_stdout():
        result = milp(
            cost,
            constraints=rows,
            integrality=whole.astype(int),
            bounds=Bounds(0, upper),
            options={"node_limit": most, "time_limit": _FAR_TOO_LONG, "mip_rel_gap": gap},
        )
    branches = int(getattr(result, "mip_node_count", None) or 0)
    if result.status == 2:
        return _Run(Solution(None, float("inf"), True), branches, most, True)
    ended = bool(result.status == 0)
    bound = getattr(result, "mip_dual_bound", None) if whole.any() else None
    if bound is None:
        bound = result.fun if ended else 0.0
    # Adding 0.0 turns the solver's -0.0 into 0.0.
    proven = max(float(bound), 0.0) + 0.0
    return _Run(Solution(result.x, proven, ended), branches, most, ended)


def _of_one_column(cost: float, column: Floats, at_least: Floats, upper: float) -> Solution:
    """The least whole number that satisfies every row, up to the solver's tolerance."""
    short = at_least > _TOLERANCE
    if (column[short] <= 0).any():
        return Solution(None, float("inf"), True)
    needed = (at_least[short] - _TOLERANCE) / column[short]
    number = float(np.ceil(needed.max(initial=0.0)))
    if number > upper:
        return Solution(None, float("inf"), True)
    return Solution(np.array([number]), number * cost, True)
