"""What a set of pods needs at once: the quantile of their sum, not the sum of their quantiles.

Pods of one node do not peak together, so a node may hold more than its pods' own peaks add up to.
How much more is read off history: usage is added up window by window, and the quantile is that of
the sums. Nothing is assumed on independence, and the gain is shown with what it rests on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rightsize.errors import NoDataError, UsageError
from rightsize.results import Resource
from rightsize.sizing.policies.base import Floats


@dataclass(frozen=True, slots=True)
class JointDemand:
    """Demand of a set of pods for one resource, in cores or bytes.

    Attributes
    ----------
    joint : float
        Quantile over windows of the sum over pods.
    sum_of_parts : float
        Sum over pods of each pod's own quantile.
    peak : float
        Highest sum seen.
    later : float or None
        Share of the windows in the last third of the history above the joint quantile of the
        first two thirds: what the quantile was worth out of sample. None below 288 windows.
    windows, pods : int
        What it rests on.
    partial : float
        Share of windows in which some pods were not seen; those count as zero, as pods that did
        not run use nothing.
    """

    resource: Resource
    quantile: float
    joint: float
    sum_of_parts: float
    peak: float
    later: float | None
    windows: int
    pods: int
    partial: float

    @property
    def gain(self) -> float:
        """Share of the sum of parts that is not needed at once; 0 where nothing is gained."""
        return max(0.0, 1 - self.joint / self.sum_of_parts) if self.sum_of_parts > 0 else 0.0


def joint_demand(
    usage: pd.DataFrame,
    resource: Resource = "cpu",
    *,
    pods: Sequence[str] | None = None,
    quantile: float = 0.95,
) -> JointDemand:
    """Demand of a set of pods, from their history.

    Parameters
    ----------
    usage : DataFrame
        `time`, `pod`, and `cpu` (cores) or `memory` (bytes): one row for each pod and window. Add
        the rows of several containers of a pod; they are summed.
    pods : sequence of str, optional
        The set; all pods of the frame by default.
    quantile : float
        Between 0 and 1; 1 is the peak.

    Raises
    ------
    UsageError
        If the quantile is out of range.
    NoDataError
        If none of the pods has usage.
    """
    if not 0 < quantile <= 1:
        raise UsageError(f"quantile {quantile:g} is not between 0 and 1")
    known = usage[usage[resource].notna()]
    if pods is not None:
        known = known[known["pod"].isin(list(pods))]
    if known.empty:
        raise NoDataError(f"none of the pods has {resource} usage")
    table = known.groupby(["time", "pod"], observed=True)[resource].sum().unstack()
    return demand_of(table.sort_index().to_numpy(dtype=float), resource, quantile)


def demand_of(use: Floats, resource: Resource, quantile: float) -> JointDemand:
    """Demand from an array of shape (windows, pods), in order of time; NaN is a pod not seen."""
    missing = np.isnan(use)
    sums = np.where(missing, 0.0, use).sum(axis=1)
    parts = np.nanquantile(use, quantile, axis=0, method="higher")
    joint = float(np.quantile(sums, quantile, method="higher"))
    later = None
    if sums.size >= 288:
        cut = 2 * sums.size // 3
        earlier = float(np.quantile(sums[:cut], quantile, method="higher"))
        later = float((sums[cut:] > earlier).mean())
    return JointDemand(
        resource=resource,
        quantile=quantile,
        joint=joint,
        sum_of_parts=float(parts.sum()),
        peak=float(sums.max()),
        later=later,
        windows=sums.size,
        pods=use.shape[1],
        partial=float(missing.any(axis=1).mean()),
    )
