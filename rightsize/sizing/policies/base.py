"""What every sizing policy has in common.

A policy sees the usage of one container of one workload, all its pods pooled, as a plain frame
with one row for each pod and 5-minute window:

=========  ====================  =======================================================
column     unit                  meaning
=========  ====================  =======================================================
time       datetime64, UTC       end of the window
pod        category or str       replica, to keep pods apart
cpu        cores                 mean over the window; NaN where unknown
memory     bytes                 highest working set in the window; NaN where unknown
throttled  share, 0 to 1         throttled CFS periods; NaN without a limit; may be absent
=========  ====================  =======================================================

It answers with `sizes_`. Guards that look at what is in force today (never worse than today, step
limits, floors, rounding) come after the policy, in `rightsize.sizing.guards`.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from rightsize.estimator import Estimator
from rightsize.results import Resource, Sizes

Floats = npt.NDArray[np.float64]


class SizingPolicy(Estimator):
    """Base class: `fit` learns `sizes_` from usage; parameters are stored untouched.

    Attributes
    ----------
    sizes_ : Sizes
        Requests and limits in cores and bytes; None where the usage says nothing.
    rules_ : dict
        For `cpu` and `memory`, the rule that set the request, as a short phrase.
    abstained_ : dict
        For `cpu` and `memory`, why the past does not predict; absent where it does.
    """

    sizes_: Sizes
    rules_: dict[Resource, str]
    abstained_: dict[Resource, str]

    @abstractmethod
    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Learn from usage (columns as in this module's table); `y` is ignored."""

    def predict(self, X: pd.DataFrame | None = None) -> pd.DataFrame:
        """Return the sizes as a frame of one row, columns as the fields of `Sizes`."""
        sizes = self.sizes_
        return pd.DataFrame(
            {
                "cpu_request": [sizes.cpu_request],
                "cpu_limit": [sizes.cpu_limit],
                "memory_request": [sizes.memory_request],
                "memory_limit": [sizes.memory_limit],
            },
            dtype="float64",
        )


def finite(values: pd.Series) -> Floats:
    """The known values of a column, as a float64 array."""
    array: Floats = values.to_numpy(dtype=np.float64, na_value=np.nan)
    known: Floats = array[np.isfinite(array)]
    return known
