"""A snapshot that is not what was written is noticed: on reading, and by `rightsize check`."""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rightsize.cli import run
from rightsize.errors import OutputError, SnapshotError
from rightsize.recommend import recommend
from rightsize.snapshot import TABLES, Snapshot, SnapshotWriter
from rightsize.snapshot.check import check_snapshot
from rightsize.snapshot.table_files import partial_file, synced
from tests.tiny_mesh import FIRST_DAY, Tiny, tiny_snapshot, tiny_tables

DAMAGED = FIRST_DAY + timedelta(days=1)
Alter = Callable[[pa.Table], pa.Table]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_snapshot(tmp_path_factory.mktemp("written"), Tiny(pods=2), days=3, nodes=2).path


@pytest.fixture
def snapshot(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "snapshot"))


def usage_file(snapshot: Path, table: str = "usage") -> Path:
    return snapshot / table / f"{DAMAGED}.parquet"


def rewrite(snapshot: Path, table: str, alter: Alter, *, hashed: bool) -> None:
    """Put an altered table in place; with the hash and the rows that go with it, or without."""
    path = usage_file(snapshot, table)
    changed = alter(pq.read_table(path, partitioning=None))
    pq.write_table(changed, path, compression="zstd")
    manifest = json.loads((snapshot / "manifest.json").read_text())
    record = manifest["days"][str(DAMAGED)]
    record["rows"][table] = changed.num_rows
    if hashed:
        record["files"][table] = synced(path)
    else:
        record["files"] = {}
    (snapshot / "manifest.json").write_text(json.dumps(manifest))


def with_value(column: str, value: object) -> Alter:
    def alter(rows: pa.Table) -> pa.Table:
        index = rows.column_names.index(column)
        values = [value, *rows.column(column).to_pylist()[1:]]
        return rows.set_column(index, rows.field(index), pa.array(values, rows.field(index).type))

    return alter


def test_a_flipped_bit_is_always_noticed(snapshot: Path) -> None:
    rng = random.Random(3)
    path = usage_file(snapshot)
    good = path.read_bytes()
    for _ in range(60):
        spoiled = bytearray(good)
        spoiled[rng.randrange(len(good))] ^= 1 << rng.randrange(8)
        path.write_bytes(spoiled)
        with pytest.raises(SnapshotError, match="is not the file that was written"):
            Snapshot(snapshot).read("usage", columns=["cpu"])
    path.write_bytes(good)
    assert len(Snapshot(snapshot).read("usage")) == 2 * 3 * 288


@pytest.mark.parametrize("length", [0, 4, 8, 300])
def test_a_cut_file_is_noticed_with_and_without_a_hash(snapshot: Path, length: int) -> None:
    usage_file(snapshot).write_bytes(usage_file(snapshot).read_bytes()[:length])
    with pytest.raises(SnapshotError):
        Snapshot(snapshot).read("usage")
    manifest = Snapshot(snapshot).manifest
    days = {day: replace(record, files={}) for day, record in manifest.days.items()}
    (snapshot / "manifest.json").write_text(replace(manifest, days=days).to_json())
    with pytest.raises(SnapshotError, match=str(DAMAGED)):
        Snapshot(snapshot).read("usage")


def altered_columns() -> Iterator[tuple[str, str, str, Alter]]:
    """Every column of the tables that are written, left out, renamed or of another type."""
    for table in ("usage", "pods", "containers", "nodes"):
        for number, column in enumerate(TABLES[table].columns):
            if column.name in TABLES[table].later:
                continue
            yield table, column.name, "absent", lambda t, n=number: t.remove_column(n)
            yield (
                table,
                column.name,
                "renamed",
                lambda t, n=number: t.rename_columns(
                    [("other" if i == n else c) for i, c in enumerate(t.column_names)]
                ),
            )
            yield (
                table,
                column.name,
                "of another type",
                lambda t, n=number: t.set_column(
                    n, t.column_names[n], pa.array([[1]] * t.num_rows)
                ),
            )


def test_an_altered_column_is_named(written: Path, tmp_path: Path) -> None:
    tried = 0
    for table, column, _, alter in altered_columns():
        folder = tmp_path / str(tried)
        shutil.copytree(written, folder)
        rewrite(folder, table, alter, hashed=True)
        with pytest.raises(SnapshotError, match=rf"{table}/{DAMAGED}.*column {column}\b"):
            Snapshot(folder).read(table)
        tried += 1
    assert tried > 100


