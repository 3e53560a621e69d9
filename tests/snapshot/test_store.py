"""The snapshot folder: whole days or nothing, one writer, readable with pandas alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from rightsize.errors import OutputError, SnapshotError
from rightsize.snapshot import DayRecord, Manifest, Snapshot, SnapshotWriter, frame
from rightsize.snapshot.store import newest_snapshot
from tests.tiny_mesh import Tiny, tiny_snapshot

MANIFEST = Manifest(cluster="c", source="demo", simulated=True)


def record(day: date) -> DayRecord:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return DayRecord(start, start + timedelta(days=1), complete=True, rows={})


def test_a_table_is_read_by_pandas_and_nothing_else(tmp_path):
    snapshot = tiny_snapshot(tmp_path, Tiny(pods=2), days=3)
    assert len(pd.read_parquet(tmp_path / "usage")) == 2 * 3 * 288
    assert len(snapshot.read("usage", days=snapshot.days[:1])) == 2 * 288


def test_a_day_the_manifest_does_not_name_is_not_there(tmp_path):
    tiny_snapshot(tmp_path, Tiny(), days=2)
    manifest = Snapshot(tmp_path).manifest
    first = dict(list(manifest.days.items())[:1])
    (tmp_path / "manifest.json").write_text(replace(manifest, days=first).to_json())
    assert Snapshot(tmp_path).read("usage")["time"].dt.date.nunique() <= 2
    assert len(Snapshot(tmp_path).days) == 1


def test_equal_data_gives_equal_bytes(tmp_path):
    for name in ("a", "b"):
        tiny_snapshot(tmp_path / name, Tiny(), days=1)
    for path in (tmp_path / "a").rglob("*.parquet"):
        twin = tmp_path / "b" / path.relative_to(tmp_path / "a")
        assert path.read_bytes() == twin.read_bytes()


def test_a_second_writer_is_refused(tmp_path):
    with (
        SnapshotWriter(tmp_path, MANIFEST),
        pytest.raises(SnapshotError, match="another collect"),
        SnapshotWriter(tmp_path, MANIFEST),
    ):
        pass


def test_another_cluster_is_refused(tmp_path):
    day = date(2026, 9, 1)
    with SnapshotWriter(tmp_path, MANIFEST) as writer:
        writer.write_day(day, {}, record(day))
    with (
        pytest.raises(SnapshotError, match="cluster 'c'"),
        SnapshotWriter(tmp_path, replace(MANIFEST, cluster="other")),
    ):
        pass


def test_leftovers_of_a_killed_writer_are_cleared(tmp_path):
    (tmp_path / "usage").mkdir()
    leftover = tmp_path / "usage" / ".2026-09-01.parquet.tmp"
    leftover.write_text("half")
    with SnapshotWriter(tmp_path, MANIFEST):
        assert not leftover.exists()


def test_a_file_in_the_way_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OutputError, match="cannot be written"),
        SnapshotWriter(tmp_path / "file", MANIFEST),
    ):
        pass


@pytest.mark.parametrize("text", ["", "{", '{"schema_version": 99}', '{"schema_version": 1}'])
def test_a_damaged_manifest_is_a_clear_error(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(SnapshotError):
        Snapshot(tmp_path)


def test_a_damaged_table_names_its_file(tmp_path):
    snapshot = tiny_snapshot(tmp_path, Tiny(), days=1)
    damaged = next((tmp_path / "usage").glob("*.parquet"))
    damaged.write_bytes(b"PAR1 nonsense")
    with pytest.raises(SnapshotError, match=damaged.name):
        snapshot.read("usage")


def test_the_newest_snapshot_is_the_one_that_ends_last(tmp_path):
    tiny_snapshot(tmp_path / "old", Tiny(), days=1)
    tiny_snapshot(tmp_path / "new", Tiny(), days=3)
    assert newest_snapshot(tmp_path) == tmp_path / "new"
    assert newest_snapshot(tmp_path / "nowhere") is None


def test_an_unknown_column_is_a_programming_error():
    with pytest.raises(ValueError, match="no column colour"):
        frame("pods", {"colour": ["red"]})


def test_a_frame_has_every_column_of_its_table():
    found = frame("nodes", {"node": ["a"]})
    assert found["allocatable_cpu"].isna().all()
    assert next(iter(found.columns)) == "node"
