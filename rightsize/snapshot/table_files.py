"""One table's file of one day: written so that it lasts, read only if it is what was written."""

from __future__ import annotations

import contextlib
import hashlib
import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache, partial
from pathlib import Path
from typing import IO

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rightsize.errors import RightsizeError, SnapshotError
from rightsize.snapshot.faults import schema_faults, value_faults, within_range
from rightsize.snapshot.manifest import DayRecord
from rightsize.snapshot.page_sizes import unpacked_bytes
from rightsize.snapshot.schema import Table, to_arrow
from rightsize.snapshot.spelled import spelled, spelled_bytes

_FREE_BYTES = 128 * 2**20
_SMALL_BYTES = 2**20
_ROWS_OF_A_THREAD = 2**18
"""Rows up to which one thread reads a table: more of them cost more than they do."""
_LARGEST_RATIO = 200
"""Uncompressed bytes that a file may announce: measured usage takes 2 times its file's size."""
_GROUP_BYTES, _GROUP_ROWS = 4 * 2**20, 2**16
_FREE_ROWS = 300_000
_ROWS_A_BYTE = 10


def table_file(snapshot: Path, table: str, day: date) -> Path:
    return snapshot / table / f"{day.isoformat()}.parquet"


def partial_file(path: Path) -> Path:
    """Where a file is written before it takes the place of the one at `path`."""
    return path.with_name(f".{path.name}.tmp")


def write_table(
    spec: Table,
    table: pd.DataFrame | pa.Table | Iterable[pd.DataFrame],
    path: Path,
    seen: Callable[[pa.Table], None] | None = None,
) -> tuple[int, str]:
    """Write one Parquet file down to the disk; return its rows and its SHA-256.

    A number that no row can hold is not known: what is written can be read. `seen` gets the rows as
    they are written, in the order of the key.
    """
    parts: Iterable[pd.DataFrame | pa.Table] = [table]
    if isinstance(table, pd.DataFrame):
        order = [column for column in _sort_order(spec.key) if column in table.columns]
        parts = [table.sort_values(order, kind="stable")]
    elif not isinstance(table, pa.Table):
        parts = table
    texts = [c.name for c in spec.columns if pa.types.is_dictionary(c.type)]
    floats = [c.name for c in spec.columns if pa.types.is_floating(c.type)]
    floats += [f"{c.name}.list.element" for c in spec.columns if c.type == pa.list_(pa.float64())]
    rows = 0
    with pq.ParquetWriter(
        path,
        spec.schema,
        compression="zstd",
        # Measured values hardly repeat; their bytes of equal weight do.
        use_dictionary=texts,
        column_encoding=dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
        # Where a part of the file is read its hash cannot be checked.
        write_page_checksum=True,
    ) as out:
        for part in parts:
            typed = part if isinstance(part, pa.Table) else to_arrow(spec, part)
            typed = within_range(spec, typed)
            out.write_table(typed, row_group_size=_rows_of_a_group(typed))
            if seen is not None:
                seen(typed)
            rows += typed.num_rows
    return rows, synced(path)


