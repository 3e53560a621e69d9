"""What a day's windows come to, container by container: a summary that adds up over pods and days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rightsize.snapshot.histogram import WINDOW_SECONDS, Floats, Ints, Tally
from rightsize.snapshot.schema import BITS, TABLES, codes_of

LAYOUT = 3
"""Goes up when what a summary says changes: older ones are made anew."""
WINDOWS = 288
"""Of five minutes, in a day."""
_HOUR = 12
PEAKS = 12
"""Stretches of a day, two hours each, in which memory has a peak of its own."""
_START_SECONDS = 900
SUMMARIES = TABLES["summaries"]
PARTS = ("buckets", "counts", "highest", "seconds")
"""Of a histogram: a list of each."""
_LENGTHS = {"cpu_hours": 24, "cpu_hour_windows": 24, "memory_peaks": PEAKS}
"""Values in each list of these columns."""


def made_of(usage: str) -> str:
    """What a summary was made of, in the manifest: its layout and the SHA-256 of the usage."""
    return f"{LAYOUT}:{usage}"


class Summariser:
    """Summarises usage that comes in parts, in the order of its key."""

    def __init__(self, day: date) -> None:
        self._day = day
        self._held: pa.Table | None = None
        self._found: list[pa.Table] = []

    def add(self, usage: pa.Table) -> None:
        """Take the next rows; a container may go on in the part that follows."""
        if not usage.num_rows:
            return
        if self._held is not None:
            usage = pa.concat_tables([self._held, usage]).unify_dictionaries()
        usage = _in_order(usage)
        last = int(_heads(usage)[-1])
        self._held = usage.slice(last)
        if last:
            self._found.append(summarised(usage.slice(0, last), self._day))

    def finished(self) -> pa.Table:
        """The day's summary."""
        if self._held is not None:
            self._found.append(summarised(self._held, self._day))
            self._held = None
        parts = self._found or [SUMMARIES.schema.empty_table()]
        return pa.concat_tables(parts).unify_dictionaries().combine_chunks()


