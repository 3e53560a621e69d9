"""The summaries of some namespaces as arrays, a row for each container of a pod and day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from rightsize.results import Resource
from rightsize.sizing.policies.arrays import DAY_SECONDS, WINDOW_SECONDS, Ints
from rightsize.sizing.policies.base import Floats
from rightsize.sizing.policies.daily import Daily, Measured
from rightsize.snapshot import Snapshot
from rightsize.snapshot.histogram import Tally
from rightsize.snapshot.summaries import summaries
from rightsize.snapshot.summary_table import PARTS, PEAKS, SUMMARIES


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """What containers used, a row for each pod and day.

    Attributes
    ----------
    names : DataFrame
        `namespace`, `pod`, `container` of each row.
    daily : Daily
        Its `pod` is the code of all three.
    present : uint8 array of shape (rows, 36)
        One bit for each window of the day.
    periods, throttled_periods : float64 array of shape (rows,)
        CFS periods; NaN without a CPU limit.
    hours, hour_windows : float64 array of shape (rows, 24)
        Sum of CPU and windows that know it, in each hour of the day.
    start, later : float64 array of shape (rows,)
        Highest memory within 15 minutes of the day's first window, and after these.
    """

    names: pd.DataFrame
    daily: Daily
    present: npt.NDArray[np.uint8]
    periods: Floats
    throttled_periods: Floats
    hours: Floats
    hour_windows: Floats
    start: Floats
    later: Floats

    def take(self, rows: Ints) -> Records:
        """These rows, in this order."""
        return self._part(rows, self.daily.take(rows))

    def between(self, first: int, last: int) -> Records:
        """Rows from `first` up to `last`, without a copy."""
        return self._part(slice(first, last), self.daily.between(first, last))

    def _part(self, rows: Ints | slice, daily: Daily) -> Records:
        return Records(
            self.names.iloc[rows], daily, self.present[rows], self.periods[rows],
            self.throttled_periods[rows], self.hours[rows], self.hour_windows[rows],
            self.start[rows], self.later[rows],
        )  # fmt: skip

    @property
    def replicas(self) -> float:
        """Mean number of pods over the windows in which there was any."""
        days, row = np.unique(self.daily.day, return_inverse=True)
        any_pod = np.zeros((days.size, self.present.shape[1]), dtype=np.uint8)
        np.bitwise_or.at(any_pod, row, self.present)
        times = int(np.bitwise_count(any_pod).sum())
        return float(self.daily.windows.sum() / times) if times else 0.0

    def times_of(self, row: int) -> Ints:
        """Ends of the windows of one row, in seconds since the epoch."""
        (windows,) = np.nonzero(np.unpackbits(self.present[row]))
        ends: Ints = self.daily.day[row] * DAY_SECONDS + (windows + 1) * WINDOW_SECONDS
        return ends


def read_records(snapshot: Snapshot, days: Sequence[date], namespaces: Sequence[str]) -> Records:
    """Read the summaries of some days and namespaces, in order of days."""
    return records_of(list(summaries(snapshot, days, namespaces)))


def records_of(parts: Sequence[tuple[date, pa.Table]]) -> Records:
    """The summaries of some days, in order."""
    columns = SUMMARIES.schema.names
    rows = (
        pa.concat_tables(
            [SUMMARIES.schema.empty_table(), *(part.select(columns) for _, part in parts)]
        )
        .unify_dictionaries()
        .combine_chunks()
    )
    dates = np.array([day for day, _ in parts], dtype="datetime64[D]").astype(np.int64)
    names = rows.select(SUMMARIES.key).to_pandas()
    pod = names.groupby(list(SUMMARIES.key), observed=True, sort=False).ngroup()
    daily = Daily(
        pod=pod.to_numpy(dtype=np.int64),
        day=np.repeat(dates, [part.num_rows for _, part in parts]),
        first=_seconds(rows, "first"),
        last=_seconds(rows, "last"),
        windows=rows.column("windows").to_numpy().astype(np.int64),
        cpu=_measured(rows, "cpu"),
        memory=_measured(rows, "memory"),
        peaks=_lists(rows, "memory_peaks", PEAKS),
    )
    bits = b"".join(rows.column("present").to_pylist())
    return Records(
        names=names,
        daily=daily,
        present=np.frombuffer(bits, dtype=np.uint8).reshape(len(names), -1 if bits else 36),
        periods=_floats(rows, "periods"),
        throttled_periods=_floats(rows, "throttled_periods"),
        hours=_lists(rows, "cpu_hours", 24),
        hour_windows=_lists(rows, "cpu_hour_windows", 24),
        start=_floats(rows, "memory_start"),
        later=_floats(rows, "memory_later"),
    )


def _measured(rows: pa.Table, resource: Resource) -> Measured:
    lengths = pc.list_value_length(rows.column(f"{resource}_buckets")).to_numpy()
    columns = (pc.list_flatten(rows.column(f"{resource}_{part}")).to_numpy() for part in PARTS)
    start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Measured(Tally(start, *columns), np.nan_to_num(_floats(rows, f"{resource}_sum")))


def _lists(rows: pa.Table, name: str, length: int) -> Floats:
    values = pc.list_flatten(rows.column(name)).cast(pa.float64()).to_numpy()
    found: Floats = values.reshape(-1, length)
    return found


def _floats(rows: pa.Table, name: str) -> Floats:
    found: Floats = rows.column(name).cast(pa.float64()).to_numpy()
    return found


def _seconds(rows: pa.Table, name: str) -> Ints:
    found: Ints = rows.column(name).cast(pa.int64()).to_numpy() // 1000
    return found
