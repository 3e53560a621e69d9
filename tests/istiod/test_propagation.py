"""Delays read from histograms, where the time goes, and what a slow one asks for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rightsize.collectors.prometheus.istio_queries import ISTIOD_HISTOGRAMS
from rightsize.istiod.histograms import bucket_quantile
from rightsize.istiod.pilot_settings import push_throttle
from rightsize.istiod.propagation import propagation
from rightsize.istiod.slow_propagation import IstiodCpu
from rightsize.snapshot.schema import frame
from tests.istiod.synthetic_istiod import histogram

INF = float("inf")
CONVERGENCE = "pilot_proxy_convergence_time"
FAST = {0.1: 900.0, 0.5: 980.0, 1.0: 1000.0, 10.0: 1000.0, INF: 1000.0}
SLOW = {0.1: 100.0, 1.0: 300.0, 10.0: 900.0, 20.0: 1000.0, INF: 1000.0}


def slow_with(*stages: pd.DataFrame, cpu: IstiodCpu | None = None, version: str = "1.28.3"):
    table = pd.concat([histogram(CONVERGENCE, SLOW), *stages])
    return propagation(table, cpu=cpu, istio_version=version)


def test_a_quantile_is_interpolated_within_its_bucket():
    found = bucket_quantile(np.array([1.0, 3.0, INF]), np.array([50.0, 100.0, 100.0]), 0.75)
    assert found.value == pytest.approx(2.0)
    assert not found.beyond


def test_beyond_the_last_bound_the_bound_is_given_and_said():
    found = bucket_quantile(np.array([1.0, 30.0, INF]), np.array([0.0, 10.0, 100.0]), 0.99)
    assert (found.value, found.beyond) == (30.0, True)


def test_without_observations_there_is_no_quantile():
    assert bucket_quantile(np.array([1.0, INF]), np.array([0.0, 0.0]), 0.5) is None


@given(
    st.lists(st.floats(0.001, 29), min_size=20, max_size=200),
    st.floats(0.05, 0.95),
)
def test_a_bucket_quantile_lies_in_the_bucket_of_the_true_one(values, quantile):
    bounds = np.array([0.1, 0.5, 1, 3, 5, 10, 20, 30, INF])
    counts = np.array([(np.array(values) <= b).sum() for b in bounds], dtype=float)
    found = bucket_quantile(bounds, counts, quantile).value
    true = np.quantile(values, quantile, method="inverted_cdf")
    place = np.searchsorted(bounds, true)
    assert (0 if place == 0 else bounds[place - 1]) <= found <= bounds[place]


def test_a_fast_mesh_has_no_finding_and_holds_nothing():
    found = propagation(histogram(CONVERGENCE, FAST))
    assert found.convergence.p99.value < 1
    assert found.finding is None
    assert found.hold is None
    assert found.unknown == (
        "pilot_debounce_time", "pilot_proxy_queue_time", "pilot_xds_push_time",
        "pilot_xds_send_time",
    )  # fmt: skip


def test_one_slow_day_holds_every_cut():
    slow = histogram(CONVERGENCE, SLOW)
    good = histogram(CONVERGENCE, {k: v * 100 for k, v in FAST.items()}, hours=240)
    good["time"] += pd.Timedelta(2, "D")
    found = propagation(pd.concat([slow, good]))
    assert found.convergence.p99.value < 10
    assert "propagation is slow" in found.hold
    assert found.finding is not None
    assert len(found.daily) == 11


def test_without_the_histogram_nothing_may_be_cut():
    assert "was not seen" in propagation(frame("control_plane")).hold


def test_changes_that_wait_for_the_debounce_ceiling_hold_every_cut():
    debounce = histogram("pilot_debounce_time", {1.0: 10.0, 10.0: 50.0, 20.0: 100.0, INF: 100.0})
    found = propagation(pd.concat([histogram(CONVERGENCE, FAST), debounce]))
    assert "debounce" in found.hold


def test_a_queue_asks_for_the_push_throttle_with_its_default_for_the_release():
    queue = histogram("pilot_proxy_queue_time", {1.0: 100.0, 10.0: 500.0, 20.0: 1000.0, INF: 1000})
    push = histogram("pilot_xds_push_time", {0.01: 900.0, 0.1: 1000.0, INF: 1000.0})
    found = slow_with(queue, push, cpu=IstiodCpu(0.0, 0.3, 2.0)).finding
    assert "push queue" in found.cause
    assert found.changes[0].setting.name == "PILOT_PUSH_THROTTLE"
    assert "now 25" in found.changes[0].what
    assert "1.21" in found.changes[0].setting.default


def test_a_queue_behind_a_throttled_istiod_asks_for_cpu_first():
    queue = histogram("pilot_proxy_queue_time", {1.0: 100.0, 20.0: 1000.0, INF: 1000.0})
    found = slow_with(queue, cpu=IstiodCpu(0.3, 0.9, 2.0)).finding
    assert "short of CPU" in found.cause
    assert "more CPU" in found.changes[0].what
    assert all(c.setting is None for c in found.changes)


@pytest.mark.parametrize(
    ("stage", "cause", "first"),
    [
        ("pilot_debounce_time", "debounce", "find what changes so often"),
        ("pilot_xds_push_time", "making the pushes", "scope the configuration"),
        ("pilot_xds_send_time", "sending to proxies", "look at the proxies that lag"),
    ],
)
def test_the_longest_stage_is_the_cause(stage, cause, first):
    found = slow_with(histogram(stage, {1.0: 10.0, 10.0: 500.0, 20.0: 1000.0, INF: 1000.0}))
    assert cause in found.finding.cause
    assert found.finding.changes[0].what.startswith(first)
    assert found.stages[0].share == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("version", "cores", "expected"),
    [("1.20.8", None, 100), ("1.21.0", 1, 20), ("1.28.3", 2, 25), ("1.28.3", 2.5, 30), ("1.30.3", 4, 35),
     ("1.30.3", 64, 100), ("1.30.3", None, None), (None, 2, None)],
)  # fmt: skip
def test_the_push_throttle_nobody_set(version, cores, expected):
    assert push_throttle(version, cores) == expected


def test_the_collector_asks_for_every_part_of_the_way():
    nothing = propagation(histogram(CONVERGENCE, FAST))
    assert len(nothing.unknown) == 4
    assert {CONVERGENCE, *nothing.unknown} <= set(ISTIOD_HISTOGRAMS)
