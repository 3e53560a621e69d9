"""Exports that are damaged, of another kind, or made to fill memory: one error each, and no traceback."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rightsize.collectors.billing import files
from rightsize.collectors.billing.columns import plain_name
from rightsize.collectors.billing.read import Bill, read_bill
from rightsize.errors import InputFileError, NoDataError, UsageError
from tests.collectors.billing.exports import (
    CLUSTER,
    Line,
    cur2,
    focus_parquet,
    focus_rows,
    focus_text,
    legacy,
)

DAY = datetime(2026, 10, 1, tzinfo=UTC)
LINE = Line(DAY, 4.608, "i-0123456789abcdef0")


def read(place: object, **changes: object) -> Bill:
    given: dict[str, object] = {"cluster": CLUSTER, "instances": {LINE.resource}}
    return read_bill(str(place), [date(2026, 10, 1)], **(given | changes))


def focus_with(path: Path, **changes: object) -> Path:
    """FOCUS rows in which a column holds something else; None takes it away."""
    table = pa.Table.from_pylist(focus_rows([LINE]))
    for name, value in changes.items():
        table = table.drop_columns([name])
        if value is not None:
            cells = value if isinstance(value, pa.Array) else pa.array([value])
            table = table.append_column(name, cells)
    pq.write_table(table, path)
    return path


def text(content: bytes, *, packed: bool = False) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        path.write_bytes(gzip.compress(content) if packed else content)
        return path

    return write


def cut(write: Callable[[Path, list[Line]], Path], share: float) -> Callable[[Path], Path]:
    def written(path: Path) -> Path:
        content = write(path, [LINE] * 2000).read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
        return path

    return written


def csv_with(column: str, value: str) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        frame = pd.read_csv(focus_text(path, [LINE])).astype(object)
        frame.assign(**{column: value}).to_csv(path, index=False)
        return path

    return write


HEAD = focus_rows([LINE])[0].keys()
CASES: dict[str, Callable[[Path], Path]] = {
    "empty": text(b""),
    "one byte": text(b"x"),
    "another CSV": text(b"a,b\n1,2\n"),
    "UTF-16": text("ChargeCategory,BilledCost\n".encode("utf-16")),
    "zip": text(b"PK\x03\x04 and more"),
    "binary": text(bytes(range(256)) * 100),
    "no line end": text(b"ChargeCategory," * 400_000),
    "gzip without an end": cut(legacy, 0.5),
    "gzip of nothing": text(b"", packed=True),
    "gzip of noise": text(os.urandom(1000), packed=True),
    "gzip magic alone": text(b"\x1f\x8b"),
    "Parquet magic alone": text(b"PAR1"),
    "Parquet without an end": cut(cur2, 0.6),
    "no cost column": lambda p: focus_with(p, EffectiveCost=None),
    "no currency": lambda p: focus_with(p, BillingCurrency=None),
    "cost is a flag": lambda p: focus_with(p, EffectiveCost=pa.array([True])),
    "cost is a list": lambda p: focus_with(p, EffectiveCost=pa.array([[1.0]])),
    "cost is text": lambda p: focus_with(p, EffectiveCost="a lot"),
    "cost is infinite": lambda p: focus_with(p, EffectiveCost=float("inf")),
    "category is a list": lambda p: focus_with(p, ChargeCategory=pa.array([["Usage"]])),
    "time is a number": lambda p: focus_with(p, ChargePeriodStart=7.5),
    "time is text": lambda p: focus_with(p, ChargePeriodStart="yesterday"),
    "time is missing": lambda p: focus_with(p, ChargePeriodStart=pa.nulls(1, pa.timestamp("ms"))),
    "cost of a CSV is a formula": csv_with("BilledCost", "=1+1"),
    "cost of a CSV is infinite": csv_with("EffectiveCost", "1e999"),
    "time of a CSV is none": csv_with("ChargePeriodStart", "2026-13-01T00:00:00Z"),
    "more cells than headings": text(b",".join(n.encode() for n in HEAD) + b"\n" + b"1," * 40 + b"\n"),
    "a column twice": text(b"ChargeCategory,ChargeCategory\nUsage,Usage\n"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_file_that_is_no_export_is_one_error_with_its_name(case: str, tmp_path: Path) -> None:
    file = CASES[case](tmp_path / "export.csv")
    with pytest.raises(InputFileError) as caught:
        read(file)
    assert "export.csv" in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_text_made_to_fill_memory_ends_early(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(files, "_FREE_BYTES", 2**20)
    head = ",".join(HEAD) + "\n"
    row = "2026-10-01T00:00:00Z,2026-10-02T00:00:00Z,Usage,EC2,AmazonEC2,u,r,1,1,1,1,USD,,,,\n"
    bomb = tmp_path / "bomb.csv.gz"
    bomb.write_bytes(gzip.compress((head + row * 200_000).encode()))
    with pytest.raises(InputFileError, match="would unpack to more"):
        read(bomb)


def test_parquet_that_announces_too_many_rows_is_not_read(tmp_path: Path) -> None:
    table = pa.table({name: pa.nulls(2_000_000, pa.string()) for name in HEAD})
    bomb = tmp_path / "bomb.parquet"
    pq.write_table(table, bomb, compression="zstd")
    assert bomb.stat().st_size < 200_000
    with pytest.raises(InputFileError, match="would unpack to more"):
        read(bomb)


def test_a_dictionary_that_spells_out_to_fill_memory_is_not_spelled_out(tmp_path: Path) -> None:
    rows = {name: ["Usage"] * 60_000 for name in HEAD}
    long = pa.DictionaryArray.from_arrays(
        pa.array([0] * 60_000, pa.int32()), pa.array(["x" * 10**6])
    )
    bomb = tmp_path / "bomb.parquet"
    pq.write_table(pa.table(rows | {"Tags": long}), bomb, store_schema=False)
    with pytest.raises(InputFileError, match="would unpack to more"):
        read(bomb)


def test_rows_without_a_service_or_an_id_are_read(tmp_path: Path) -> None:
    names = [*HEAD]
    rows = pa.Table.from_pylist(focus_rows([LINE, LINE]))
    for name in names:
        if name in ("ServiceName", "x_ServiceCode", "x_UsageType", "SkuMeter"):
            rows = rows.set_column(names.index(name), name, pa.nulls(2, pa.string()))
    pq.write_table(rows, tmp_path / "export.parquet")
    assert read(tmp_path / "export.parquet").twice == 0


def test_a_flood_of_resources_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("rightsize.collectors.billing.read._MOST_SUMS", 100)
    tags = {"aws:eks:cluster-name": CLUSTER}
    lines = [LINE.but(resource=f"vol-{number}", tags=tags) for number in range(500)]
    with pytest.raises(InputFileError, match="more resources"):
        read(cur2(tmp_path / "flood.parquet", lines))


def test_links_pipes_and_hidden_folders_are_not_followed(tmp_path: Path) -> None:
    cur2(tmp_path / "data" / "a.parquet", [LINE])
    cur2(tmp_path / ".old" / "a.parquet", [LINE])
    os.symlink(tmp_path, tmp_path / "data" / "loop")
    os.mkfifo(tmp_path / "data" / "pipe.csv")
    bill = read(tmp_path)
    assert bill.files == 1
    assert bill.rows["billed"].tolist() == [LINE.billed]


@pytest.mark.parametrize("place", ["/nowhere", "s3://", "s3://UPPER/x", "s3://a", "."])
def test_a_place_without_an_export_is_said(place: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((InputFileError, NoDataError, UsageError)):
        read(place)


def test_two_editions_of_one_month_are_refused(tmp_path: Path) -> None:
    for edition in ("20261101T000000Z", "20261102T000000Z"):
        cur2(tmp_path / "20261001-20261101" / edition / "e-1.parquet", [LINE])
    with pytest.raises(InputFileError, match="two editions"):
        read(tmp_path)


def test_two_kinds_of_export_in_one_place_are_refused(tmp_path: Path) -> None:
    cur2(tmp_path / "a.parquet", [LINE])
    focus_parquet(tmp_path / "b.parquet", [LINE])
    with pytest.raises(InputFileError, match="CUR and FOCUS"):
        read(tmp_path)


def test_folders_of_other_months_are_not_opened(tmp_path: Path) -> None:
    cur2(tmp_path / "BILLING_PERIOD=2026-10" / "e.parquet", [LINE])
    other = tmp_path / "BILLING_PERIOD=2026-09" / "e.parquet"
    other.parent.mkdir()
    other.write_bytes(b"damaged")
    assert read(tmp_path).files == 1


def test_the_same_file_twice_counts_once_where_lines_have_ids(tmp_path: Path) -> None:
    legacy(tmp_path / "a.csv.gz", [LINE, LINE])
    legacy(tmp_path / "b.csv.gz", [LINE, LINE])
    bill = read(tmp_path)
    assert bill.twice == 2
    assert bill.rows["billed"].sum() == pytest.approx(2 * LINE.billed)


@pytest.mark.parametrize(
    "tags",
    ['{"aws:eks:cluster-name": "two-months"}', '{"user:aws_eks_cluster_name": "two-months"}',
     '{"note": "two-months"}', '{"aws:eks:cluster-name": ["two-months"]}', '["two-months"]',
     '{"two-months": 1', "[" * 100_000 + '"two-months"'],
)  # fmt: skip
def test_only_a_tag_of_eks_with_the_clusters_name_makes_a_row_ours(
    tags: str, tmp_path: Path
) -> None:
    focus = focus_rows([LINE.but(resource="vol-1")])[0] | {"Tags": tags}
    file = tmp_path / "e.parquet"
    pq.write_table(pa.Table.from_pylist([focus]), file)
    ours = tags.startswith(('{"aws:eks:cluster-name": "two', '{"user:aws'))
    assert len(read(file).rows) == ours


@pytest.mark.parametrize(
    "name", ["lineItem/UsageStartDate", "line_item_usage_start_date", "LineItem/UsageStartDate"]
)
def test_spellings_of_a_column_are_one(name: str) -> None:
    assert plain_name(name) == "line_item_usage_start_date"
