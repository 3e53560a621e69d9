"""Summaries of a snapshot's days: read where they are, made from `usage` where they are not.

A summary counts if the manifest says that it was made of the day's `usage` as it is, in the layout of
this release, and its file is the one that was written. Any other is made anew: on disk if the folder
can be written, else in memory each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date

import pyarrow as pa

from rightsize.errors import RightsizeError, SnapshotError
from rightsize.snapshot.manifest import DayRecord, read_manifest
from rightsize.snapshot.store import Snapshot, SnapshotWriter
from rightsize.snapshot.summary_table import (
    SUMMARIES,
    Summariser,
    made_of,
    summarised,
    summary_faults,
)
from rightsize.snapshot.table_files import (
    file_in_force,
    partial_file,
    sync_folder,
    table_file,
    write_table,
)

_ROWS_AT_ONCE = 500_000


def summaries(
    snapshot: Snapshot, days: Sequence[date], namespaces: Sequence[str] | None = None
) -> Iterator[tuple[date, pa.Table]]:
    """Yield the summary of each day, of all or of some namespaces.

    Raises
    ------
    SnapshotError
        If a day has no summary, and its usage is damaged.
    """
    for day in days:
        rows = _stored(snapshot, day, namespaces)
        if rows is None:
            usage = next(snapshot.by_day("usage", days=[day], namespaces=namespaces))[1]
            rows = summarised(usage, day)
        yield day, rows


def write_missing(snapshot: Snapshot, days: Sequence[date]) -> None:
    """Write the summaries that whole days lack, where the folder can be written.

    Raises
    ------
    SnapshotError
        If the usage of such a day is damaged.
    """
    lacking = [day for day in days if _to_write(snapshot, day)]
    if not lacking or not snapshot.is_local:
        return
    made: dict[date, DayRecord] = {}
    try:
        with SnapshotWriter(snapshot.path, read_manifest(snapshot.path)) as writer:
            for day in lacking:
                record = writer.manifest.days.get(day)
                if record == snapshot.manifest.days[day]:
                    made[day] = _written(snapshot, day, record)
            writer.write_manifest(replace(writer.manifest, days={**writer.manifest.days, **made}))
    except _DamagedUsageError as error:
        raise error.found from error
    except (RightsizeError, OSError, pa.ArrowException):
        return  # Read-only, full, or another writer is at it: each day is made when it is asked for.
    snapshot.described_anew(made)


class _DamagedUsageError(Exception):
    """A day's usage cannot be read, which is no fault of the folder."""

    def __init__(self, found: SnapshotError) -> None:
        self.found = found


def _to_write(snapshot: Snapshot, day: date) -> bool:
    record = snapshot.manifest.days[day]
    if not record.complete or "usage" not in record.files:
        return False
    file = table_file(snapshot.path, SUMMARIES.name, day)
    recorded = record.files.get(SUMMARIES.name)
    return not record.has_summary or file_in_force(file, recorded) is None


def _stored(snapshot: Snapshot, day: date, namespaces: Sequence[str] | None) -> pa.Table | None:
    if not snapshot.manifest.days[day].has_summary:
        return None
    try:
        rows = next(snapshot.by_day(SUMMARIES.name, days=[day], namespaces=namespaces))[1]
    except SnapshotError:
        return None
    return None if next(summary_faults(rows), None) else rows.select(SUMMARIES.schema.names)


def _written(snapshot: Snapshot, day: date, record: DayRecord) -> DayRecord:
    """Write one day's summary; the manifest is still to name it."""
    summary = Summariser(day)
    try:
        for namespaces in _batches(snapshot, day):
            for _, part in snapshot.by_day("usage", days=[day], namespaces=namespaces):
                summary.add(part)
    except SnapshotError as error:
        raise _DamagedUsageError(error) from error
    target = table_file(snapshot.path, SUMMARIES.name, day)
    target.parent.mkdir(exist_ok=True)
    rows, digest = write_table(SUMMARIES, summary.finished(), partial_file(target))
    partial_file(target).replace(target)
    sync_folder(target.parent)
    return replace(
        record,
        rows={**record.rows, SUMMARIES.name: rows},
        files={**record.files, SUMMARIES.name: digest},
        summary_of=made_of(record.files["usage"]),
    )


def _batches(snapshot: Snapshot, day: date) -> Iterator[list[str]]:
    """Namespaces in the order of the file, about a million and a half windows at once."""
    batch: list[str] = []
    total = 0
    ((_, names),) = snapshot.by_day("usage", days=[day], columns=["namespace"])
    for found in names.column("namespace").value_counts().to_pylist():
        if batch and total + found["counts"] > _ROWS_AT_ONCE:
            yield batch
            batch, total = [], 0
        batch.append(found["values"])
        total += found["counts"]
    if batch:
        yield batch
