"""One day's usage as arrays, turned into table rows a few containers at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from rightsize.collectors.prometheus.labels import ContainerKey, PodKey
from rightsize.collectors.prometheus.parse import FloatArray, Grid
from rightsize.collectors.prometheus.windows import Windows

_CONTAINERS_AT_ONCE = 200
"""Their windows of a day are one row group of the file."""


@dataclass(frozen=True)
class DayUsage:
    """What containers used in the windows of one day.

    Attributes
    ----------
    grid : Grid
        Ends of the windows, after a first moment that is the end of the day before.
    keys : sequence of (namespace, pod, container)
        In the order of table `usage`.
    there : array of bool, shape (keys, windows)
        Windows with a sample of CPU or memory.
    cpu : Windows
        CPU seconds, and the seconds they cover.
    memory : Windows
        Bytes.
    periods, throttled : Windows
        CFS periods.
    """

    grid: Grid
    keys: Sequence[ContainerKey]
    there: np.ndarray[tuple[int, int], np.dtype[np.bool_]]
    cpu: Windows
    memory: Windows
    periods: Windows
    throttled: Windows

    def spans(self) -> dict[PodKey, tuple[float, float]]:
        """Ends of the first and the last window of each pod, as epoch seconds."""
        found: dict[PodKey, tuple[float, float]] = {}
        for (namespace, pod, _), row in zip(self.keys, self.there, strict=True):
            windows = np.flatnonzero(row)
            if not len(windows):
                continue
            first, last = (float(self._ends[i]) for i in (windows[0], windows[-1]))
            before = found.get((namespace, pod), (first, last))
            found[namespace, pod] = (min(first, before[0]), max(last, before[1]))
        return found

    def used(self) -> list[ContainerKey]:
        """Containers with a window at all."""
        return [self.keys[int(row)] for row in np.flatnonzero(self.there.any(axis=1))]

    def with_cpu_limit(self) -> set[ContainerKey]:
        """Containers with CFS periods: the kernel counts them under a CPU limit alone."""
        limited, _ = np.nonzero(np.nan_to_num(self.periods.values) > 0)
        return {self.periods.keys[row] for row in np.unique(limited)}

    def only(self, wanted: Collection[ContainerKey]) -> DayUsage:
        """The same for some of the containers."""
        rows = [row for row, key in enumerate(self.keys) if key in wanted]
        return replace(self, keys=[self.keys[row] for row in rows], there=self.there[rows])

    def frames(self) -> Iterator[pd.DataFrame]:
        """Yield the rows of table `usage`, series after series."""
        signals = {
            "cpu": (self.cpu, self.cpu.values / self.cpu.seconds),
            "seconds": (self.cpu, np.where(np.isnan(self.cpu.values), np.nan, self.cpu.seconds)),
            "memory": (self.memory, self.memory.values),
            "periods": (self.periods, self.periods.values),
            "throttled_periods": (self.throttled, self.throttled.values),
        }
        places = {name: _rows_of(signal) for name, (signal, _) in signals.items()}
        for first in range(0, len(self.keys), _CONTAINERS_AT_ONCE):
            keys = self.keys[first : first + _CONTAINERS_AT_ONCE]
            there = self.there[first : first + _CONTAINERS_AT_ONCE]
            frame = self._index(keys, there)
            for name, (_, values) in signals.items():
                frame[name] = _spread(values, places[name], keys)[there]
            yield frame

    def _index(
        self, keys: Sequence[ContainerKey], there: np.ndarray[Any, np.dtype[np.bool_]]
    ) -> pd.DataFrame:
        series, window = np.nonzero(there)
        ends = self._ends[window].astype("datetime64[s]").astype("datetime64[ms]")
        frame = pd.DataFrame({"time": pd.DatetimeIndex(ends, tz="UTC")})
        for position, name in enumerate(("namespace", "pod", "container")):
            codes, names = pd.factorize(np.array([key[position] for key in keys], dtype=object))
            frame[name] = pd.Categorical.from_codes(codes[series], pd.Index(names))
        return frame

    @property
    def _ends(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.asarray(self.grid.start + self.grid.step * np.arange(1, self.grid.count))


def day_usage(
    grid: Grid, cpu: Windows, memory: Windows, periods: Windows, throttled: Windows
) -> DayUsage:
    """Put the signals of one day together."""
    keys = sorted({*cpu.keys, *memory.keys})
    there = np.zeros((len(keys), max(grid.count - 1, 0)), dtype=bool)
    row_of = {key: row for row, key in enumerate(keys)}
    for signal in (cpu, memory):
        if signal.keys:
            # No key is twice in one signal.
            there[[row_of[key] for key in signal.keys]] |= signal.sampled
    return DayUsage(grid, keys, there, cpu, memory, periods, throttled)


def _rows_of(signal: Windows) -> Mapping[ContainerKey, int]:
    return {key: row for row, key in enumerate(signal.keys)}


def _spread(
    of_signal: FloatArray, place: Mapping[ContainerKey, int], keys: Sequence[ContainerKey]
) -> FloatArray:
    """Values for `keys`, NaN where the signal has none."""
    values = np.full((len(keys), of_signal.shape[1]), np.nan)
    known = [(i, place[key]) for i, key in enumerate(keys) if key in place]
    if known:
        to, of = (list(part) for part in zip(*known, strict=True))
        values[to] = of_signal[of]
    return values
