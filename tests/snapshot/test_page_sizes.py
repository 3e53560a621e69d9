"""Pages that unpack to more than the footer says are refused before they are unpacked."""

from __future__ import annotations

import io
import json
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rightsize.errors import SnapshotError
from rightsize.snapshot import TABLES as SNAPSHOT_TABLES
from rightsize.snapshot import Snapshot
from rightsize.snapshot.manifest import DayRecord
from rightsize.snapshot.page_sizes import unpacked_bytes
from rightsize.snapshot.table_files import read_table, synced, table_file, write_table
from tests.tiny_mesh import FIRST_DAY, Tiny, tiny_snapshot

MIB = 2**20


def written(table: pa.Table, **options: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd", **options)
    return out.getvalue()


def number(value: int, length: int = 0) -> bytes:
    """Of Thrift's compact protocol, in at least so many bytes."""
    rest, found = value * 2, bytearray()
    while rest > 127 or len(found) < length - 1:
        found.append(rest & 127 | 128)
        rest >>= 7
    return bytes(found) + bytes([rest])


def with_footer_that_says(content: bytes, real: int, said: int) -> bytes:
    size = struct.unpack("<I", content[-8:-4])[0]
    body, footer = content[: -8 - size], content[-8 - size : -8]
    assert number(real) in footer
    changed = footer.replace(number(real), number(said, len(number(real))))
    return body + changed + content[-8:]


def counted(content: bytes, *columns: str, most: int = 2**60) -> int:
    about = pq.read_metadata(io.BytesIO(content))
    return unpacked_bytes(io.BytesIO(content), about, columns, range(about.num_row_groups), most)


TABLES = {
    "numbers": pa.table({"a": [float(n) for n in range(200_000)]}),
    "texts in a dictionary": pa.table({"a": ["x", "y" * 3000] * 5000}),
    "long texts": pa.table({"a": ["z" * 100_000, None, "y"] * 50}),
    "lists": pa.table({"a": [[1.0, 2.0], None, []] * 1000}),
    "nothing known": pa.table({"a": pa.nulls(1000, pa.int64())}),
}


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_the_pages_of_an_honest_file_take_what_its_footer_says(kind: str, version: str) -> None:
    content = written(TABLES[kind], data_page_version=version, row_group_size=50_000)
    about = pq.read_metadata(io.BytesIO(content))
    groups = [about.row_group(n) for n in range(about.num_row_groups)]
    said = sum(group.column(0).total_uncompressed_size for group in groups)
    assert 0.5 * said - 2000 < counted(content, "a") <= said


@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.parametrize("kind", TABLES)
def test_a_table_without_a_row_has_no_page(kind: str, dictionary: bool) -> None:
    rows = TABLES[kind].slice(0, 0)
    assert counted(written(rows, use_dictionary=dictionary), "a") == 0
    assert counted(written(pa.concat_tables([rows, rows])), "a") == 0


def test_a_page_that_the_footer_makes_small_is_counted_and_the_count_ends_early() -> None:
    bomb = pa.table({"a": ["x" * 40 * MIB], "b": ["y"]})
    honest = written(bomb, use_dictionary=False, write_statistics=False, data_page_size=2**30)
    about = pq.read_metadata(io.BytesIO(honest)).row_group(0)
    content = with_footer_that_says(honest, about.column(0).total_uncompressed_size, 900)
    content = with_footer_that_says(content, about.total_byte_size, 1000)
    assert pq.read_metadata(io.BytesIO(content)).row_group(0).total_byte_size == 1000
    assert len(content) < MIB
    assert counted(content, "a") > 40 * MIB
    assert counted(content, "b") < 1000
    assert counted(content, "a", "b", most=MIB) > MIB


@pytest.mark.parametrize("table", SNAPSHOT_TABLES)
def test_a_table_that_was_written_without_rows_is_read(table: str, tmp_path: Path) -> None:
    spec, path = SNAPSHOT_TABLES[table], table_file(tmp_path, table, FIRST_DAY)
    path.parent.mkdir()
    start = datetime(2026, 9, 1, tzinfo=UTC)
    count, digest = write_table(spec, spec.empty(), path)
    record = DayRecord(start, start + timedelta(days=1), True, {table: count}, {}, {table: digest})
    assert read_table(tmp_path, spec, FIRST_DAY, record).equals(spec.schema.empty_table())


@pytest.mark.parametrize("namespaces", [None, ["shop"]])
def test_columns_with_fewer_values_than_rows_are_damage(
    namespaces: list[str] | None, tmp_path: Path
) -> None:
    spec, path = SNAPSHOT_TABLES["namespaces"], table_file(tmp_path, "namespaces", FIRST_DAY)
    path.parent.mkdir()
    count = 9_973
    rows = pa.table({"namespace": ["shop"] * count, "labels": ["{}"] * count})
    content = written(rows.cast(spec.schema), write_statistics=False)
    # At the end are the file's rows, two numbers for each column, and the row group's rows.
    real, none, parts = number(count), number(0, len(number(count))), content.split(number(count))
    path.write_bytes(real.join(parts[:-5]) + none + none.join(parts[-5:-1]) + real + parts[-1])
    start = datetime(2026, 9, 1, tzinfo=UTC)
    record = DayRecord(start, start + timedelta(days=1), True, {"namespaces": count})
    with pytest.raises(SnapshotError, match="columns with fewer values than rows"):
        read_table(tmp_path, spec, FIRST_DAY, record, namespaces=namespaces)


@pytest.mark.parametrize(
    "noise", [b"\xff" * 400, b"\x1c" * 400, b"\x15\xff" * 200, b"\x0b" * 400, b"\x15\x00\x00" * 99]
)
def test_a_page_without_a_header_is_an_error(noise: bytes) -> None:
    content = written(TABLES["numbers"], use_dictionary=False)
    with pytest.raises(ValueError):
        counted(content[:4] + noise + content[4 + len(noise) :], "a")


def test_a_snapshot_with_such_a_page_is_damaged_and_not_unpacked(tmp_path: Path) -> None:
    snapshot = tiny_snapshot(tmp_path / "s", Tiny(pods=2), days=1)
    path = table_file(snapshot.path, "pods", FIRST_DAY)
    rows = pq.read_table(path, partitioning=None)
    labels = pa.array(["{" + " " * 400 * MIB + "}", "{}"])
    place = rows.column_names.index("labels")
    rows = rows.set_column(place, rows.schema.field(place), labels)
    honest = written(rows, use_dictionary=False, write_statistics=False, data_page_size=2**30)
    about = pq.read_metadata(io.BytesIO(honest)).row_group(0)
    content = with_footer_that_says(honest, about.column(place).total_uncompressed_size, 9000)
    path.write_bytes(with_footer_that_says(content, about.total_byte_size, 90_000))
    manifest = json.loads((snapshot.path / "manifest.json").read_text())
    manifest["days"][str(FIRST_DAY)]["files"]["pods"] = synced(path)
    (snapshot.path / "manifest.json").write_text(json.dumps(manifest))
    before = pa.default_memory_pool().max_memory()
    with pytest.raises(SnapshotError, match=r"pods/2026-09-01\.parquet: would unpack to more"):
        Snapshot(snapshot.path).read("pods")
    assert pa.default_memory_pool().max_memory() == before
    assert len(Snapshot(snapshot.path).read("pods", columns=["pod"])) == 2
