"""The snapshot folder: written day by day, read lazily.

```
<snapshot>/manifest.json            what is here, from where, what is missing
<snapshot>/<table>/<day>.parquet    one file for each table and UTC day
```

A day counts once the manifest names it; the manifest is replaced in one step after the day's
files are whole. A window belongs to the day in which it ends, midnight to the day before it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rightsize.errors import OutputError, SnapshotError
from rightsize.snapshot.columns import Table, to_arrow
from rightsize.snapshot.schema import SCHEMA_VERSION, TABLES

_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Missing:
    """Something the source did not have, and what that costs the answer."""

    what: str
    costs: str


@dataclass(frozen=True)
class DayRecord:
    """One day of the snapshot. `complete` is False while the day was not over."""

    start: datetime
    end: datetime
    complete: bool
    rows: Mapping[str, int]
    stats: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """What a snapshot holds and where it comes from; never a secret."""

    cluster: str
    source: str
    """`prometheus`, `victoriametrics`, … or `demo`."""
    simulated: bool
    region: str | None = None
    istio_version: str | None = None
    scrape_interval_seconds: float | None = None
    days: Mapping[date, DayRecord] = field(default_factory=dict)
    missing: tuple[Missing, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    """Further facts of the source, as text: product version, matchers, demo parameters."""

    @property
    def start(self) -> datetime:
        return min(record.start for record in self.days.values())

    @property
    def end(self) -> datetime:
        return max(record.end for record in self.days.values())

    def to_json(self) -> str:
        body = asdict(self) | {
            "schema_version": SCHEMA_VERSION,
            "days": {day.isoformat(): _record_json(r) for day, r in sorted(self.days.items())},
            "missing": [asdict(m) for m in self.missing],
        }
        return json.dumps(body, indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        body = json.loads(text)
        version = body.pop("schema_version")
        if version != SCHEMA_VERSION:
            raise SnapshotError(
                f"the snapshot has schema version {version}, this rightsize reads {SCHEMA_VERSION}",
                hint="collect it again, or use the rightsize release that wrote it",
            )
        body["days"] = {date.fromisoformat(d): _record(r) for d, r in body["days"].items()}
        body["missing"] = tuple(Missing(**m) for m in body["missing"])
        return cls(**body)


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

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.manifest = _read_manifest(self.path)
        if not self.manifest.days:
            raise SnapshotError(
                f"{self.path}: the snapshot has no finished day",
                hint="run rightsize collect again: it goes on where it stopped",
            )

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
        part = copy(self)
        part.manifest = replace(self.manifest, days=kept)
        return part

    def read(
        self,
        table: str,
        *,
        days: Iterable[date] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Return one table over `days` (all by default) as one frame.

        Tables of grain `day` get a further column `day` (datetime64, UTC midnight).
        """
        parts = [part for _, part in self.by_day(table, days=days, columns=columns)]
        if not parts:
            return TABLES[table].empty()
        return pd.DataFrame(pa.concat_tables(parts).unify_dictionaries().to_pandas())

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
            part = self._read_file(table, day, columns, namespaces)
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
        path = table_file(self.path, table, day)
        if not path.exists() and self.manifest.days[day].rows.get(table, 0) == 0:
            spec = TABLES[table].schema.empty_table()
            return spec if columns is None else spec.select(list(columns))
        try:
            return pq.read_table(
                path,
                columns=None if columns is None else list(columns),
                filters=None if namespaces is None else pc.field("namespace").isin(namespaces),
                partitioning=None,
            )
        except (OSError, pa.ArrowException) as error:
            raise SnapshotError(
                f"{path}: cannot be read ({error})",
                hint=f"delete {path.name} from every table folder and its manifest entry, "
                "then collect that day again",
            ) from error


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
        if (self.path / _MANIFEST).exists():
            there = _read_manifest(self.path)
            if there.cluster != self._initial.cluster or there.source != self._initial.source:
                raise SnapshotError(
                    f"{self.path}: holds a snapshot of cluster {there.cluster!r} from "
                    f"{there.source}, not of {self._initial.cluster!r} from {self._initial.source}",
                    hint="give another folder with --out",
                )
            self.manifest = replace(self._initial, days=there.days)
        for orphan in self.path.glob("*/.*.tmp"):
            orphan.unlink()
        return self

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
        """Write one day: rows are sorted by the table's key, so equal data gives equal bytes.

        A table too large to be in memory at once comes in parts, already in the order of its key.

        Raises
        ------
        OutputError
            If the disk is full or read-only; days written before stay.
        """
        rows = {}
        try:
            for name, table in tables.items():
                target = table_file(self.path, name, day)
                target.parent.mkdir(exist_ok=True)
                partial = target.with_name(f".{target.name}.tmp")
                rows[name] = _write(TABLES[name], table, partial)
                os.replace(partial, target)
            days = dict(self.manifest.days) | {day: replace(record, rows=rows)}
            self.write_manifest(replace(self.manifest, days=days))
        except (OSError, pa.ArrowException) as error:
            raise _not_writable(self.path, error) from error

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest in one step."""
        partial = self.path / f".{_MANIFEST}.tmp"
        with partial.open("w") as out:
            out.write(manifest.to_json())
            out.flush()
            os.fsync(out.fileno())
        os.replace(partial, self.path / _MANIFEST)
        self.manifest = manifest


def _write(spec: Table, table: pd.DataFrame | Iterable[pd.DataFrame], path: Path) -> int:
    """Write one Parquet file and return its rows."""
    if isinstance(table, pd.DataFrame):
        order = [column for column in _sort_order(spec.key) if column in table.columns]
        table = [table.sort_values(order, kind="stable")]
    texts = [c.name for c in spec.columns if pa.types.is_dictionary(c.type)]
    floats = [c.name for c in spec.columns if pa.types.is_floating(c.type)]
    rows = 0
    with pq.ParquetWriter(
        path,
        spec.schema,
        compression="zstd",
        # Measured values hardly repeat; their bytes of equal weight do.
        use_dictionary=texts,
        column_encoding=dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
    ) as out:
        for part in table:
            out.write_table(to_arrow(spec, part), row_group_size=65536)
            rows += len(part)
    return rows


def table_file(snapshot: Path, table: str, day: date) -> Path:
    return snapshot / table / f"{day.isoformat()}.parquet"


def newest_snapshot(parent: Path) -> Path | None:
    """The folder below `parent` whose manifest covers the latest time, if any."""
    found = []
    for manifest in parent.glob(f"*/{_MANIFEST}"):
        read = _read_manifest(manifest.parent)
        if read.days:
            found.append((read.end, manifest.parent))
    return max(found)[1] if found else None


def remove_snapshot(path: Path) -> None:
    """Delete a snapshot folder, refusing anything that is not one."""
    _read_manifest(path)
    shutil.rmtree(path)


def _sort_order(key: tuple[str, ...]) -> list[str]:
    # Series together, then time: neighbouring values compress well and groups read contiguously.
    return [k for k in key if k != "time"] + [k for k in key if k == "time"]


def _read_manifest(path: Path) -> Manifest:
    try:
        return Manifest.from_json((path / _MANIFEST).read_text())
    except FileNotFoundError as error:
        raise SnapshotError(
            f"{path}: no snapshot here (no {_MANIFEST})",
            hint="make one with rightsize collect, or leave --snapshot out to use the demo",
        ) from error
    except NotADirectoryError as error:
        raise SnapshotError(
            f"{path}: is a file, a snapshot is a folder", hint="give the folder it is in"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SnapshotError(
            f"{path / _MANIFEST}: cannot be read ({error})", hint="collect into another folder"
        ) from error


def _record_json(record: DayRecord) -> dict[str, Any]:
    return asdict(record) | {"start": record.start.isoformat(), "end": record.end.isoformat()}


def _record(body: dict[str, Any]) -> DayRecord:
    times = {name: datetime.fromisoformat(body[name]) for name in ("start", "end")}
    return DayRecord(**(body | times))


def _not_writable(path: Path, error: OSError | pa.ArrowException) -> OutputError:
    return OutputError(
        f"{path}: cannot be written ({error})",
        hint="free some room or give another folder with --out; finished days are kept",
    )
