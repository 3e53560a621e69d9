"""Whether a snapshot is whole: every file read and compared with what the manifest says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa

from rightsize.errors import SnapshotError
from rightsize.snapshot.manifest import DayRecord, read_manifest
from rightsize.snapshot.schema import TABLES, USAGE
from rightsize.snapshot.summary_table import SUMMARIES, summarised
from rightsize.snapshot.table_files import file_in_force, read_table, table_file


@dataclass(frozen=True)
class CheckedDay:
    """One day of a snapshot, and what is wrong with its files."""

    day: date
    complete: bool
    usage_rows: int
    faults: tuple[str, ...]


def check_snapshot(path: Path) -> list[CheckedDay]:
    """Read every file of a snapshot.

    Raises
    ------
    SnapshotError
        If the manifest itself is absent or damaged.
    """
    return [
        CheckedDay(
            day, record.complete, record.rows.get("usage", 0), tuple(day_faults(path, day, record))
        )
        for day, record in sorted(read_manifest(path).days.items())
    ]


def day_faults(path: Path, day: date, record: DayRecord) -> Iterator[str]:
    """Say what is wrong with the files of one day."""
    read: dict[str, pa.Table] = {}
    for spec in TABLES.values():
        try:
            read[spec.name] = read_table(path, spec, day, record)
        except SnapshotError as error:
            again = " (it is made anew on the next use)" if spec is SUMMARIES else ""
            yield f"{error.what}{again}"
    whole = record.has_summary and {USAGE.name, SUMMARIES.name} <= read.keys()
    if whole and not read[SUMMARIES.name].equals(summarised(read[USAGE.name], day)):
        yield f"{table_file(path, SUMMARIES.name, day)}: is no summary of the day's usage"


def is_whole(path: Path, day: date, record: DayRecord) -> bool:
    """Whether a day's files are those that were written; without hashes, whether they make sense.

    The hash is enough: what was written was sound. A summary can be made anew at any time.
    """
    if set(record.rows) - set(record.files):
        return next(day_faults(path, day, record), None) is None
    return all(
        file_in_force(table_file(path, name, day), digest)
        for name, digest in record.files.items()
        if name != SUMMARIES.name
    )
