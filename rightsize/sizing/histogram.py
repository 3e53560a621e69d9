"""Histograms of usage that add up: quantiles of many workloads without their windows.

Bucket `k` holds the values in `(GROWTH^(k-1), GROWTH^k]`. A quantile is the mean of its bucket: that
of steady usage is exact, any other is off by at most 0.2 %. The layout is that of DDSketch (Masson,
Rim and Lee, 2019).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rightsize.results import Usage
from rightsize.sizing.policies.base import Floats

GROWTH = 1.002
_ZERO = np.iinfo(np.int32).min
"""Bucket of what is zero."""


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """How often a value lay in each bucket, and the highest of all.

    Attributes
    ----------
    buckets : int32 array of shape (k,), ascending
    counts : int64 array of shape (k,)
    sums : float64 array of shape (k,)
        Of the values in each bucket.
    highest : float
        NaN where nothing was counted.
    """

    buckets: np.ndarray[tuple[int], np.dtype[np.int32]]
    counts: np.ndarray[tuple[int], np.dtype[np.int64]]
    sums: Floats
    highest: float

    @classmethod
    def of(cls, values: Floats) -> Histogram:
        """Count values of at least zero; NaN is left out."""
        known = values[np.isfinite(values)]
        if not known.size:
            return cls(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0), np.nan)
        with np.errstate(divide="ignore"):
            logs = np.ceil(np.log(known) / np.log(GROWTH))
        codes = np.where(known > 0, logs, _ZERO).astype(np.int32)
        buckets, place, counts = np.unique(codes, return_inverse=True, return_counts=True)
        sums = np.bincount(place, weights=known).astype(np.float64)
        return cls(buckets, counts.astype(np.int64), sums, float(known.max()))

    def quantile(self, share: float) -> float:
        """The value that `share` of those counted do not pass, off by at most 0.2 %."""
        if not self.counts.size:
            return np.nan
        place = np.searchsorted(np.cumsum(self.counts), share * self.counts.sum(), side="left")
        bucket = min(int(place), self.buckets.size - 1)
        return float(self.sums[bucket] / self.counts[bucket])

    @property
    def usage(self) -> Usage:
        """Median, p95, p99 and peak, as of the values themselves."""
        if not self.counts.size:
            return Usage()
        return Usage(self.quantile(0.5), self.quantile(0.95), self.quantile(0.99), self.highest)


def together(parts: Iterable[Histogram]) -> Histogram:
    """The histogram of all values of some histograms."""
    every = [part for part in parts if part.counts.size]
    if not every:
        return Histogram.of(np.zeros(0))
    buckets, place = np.unique(np.concatenate([p.buckets for p in every]), return_inverse=True)
    counts = np.bincount(place, weights=np.concatenate([p.counts for p in every]))
    sums = np.bincount(place, weights=np.concatenate([p.sums for p in every]))
    return Histogram(
        buckets, counts.astype(np.int64), sums.astype(np.float64), max(p.highest for p in every)
    )
