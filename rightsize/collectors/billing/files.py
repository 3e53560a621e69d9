"""The files of a cost export, local or on S3, opened as bounded streams of Arrow batches.

A file is known by its first bytes, not by its name. Nothing is unpacked whole: CSV is read in blocks
and Parquet in batches, of the needed columns alone, and both end in an error where they unpack to
more than an honest file of their size.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from rightsize.border import open_file, printable, scratch_folder
from rightsize.collectors.aws.calls import LIST_EXPORT
from rightsize.collectors.billing.columns import Layout, layout_of
from rightsize.errors import InputFileError, NoDataError, UsageError
from rightsize.secrets import excerpt
from rightsize.snapshot.page_sizes import unpacked_bytes
from rightsize.snapshot.spelled import spelled, spelled_bytes, text_leaves

if TYPE_CHECKING:
    from rightsize.collectors.aws.session import AwsSession

MOST_FILES = 10_000
MOST_BYTES = 64 * 2**30
"""Of one file, unpacked."""
_FREE_BYTES = 64 * 2**20
_LARGEST_RATIO = 250
"""A month of an export packs to a tenth; what packs better is text made to fill memory."""
_FREE_ROWS = 1_000_000
_ROWS_A_BYTE = 4
"""A row of an export takes tens of bytes, packed."""
_MOST_TAGS = 200
"""Of a row; AWS takes 50 of a resource."""
_BLOCK = 4 * 2**20
_BATCH = 65_536
_LARGEST_BATCH = 256 * 2**20
"""Bytes of a batch: 4 kB a row, tags included."""
_ENDINGS = (".csv", ".csv.gz", ".gz", ".parquet")
_MONTH = re.compile(r"(?<!\d)(20\d\d)-?(0[1-9]|1[0-2])(?:01-20\d{4}01)?(?!\d)")
_S3 = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?")


@dataclass(frozen=True)
class ExportFile:
    """One file: its name for messages, and how it is opened."""

    name: str
    opened: Callable[[], Any]
    """Gives a context manager with a path on this machine."""


def export_files(
    place: str, month: str, session: Callable[[], AwsSession] | None = None
) -> list[ExportFile]:
    """Return the files of an export that may hold rows of the month.

    Parameters
    ----------
    place : str
        A file, a folder, or `s3://bucket/prefix`.
    month : str
        `2026-10`: files in folders of other months are left out.
    session : callable, optional
        Makes the AWS session once it is needed.

    Raises
    ------
    InputFileError, NoDataError, UsageError, AwsError
        If the place cannot be read, or holds no file of an export.
    """
    found = _on_s3(place, session) if place.startswith("s3://") else _local(Path(place))
    kept = [file for file in found if _may_hold(file.name, month)]
    if not kept:
        raise NoDataError(
            f"{printable(place)} holds no cost export of {month}",
            hint="give a folder with .parquet, .csv or .csv.gz files of CUR or FOCUS",
        )
    _one_edition(kept, place)
    return sorted(kept, key=lambda file: file.name)


def _one_edition(files: Sequence[ExportFile], place: str) -> None:
    """Refuse two editions of one month, each in a folder of its own: their sum would be twice the bill."""
    seen: dict[tuple[str, str], str] = {}
    for file in files:
        above, _, name = file.name.replace(os.sep, "/").rpartition("/")
        around, _, folder = above.rpartition("/")
        first = seen.setdefault((around, name), folder)
        if first != folder and "=" not in folder:
            raise InputFileError(
                f"holds {name} in {first} and in {folder}: two editions of one export",
                path=place,
                hint="give the folder of the newest one",
            )


def _may_hold(name: str, month: str) -> bool:
    """Folders such as `BILLING_PERIOD=2026-10` and `20261001-20261101` are of one month."""
    folders = name.replace(os.sep, "/").split("/")[:-1]
    months = {
        f"{found[1]}-{found[2]}"
        for folder in folders
        if (found := _MONTH.fullmatch(folder.rpartition("=")[2])) is not None
    }
    return not months or month in months


def _local(place: Path) -> list[ExportFile]:
    if place.is_file():
        return [ExportFile(str(place), partial(_there, place))]
    if not place.is_dir():
        raise InputFileError(
            "is no file and no folder",
            path=place,
            hint="give a file, a folder, or s3://bucket/prefix",
        )
    found: list[Path] = []
    for folder, folders, names in os.walk(place):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        for name in names:
            path = Path(folder, name)
            if name.lower().endswith(_ENDINGS) and not name.startswith(".") and path.is_file():
                found.append(path)
        _not_too_many(len(found), str(place))
    return [ExportFile(str(path), partial(_there, path)) for path in found]


@contextmanager
def _there(path: Path) -> Iterator[Path]:
    yield path


def _on_s3(place: str, session: Callable[[], AwsSession] | None) -> list[ExportFile]:
    found = _S3.fullmatch(place)
    if found is None or session is None:
        raise UsageError(f"{printable(place)} is no place on S3", hint="s3://BUCKET/PREFIX")
    aws, bucket, prefix = session(), found[1], found[2] or ""
    files = []

    def read(page: dict[str, Any]) -> Iterator[tuple[str, int]]:
        for one in page.get("Contents", []):
            yield str(one["Key"]), int(one["Size"])

    for key, size in aws.rows(LIST_EXPORT, {"Bucket": bucket, "Prefix": prefix}, read):
        if key.lower().endswith(_ENDINGS) and 0 < size <= MOST_BYTES:
            files.append(ExportFile(f"s3://{bucket}/{key}", _fetched(aws, bucket, key, size)))
            _not_too_many(len(files), place)
    return files


def _fetched(aws: AwsSession, bucket: str, key: str, size: int) -> Callable[[], Any]:
    @contextmanager
    def fetched() -> Iterator[Path]:
        with scratch_folder() as folder:
            path = folder / "export"
            aws.download(bucket, key, path, most=size)
            yield path

    return fetched


def _not_too_many(count: int, place: str) -> None:
    if count > MOST_FILES:
        raise InputFileError(
            f"holds more than {MOST_FILES:,} files", path=place, hint="give the folder of one month"
        )


def batches(path: Path, name: str) -> Iterator[tuple[Layout, pa.RecordBatch]]:
    """Yield the file's batches, the known columns of each, with where they hold what.

    Raises
    ------
    InputFileError
        If it is no export, or damaged, or unpacks to too much.
    """
    with open_file(path) as file:
        start = file.read(4)
    try:
        if start == b"PAR1":
            yield from _parquet(path, name)
        elif start[:2] == b"PK":
            raise InputFileError(
                "is a ZIP archive", path=name, hint="export as gzip CSV or Parquet, or unpack it"
            )
        else:
            yield from _csv(path, name, packed=start[:2] == b"\x1f\x8b")
    except (pa.ArrowException, OSError, EOFError, zlib.error, ValueError) as error:
        said = excerpt(str(error).splitlines()[0], 200) if str(error) else type(error).__name__
        raise InputFileError(f"cannot be read ({printable(said)})", path=name) from error


def _parquet(path: Path, name: str) -> Iterator[tuple[Layout, pa.RecordBatch]]:
    size = path.stat().st_size
    with pq.ParquetFile(path) as opened:
        about = opened.metadata
        groups = [about.row_group(number) for number in range(about.num_row_groups)]
        rows = _FREE_ROWS + _ROWS_A_BYTE * size
        if (
            sum(group.total_byte_size for group in groups) > _allowed(size)
            or about.num_rows > rows
            or sum(group.num_rows for group in groups) > rows
            or any(
                group.column(number).num_values > _MOST_TAGS * group.num_rows
                for group in groups
                for number in range(group.num_columns)
            )
        ):
            raise _bomb(name)
        layout = _known(opened.schema_arrow.names, name)
        columns = sorted(set(layout.columns.values()))
        for column in columns:
            kind = opened.schema_arrow.field(column).type
            if pa.types.is_nested(kind) and not (pa.types.is_map(kind) or pa.types.is_struct(kind)):
                raise InputFileError(f"has {kind} in {printable(column)}, not text", path=name)
    most = _allowed(size)
    with open_file(path) as file:
        if unpacked_bytes(file, about, columns, range(len(groups)), most) > most:
            raise _bomb(name)
    texts = text_leaves(about, columns)
    with pq.ParquetFile(path, read_dictionary=texts, metadata=about) as opened:
        for batch in opened.iter_batches(_BATCH, columns=columns):
            if sum(map(spelled_bytes, batch.columns)) > _LARGEST_BATCH:
                raise _bomb(name)
            yield (
                layout,
                pa.RecordBatch.from_arrays(list(map(spelled, batch.columns)), batch.schema.names),
            )


def _csv(path: Path, name: str, *, packed: bool) -> Iterator[tuple[Layout, pa.RecordBatch]]:
    size = path.stat().st_size
    with open_file(path) as file:
        source = cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if packed else file
        stream = _Bounded(source, _allowed(size) if packed else MOST_BYTES, name)
        head = stream.readline(_BLOCK)
        if len(head) == _BLOCK or b"\0" in head:
            raise InputFileError("is no CSV with headings", path=name)
        names = next(csv.reader([head.decode("utf-8-sig").rstrip("\r\n")]), [])
        layout = _known(names, name)
        reader = pc.open_csv(
            pa.PythonFile(stream, mode="r"),
            read_options=pc.ReadOptions(block_size=_BLOCK, column_names=names),
            parse_options=pc.ParseOptions(newlines_in_values=True),
            convert_options=pc.ConvertOptions(
                include_columns=sorted(set(layout.columns.values())),
                column_types=dict.fromkeys(layout.columns.values(), pa.string()),
                strings_can_be_null=True,
                null_values=["", "null", "NULL"],
            ),
        )
        for batch in reader:
            yield layout, batch


def _known(columns: Sequence[str], name: str) -> Layout:
    layout = layout_of(columns)
    if layout is None:
        raise InputFileError(
            "has neither the columns of CUR nor those of FOCUS",
            path=name,
            hint="export CUR 2.0 with resource ids, or FOCUS, by AWS Data Exports",
        )
    if layout.missing:
        raise InputFileError(
            f"is {layout.kind} without {', '.join(layout.missing)}",
            path=name,
            hint="choose these columns in the export",
        )
    return layout


class _Bounded(io.RawIOBase):
    """A stream that ends in an error where it gives more than it may."""

    def __init__(self, source: IO[bytes], most: int, name: str) -> None:
        self._source, self._left, self._name = source, most, name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._source.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise _bomb(self._name)
        buffer[: len(data)] = data
        return len(data)


def _allowed(size: int) -> int:
    return min(_FREE_BYTES + _LARGEST_RATIO * size, MOST_BYTES)


def _bomb(name: str) -> InputFileError:
    return InputFileError(
        "would unpack to more than an export of its size can hold",
        path=name,
        hint="fetch the file again from where AWS wrote it",
    )
