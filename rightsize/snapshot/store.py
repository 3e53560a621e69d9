"""The snapshot folder: written day by day, read lazily.

```
<snapshot>/manifest.json            what is here, from where, what is missing
<snapshot>/<table>/<day>.parquet    one file for each table and UTC day
```

A day counts once the manifest names it, with the hash of each of its files. A day's new files are
written beside the old ones and synced; then the manifest names them, in one step; then they take the
old ones' place. Whatever kills the writer, a day is the old one or the new one as a whole.

A window belongs to the day in which it ends, midnight to the day before it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypeVar

import pandas as pd
import pyarrow as pa

from rightsize.errors import OutputError, SnapshotError
from rightsize.snapshot.in_force import InForce
from rightsize.snapshot.manifest import MANIFEST, DayRecord, Manifest, read_manifest
from rightsize.snapshot.schema import TABLES, to_arrow
from rightsize.snapshot.summary_table import SUMMARIES, Summariser, made_of
from rightsize.snapshot.table_files import (
    file_in_force,
    partial_file,
    read_table,
    sync_folder,
    synced,
    table_file,
    write_table,
)

Answer = TypeVar("Answer")

_Read = tuple[str, tuple[date, ...], tuple[str, ...] | None]
_FEW_ROWS = 4_000
"""Rows of a small file; one that was read whole is kept, some 0.3 MB."""
_KEPT_BYTES = 48 * 2**20
"""Of such files: they are those of a small mesh, or few of a large one."""


class Snapshot:
    """A snapshot on disk, opened for reading.

    Parameters
    ----------
    path : path-like
        The snapshot's folder.

    Raises
    ------
    SnapshotError
        If the folder is no snapshot, damaged, or of another schema version.
    """

    is_local = True
    """Its files are in the folder `path`; else that folder is for what is derived of it alone."""

    keeps_answers = True
    """What is computed from it is kept beside it for the next time; see `rightsize.answers`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.manifest = self._described()
        self._all_days = self.manifest.days
        self._kept: dict[_Read, pd.DataFrame] = {}
        """Small tables that were read: most answers ask for the same few again."""
        self._files = _Files()
        self._answers: dict[Hashable, Any] = {}
        if not self.manifest.days:
            raise SnapshotError(
                f"{self.path}: the snapshot has no finished day",
                hint="run rightsize collect again: it goes on where it stopped",
            )

    def _described(self) -> Manifest:
        return read_manifest(self.path)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_kept": {}, "_files": _Files(), "_answers": {}}

    @property
    def days(self) -> list[date]:
        """Finished days, oldest first."""
        return sorted(self.manifest.days)

    def only(self, days: Iterable[date]) -> Snapshot:
        """The same snapshot with only some of its days.

        Raises
        ------
        SnapshotError
            If none of them is there.
        """
        wanted = set(days)
        kept = {day: record for day, record in self.manifest.days.items() if day in wanted}
        if not kept:
            raise SnapshotError(f"{self.path}: none of the days asked for is in the snapshot")
        return self._with(kept)

    def whole(self) -> Snapshot:
        """The same snapshot with all of its days again."""
        return self._with(self._all_days)

    def described_anew(self, records: Mapping[date, DayRecord]) -> None:
        """Take over records of days that have got a summary."""
        self.manifest = replace(self.manifest, days={**self.manifest.days, **records})
        self._all_days = {**self._all_days, **records}

    def _with(self, days: Mapping[date, DayRecord]) -> Snapshot:
        part = copy(self)
        part.manifest = replace(self.manifest, days=days)
        part._files = self._files  # Not so `_kept`: what a day lacks is taken from the other days.
        return part

    def once(self, question: Hashable, compute: Callable[[], Answer]) -> Answer:
        """Return what was computed of these days before, or compute it.

        `question` names all that the answer follows from besides them. Nobody changes the answer.
        """
        if question not in self._answers:
            self._answers[question] = compute()
        found: Answer = self._answers[question]
        return found

    def read(
        self,
        table: str,
        *,
        days: Iterable[date] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Return one table over `days` (all by default) as one frame.

        Tables of grain `day` get a further column `day` (datetime64, UTC midnight). What one of
        their days does not know is taken from the snapshot's other days, see `in_force`.
        """
        chosen = self.days if days is None else sorted(days)
        if TABLES[table].grain != "day" and table != "control_plane":
            return self._read(table, chosen, columns)
        key = (table, tuple(chosen), None if columns is None else tuple(columns))
        if key not in self._kept:
            self._kept[key] = self._read(table, chosen, columns)
        # Copied on write only: callers may add columns to what they get.
        return self._kept[key].copy(deep=False)

    def _read(
        self, table: str, chosen: Sequence[date], columns: Sequence[str] | None
    ) -> pd.DataFrame:
        spec, rows = TABLES[table], InForce(self._written, self.manifest).rows(table, chosen)
        if rows is None:
            return self._written(table, chosen, columns)
        stamps = pd.DataFrame({"day": rows["day"].astype("datetime64[ms, UTC]")})
        typed = pd.DataFrame(to_arrow(spec, rows).to_pandas()).join(stamps.reset_index(drop=True))
        return typed if columns is None else typed[[*columns, "day"]]

    def _written(
        self, table: str, days: Iterable[date] | None = None, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """The rows as they were written."""
        parts = [part for _, part in self.by_day(table, days=days, columns=columns)]
        if not parts:
            return TABLES[table].empty()
        return pd.DataFrame(pa.concat_tables(parts).unify_dictionaries().to_pandas())

    def is_empty(self, table: str, day: date) -> bool:
        """Whether `read` is known to find no row of a table on a day; it opens no file for it."""
        there = table in self.manifest.days[day].rows
        return not there and InForce(self._written, self.manifest).is_whole(table, day)

    def by_day(
        self,
        table: str,
        *,
        days: Iterable[date] | None = None,
        columns: Sequence[str] | None = None,
        namespaces: Sequence[str] | None = None,
    ) -> Iterator[tuple[date, pa.Table]]:
        """Yield each day's Arrow table, so that memory stays flat in days.

        Of a table sorted by namespace, parts without a row of `namespaces` are not even read.
        """
        spec = TABLES[table]
        for day in self.days if days is None else sorted(days):
            whole = columns is None and namespaces is None
            digest = self.manifest.days[day].files.get(table) if whole else None
            part = None if digest is None else self._files.get(table, digest)
            if part is None:
                part = self._read_file(table, day, columns, namespaces)
                if digest is not None:
                    self._files.keep(table, digest, part)
            if spec.grain == "day":
                stamp = pa.scalar(datetime(day.year, day.month, day.day), pa.timestamp("ms"))
                part = part.append_column(
                    "day", pa.repeat(stamp, part.num_rows).cast(pa.timestamp("ms", tz="UTC"))
                )
            yield day, part

    def _read_file(
        self,
        table: str,
        day: date,
        columns: Sequence[str] | None,
        namespaces: Sequence[str] | None,
    ) -> pa.Table:
        record = self.manifest.days[day]
        try:
            return read_table(
                self.path, TABLES[table], day, record, columns=columns, namespaces=namespaces
            )
        except SnapshotError as error:
            if self._described().days.get(day) == record:
                raise
            raise SnapshotError(
                f"{self.path}: {day} was collected anew while it was read",
                hint="run the command again",
            ) from error


class _Files:
    """Small files that were read whole, by the hash of their content: most answers ask for the same.

    Each was held against its hash as it was read, and what has a hash never changes.
    """

    def __init__(self) -> None:
        self._tables: dict[tuple[str, str], pa.Table] = {}
        self._bytes = 0

    def get(self, table: str, digest: str) -> pa.Table | None:
        return self._tables.get((table, digest))

    def keep(self, table: str, digest: str, rows: pa.Table) -> None:
        if rows.num_rows <= _FEW_ROWS and self._bytes + rows.nbytes <= _KEPT_BYTES:
            self._tables[table, digest] = rows
            self._bytes += rows.nbytes


class SnapshotWriter:
    """A snapshot folder opened for writing; a second writer is refused.

    Use as a context manager. `write_day` puts a whole day in place or nothing of it.
    """

    def __init__(self, path: str | os.PathLike[str], manifest: Manifest) -> None:
        self.path = Path(path)
        self._initial = manifest
        self._lock: IO[str] | None = None
        self.manifest = manifest

    def __enter__(self) -> SnapshotWriter:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = (self.path / ".lock").open("w")
        except OSError as error:
            raise _not_writable(self.path, error) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise SnapshotError(
                f"{self.path}: another collect is writing to this folder",
                hint="wait for it to end, or give another folder with --out",
            ) from error
        if (self.path / MANIFEST).exists():
            there = read_manifest(self.path)
            if there.cluster != self._initial.cluster or there.source != self._initial.source:
                raise SnapshotError(
                    f"{self.path}: holds a snapshot of cluster {there.cluster!r} from "
                    f"{there.source}, not of {self._initial.cluster!r} from {self._initial.source}",
                    hint="give another folder with --out",
                )
            if other := self._initial.other_mesh(there):
                raise SnapshotError(
                    f"{self.path}: holds a snapshot of another mesh ({other})",
                    hint="give another folder with --out, or the matchers it was collected with",
                )
            identity = {**there.identity, **self._initial.identity}
            self.manifest = replace(self._initial, days=there.days, identity=identity)
        try:
            self._settle()
        except OSError as error:
            raise _not_writable(self.path, error) from error
        return self

    def _settle(self) -> None:
        """Finish what a killed writer had named already, and remove what it had not."""
        for day, record in self.manifest.days.items():
            for name, digest in record.files.items():
                path = table_file(self.path, name, day)
                partial = partial_file(path)
                if partial.exists() and file_in_force(path, digest) == partial:
                    os.replace(partial, path)
        for left in (*self.path.glob("*/.*.tmp"), *self.path.glob(".*.tmp")):
            left.unlink()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lock is not None:
            self._lock.close()

    def write_day(
        self,
        day: date,
        tables: Mapping[str, pd.DataFrame | Iterable[pd.DataFrame]],
        record: DayRecord,
    ) -> None:
        """Write tables of one day; those that it has already and are not given stay.

        Rows are sorted by the table's key, so equal data gives equal bytes. A table too large to be in memory at once comes in parts, already in the order of its key.

        Raises
        ------
        OutputError
            If the disk is full or read-only; days written before stay.
        """
        before = self.manifest.days.get(day)
        rows = dict(before.rows) if before else {}
        files = dict(before.files) if before else {}
        made = before.summary_of if before else None
        summary, targets = Summariser(day), []

        def written(name: str, table: pd.DataFrame | pa.Table | Iterable[pd.DataFrame]) -> None:
            target = table_file(self.path, name, day)
            target.parent.mkdir(exist_ok=True)
            targets.append(target)
            seen = summary.add if name == "usage" else None
            rows[name], files[name] = write_table(TABLES[name], table, partial_file(target), seen)

        try:
            for name, table in tables.items():
                written(name, table)
            if "usage" in tables and record.complete:
                written(SUMMARIES.name, summary.finished())
                made = made_of(files["usage"])
            for folder in {target.parent for target in targets}:
                sync_folder(folder)
        except (OSError, pa.ArrowException) as error:
            for target in targets:
                partial_file(target).unlink(missing_ok=True)
            raise _not_writable(self.path, error) from error
        whole = replace(record, rows=rows, files=files, summary_of=made)
        try:
            self.write_manifest(replace(self.manifest, days={**self.manifest.days, day: whole}))
        except OutputError:
            if self.manifest.days.get(day) is not whole:  # Else it names them.
                for target in targets:
                    partial_file(target).unlink(missing_ok=True)
            raise
        try:
            for target in targets:
                os.replace(partial_file(target), target)
        except OSError as error:
            raise _not_writable(self.path, error) from error

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest in one step.

        Raises
        ------
        OutputError
            If it cannot be written; the old one stays.
        """
        target = self.path / MANIFEST
        try:
            partial_file(target).write_text(manifest.to_json())
            synced(partial_file(target))
            os.replace(partial_file(target), target)
        except OSError as error:
            with suppress(OSError):
                partial_file(target).unlink(missing_ok=True)
            raise _not_writable(self.path, error) from error
        self.manifest = manifest
        try:
            sync_folder(self.path)
        except OSError as error:
            raise _not_writable(self.path, error) from error


def newest_snapshot(parent: Path) -> Path | None:
    """The folder below `parent` with the manifest that ends last, if any."""
    found = []
    for manifest in parent.glob(f"*/{MANIFEST}"):
        read = read_manifest(manifest.parent)
        if read.days:
            found.append((read.end, manifest.parent))
    return max(found)[1] if found else None


def remove_snapshot(path: Path) -> None:
    """Delete a snapshot folder, refusing anything that is not one."""
    read_manifest(path)
    shutil.rmtree(path)


def _not_writable(path: Path, error: OSError | pa.ArrowException) -> OutputError:
    return OutputError(
        f"{path}: cannot be written ({error})",
        hint="free some room or give another folder with --out; finished days are kept",
    )
