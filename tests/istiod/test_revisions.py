"""Each revision of istiod is an istiod of its own: its pods, its sizes, its history."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest

from rightsize.config import PolicySettings
from rightsize.istiod.source import istiod_revisions, read_istiod, study_istiod
from rightsize.recommend import recommend
from rightsize.snapshot import DayRecord, Manifest, Snapshot, SnapshotWriter
from rightsize.snapshot.schema import frame
from tests.cli.run import rightsize
from tests.istiod.synthetic_istiod import (
    START,
    Law,
    Mesh,
    control_plane_of,
    histogram,
    hours_of,
)

FAST = {0.1: 900.0, 1.0: 1000.0, 10.0: 1000.0, float("inf"): 1000.0}
DAYS = 20
OLD = Mesh(proxies=400.0, hours=DAYS * 24, growth=0.0, pods=("istiod-1-22-a", "istiod-1-22-b"))
NEW_LAW = Law(level=900.0, cpu_level=0.8)


def two_revisions(path, *, since: int, old_until: int = DAYS) -> Snapshot:
    """istiod-1-22 from the first day to `old_until`, istiod-1-24 from day `since` on."""
    new = replace(OLD, law=NEW_LAW, proxies=1200.0, pods=("istiod-1-24-a", "istiod-1-24-b"), seed=1)
    old_hours, new_hours = hours_of(OLD), hours_of(new)
    old_hours = old_hours[old_hours["time"] <= START + pd.Timedelta(old_until, "D")]
    new_hours = new_hours[new_hours["time"] > START + pd.Timedelta(since, "D")]
    parts = []
    for hours, pod in ((old_hours, "istiod-1-22-a"), (new_hours, "istiod-1-24-a")):
        delays = histogram("pilot_proxy_convergence_time", FAST, hours=DAYS * 24, pod=pod)
        parts += [control_plane_of(hours), delays[delays["time"].isin(hours["time"])]]
    table = pd.concat(parts)
    day_of = (table["time"] - pd.Timedelta("1s")).dt.floor("D")
    usage = pd.concat([old_hours, new_hours]).assign(
        namespace="istio-system", container="discovery", cpu=lambda h: h["cpu_burst"]
    )[["time", "namespace", "pod", "container", "cpu", "memory"]]
    manifest = Manifest(cluster="two", source="demo", simulated=True, region="us-east-1")
    with SnapshotWriter(path, manifest) as writer:
        for number in range(DAYS):
            day = START + pd.Timedelta(number, "D")
            names = [p for p in OLD.pods if number < old_until]
            names += [p for p in new.pods if number >= since]
            tables = {
                "control_plane": table[day_of == day],
                "usage": frame("usage", usage[(usage["time"] - pd.Timedelta("1s")).dt.floor("D") == day]),
                "containers": frame("containers", {
                    "namespace": "istio-system", "pod": names, "container": "discovery",
                    "component": "istiod", "init": False, "native": False,
                    "restarts": 0.0, "oom_kills": 0.0,
                    "cpu_request": [0.5 if "1-22" in p else 2.0 for p in names],
                    "memory_request": [2.0 * 2**30 if "1-22" in p else 4.0 * 2**30 for p in names],
                }),
                "pods": frame("pods", {
                    "namespace": "istio-system", "pod": names, "phase": "Running",
                    "workload": [p[:-2] for p in names], "workload_kind": "Deployment",
                    "started": day, "first_seen": day, "last_seen": day + pd.Timedelta("23h55min"),
                }),
            }  # fmt: skip
            record = DayRecord(day, day + pd.Timedelta("1D"), complete=True, rows={})
            writer.write_day(day.date(), tables, record)
    return Snapshot(path)


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> Snapshot:
    return two_revisions(tmp_path_factory.mktemp("both") / "two", since=0)


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory) -> Snapshot:
    return two_revisions(tmp_path_factory.mktemp("up") / "two", since=15, old_until=15)


def test_the_revision_with_most_proxies_comes_first(both):
    assert istiod_revisions(both) == ("istiod-1-24", "istiod-1-22")


def test_each_is_sized_from_its_own_pods(both):
    rules = PolicySettings(max_cut=1.0)
    old, _ = study_istiod(both, rules, "istiod-1-22")
    new, _ = study_istiod(both, rules, "istiod-1-24")
    assert old.current.cpu_request == 0.5
    assert new.current.cpu_request == 2.0
    assert old.recommended.cpu_request <= 0.5
    assert new.recommended.cpu_request > 0.8
    assert old.model.load.proxies < new.model.load.proxies


def test_recommend_says_the_same_of_each(both):
    rows = {row.workload: row for row in recommend(both).of("istiod")}
    for name, row in rows.items():
        assert row.recommended == study_istiod(both, PolicySettings(), name)[0].recommended


def test_an_upgrade_carries_the_history_over(upgraded):
    assert istiod_revisions(upgraded) == ("istiod-1-24",)
    tables = read_istiod(upgraded)
    assert tables.carried == ("istiod-1-22",)
    assert set(tables.own_hours["pod"]) == {"istiod-1-24-a", "istiod-1-24-b"}
    advice, _ = study_istiod(upgraded)
    assert (
        "history: 5.0 days of istiod-1-24 and, before them, 15.0 of istiod-1-22" in advice.reasons
    )
    assert advice.current.cpu_request == 2.0


def test_revisions_side_by_side_share_no_history(both):
    assert read_istiod(both).carried == ()


def test_the_command_answers_for_each_revision(both, tmp_path):
    found = rightsize("control-plane", "--snapshot", both.path, "--format", "json", "-o", tmp_path)
    answer = json.loads(found.stdout)
    assert answer["istiod"]["revision"] == "istiod-1-24"
    (other,) = answer["other_revisions"]
    assert other["istiod"]["revision"] == "istiod-1-22"
    names = {path.name for path in tmp_path.iterdir()}
    assert {"istiod-values-istiod-1-22.yaml", "istiod-values-istiod-1-24.yaml"} <= names
