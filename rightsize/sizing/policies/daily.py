"""What one container used, by pod and UTC day, and policies that size it from that.

It comes from the snapshot's summaries or, in a back-test, from windows; a policy does not see which.
Levels are those of the histograms: less than 1 % of CPU apart, 0.2 % of memory.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rightsize.results import Resource
from rightsize.sizing.policies.arrays import (
    DAY_SECONDS,
    WINDOW_SECONDS,
    ArrayPolicy,
    History,
    Ints,
    Sizing,
)
from rightsize.sizing.policies.base import Floats
from rightsize.snapshot.histogram import Histogram, Tally
from rightsize.snapshot.summary_table import PEAKS

_WINDOWS = DAY_SECONDS // WINDOW_SECONDS


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One resource, a row for each pod and day.

    Attributes
    ----------
    tally : Tally
        Histograms of the windows, in cores or bytes.
    sums : float64 array of shape (rows,)
        Sum over the windows; 0 where none knows the resource.
    """

    tally: Tally
    sums: Floats

    def between(self, first: int, last: int) -> Measured:
        return Measured(self.tally.between(first, last), self.sums[first:last])

    def take(self, rows: Ints) -> Measured:
        return Measured(self.tally.take(rows), self.sums[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Daily:
    """What the pods of one container used, a row for each pod and day.

    Attributes
    ----------
    pod : int64 array of shape (rows,)
        Code of the pod.
    day : int64 array of shape (rows,)
        Days since the epoch; a window that ends at midnight belongs to the day before it.
    first, last : int64 array of shape (rows,)
        Ends of the first and the last window, in seconds since the epoch.
    windows : int64 array of shape (rows,)
        Windows with a sample.
    cpu, memory : Measured
    peaks : float64 array of shape (rows, 12)
        Highest memory of each two hours; NaN where unknown.
    """

    pod: Ints
    day: Ints
    first: Ints
    last: Ints
    windows: Ints
    cpu: Measured
    memory: Measured
    peaks: Floats

    @classmethod
    def of(cls, history: History) -> Daily:
        """Sum up windows."""
        day = (history.time - 1) // DAY_SECONDS
        least = int(day.min(initial=0))
        width = int(day.max(initial=0)) - least + 1
        keys = history.pod * width + (day - least)
        order = np.argsort(_narrow(keys), kind="stable")
        keys, time, memory = keys[order], history.time[order], history.memory[order]
        heads = np.flatnonzero(np.diff(keys, prepend=-1))
        rows, windows = heads.size, np.diff(heads, append=keys.size)
        row = np.repeat(np.arange(rows), windows)
        stretch = (time - 1) % DAY_SECONDS * PEAKS // DAY_SECONDS
        peaks = np.full(rows * PEAKS, -np.inf)
        known = np.isfinite(memory)
        np.maximum.at(peaks, (row * PEAKS + stretch)[known], memory[known])
        seconds = at_most = None
        if history.seconds is not None:
            seconds = history.seconds[order]
            at_most = np.minimum(seconds, WINDOW_SECONDS)
        return cls(
            pod=keys[heads] // width,
            day=keys[heads] % width + least,
            first=time[heads],
            last=time[heads + windows - 1],
            windows=windows,
            cpu=_measured("cpu", row, rows, history.cpu[order], seconds),
            memory=_measured("memory", row, rows, memory, at_most),
            peaks=np.where(np.isinf(peaks), np.nan, peaks).reshape(rows, PEAKS),
        )

    @property
    def rows(self) -> int:
        return self.pod.size

    def of_resource(self, resource: Resource) -> Measured:
        return self.cpu if resource == "cpu" else self.memory

    def between(self, first: int, last: int) -> Daily:
        """Rows from `first` up to `last`, without a copy."""
        part = slice(first, last)
        return Daily(
            self.pod[part], self.day[part], self.first[part], self.last[part], self.windows[part],
            self.cpu.between(first, last), self.memory.between(first, last), self.peaks[part],
        )  # fmt: skip

    def take(self, rows: Ints) -> Daily:
        """These rows, in this order."""
        return Daily(
            self.pod[rows], self.day[rows], self.first[rows], self.last[rows], self.windows[rows],
            self.cpu.take(rows), self.memory.take(rows), self.peaks[rows],
        )  # fmt: skip

    def since(self, day: int) -> Daily:
        """The days from this one on."""
        return self.take(np.flatnonzero(self.day >= day))


class DailyPolicy(ArrayPolicy):
    """A policy that sizes from what each pod used each day; `size` is the same on windows."""

    @abstractmethod
    def size_daily(self, daily: Daily) -> Sizing:
        """Return sizes in cores and bytes; None for a resource that was never seen."""

    def size(self, history: History) -> Sizing:
        return self.size_daily(Daily.of(history))

    def fit_daily(self, daily: Daily) -> Self:
        """Learn `sizes_` from days."""
        return self._fitted(self.size_daily(daily))


def _narrow(keys: Ints) -> npt.NDArray[np.integer[Any]]:
    """The same in two bytes where they fit: those are sorted by counting."""
    return keys.astype(np.uint16) if keys.max(initial=0) < 2**16 else keys


def _measured(
    resource: Resource, row: Ints, rows: int, values: Floats, seconds: Floats | None
) -> Measured:
    sums = np.bincount(row, np.nan_to_num(values), minlength=rows).astype(np.float64)
    return Measured(Tally.of(resource, row, rows, values, seconds), sums)


def age_weights(daily: Daily, histogram: Measured, half_life_days: float) -> Floats:
    """What the windows of each row count: half after this many days."""
    known = np.diff(histogram.tally.start) > 0
    newest = daily.day[known].max(initial=np.iinfo(np.int64).min)
    weights: Floats = np.exp2(np.minimum(daily.day - newest, 0) / half_life_days)
    return weights


def by_week(daily: Daily, measured: Measured) -> list[Histogram]:
    """The histogram of each week counted back from the newest day, the oldest first."""
    known = np.diff(measured.tally.start) > 0
    week = (daily.day[known].max(initial=0) - daily.day) // 7
    numbers: npt.NDArray[np.int64] = np.unique(week[known])[::-1]
    return [measured.tally.take(np.flatnonzero(week == one)).pooled() for one in numbers]
