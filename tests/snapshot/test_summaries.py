"""Summaries of a day: written beside a whole day, made anew where they are not what they should be."""

from __future__ import annotations

import fcntl
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rightsize.errors import SnapshotError
from rightsize.snapshot import DayRecord, Manifest, Snapshot, SnapshotWriter, table_files
from rightsize.snapshot.check import check_snapshot, is_whole
from rightsize.snapshot.manifest import read_manifest
from rightsize.snapshot.summaries import summaries, write_missing
from rightsize.snapshot.summary_table import Summariser, summarised, summary_faults
from rightsize.snapshot.table_files import synced
from tests.tiny_mesh import FIRST_DAY, MIB, Tiny, tiny_snapshot, tiny_tables

WEB = Tiny(cpu=[0.001, 0.002, 0.004], memory=[60 * MIB, 61 * MIB], pods=2, days=2)
DB = Tiny("db", "data", cpu=[0.5], memory=[200 * MIB], pods=1, days=2)


@pytest.fixture
def folder(tmp_path):
    tiny_snapshot(tmp_path / "s", WEB, DB, days=2)
    return tmp_path / "s"


def file_of(folder):
    return folder / "summaries" / f"{FIRST_DAY}.parquet"


def one_day(folder, namespaces=None):
    return dict(summaries(Snapshot(folder), [FIRST_DAY], namespaces))[FIRST_DAY]


def usage_of(folder):
    return next(Snapshot(folder).by_day("usage", days=[FIRST_DAY]))[1]


def as_of_an_earlier_release(folder):
    """The folder as it was before there were summaries."""
    shutil.rmtree(folder / "summaries")
    body = json.loads((folder / "manifest.json").read_text())
    for day in body["days"].values():
        del day["files"]["summaries"], day["rows"]["summaries"], day["summary_of"]
    (folder / "manifest.json").write_text(json.dumps(body))


def rewritten(folder, change):
    """The first day's summary changed, under a hash that is right."""
    changed = change(pq.read_table(file_of(folder)))
    pq.write_table(changed, file_of(folder))
    digest = synced(file_of(folder))
    body = json.loads((folder / "manifest.json").read_text())
    body["days"][str(FIRST_DAY)]["files"]["summaries"] = digest
    (folder / "manifest.json").write_text(json.dumps(body))


def expected(folder):
    return summarised(usage_of(folder), FIRST_DAY)


def test_a_part_of_a_large_mesh_is_a_part_of_its_summary(tmp_path, monkeypatch):
    monkeypatch.setattr(table_files, "_GROUP_BYTES", 1)
    tiny_snapshot(tmp_path / "s", WEB, DB, days=1)
    asked = []
    read = pq.ParquetFile.read_row_groups

    def noted(self, groups, *args, **kwargs):
        asked.extend(groups)
        return read(self, groups, *args, **kwargs)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", noted)
    assert pq.read_metadata(file_of(tmp_path / "s")).num_row_groups == 3
    assert one_day(tmp_path / "s", ["data"])["namespace"].unique().to_pylist() == ["data"]
    assert len(asked) == 1


def test_a_whole_day_is_written_with_its_summary(folder):
    rows = pq.read_table(file_of(folder)).to_pandas()
    assert rows["pod"].tolist() == [
        "db-5d9c7b8f6-00000",
        "web-5d9c7b8f6-00000",
        "web-5d9c7b8f6-00001",
    ]
    web = rows.iloc[1]
    assert (web["windows"], web["cpu_peak"]) == (288, 0.004)
    assert web["cpu_sum"] == pytest.approx(96 * 0.007)
    assert web["cpu_counts"].tolist() == [96, 96, 96]
    assert web["cpu_highest"].tolist() == [0.001, 0.002, 0.004]
    assert web["memory_peaks"].tolist() == [61 * MIB] * 12
    assert web["present"] == b"\xff" * 36


def test_a_summary_read_is_the_one_written(folder):
    assert one_day(folder).select(expected(folder).column_names).equals(expected(folder))
    assert read_manifest(folder).days[FIRST_DAY].has_summary


def test_some_namespaces_are_read_alone(folder):
    assert set(one_day(folder, ["data"]).column("namespace").to_pylist()) == {"data"}


def test_a_day_that_is_not_over_has_none_yet_and_is_summed_up_in_memory(tmp_path):
    start = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)
    record = DayRecord(start, start + timedelta(hours=20), complete=False, rows={}, absent=())
    manifest = Manifest(cluster="tiny", source="demo", simulated=True)
    with SnapshotWriter(tmp_path / "s", manifest) as writer:
        writer.write_day(FIRST_DAY, tiny_tables([WEB], start), record)
    snapshot = Snapshot(tmp_path / "s")
    write_missing(snapshot, snapshot.days)
    assert not (tmp_path / "s" / "summaries").exists()
    assert one_day(tmp_path / "s").num_rows == 2


def test_a_container_that_goes_on_in_the_next_part_is_one_row(folder):
    usage, summary = usage_of(folder), Summariser(FIRST_DAY)
    for first in range(0, usage.num_rows, 100):
        summary.add(usage.slice(first, 100))
    assert summary.finished().equals(expected(folder))


def test_usage_in_any_order_has_the_same_summary(folder):
    usage = usage_of(folder)
    shuffled = usage.take(pa.array(np.random.default_rng(3).permutation(usage.num_rows)))
    assert summarised(shuffled, FIRST_DAY).equals(expected(folder))
    summary = Summariser(FIRST_DAY)
    summary.add(shuffled)
    assert summary.finished().equals(expected(folder))