def _rows_of_a_group(rows: pa.Table) -> int:
    """Rows that are read as one: some megabytes, so that a part of a mesh is a part of its file."""
    each = max(int(rows.nbytes) // max(int(rows.num_rows), 1), 1)
    return min(max(_GROUP_BYTES // each, 1), _GROUP_ROWS)


def synced(path: Path) -> str:
    """Wait until a file is on the disk, and return its SHA-256."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(path: Path) -> None:
    """Wait until renames in a folder are on the disk."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def file_in_force(path: Path, recorded: str | None) -> Path | None:
    """The file with the hash that the manifest names; None if there is none.

    Usually that at `path`. A writer that was killed after it wrote the manifest leaves the new
    file beside it, whole and not yet renamed. A file without a recorded hash is taken as it is.
    """
    if recorded is None:
        return path if path.is_file() else None
    for candidate in (path, partial_file(path)):
        if candidate.is_file():
            about = candidate.stat()
            if _digest(candidate, about.st_ino, about.st_mtime_ns, about.st_size) == recorded:
                return candidate
    return None


@lru_cache(maxsize=10_000)
def _digest(path: Path, *_: int) -> str:
    """The hash of a file, found once for each state of it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_table(
    snapshot: Path,
    spec: Table,
    day: date,
    record: DayRecord,
    *,
    columns: Sequence[str] | None = None,
    namespaces: Sequence[str] | None = None,
) -> pa.Table:
    """Read one table of one day.

    Parameters
    ----------
    record : DayRecord
        The manifest's entry for the day.
    columns : sequence of str, optional
        Only these.
    namespaces : sequence of str, optional
        Only their rows.

    Raises
    ------
    SnapshotError
        If the file is damaged, has another schema, or holds values that cannot be.
    """
    path = table_file(snapshot, spec.name, day)
    if not record.rows.get(spec.name) and (spec.name not in record.rows or not path.exists()):
        return no_rows(spec, columns)
    damaged = partial(_damaged, path, day)
    with _arrow_reading(damaged):
        file = file_in_force(path, record.files.get(spec.name))
    if file is None:
        raise damaged("is not the file that was written" if path.exists() else "is gone")
    with _arrow_reading(damaged):
        size = file.stat().st_size
        # Parsed from memory, a small file takes half the time.
        source = file if size > _SMALL_BYTES else pa.BufferReader(file.read_bytes())
    return read_parquet(Opened(source, size, damaged), spec, day, record, columns, namespaces)


def no_rows(spec: Table, columns: Sequence[str] | None) -> pa.Table:
    """A table, or some of its columns, without a row."""
    schema = spec.schema.empty_table()
    return schema if columns is None else schema.select(list(columns))


@dataclass(frozen=True)
class Opened:
    """Bytes of a table's file: a path, or a file object that seeks; and how its damage is reported."""

    source: Path | IO[bytes] | pa.NativeFile
    size: int
    damaged: Callable[[str], SnapshotError]


def read_parquet(
    file: Opened,
    spec: Table,
    day: date,
    record: DayRecord,
    columns: Sequence[str] | None,
    namespaces: Sequence[str] | None,
) -> pa.Table:
    """Read one table of one day from its file, as `read_table`."""
    wanted = [c.name for c in spec.columns] if columns is None else list(columns)
    with contextlib.ExitStack() as open_files:
        with _arrow_reading(file.damaged):
            opened = open_files.enter_context(
                pq.ParquetFile(file.source, pre_buffer=True, page_checksum_verification=True)
            )
            schema, about = opened.schema_arrow, opened.metadata
        for fault in (
            *schema_faults(spec, schema, columns),
            *_announced_faults(about, record.rows.get(spec.name, 0), file.size),
        ):
            raise file.damaged(fault)
        read = [name for name in wanted if name in schema.names]
        texts = [name for name in read if pa.types.is_string(schema.field(name).type)]
        with _arrow_reading(file.damaged):
            groups = _groups_of(about, schema, namespaces)
            decoded = read if namespaces is None else {*read, "namespace"}
            _refuse_large_pages(file, about, decoded, groups)
            if texts:
                opened = open_files.enter_context(
                    pq.ParquetFile(
                        file.source, read_dictionary=texts, metadata=about,
                        pre_buffer=True, page_checksum_verification=True,
                    )
                )  # fmt: skip
            rows = _rows(opened, read, namespaces, groups)
        for name in texts:
            column = rows.column(name)
            if sum(map(spelled_bytes, column.chunks)) > _allowed(file.size):
                raise file.damaged("would unpack to more than such a file can hold")
            plain = pa.chunked_array(map(spelled, column.chunks), pa.string())
            rows = rows.set_column(rows.column_names.index(name), name, plain)
    for fault in value_faults(spec, day, rows):
        raise file.damaged(fault)
    return _with_later_columns(spec, rows, wanted)


def _rows(
    opened: pq.ParquetFile,
    columns: list[str],
    namespaces: Sequence[str] | None,
    groups: Sequence[int],
) -> pa.Table:
    """The columns of all rows, or of those namespaces: then other row groups are not decoded.

    A filter handed to Arrow skips no row group by a column of texts in a dictionary.
    """
    threads = opened.metadata.num_rows > _ROWS_OF_A_THREAD
    if namespaces is None:
        rows = opened.read(columns, use_threads=threads)
        _refuse_fewer(rows, opened.metadata, groups)
        return rows
    read = columns if "namespace" in columns else [*columns, "namespace"]
    rows = opened.read_row_groups(groups, read, use_threads=threads)
    _refuse_fewer(rows, opened.metadata, groups)
    names = pa.array(sorted(namespaces), pa.string())
    return rows.filter(pc.is_in(rows["namespace"].cast(pa.string()), names)).select(columns)


def _refuse_fewer(rows: pa.Table, about: pq.FileMetaData, groups: Iterable[int]) -> None:
    """A footer may give columns fewer values than rows: Arrow then reads as many as it says."""
    if rows.num_rows != sum(about.row_group(number).num_rows for number in groups):
        raise ValueError("columns with fewer values than rows")


def _groups_of(
    about: pq.FileMetaData, schema: pa.Schema, namespaces: Sequence[str] | None
) -> list[int]:
    """Row groups that may hold a row of these namespaces; all without any."""
    if namespaces is None:
        return list(range(about.num_row_groups))
    wanted, found = sorted(namespaces), []
    column = schema.names.index("namespace")
    for number in range(about.num_row_groups):
        known = about.row_group(number).column(column).statistics
        if (
            known is None
            or not known.has_min_max
            or bisect_left(wanted, known.min) < bisect_right(wanted, known.max)
        ):
            found.append(number)
    return found


def _with_later_columns(spec: Table, rows: pa.Table, wanted: Sequence[str]) -> pa.Table:
    """Add the columns that an earlier release did not write, as nulls."""
    there = rows.column_names
    if there == list(wanted):
        return rows
    for name in wanted:
        if name not in there:
            rows = rows.append_column(name, pa.nulls(rows.num_rows, spec.schema.field(name).type))
    return rows.select(list(wanted))


def _announced_faults(about: pq.FileMetaData, count: int, size: int) -> Iterator[str]:
    if about.num_rows != count:
        yield f"has {about.num_rows} rows, the manifest says {count}"
    groups = [about.row_group(number) for number in range(about.num_row_groups)]
    if sum(group.num_rows for group in groups) != about.num_rows:
        yield "has row groups of another number of rows than it says"
    if sum(group.total_byte_size for group in groups) > _allowed(size):
        yield "would unpack to more than such a file can hold"
    if count > _FREE_ROWS + _ROWS_A_BYTE * size:
        yield "has more rows than such a file can hold"


def _refuse_large_pages(
    file: Opened, about: pq.FileMetaData, columns: Collection[str], groups: Sequence[int]
) -> None:
    """What the pages say of themselves; of a remote file that is read in parts, the footer counts."""
    if isinstance(file.source, pa.PythonFile):
        return
    with contextlib.ExitStack() as opened:
        source = file.source
        if isinstance(source, Path):
            source = opened.enter_context(source.open("rb", buffering=0))
        most = _allowed(file.size)
        if unpacked_bytes(source, about, columns, groups, most) > most:
            raise file.damaged("would unpack to more than such a file can hold")


def _allowed(size: int) -> int:
    return _FREE_BYTES + _LARGEST_RATIO * size


@contextlib.contextmanager
def _arrow_reading(damaged: Callable[[str], SnapshotError]) -> Iterator[None]:
    """Whatever Arrow raises about bytes from outside is damage of their file."""
    try:
        yield
    except RightsizeError:
        raise  # Of the store that holds the file.
    except Exception as error:
        raise damaged(f"cannot be read ({error})") from error


def _damaged(path: Path, day: date, what: str) -> SnapshotError:
    return SnapshotError(
        f"{path}: {what}",
        hint=f"rightsize check {path.parents[1]} lists all damage; rightsize collect into the same "
        f"folder fetches {day} again",
    )


def _sort_order(key: tuple[str, ...]) -> list[str]:
    # Series together, then time: neighbouring values compress well and groups read contiguously.
    return [k for k in key if k != "time"] + [k for k in key if k == "time"]