@pytest.mark.parametrize("hashed", [True, False])
@pytest.mark.parametrize(
    ("table", "alter", "what"),
    [
        ("usage", with_value("memory", 2.0**64), "1 values of memory are not in 0 to"),
        ("usage", with_value("memory", -1.0), "memory"),
        ("usage", with_value("cpu", 1e9), "cpu"),
        ("usage", with_value("cpu", float("inf")), "cpu"),
        ("usage", with_value("cpu", float("nan")), "cpu"),
        ("usage", with_value("time", None), "time is not known of 1 rows"),
        ("usage", with_value("container", None), "container is not known of 1 rows"),
        ("pods", with_value("namespace", None), "namespace is not known of 1 rows"),
        ("nodes", with_value("node", None), "node is not known of 1 rows"),
        ("nodes", with_value("allocatable_memory", 2.0**60), "allocatable_memory are not in 0 to"),
        ("usage", with_value("time", datetime(2031, 1, 1, tzinfo=UTC)), "times of time"),
        ("pods", with_value("first_seen", datetime(2026, 9, 1, tzinfo=UTC)), "times of first_seen"),
        ("nodes", with_value("last_seen", datetime(2026, 9, 4, tzinfo=UTC)), "times of last_seen"),
        (
            "summaries",
            with_value("last", datetime(2026, 9, 4, tzinfo=UTC)),
            "times of last are not",
        ),
        ("usage", lambda t: pa.concat_tables([t, t.slice(0, 5)]), "5 rows are double"),
        ("pods", lambda t: pa.concat_tables([t, t]), "2 rows are double"),
        ("pods", with_value("labels", "{"), "1 values of labels are no JSON dict"),
        ("pods", with_value("labels", "[1]"), "1 values of labels are no JSON dict"),
        ("containers", with_value("memory_limit", float("inf")), "memory_limit"),
    ],
)
def test_what_cannot_be_is_said_with_its_place(
    snapshot: Path, table: str, alter: Alter, what: str, hashed: bool
) -> None:
    rewrite(snapshot, table, alter, hashed=hashed)
    with pytest.raises(SnapshotError, match=f"{table}/{DAMAGED}.*{what}"):
        Snapshot(snapshot).read(table)


def test_rows_that_the_manifest_does_not_count_are_noticed(snapshot: Path) -> None:
    manifest = Snapshot(snapshot).manifest
    record = manifest.days[DAMAGED]
    none = replace(record, rows={**record.rows, "usage": 0})
    days = {**manifest.days, DAMAGED: none}
    (snapshot / "manifest.json").write_text(replace(manifest, days=days).to_json())
    with pytest.raises(SnapshotError, match="has 576 rows, the manifest says 0"):
        Snapshot(snapshot).read("usage")


def test_a_file_that_unpacks_to_far_more_than_it_is_is_not_unpacked(snapshot: Path) -> None:
    def bomb(rows: pa.Table) -> pa.Table:
        names = pa.array(["x" * 140_000_000, "web"])
        codes = pa.array([0] + [1] * (rows.num_rows - 1), pa.int32())
        return rows.set_column(1, rows.field(1), pa.DictionaryArray.from_arrays(codes, names))

    rewrite(snapshot, "pods", bomb, hashed=True)
    with pytest.raises(SnapshotError, match="would unpack to more"):
        Snapshot(snapshot).read("pods")


def mutations(value: object) -> list[object]:
    """What a field of a manifest can be altered to."""
    return [None, "x", -1, 1e300, [], {}, [[]], {"": 1}, True, "\u202e", "9999-99-99"]


