"""Histograms of usage that add up: quantiles of many pods and days without their windows.

Bucket `k` holds the values in `(growth^(k-1), growth^k]`, and remembers the highest of them, which
stands for all: that of steady usage is exact, any other is too high by less than a bucket's width: 1 %
of CPU, 0.2 % of memory. The layout is that of DDSketch (Masson, Rim and Lee, 2019).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rightsize.results import Resource, Usage

GROWTH: Mapping[Resource, float] = {"cpu": 1.01, "memory": 1.002}
"""Memory hardly moves within a day, so that finer buckets cost little; and sizes of memory are written
in steps of a few per cent."""
SMALLEST = 1e-6
"""What is less is in the bucket of this: a thousandth of what an idle sidecar uses, or of a byte."""
WINDOW_SECONDS = 300
_CELLS = 1_000_000
"""Counters that are in memory at once while values are counted."""

Ints = npt.NDArray[np.int64]
Shorts = npt.NDArray[np.int16]
Floats = npt.NDArray[np.float64]


def buckets_of(values: Floats, growth: float) -> Ints:
    """The bucket of each value; values are at least zero."""
    found: Ints = np.ceil(np.log(np.maximum(values, SMALLEST)) / np.log(growth)).astype(np.int64)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """How often a value lay in each bucket.

    Attributes
    ----------
    buckets : int64 array of shape (k,), ascending
    counts : int64 array of shape (k,)
        All above zero.
    highest : float64 array of shape (k,)
        Highest value of each bucket.
    weights : float64 array of shape (k,)
        What the windows in each bucket count: 1 each, less where a container lived for less of it.
    """

    buckets: Ints
    counts: Ints
    highest: Floats
    weights: Floats

    @classmethod
    def of(cls, resource: Resource, values: Floats) -> Histogram:
        """Count values of at least zero; NaN is left out."""
        return Tally.of(resource, np.zeros(values.size, dtype=np.int64), 1, values).pooled()

    @property
    def windows(self) -> int:
        return int(self.counts.sum())

    def quantile(self, share: float) -> float:
        """The level below which this share of the weight lies; NaN where there is none.

        Of equal weights it is `numpy.quantile` of the values, or above it by less than a bucket.
        """
        if not self.counts.size:
            return np.nan
        each, end = self.weights / self.counts, np.cumsum(self.weights)
        # Where the first and the last window of each bucket begin.
        begins = np.stack([end - self.weights, end - each], axis=1).ravel()
        return float(np.interp(share * begins[-1], begins, np.repeat(self.highest, 2)))

    @property
    def usage(self) -> Usage:
        """Median, p95, p99 and peak."""
        if not self.counts.size:
            return Usage()
        median, p95, p99 = (self.quantile(share) for share in (0.5, 0.95, 0.99))
        return Usage(median, p95, p99, float(self.highest[-1]))


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """The histograms of many rows, one behind the other.

    Attributes
    ----------
    start : int64 array of shape (rows + 1,)
        Where the entries of each row begin, and where the last ones end.
    buckets, counts : integer array of shape (entries,)
        Ascending buckets within a row.
    highest : float64 array of shape (entries,)
    seconds : float64 array of shape (entries,)
        Time that the windows of each entry cover.
    """

    start: Ints
    buckets: npt.NDArray[np.integer[Any]]
    counts: npt.NDArray[np.integer[Any]]
    highest: Floats
    seconds: Floats

    @classmethod
    def of(
        cls,
        resource: Resource,
        row: Ints,
        rows: int,
        values: Floats,
        seconds: Floats | None = None,
    ) -> Tally:
        """Count values of at least zero by their row; NaN is left out.

        Parameters
        ----------
        row : int64 array of shape (n,)
            Row of each value, from 0 to `rows` - 1.
        values : float64 array of shape (n,)
        seconds : float64 array of shape (n,), optional
            Time that each value covers; five minutes where it is NaN, and by default.
        """
        known = np.isfinite(values)
        each = np.full(values.size, float(WINDOW_SECONDS))
        if seconds is not None:
            each = np.where(np.isnan(seconds), each, seconds)
        row, values, each = row[known], values[known], each[known]
        if (np.diff(row) < 0).any():
            order = np.argsort(row, kind="stable")
            row, values, each = row[order], values[order], each[order]
        buckets = buckets_of(values, GROWTH[resource])
        at_once = max(1, _CELLS // (int(np.ptp(buckets)) + 1 if buckets.size else 1))
        parts: list[_Entries] = []
        for first in range(0, max(rows, 1), at_once):
            part = slice(*np.searchsorted(row, [first, first + at_once]))
            parts.append(_dense(row[part], buckets[part], values[part], each[part]))
        found, codes, counts, highest, covered = (
            np.concatenate(column) for column in zip(*parts, strict=True)
        )
        start = np.searchsorted(found, np.arange(rows + 1))
        return cls(start, codes, counts, highest, covered)

    @property
    def rows(self) -> int:
        return self.start.size - 1

    @property
    def row(self) -> Ints:
        """Row of each entry."""
        return np.repeat(np.arange(self.rows), np.diff(self.start))

    def take(self, rows: Ints) -> Tally:
        """These rows, in this order."""
        lengths = np.diff(self.start)[rows]
        start = np.concatenate([[0], np.cumsum(lengths)])
        place = np.repeat(self.start[rows] - start[:-1], lengths) + np.arange(start[-1])
        return Tally(start, *(column[place] for column in self._columns))

    def between(self, first: int, last: int) -> Tally:
        """Rows from `first` up to `last`, without a copy."""
        start = self.start[first : last + 1]
        part = slice(int(start[0]), int(start[-1]))
        return Tally(start - start[0], *(column[part] for column in self._columns))

    @property
    def _columns(self) -> tuple[npt.NDArray[Any], ...]:
        return self.buckets, self.counts, self.highest, self.seconds

    def windows(self) -> Ints:
        """Number of values of each row."""
        return np.bincount(self.row, weights=self.counts, minlength=self.rows).astype(np.int64)

    def peaks(self) -> Floats:
        """Highest value of each row; NaN where there is none."""
        found = np.full(self.rows, np.nan)
        some = np.diff(self.start) > 0
        found[some] = self.highest[self.start[1:][some] - 1]
        return found

    def pooled(self, weights: Floats | None = None) -> Histogram:
        """The histogram of all rows together.

        Parameters
        ----------
        weights : float64 array of shape (rows,), optional
            What each whole window of a row counts; 1 by default.
        """
        if not self.buckets.size:
            none = np.zeros(0, dtype=np.int64)
            return Histogram(none, none, none.astype(float), none.astype(float))
        least = int(self.buckets.min())
        place = self.buckets.astype(np.int64) - least
        counts = np.bincount(place, weights=self.counts).astype(np.int64)
        each = np.repeat(np.ones(self.rows) if weights is None else weights, np.diff(self.start))
        weighed = np.bincount(place, weights=self.seconds / WINDOW_SECONDS * each).astype(float)
        highest = np.zeros(counts.size)
        np.maximum.at(highest, place, self.highest)
        there = np.flatnonzero(counts)
        return Histogram(there + least, counts[there], highest[there], weighed[there])


def together(parts: Iterable[Histogram]) -> Histogram:
    """The histogram of all values of some histograms."""
    every = [part for part in parts if part.counts.size]
    sizes = np.array([part.counts.size for part in every], dtype=np.int64)
    empty = np.zeros(0)
    return Tally(
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.concatenate([empty.astype(np.int64), *(part.buckets for part in every)]),
        np.concatenate([empty.astype(np.int64), *(part.counts for part in every)]),
        np.concatenate([empty, *(part.highest for part in every)]),
        np.concatenate([empty, *(part.weights * WINDOW_SECONDS for part in every)]),
    ).pooled()


_Entries = tuple[Ints, Ints, Ints, Floats, Floats]


def _dense(row: Ints, buckets: Ints, values: Floats, seconds: Floats) -> _Entries:
    """Row, bucket, count, highest value and time of each entry, by a counter for every cell."""
    if not row.size:
        none = np.zeros(0, dtype=np.int64)
        return none, none, none, np.zeros(0), np.zeros(0)
    first, least, width = int(row[0]), int(buckets.min()), int(np.ptp(buckets)) + 1
    cell = (row - first) * width + (buckets - least)
    counts = np.bincount(cell)
    covered = np.bincount(cell, weights=seconds).astype(float)
    highest = np.zeros(counts.size)
    np.maximum.at(highest, cell, values)
    there = np.flatnonzero(counts)
    return (
        there // width + first,
        there % width + least,
        counts[there],
        highest[there],
        covered[there],
    )
