"""Quantiles of Prometheus histograms, from the increase of each cumulative bucket."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BucketQuantile:
    """A quantile interpolated within a bucket; `beyond` says that it lies above all bounds."""

    value: float
    beyond: bool = False


def bucket_quantile(bounds: Floats, cumulative: Floats, quantile: float) -> BucketQuantile | None:
    """Interpolate linearly within the bucket that holds the quantile, as PromQL does.

    Parameters
    ----------
    bounds : ndarray of shape (b,)
        Upper bounds in increasing order; the last may be infinite.
    cumulative : ndarray of shape (b,)
        Observations at or below each bound.
    quantile : float
        Between 0 and 1.

    Returns
    -------
    BucketQuantile or None
        None without an observation. In the last, infinite bucket the highest finite bound is
        given, as `histogram_quantile` of Prometheus does, with `beyond` set.
    """
    # Windows of several pods may be cut at different scrapes: counts are made to rise.
    counts = np.maximum.accumulate(cumulative)
    if not counts.size or counts[-1] <= 0:
        return None
    rank = quantile * counts[-1]
    place = int(np.searchsorted(counts, rank))
    finite = bounds[np.isfinite(bounds)]
    if not np.isfinite(bounds[place]):
        return BucketQuantile(float(finite[-1]), beyond=True) if finite.size else None
    below = counts[place - 1] if place else 0.0
    start = bounds[place - 1] if place else min(0.0, float(bounds[0]))
    width = counts[place] - below
    share = (rank - below) / width if width > 0 else 1.0
    return BucketQuantile(float(start + (bounds[place] - start) * share))


def buckets_of(control_plane: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Increase of each bucket over all pods: rows are hours, columns the bounds, rising.

    Parameters
    ----------
    control_plane : DataFrame
        The snapshot's table.
    metric : str
        Name of the histogram without `_bucket`.
    """
    rows = control_plane[control_plane["metric"] == f"{metric}_bucket"]
    if rows.empty:
        return pd.DataFrame()
    bounds = rows["label"].astype(str).str.removeprefix("le=").str.strip('"').astype(float)
    table = rows.assign(bound=bounds).pivot_table(
        index="time", columns="bound", values="value", aggfunc="sum", observed=True
    )
    # A bucket that did not exist yet in an hour was empty.
    return table.fillna(0.0)