def test_a_snapshot_of_an_earlier_release_gets_its_summaries_on_first_use(folder):
    before = one_day(folder)
    as_of_an_earlier_release(folder)
    snapshot = Snapshot(folder)
    write_missing(snapshot, snapshot.days)
    assert one_day(folder).equals(before)
    assert all(record.has_summary for record in read_manifest(folder).days.values())
    assert snapshot.manifest == read_manifest(folder)
    assert not any(one.faults for one in check_snapshot(folder))


def test_while_another_writes_they_are_made_in_memory(folder):
    before = one_day(folder)
    as_of_an_earlier_release(folder)
    manifest = (folder / "manifest.json").read_bytes()
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        write_missing(Snapshot(folder), [FIRST_DAY])
        assert one_day(folder).equals(before)
    assert (folder / "manifest.json").read_bytes() == manifest


def test_where_nothing_can_be_written_they_are_made_in_memory(folder):
    before = one_day(folder)
    as_of_an_earlier_release(folder)
    (folder / "summaries").write_text("a file where the folder should be")
    write_missing(Snapshot(folder), [FIRST_DAY])
    assert one_day(folder).equals(before)


def test_a_damaged_summary_is_made_anew(folder):
    before = one_day(folder)
    content = bytearray(file_of(folder).read_bytes())
    content[len(content) // 2] ^= 1
    file_of(folder).write_bytes(content)
    (fault,) = check_snapshot(folder)[0].faults
    assert "is not the file that was written (it is made anew on the next use)" in fault
    # Nothing is fetched again for it.
    assert is_whole(folder, FIRST_DAY, read_manifest(folder).days[FIRST_DAY])
    assert one_day(folder).equals(before)
    write_missing(Snapshot(folder), [FIRST_DAY])
    assert not check_snapshot(folder)[0].faults


def test_a_summary_of_other_usage_does_not_count(folder):
    # As when a release without summaries collected the day again and left the file.
    body = json.loads((folder / "manifest.json").read_text())
    body["days"][str(FIRST_DAY)]["summary_of"] = "1:" + "0" * 64
    (folder / "manifest.json").write_text(json.dumps(body))
    rewritten(folder, lambda rows: rows.slice(0, 1))
    assert one_day(folder).num_rows == 3


def test_a_day_collected_again_has_the_summary_of_its_new_usage(folder):
    start = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)
    manifest = read_manifest(folder)
    busier = tiny_tables([replace(WEB, cpu=[0.9])], start)
    with SnapshotWriter(folder, manifest) as writer:
        writer.write_day(FIRST_DAY, busier, manifest.days[FIRST_DAY])
    assert set(one_day(folder).column("cpu_peak").to_pylist()) == {0.9}


def test_other_tables_of_a_day_leave_its_summary(folder):
    manifest = read_manifest(folder)
    start = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)
    tables = {"pods": tiny_tables([WEB, DB], start)["pods"]}
    with SnapshotWriter(folder, manifest) as writer:
        writer.write_day(FIRST_DAY, tables, manifest.days[FIRST_DAY])
    assert read_manifest(folder).days[FIRST_DAY].has_summary


def test_check_finds_a_summary_that_its_usage_does_not_bear_out(folder):
    rewritten(folder, lambda rows: rows.set_column(9, "cpu_sum", pa.array([1.0, 2.0, 3.0])))
    assert "is no summary of the day's usage" in check_snapshot(folder)[0].faults[0]


def test_a_summary_with_a_container_twice_is_not_read(folder):
    before = one_day(folder)
    rewritten(folder, lambda rows: rows.take([0, 0, 2]))
    assert one_day(folder).equals(before)


def test_a_day_read_before_is_read_again_once_it_was_collected_anew(folder):
    old = Snapshot(folder)
    start = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)
    assert len(old.read("pods", days=[FIRST_DAY])) == 3
    with SnapshotWriter(folder, read_manifest(folder)) as writer:
        record = writer.manifest.days[FIRST_DAY]
        writer.write_day(FIRST_DAY, tiny_tables([DB], start), record)
    # Files are kept by hash, so other days' of the same snapshot have the new one at once.
    old.described_anew(read_manifest(folder).days)
    assert len(old.read("pods", days=[FIRST_DAY, *old.days[1:]])) == 1 + 3
    assert len(old.only([FIRST_DAY]).read("pods")) == 1


LISTS = [
    ("cpu_counts", pa.array([[1], [2], [3]], pa.list_(pa.int16()))),
    ("cpu_counts", pa.array([[0], [96, 96, 96], [96, 96, 96]], pa.list_(pa.int16()))),
    ("memory_highest", pa.array([[np.nan], [1.0, 2.0], [1.0, 2.0]], pa.list_(pa.float64()))),
    ("memory_peaks", pa.array([[1.0], [2.0], [3.0]], pa.list_(pa.float64()))),
    ("cpu_hours", pa.array([None, None, None], pa.list_(pa.float64()))),
    ("windows", pa.array([None, None, None], pa.float32())),
]


@pytest.mark.parametrize(("name", "values"), LISTS)
def test_what_no_summary_can_hold_is_not_read(folder, name, values):
    def change(rows):
        return rows.set_column(rows.column_names.index(name), rows.schema.field(name), [values])

    before = one_day(folder)
    rewritten(folder, change)
    assert list(summary_faults(pq.read_table(file_of(folder))))
    assert one_day(folder).equals(before)


def test_damaged_usage_is_an_error_where_a_summary_is_to_be_made_of_it(folder):
    as_of_an_earlier_release(folder)
    (folder / "usage" / f"{FIRST_DAY}.parquet").write_bytes(b"no Parquet")
    with pytest.raises(SnapshotError, match="is not the file that was written"):
        write_missing(Snapshot(folder), [FIRST_DAY])
