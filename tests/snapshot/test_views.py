"""Facts of a snapshot over its window: a day that misses them changes none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from rightsize.snapshot import DayRecord, Manifest, Snapshot, SnapshotWriter
from rightsize.snapshot.views import (
    containers_by_day,
    newest_containers,
    newest_rows,
    usage_by_workload,
)
from tests.tiny_mesh import FIRST_DAY, Tiny, hpa, tiny_snapshot, tiny_tables


def written(path, *days):
    manifest = Manifest(cluster="tiny", source="demo", simulated=True, region="us-east-1")
    with SnapshotWriter(path, manifest) as writer:
        for number, make in enumerate(days):
            day = FIRST_DAY + timedelta(days=number)
            start = datetime(day.year, day.month, day.day, tzinfo=UTC)
            record = DayRecord(start, start + timedelta(days=1), complete=True, rows={})
            writer.write_day(day, make(start), record)
    return Snapshot(path)


def test_sizes_in_force_are_the_newest_known_ones_and_say_of_when(tmp_path):
    def unknown(start):
        tables = tiny_tables([Tiny(pods=1)], start)
        sizes = dict.fromkeys(["cpu_limit", "memory_limit"], np.nan)
        return tables | {"containers": tables["containers"].assign(**sizes, limits_known=False)}

    snapshot = written(tmp_path / "s", lambda start: tiny_tables([Tiny(pods=1)], start), unknown)
    (row,) = newest_containers(snapshot).to_dict("records")
    assert row["cpu_limit"] == 2.0
    assert row["sizes_as_of"].date() == FIRST_DAY


def test_a_limit_that_is_not_set_is_known_where_others_are_set(tmp_path):
    free = Tiny("free", cpu_limit=None, memory_limit=None)
    rows = containers_by_day(tiny_snapshot(tmp_path / "s", free, Tiny(), days=1))
    assert rows["limits_known"].all()


def test_where_no_container_has_a_limit_limits_are_unknown(tmp_path):
    free = Tiny(cpu_limit=None, memory_limit=None)
    rows = containers_by_day(tiny_snapshot(tmp_path / "s", free, days=1))
    assert rows["requests_known"].all()
    assert not rows["limits_known"].any()


def test_native_sidecars_have_metrics_of_their_own(tmp_path):
    native = Tiny("native", native=True, cpu_request=None, memory_request=None, cpu_limit=None,
                  memory_limit=None)  # fmt: skip
    rows = containers_by_day(tiny_snapshot(tmp_path / "s", native, Tiny(), days=1))
    known = rows.groupby("workload")["requests_known"].all()
    assert known.to_dict() == {"native": False, "web": True}


def test_workloads_that_are_gone_are_not_there(tmp_path):
    snapshot = tiny_snapshot(tmp_path / "s", Tiny(), Tiny("gone", days=2), days=4)
    there = newest_containers(snapshot).set_index("workload")["there"]
    assert there.to_dict() == {"gone": False, "web": True}


def test_the_newest_rows_are_of_the_newest_day_with_any(tmp_path):
    snapshot = written(
        tmp_path / "s",
        lambda start: tiny_tables([Tiny()], start) | {"hpas": hpa("web", 70)},
        lambda start: tiny_tables([Tiny()], start),
    )
    assert newest_rows(snapshot, "hpas")["hpa"].tolist() == ["web"]
    assert newest_rows(snapshot, "pdbs").empty


def test_usage_names_the_workload_and_component_of_each_window(tmp_path):
    snapshot = tiny_snapshot(tmp_path / "s", Tiny(pods=2), days=2)
    usage = usage_by_workload(snapshot, columns=["cpu"])
    assert len(usage) == 2 * 2 * 288
    assert set(zip(usage["workload"], usage["component"], strict=True)) == {("web", "sidecar")}
    assert pd.api.types.is_datetime64_any_dtype(usage["time"])
