"""The frontier of waste against risk."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rightsize.sizing.policies.base import Floats


def frontier(waste: Floats, risk: Floats) -> npt.NDArray[np.bool_]:
    """Which points no other point beats in both: less waste at no more risk, or the reverse.

    Parameters
    ----------
    waste, risk : float64 arrays of shape (n,)
        NaN is never on the frontier.
    """
    known = np.isfinite(waste) & np.isfinite(risk)
    no_worse = (waste[None, :] <= waste[:, None]) & (risk[None, :] <= risk[:, None])
    better = (waste[None, :] < waste[:, None]) | (risk[None, :] < risk[:, None])
    beaten = (no_worse & better).any(axis=1)
    on: npt.NDArray[np.bool_] = known & ~beaten
    return on
