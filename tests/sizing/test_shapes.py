"""Shapes of usage, by the recommendation that names them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rightsize.config import PolicySettings, Settings
from rightsize.recommend import recommend
from rightsize.results import ShapeKind, Sizes
from rightsize.sizing.container import size_container
from rightsize.sizing.history import ContainerHistory, Events
from rightsize.sizing.node_bound import free_memory
from rightsize.sizing.policies import PercentilePolicy
from rightsize.sizing.presence import presence
from rightsize.sizing.shapes import shapes_of
from tests.sizing.days import records
from tests.tiny_mesh import MIB, Tiny, tiny_snapshot

START = pd.Timestamp("2026-09-01", tz="UTC")
EXACT = PercentilePolicy(cpu_margin=0.0, memory_margin=0.0)
P99 = PercentilePolicy(memory_percentile=99, memory_margin=0.0)


def row(tmp_path, *containers, days=10, **policy):
    snapshot = tiny_snapshot(tmp_path / "s", *containers, days=days)
    found = recommend(snapshot, Settings(policy=PolicySettings(**policy)), policy=EXACT)
    return next(r for r in found.recommendations if r.workload == "web")


def kinds(found):
    return {shape.kind for shape in found.shapes}


def parts(*levels, days):
    """One workload whose usage changes between stretches of days."""
    tinies, begun = [], 0
    for level, length in zip(levels, days, strict=True):
        tinies.append(Tiny(cpu=[level], skip_days=begun, days=length))
        begun += length
    return tinies


def test_steady_usage_has_no_shape(tmp_path):
    noise = 0.005 * np.random.default_rng(1).lognormal(0, 0.3, 288)
    assert not row(tmp_path, Tiny(cpu=noise, pods=3)).shapes


def test_a_higher_level_counts_at_once(tmp_path):
    found = row(tmp_path, *parts(0.05, 0.4, days=(18, 1)), days=19)
    assert kinds(found) == {ShapeKind.STEP_UP}
    assert found.cpu.recommended_request == pytest.approx(0.4)
    assert "rose from 50m to 400m a day ago" in found.reason


def test_a_lower_level_counts_after_the_days_a_history_needs(tmp_path):
    fresh = row(tmp_path / "a", *parts(0.09, 0.02, days=(7, 3)))
    old = row(tmp_path / "b", *parts(0.09, 0.02, days=(7, 8)), days=15)
    assert kinds(fresh) == kinds(old) == {ShapeKind.STEP_DOWN}
    assert fresh.cpu.target_request == 0.09 or fresh.cpu.recommended_request == 0.1
    assert old.cpu.target_request == pytest.approx(0.02)


def test_a_raise_for_the_level_before_a_fall_says_so_and_is_no_shortage(tmp_path):
    found = row(tmp_path, *parts(0.4, 0.05, days=(8, 2)))
    assert kinds(found) == {ShapeKind.STEP_DOWN}
    assert found.cpu.recommended_request == pytest.approx(0.4)
    assert "request 100m to 400m for the level before it fell (50m would do since" in found.reason
    assert "times its request" not in found.reason
    assert found.under_provisioned is None


def test_each_resource_follows_its_own_level(tmp_path):
    # Memory fell nine days ago, CPU rose two days ago.
    old = Tiny(cpu=[0.03], memory=[120 * MIB], days=6)
    middle = old.but(memory=[40 * MIB], skip_days=6, days=7)
    new = middle.but(cpu=[0.2], skip_days=13, days=2)
    found = row(tmp_path, old, middle, new, days=15, floor_memory=MIB)
    assert kinds(found) == {ShapeKind.STEP_DOWN, ShapeKind.STEP_UP}
    assert found.cpu.target_request == pytest.approx(0.2)
    assert found.memory.target_request == pytest.approx(40 * MIB, rel=0.05)


def test_a_memory_peak_that_is_left_to_the_limit_is_no_shortage(tmp_path):
    memory = np.full(288, 60 * MIB)
    memory[24:26] = 900 * MIB
    snapshot = tiny_snapshot(tmp_path / "s", Tiny(memory=memory))
    found = next(r for r in recommend(snapshot).recommendations if r.workload == "web")
    assert found.memory.recommended_request < 128 * MIB
    assert "its peak of 900Mi is the limit's" in found.reason
    assert found.under_provisioned is None


def test_weekends_are_no_step(tmp_path):
    week = [0.05] * 5 + [0.01] * 2
    days = [Tiny(cpu=[week[n % 7]], skip_days=n, days=1) for n in range(14)]
    assert not row(tmp_path, *days, days=14).shapes


def test_a_leak_is_named_with_the_day_it_passes_its_limit(tmp_path):
    days = [
        Tiny(memory=[(60 + 5 * n) * MIB], skip_days=n, days=1, memory_limit=144 * MIB)
        for n in range(10)
    ]
    found = row(tmp_path, *days)
    (shape,) = found.shapes
    assert shape.kind is ShapeKind.LEAK
    assert "grows by 5Mi a day and is at 105Mi" in shape.text
    assert "in 8 days past its limit" in shape.text
    assert found.memory.recommended_request >= (105 + 7 * 5) * MIB


def test_memory_that_warms_up_is_no_leak(tmp_path):
    days = [Tiny(memory=[(100 - 40 * 0.5**n) * MIB], skip_days=n, days=1) for n in range(10)]
    assert ShapeKind.LEAK not in kinds(row(tmp_path, *days))


def test_an_hour_each_night_is_a_burst(tmp_path):
    cpu = np.full(288, 0.005)
    cpu[24:36] = 2.0
    found = row(tmp_path, Tiny(cpu=cpu))
    (shape,) = found.shapes
    assert shape.kind is ShapeKind.DAILY_BURST
    assert shape.text == "each day about 02:00 UTC CPU is 2, 20.0 times its request; else 5m"


def history(pods):
    """A workload of these pods: pod, first window, CPU and memory of each window after it."""
    rows = []
    for pod, (first, cpu, memory) in pods.items():
        times = START + pd.to_timedelta(np.arange(first, first + len(cpu)) * 5, unit="min")
        rows.append(pd.DataFrame({"time": times, "pod": pod, "cpu": cpu, "memory": memory}))
    used = records(pd.concat(rows))
    seen = pd.DataFrame({"pod": list(pods), "workload_kind": "Deployment", "started": pd.NaT,
                         "first_seen": pd.NaT, "last_seen": pd.NaT})  # fmt: skip
    end = pd.Timestamp(int(used.daily.last.max()), unit="s", tz="UTC")
    return ContainerHistory(
        "sidecar", "shop", "web", "Deployment", "istio-proxy", False, False,
        presence(used, seen, end), Sizes(), Events(0, 0, 0, 0.0), (), {}, used,
        np.full(used.daily.rows, np.nan),
    )  # fmt: skip


def test_a_pod_busier_than_its_siblings_is_named():
    cpu = {
        f"web-{n}": (0, np.full(600, 0.2 if n == 3 else 0.01), np.full(600, 6e7)) for n in range(5)
    }
    (shape,) = shapes_of(history(cpu)).found
    assert shape.kind is ShapeKind.UNEVEN_POD
    assert shape.text.startswith("one pod of 5 uses 20 times the CPU of its siblings (200m against")


def test_a_start_that_needs_much_more_tells_request_and_limit_apart():
    flat, start = np.full(900, 80 * MIB), np.full(900, 80 * MIB)
    start[:1] = 900 * MIB
    cpu = np.full(900, 0.01)
    (shape,) = shapes_of(history({"old": (0, cpu, flat), "new": (900, cpu, start)})).found
    assert shape.kind is ShapeKind.START_UP
    assert shape.text.startswith("memory peaks at 900Mi while it starts and stays below 80Mi")
    assert "the request is for the latter, the limit for the start" in shape.text


def rollout(pods):
    """Of pods that take 900Mi as they start, and 80Mi afterwards."""
    flat, start = np.full(900, 80 * MIB), np.full(900, 80 * MIB)
    start[:1] = 900 * MIB
    cpu = np.full(900, 0.01)
    new = {f"new-{n}": (900, cpu, start) for n in range(pods)}
    return history({"old": (0, cpu, flat), **new})


@pytest.mark.parametrize(
    ("pods", "words", "more"),
    [(1, "one pod at a time", "820Mi"), (8, "up to 4 of its pods at once", "3280Mi")],
)
def test_a_start_says_what_a_rollout_does_to_a_node(pods, words, more):
    (shape,) = shapes_of(rollout(pods)).found
    assert f"a rollout starts {words}, and" in shape.text
    assert f"needs {more} beyond requests" in shape.text


@pytest.mark.parametrize(("start_up", "wanted"), [("raise", 400 * MIB), ("show", 80 * MIB)])
def test_a_start_that_does_not_fit_raises_the_request_unless_it_is_to_be_shown_alone(
    start_up, wanted
):
    # Four at once have 2000Mi beyond requests of 80Mi: 400Mi each.
    settings = PolicySettings(start_up=start_up, min_days=2)
    found = size_container(rollout(8), P99, settings, free_memory=2000 * MIB)
    assert found.memory.target_request == pytest.approx(wanted, rel=0.02)
    assert "2000Mi are free on its nodes, so each pod would have to request 400Mi" in found.reason


def test_a_start_that_fits_raises_nothing():
    found = size_container(rollout(8), P99, PolicySettings(min_days=2), free_memory=4000 * MIB)
    assert found.memory.target_request == pytest.approx(80 * MIB, rel=0.02)
    assert "would have to" not in found.reason


def test_what_no_pod_requests_is_free_on_a_node(tmp_path):
    containers = (
        Tiny(pods=4),
        Tiny("db", pods=2, app_cpu_request=0.1, app_memory_request=1024 * MIB),
    )
    snapshot = tiny_snapshot(tmp_path / "s", *containers, nodes=2)
    allocatable = snapshot.read("nodes", days=snapshot.days[-1:])["allocatable_memory"].iloc[0]
    free = free_memory(snapshot)
    assert free["shop", "web", "Deployment"] == allocatable - 3 * 128 * MIB - 1024 * MIB
    assert free_memory(tiny_snapshot(tmp_path / "none", Tiny())) == {}


def test_a_start_at_the_beginning_of_the_snapshot_hides_none_of_the_later_ones():
    start = np.full(900, 80 * MIB)
    start[:1] = 900 * MIB
    cpu = np.full(900, 0.01)
    (shape,) = shapes_of(history({"old": (0, cpu, start), "new": (900, cpu, start)})).found
    assert shape.kind is ShapeKind.START_UP


def test_the_first_windows_of_a_snapshot_are_no_start():
    start = np.full(900, 80 * MIB)
    start[:1] = 900 * MIB
    assert not shapes_of(history({"old": (0, np.full(900, 0.01), start)})).found


def test_what_was_not_measured_says_so(tmp_path):
    found = row(tmp_path, Tiny(cpu=[np.nan]))
    assert "CPU was not measured: request stays 100m" in found.reason


def test_little_history_raises_what_exceeds_its_request(tmp_path):
    found = row(tmp_path, Tiny(cpu=[0.464], days=1, skip_days=9))
    assert found.cpu.recommended_request == pytest.approx(0.47)
    assert found.under_provisioned == pytest.approx(4.64)
    assert found.reason.startswith("CPU p95 464m, 4.6 times its request: request 100m to 470m")
    assert "nothing is cut: 1.0 days of history, 7 are needed" in found.reason


def test_little_history_cuts_nothing(tmp_path):
    found = row(tmp_path, Tiny(cpu=[0.464], days=1, skip_days=9))
    assert found.memory.recommended_request == 128 * MIB
