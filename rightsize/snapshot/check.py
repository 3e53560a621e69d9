"""Whether a snapshot is whole: every file read and compared with what the manifest says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from rightsize.errors import SnapshotError
from rightsize.snapshot.manifest import DayRecord, read_manifest
from rightsize.snapshot.schema import TABLES
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
    for spec in TABLES.values():
        try:
            read_table(path, spec, day, record)
        except SnapshotError as error:
            yield error.what


def is_whole(path: Path, day: date, record: DayRecord) -> bool:
    """Whether a day's files are those that were written; without hashes, whether they make sense.

    The hash is enough: what was written was sound.
    """
    if set(record.rows) - set(record.files):
        return next(day_faults(path, day, record), None) is None
    files = record.files.items()
    return all(file_in_force(table_file(path, name, day), digest) for name, digest in files)