def summarised(usage: pa.Table, day: date) -> pa.Table:
    """Summarise rows of table `usage` that belong to `day`, one row for each container of a pod."""
    if not usage.num_rows:
        return SUMMARIES.schema.empty_table()
    usage = _in_order(usage)
    heads = _heads(usage)
    lengths = np.diff(np.append(heads, usage.num_rows))
    row = np.repeat(np.arange(heads.size), lengths)
    time = usage.column("time").cast(pa.int64()).to_numpy() // 1000
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    window = np.clip((time - midnight - 1) // 300, 0, WINDOWS - 1)
    first, last = time[heads], time[heads + lengths - 1]
    cpu, seconds, memory, periods, throttled = (
        usage.column(name).cast(pa.float64()).to_numpy()
        for name in ("cpu", "seconds", "memory", "periods", "throttled_periods")
    )
    began = time - first[row] < _START_SECONDS
    tallies = {
        "cpu": Tally.of("cpu", row, heads.size, cpu, seconds),
        "memory": Tally.of("memory", row, heads.size, memory, np.minimum(seconds, WINDOW_SECONDS)),
    }
    cell = row * 24 + window // _HOUR
    columns = {
        **{name: usage.column(name).take(pa.array(heads)) for name in SUMMARIES.key},
        "first": pa.array(first * 1000),
        "last": pa.array(last * 1000),
        "windows": pa.array(lengths),
        "present": _bits(row, heads.size, window),
        "periods": _sums(row, heads.size, periods),
        "throttled_periods": _sums(row, heads.size, throttled),
        "cpu_sum": _sums(row, heads.size, cpu),
        "cpu_peak": pa.array(tallies["cpu"].peaks(), from_pandas=True),
        "cpu_hours": _lists(np.bincount(cell, np.nan_to_num(cpu), heads.size * 24), 24),
        "cpu_hour_windows": _lists(np.bincount(cell[~np.isnan(cpu)], None, heads.size * 24), 24),
        "memory_sum": _sums(row, heads.size, memory),
        "memory_peaks": _lists(
            _peaks(row * PEAKS + window * PEAKS // WINDOWS, heads.size * PEAKS, memory), PEAKS
        ),
        "memory_start": pa.array(_peaks(row[began], heads.size, memory[began]), from_pandas=True),
        "memory_later": pa.array(_peaks(row[~began], heads.size, memory[~began]), from_pandas=True),
    }
    for name, tally in tallies.items():
        offsets = pa.array(tally.start.astype(np.int32))
        for part, values in (
            ("buckets", tally.buckets), ("counts", tally.counts), ("highest", tally.highest),
            ("seconds", tally.seconds),
        ):  # fmt: skip
            columns[f"{name}_{part}"] = pa.ListArray.from_arrays(offsets, pa.array(values))
    return pa.table({name: columns[name] for name in SUMMARIES.schema.names}).cast(SUMMARIES.schema)


def summary_faults(rows: pa.Table) -> Iterator[str]:
    """Say what no summary can hold: lists of other lengths, unknown or impossible entries."""
    for name in ("present", "first", "last", "windows"):
        if rows.column(name).null_count:
            yield f"{name} is not known of each row"
    for name, length in _LENGTHS.items():
        lists = rows.column(name)
        if lists.null_count or set(pc.list_value_length(lists).unique().to_pylist()) - {length}:
            yield f"{name} has not {length} values a row"
    for resource in ("cpu", "memory"):
        columns = [rows.column(f"{resource}_{part}") for part in PARTS]
        lengths = [pc.list_value_length(column).to_numpy() for column in columns]
        flat = [pc.list_flatten(column) for column in columns]
        whole = all(np.array_equal(lengths[0], one) for one in lengths[1:])
        if not whole or any(column.null_count for column in (*columns, *flat)):
            yield f"the histograms of {resource} are not whole"
        elif not _sound(*(column.to_numpy() for column in flat)):
            yield f"the histograms of {resource} hold what no usage does"


def _sound(buckets: Ints, counts: Ints, highest: Floats, seconds: Floats) -> bool:
    whole = np.isfinite(highest).all() and np.isfinite(seconds).all()
    return bool(whole and (counts > 0).all() and (highest >= 0).all() and (seconds > 0).all())


def _heads(usage: pa.Table) -> Ints:
    """Where another container begins."""
    new = np.zeros(usage.num_rows, dtype=bool)
    new[:1] = True
    for name in SUMMARIES.key:
        codes = codes_of(usage.column(name))
        new[1:] |= codes[1:] != codes[:-1]
    return np.flatnonzero(new)


def _in_order(usage: pa.Table) -> pa.Table:
    """Rows in the order of their key: as they are written, but in a file that another wrote."""
    heads = _heads(usage)
    later = np.diff(usage.column("time").cast(pa.int64()).to_numpy(), prepend=0) > 0
    later[heads] = True
    names = usage.select(SUMMARIES.key).take(pa.array(heads))
    if later.all() and names.group_by(SUMMARIES.key).aggregate([]).num_rows == heads.size:
        return usage
    plain = pa.table(
        [usage.column(name).cast(pa.string()) for name in SUMMARIES.key], list(SUMMARIES.key)
    )
    keys = plain.append_column("time", usage.column("time"))
    return usage.take(pc.sort_indices(keys, [(name, "ascending") for name in keys.column_names]))


def _bits(row: Ints, rows: int, window: Ints) -> pa.Array:
    bits = np.zeros((rows, WINDOWS), dtype=np.uint8)
    bits[row, window] = 1
    packed = pa.py_buffer(np.packbits(bits, axis=1).tobytes())
    return pa.Array.from_buffers(BITS, rows, [None, packed])


def _sums(row: Ints, rows: int, values: Floats) -> pa.Array:
    known = np.isfinite(values)
    sums = np.bincount(row[known], values[known], rows)
    return pa.array(sums, mask=np.bincount(row[known], None, rows) == 0)


def _peaks(cell: Ints, cells: int, values: Floats) -> Floats:
    found = np.full(cells, -np.inf)
    known = np.isfinite(values)
    np.maximum.at(found, cell[known], values[known])
    return np.where(np.isinf(found), np.nan, found)


def _lists(values: npt.NDArray[np.generic], length: int) -> pa.Array:
    offsets = np.arange(0, values.size + 1, length, dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values, from_pandas=True))
