"""KRR, VPA, Autopilot and peak x 1.2 against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rightsize.errors import UsageError
from rightsize.sizing.policies import (
    AutopilotPolicy,
    KRRPolicy,
    PeakMarginPolicy,
    VPAPolicy,
)
from rightsize.sizing.policies.baselines import histogram_percentile, weighted_percentile
from rightsize.sizing.profiles import policy_named

MIB = 2**20


def usage(cpu, memory=None, *, pods=None, hours_apart=1 / 12):
    n = len(cpu)
    seconds = np.arange(n) * hours_apart * 3600
    return pd.DataFrame(
        {
            "time": pd.Timestamp("2026-01-05", tz="UTC") + pd.to_timedelta(seconds, unit="s"),
            "pod": pods or ["a"] * n,
            "cpu": cpu,
            "memory": [100.0 * MIB] * n if memory is None else memory,
        }
    )


def test_krr_takes_the_highest_pods_own_p95():
    # 0..100 has p95 = 95; the other pod's p95 is 10, though it has more samples.
    cpu = [*(i / 100 for i in range(101)), *([0.10] * 200)]
    sizes = KRRPolicy().fit(usage(cpu, pods=["a"] * 101 + ["b"] * 200)).sizes_
    assert sizes.cpu_request == pytest.approx(0.95)
    assert sizes.cpu_limit is None


def test_krr_requests_and_limits_the_memory_peak_plus_15_percent():
    sizes = KRRPolicy().fit(usage([0.1] * 3, [100.0 * MIB, 200.0 * MIB, 120.0 * MIB])).sizes_
    assert sizes.memory_request == sizes.memory_limit == pytest.approx(230 * MIB)


def test_krr_floors_are_10_millicores_and_100_mib_when_switched_on():
    sizes = KRRPolicy(floors=True).fit(usage([0.001] * 3, [10.0 * MIB] * 3)).sizes_
    assert sizes.cpu_request == 0.01
    assert sizes.memory_request == 100 * MIB


@pytest.mark.parametrize(
    ("value", "end"),
    [
        (0.004, 0.01),  # bucket 0: [0, 0.01)
        (0.012, 0.0205),  # bucket 1: [0.01, 0.01 * (1.05^2 - 1) / 0.05)
        (0.0206, 0.031525),  # bucket 2
    ],
)
def test_vpa_percentiles_are_the_end_of_their_bucket(value, end):
    found = histogram_percentile(np.array([value]), np.ones(1), 0.9, first=0.01, largest=1000.0)
    assert found == pytest.approx(end)


def test_vpa_takes_p90_of_cpu_plus_15_percent():
    # 95 of 100 equal in age and size: bucket 1, whose end is 0.0205.
    frame = usage([0.012] * 95 + [0.5] * 5, hours_apart=0.0)
    assert VPAPolicy().fit(frame).sizes_.cpu_request == pytest.approx(0.0205 * 1.15)


def test_vpa_forgets_half_in_24_hours():
    # One sample of 0.5 cores ten half-lives old weighs 1/1024 of the sample of today, so that the
    # p90 is today's; the other way round today's large sample is the p90.
    small_last = usage([0.5, 0.012], hours_apart=240)
    large_last = usage([0.012, 0.5], hours_apart=240)
    policy = VPAPolicy(history_days=30)
    assert policy.fit(small_last).sizes_.cpu_request == pytest.approx(0.0205 * 1.15)
    assert policy.fit(large_last).sizes_.cpu_request > 0.5 * 1.15


def test_vpa_counts_one_memory_peak_for_each_24_hours():
    # Two days: peaks of 15 MB (older) and 5 MB. Weights 1/2 and 1: p90 lies in the 15 MB bucket,
    # [10 MB, 20.5 MB); the many samples of 5 MB do not outvote it.
    frame = usage([0.01] * 48, [15e6] + [5e6] * 47, hours_apart=1.0)
    assert VPAPolicy().fit(frame).sizes_.memory_request == pytest.approx(20.5e6 * 1.15)


def test_vpa_floors_are_25_millicores_and_250_mb_when_switched_on():
    sizes = VPAPolicy(floors=True).fit(usage([0.001] * 3, [1e6] * 3)).sizes_
    assert (sizes.cpu_request, sizes.memory_request) == (0.025, 250e6)


def test_a_weighted_percentile_counts_weight_and_not_samples():
    values, weights = np.array([3.0, 1.0, 2.0]), np.array([1.0, 8.0, 1.0])
    assert weighted_percentile(values, weights, 0.5) == 1.0
    assert weighted_percentile(values, weights, 0.9) == 2.0
    assert weighted_percentile(values, weights, 0.95) == 3.0


def test_autopilot_weighs_cpu_by_load():
    # 99 idle samples of 0.01 carry 0.99 of 1.99 core-samples, the burst the rest: p95 by load is
    # the burst, p95 by count would be idle.
    frame = usage([0.01] * 99 + [1.0], hours_apart=0.0)
    assert AutopilotPolicy().fit(frame).sizes_.cpu_request == pytest.approx(1.15)


def test_autopilot_remembers_the_memory_peak_of_its_days_only():
    memory = [900.0 * MIB] + [100.0 * MIB] * 20
    frame = usage([0.01] * 21, memory, hours_apart=12.0)
    assert AutopilotPolicy().fit(frame).sizes_.memory_limit == pytest.approx(115 * MIB)


def test_peak_margin_adds_a_fifth_to_both_peaks():
    sizes = PeakMarginPolicy().fit(usage([0.1, 0.5, 0.2], [1e6, 2e6, 5e6])).sizes_
    assert sizes.cpu_request == pytest.approx(0.6)
    assert sizes.memory_limit == pytest.approx(6e6)


@pytest.mark.parametrize("name", ["krr", "vpa", "autopilot", "peak", "percentile", "balanced"])
def test_a_resource_that_was_never_seen_gets_no_size(name):
    sizes = policy_named(name).fit(usage([0.2] * 600, [np.nan] * 600)).sizes_
    assert sizes.cpu_request > 0
    assert sizes.memory_request is None
    assert sizes.memory_limit is None


def test_named_policies_take_parameters():
    assert policy_named("krr", {"cpu_percentile": 99.0}).get_params()["cpu_percentile"] == 99.0


def test_an_unknown_policy_lists_the_known_ones():
    with pytest.raises(UsageError, match="krr, vpa, autopilot, peak"):
        policy_named("goldilocks")


def test_an_unknown_parameter_lists_the_valid_ones():
    with pytest.raises(UsageError, match="its parameters are floors, half_life_hours"):
        policy_named("vpa", {"half_life": 3})