def paths_of(node: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    if path:
        yield path
    items = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    for key, value in items:
        yield from paths_of(value, (*path, key))


def test_an_altered_manifest_never_ends_in_a_traceback(snapshot: Path) -> None:
    file = snapshot / "manifest.json"
    good = json.loads(file.read_text())
    rng = random.Random(5)
    tried = 0
    for path in paths_of(good):
        for value in rng.sample(mutations(None), 3):
            altered = json.loads(json.dumps(good))
            node = altered
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = value
            file.write_text(json.dumps(altered))
            tried += 1
            try:
                opened = Snapshot(snapshot)
                opened.read("usage")
                assert opened.manifest.start < opened.manifest.end
            except SnapshotError:
                pass
    assert tried > 150


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a":' * 100_000, "null", "1e999", "\ud800", '{"schema_version": null}'],
)
def test_a_manifest_that_is_none_is_an_error(snapshot: Path, text: str) -> None:
    (snapshot / "manifest.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(SnapshotError):
        Snapshot(snapshot)


def cli(*words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple:
    monkeypatch.setattr(sys, "argv", ["rightsize", *words])
    code = 0
    try:
        run()
    except SystemExit as left:
        code = int(left.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_check_says_that_a_snapshot_is_whole(snapshot, monkeypatch, capsys) -> None:
    code, out, _ = cli("check", str(snapshot), monkeypatch=monkeypatch, capsys=capsys)
    assert (code, out) == (0, "3 days, 3 whole\n")


def test_check_lists_the_damage_and_the_days_to_fetch_again(snapshot, monkeypatch, capsys) -> None:
    usage_file(snapshot, "pods").unlink()
    usage_file(snapshot).write_bytes(b"PAR1")
    code, out, err = cli("check", str(snapshot), monkeypatch=monkeypatch, capsys=capsys)
    assert code == SnapshotError.exit_code
    assert f"usage/{DAMAGED}.parquet: is not the file that was written" in out
    assert f"pods/{DAMAGED}.parquet: is gone" in out
    assert "3 days, 2 whole" in out
    assert f"--start {DAMAGED}" in err
    code, out, _ = cli(
        "check", str(snapshot), "--format", "json", monkeypatch=monkeypatch, capsys=capsys
    )
    assert code == SnapshotError.exit_code
    (damaged,) = [day for day in json.loads(out)["days"] if day["faults"]]
    assert damaged["day"] == str(DAMAGED)
    assert len(damaged["faults"]) == 2


def test_a_snapshot_of_an_earlier_release_has_no_hashes_and_is_read(snapshot: Path) -> None:
    manifest = json.loads((snapshot / "manifest.json").read_text())
    for record in manifest["days"].values():
        del record["files"]
    (snapshot / "manifest.json").write_text(json.dumps(manifest))
    assert len(Snapshot(snapshot).read("usage")) == 2 * 3 * 288
    assert not any(day.faults for day in check_snapshot(snapshot))


def contents(snapshot: Path) -> dict[str, pd.DataFrame]:
    return {name: Snapshot(snapshot).read(name) for name in ("usage", "pods", "containers")}


def same(one: dict[str, pd.DataFrame], other: dict[str, pd.DataFrame]) -> bool:
    return all(one[name].equals(other[name]) for name in one)


@pytest.mark.parametrize("renamed", range(4))
def test_a_day_written_again_is_the_old_one_or_the_new_one_as_a_whole(
    snapshot: Path, monkeypatch: pytest.MonkeyPatch, renamed: int
) -> None:
    """The writer dies at each rename in turn: of the manifest, then of each of the day's files."""
    before = contents(snapshot)
    manifest = Snapshot(snapshot).manifest
    start = manifest.days[DAMAGED].start
    tables = tiny_tables([Tiny(workload="other", pods=1)], start)
    real, left = os.replace, [renamed]

    def dying(source: Path, target: Path) -> None:
        if left[0] == 0:
            raise OSError(5, "Input/output error")
        left[0] -= 1
        real(source, target)

    with SnapshotWriter(snapshot, manifest) as writer:
        monkeypatch.setattr(os, "replace", dying)
        with pytest.raises(OutputError):
            writer.write_day(DAMAGED, tables, manifest.days[DAMAGED])
    monkeypatch.setattr(os, "replace", real)
    after = contents(snapshot)
    if renamed == 0:
        assert same(after, before)
    else:
        assert set(Snapshot(snapshot).read("pods", days=[DAMAGED])["workload"]) == {"other"}
        assert len(after["usage"]) == 2 * 288 * 2 + 288
    with SnapshotWriter(snapshot, Snapshot(snapshot).manifest):
        pass
    assert same(contents(snapshot), after)
    assert not list(snapshot.glob("**/.*.tmp"))
    assert not any(day.faults for day in check_snapshot(snapshot))


def test_data_is_on_the_disk_before_the_manifest_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    real_sync, real_replace = os.fsync, os.replace
    monkeypatch.setattr(
        os,
        "fsync",
        lambda number: (done.append(os.readlink(f"/proc/self/fd/{number}")), real_sync(number)),
    )
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append(f"-> {b}"), real_replace(a, b)))
    tiny_snapshot(tmp_path, Tiny(), days=1)
    named = done.index(f"-> {tmp_path / 'manifest.json'}")
    partial = partial_file(tmp_path / "usage" / f"{FIRST_DAY}.parquet")
    assert str(partial) in done[:named]
    assert str(tmp_path / "usage") in done[:named]
    assert str(partial_file(tmp_path / "manifest.json")) in done[:named]


def test_reading_while_a_day_is_collected_anew_says_so(snapshot: Path) -> None:
    opened = Snapshot(snapshot)
    with SnapshotWriter(snapshot, opened.manifest) as writer:
        record = opened.manifest.days[DAMAGED]
        writer.write_day(DAMAGED, tiny_tables([Tiny(workload="other")], record.start), record)
    with pytest.raises(SnapshotError, match="was collected anew"):
        opened.read("usage")


def test_a_sound_snapshot_is_analysed_as_ever(snapshot: Path) -> None:
    assert recommend(Snapshot(snapshot)).recommendations
    assert isinstance(Snapshot(snapshot).days[0], date)
