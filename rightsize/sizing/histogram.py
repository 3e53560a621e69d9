"""Histograms of usage that add up: quantiles of many workloads without their windows.

Bucket `k` holds the values in `(GROWTH^(k-1), GROWTH^k]`, so that a quantile read at a bucket's
middle is off by at most a tenth of a per cent; the layout is that of DDSketch (Masson, Rim and Lee, 2019).
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
    highest : float
        NaN where nothing was counted.
    """

    buckets: np.ndarray[tuple[int], np.dtype[np.int32]]
    counts: np.ndarray[tuple[int], np.dtype[np.int64]]
    highest: float

    @classmethod
    def of(cls, values: Floats) -> Histogram:
        """Count values of at least zero; NaN is left out."""
        known = values[np.isfinite(values)]
        if not known.size:
            return cls(np.zeros(0, np.int32), np.zeros(0, np.int64), np.nan)
        with np.errstate(divide="ignore"):
            logs = np.ceil(np.log(known) / np.log(GROWTH))
        codes = np.where(known > 0, logs, _ZERO).astype(np.int32)
        buckets, counts = np.unique(codes, return_counts=True)
        return cls(buckets, counts.astype(np.int64), float(known.max()))

    def quantile(self, share: float) -> float:
        """The value that `share` of those counted do not pass, off by at most a tenth of a per cent."""
        if not self.counts.size:
            return np.nan
        place = np.searchsorted(np.cumsum(self.counts), share * self.counts.sum(), side="left")
        bucket = self.buckets[min(int(place), self.buckets.size - 1)]
        if bucket == _ZERO:
            return 0.0
        return min(float(2 * GROWTH ** float(bucket) / (GROWTH + 1)), self.highest)

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
    counts = np.zeros(buckets.size, np.int64)
    np.add.at(counts, place, np.concatenate([p.counts for p in every]))
    return Histogram(buckets, counts, max(p.highest for p in every))
