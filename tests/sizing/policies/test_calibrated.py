"""The calibrated policy keeps what it promises where the law of usage is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rightsize.sizing.policies import (
    CalibratedPolicy,
    History,
)
from rightsize.sizing.policies.calibrated import (
    block_peaks,
    level_shifts,
    passing_probability,
    priced_level,
    unused_share,
)
from rightsize.sizing.policies.daily import Daily, by_week
from rightsize.sizing.profiles import policy_named, profile_policy, profiles, promises
from rightsize.snapshot.histogram import Histogram, Tally

DAY = 288


def lognormal(rng, n, spread=1.0):
    return 0.05 * np.exp(spread * rng.standard_normal(n))


def bursts(rng, n, spread=1.0):
    return np.where(rng.random(n) < 0.03, 1.0, 0.02) * np.exp(0.1 * spread * rng.standard_normal(n))


def flat(rng, n, spread=1.0):
    return 0.1 * (1 + 0.02 * spread * rng.standard_normal(n))


def history(cpu=None, memory=None):
    n = len(cpu if cpu is not None else memory)
    nothing = np.full(n, np.nan)
    return History(
        300 * np.arange(1, n + 1),
        np.zeros(n, dtype=np.int64),
        nothing if cpu is None else cpu,
        nothing if memory is None else memory,
    )


def weighed(values, weights, resource="cpu"):
    """The histogram of values, each of which counts its weight."""
    return Tally.of(resource, np.arange(values.size), values.size, values).pooled(weights)


def by_day(values, half_life=14):
    """What each window of whole days counts."""
    return 0.5 ** (np.repeat(np.arange(values.size // DAY)[::-1], DAY) / half_life)


@pytest.mark.parametrize("name", profiles())
@pytest.mark.parametrize("days", [1, 3, 7, 30])
@pytest.mark.parametrize("law", [lognormal, bursts, flat])
def test_promised_cpu_risk_is_kept_out_of_sample(name, days, law):
    rng = np.random.default_rng(days)
    kept = []
    for _ in range(12):
        request = policy_named(name).size(history(law(rng, days * DAY))).sizes.cpu_request
        kept.append((law(rng, 20_000) > request).mean())
    error = np.std(kept) / np.sqrt(len(kept))
    assert np.mean(kept) <= promises()[name].cpu_above + 3 * error


@pytest.mark.parametrize("risk", [0.02, 0.05, 0.1])
@pytest.mark.parametrize("windows", [60, 300, 3000])
def test_where_the_bound_binds_promised_and_kept_risk_agree(risk, windows):
    # With a price of nothing the bound alone sets the level; without recency windows are
    # exchangeable, so the share above is a multiple of 1 / (n + 1), in expectation exactly.
    rng = np.random.default_rng(windows)
    policy = CalibratedPolicy(cpu_price=0.0, cpu_risk=risk, half_life_days=1e9)
    kept = []
    for _ in range(200):
        request = policy.size(history(lognormal(rng, windows))).sizes.cpu_request
        kept.append((lognormal(rng, 2000) > request).mean())
    error = np.std(kept) / np.sqrt(len(kept))
    assert risk - 1 / (windows + 1) - 3 * error <= np.mean(kept) <= risk + 3 * error


@pytest.mark.parametrize("name", profiles())
@pytest.mark.parametrize("days", [7, 14, 30])
@pytest.mark.parametrize("spread", [0.02, 0.3])
def test_promised_memory_risk_is_kept_out_of_sample(name, days, spread):
    rng = np.random.default_rng(days)

    def memory(n):
        # A new level every hour: peaks of days are independent, as the model assumes.
        return 1e8 * np.exp(spread * np.repeat(rng.standard_normal(n * 24), 12))

    kept = []
    for _ in range(40):
        limit = policy_named(name).size(history(memory=memory(days))).sizes.memory_limit
        kept.append(np.mean([memory(7).max() > limit for _ in range(12)]))
    error = np.std(kept) / np.sqrt(len(kept))
    assert np.mean(kept) <= promises()[name].memory_hit + 3 * error


def test_the_profiles_are_ordered_by_risk():
    rng = np.random.default_rng(3)
    usage = history(lognormal(rng, 14 * DAY), 1e8 * lognormal(rng, 14 * DAY))
    cautious, balanced, lean = (
        policy_named(name).size(usage).sizes for name in ("cautious", "balanced", "lean")
    )
    assert cautious.cpu_request > balanced.cpu_request > lean.cpu_request
    assert cautious.memory_limit > balanced.memory_limit > lean.memory_limit


def test_flat_usage_is_covered_whole_and_bursts_are_left_out():
    rng = np.random.default_rng(5)
    of_flat = CalibratedPolicy().size(history(flat(rng, 10 * DAY))).sizes.cpu_request
    assert of_flat > np.quantile(flat(rng, 10 * DAY), 0.98)
    of_bursts = CalibratedPolicy().size(history(bursts(rng, 10 * DAY))).sizes.cpu_request
    assert of_bursts < 0.1


def test_a_dearer_miss_never_lowers_the_request():
    rng = np.random.default_rng(6)
    usage = history(lognormal(rng, 7 * DAY))
    requests = [
        CalibratedPolicy(cpu_price=p, cpu_risk=1.0).size(usage).sizes.cpu_request
        for p in (0.5, 1, 2, 4, 8, 16)
    ]
    assert requests == sorted(requests)


def test_recent_windows_outweigh_old_ones():
    falling = np.r_[np.full(40 * DAY, 1.0), np.full(20 * DAY, 0.1)]
    rng = np.random.default_rng(7)
    falling = falling * (1 + 0.05 * rng.random(falling.size))
    quick = CalibratedPolicy(half_life_days=2.0).size(history(falling)).sizes
    assert quick.cpu_request < 0.2
    assert CalibratedPolicy(half_life_days=1e6).size(history(falling)).sizes.cpu_request > 0.9


def test_a_pod_that_is_busier_all_the_time_is_not_left_short():
    rng = np.random.default_rng(13)
    n, pods = 3 * DAY, 30
    cpu = flat(rng, n * pods).reshape(n, pods)
    cpu[:, 0] *= 5
    usage = History(
        np.repeat(300 * np.arange(1, n + 1), pods),
        np.tile(np.arange(pods), n),
        cpu.ravel(),
        np.full(n * pods, np.nan),
    )
    sizing = CalibratedPolicy(cpu_price=1.0).size(usage)
    assert (cpu[:, 0] > sizing.sizes.cpu_request).mean() <= 0.15
    assert "busiest pod" in sizing.rules["cpu"]


def test_the_priced_level_by_hand():
    # At 1: unused 0, a tenth above. At 10: unused 0.9 * 0.9, none above. 0.1 * 5 < 0.81 < 0.1 * 9.
    values, weights = np.r_[np.ones(9), 10.0], np.ones(10)
    assert priced_level(weighed(values, weights), 5.0, 1.0).level == 1.0
    assert priced_level(weighed(values, weights), 9.0, 1.0).level == 10.0


@settings(max_examples=60, deadline=None)
@given(arrays(float, 40, elements=st.floats(0.001, 100)), st.floats(0.1, 20))
def test_no_level_costs_less_than_the_one_chosen(values, price):
    weights = np.ones(values.size)
    chosen = priced_level(weighed(values, weights), price, 1.0).level

    def loss(level):
        return np.maximum(0, 1 - values / level).mean() + price * (values > level).mean()

    # Each window counts as the highest of its bucket, which is 1 % above it at most.
    every = np.concatenate([values, np.linspace(0.001, 110, 200)])
    assert loss(chosen) <= min(loss(level) for level in every) + 0.02


@settings(max_examples=40, deadline=None)
@given(st.floats(0.01, 1000))
def test_sizes_scale_with_usage(factor):
    rng = np.random.default_rng(8)
    cpu, memory = lognormal(rng, 5 * DAY), 1e8 * lognormal(rng, 5 * DAY, 0.2)
    one = CalibratedPolicy().size(history(cpu, memory)).sizes
    other = CalibratedPolicy().size(history(cpu * factor, memory * factor)).sizes
    assert other.cpu_request == pytest.approx(one.cpu_request * factor)
    assert other.memory_limit == pytest.approx(one.memory_limit * factor, rel=1e-6)


def test_the_limits_are_never_below_the_requests():
    rng = np.random.default_rng(9)
    for spread in (0.001, 0.1, 1.5):
        memory = 1e8 * lognormal(rng, 10 * DAY, spread)
        sizes = CalibratedPolicy().size(history(memory / 1e9, memory)).sizes
        assert sizes.memory_request <= sizes.memory_limit
        assert sizes.cpu_request <= sizes.cpu_limit


def test_a_memory_limit_is_above_every_recent_peak_seen():
    rng = np.random.default_rng(10)
    memory = 1e8 * lognormal(rng, 14 * DAY, 0.3)
    assert CalibratedPolicy().size(history(memory=memory)).sizes.memory_limit > memory.max()


def test_daily_peaks_are_those_of_each_pod():
    times = np.tile(300 * np.arange(1, 5 * DAY + 1), 2)
    order = np.argsort(times, kind="stable")
    pods = np.repeat([0, 1], 5 * DAY)
    values = np.r_[np.full(5 * DAY, 1.0), np.full(5 * DAY, 2.0)]
    used = Daily.of(History(times[order], pods[order], values[order], values[order]))
    peaks, ahead, seen = block_peaks(used, 7.0)
    assert sorted(peaks.tolist()) == [1.0] * 5 + [2.0] * 5
    assert (ahead, seen) == (5.0, 5.0)


def test_a_level_far_above_the_peaks_is_hardly_ever_passed():
    passed = passing_probability(np.array([-5.0, 0.0, 5.0]), np.zeros(10), 0.1, 7.0)
    assert passed[0] == pytest.approx(1.0)
    assert passed[1] == pytest.approx(1 - 0.5**7)
    assert passed[2] < 1e-6


def test_unused_share_is_the_mean_slack():
    values, levels = np.array([1.0, 2.0, 4.0]), np.array([2.0, 8.0])
    expected = [np.maximum(0, 1 - values / level).mean() for level in levels]
    assert unused_share(Histogram.of("memory", values), levels).tolist() == pytest.approx(expected)


def shifts(usage):
    used = Daily.of(usage)
    return level_shifts(by_week(used, used.cpu))


def test_it_abstains_where_the_level_shifts_every_week():
    cpu = np.repeat([0.1, 0.3, 0.1, 0.4], 7 * DAY)
    sizing = CalibratedPolicy().size(history(cpu))
    assert "shifted" in sizing.abstained["cpu"]
    assert shifts(history(cpu)) == (3, 4)


def test_it_abstains_on_a_handful_of_windows_and_says_how_many():
    sizing = CalibratedPolicy().size(history(np.full(12, 0.1)))
    assert "12 windows" in sizing.abstained["cpu"]


def test_steady_usage_is_no_reason_to_abstain():
    rng = np.random.default_rng(11)
    assert not CalibratedPolicy().size(history(lognormal(rng, 30 * DAY))).abstained


def test_a_frame_and_arrays_give_the_same_sizes():
    rng = np.random.default_rng(12)
    cpu, memory = lognormal(rng, 3 * DAY), 1e8 * lognormal(rng, 3 * DAY, 0.1)
    frame = pd.DataFrame(
        {
            "time": pd.date_range("1970-01-01 00:05", periods=3 * DAY, freq="5min", tz="UTC"),
            "pod": "a",
            "cpu": cpu,
            "memory": memory,
        }
    ).sample(frac=1, random_state=1)
    policy = profile_policy("balanced", {})
    assert policy.fit(frame).sizes_ == CalibratedPolicy().size(history(cpu, memory)).sizes


def test_idle_usage_of_zero_is_no_error():
    sizes = CalibratedPolicy().size(history(np.zeros(DAY), np.zeros(DAY))).sizes
    assert sizes.cpu_request == 0.0
    assert sizes.memory_limit is not None


EPOCH = 1_779_926_400
"""A midnight of today in seconds: weights and weeks are counted back from the newest window."""


def at_epoch(usage):
    return History(usage.time + EPOCH, usage.pod, usage.cpu, usage.memory)


def test_the_memory_limit_by_the_formula():
    # Ten days of one pod; the formula written out, without shared code.
    rng = np.random.default_rng(21)
    memory = 1e8 * lognormal(rng, 10 * DAY, 0.2)
    logs = np.log(memory.reshape(10, DAY).max(axis=1))
    width = np.hypot(0.3 * (2 * 7 / 10) * logs.std(), 0.04)
    levels = np.linspace(logs.min(), logs.max() + max(8 * width, 0.5), 400)
    passed = np.array(
        [1 - np.mean(1 / (1 + np.exp(-1.702 * (one - logs) / width))) ** 7 for one in levels]
    )
    unused = [np.maximum(0, 1 - memory / one).mean() for one in np.exp(levels)]
    loss = np.where(passed <= 0.08, unused + 2.0 * passed, np.inf)
    expected = np.exp(levels[loss.argmin()])
    sizes = CalibratedPolicy().size(at_epoch(history(memory=memory))).sizes
    assert sizes.memory_limit == pytest.approx(expected, rel=0.01)


def test_the_cpu_request_by_the_formula():
    rng = np.random.default_rng(22)
    cpu = lognormal(rng, 20 * DAY)
    level = priced_level(weighed(cpu, by_day(cpu)), 4.2, 0.06).level
    assert CalibratedPolicy().size(at_epoch(history(cpu))).sizes.cpu_request == level


def test_the_memory_request_is_a_little_above_its_priced_level_and_never_above_the_limit():
    rng = np.random.default_rng(23)
    memory = 1e8 * lognormal(rng, 10 * DAY, 0.2)
    level = priced_level(weighed(memory, by_day(memory), "memory"), 40.0, 0.01).level
    sizes = CalibratedPolicy().size(history(memory=memory)).sizes
    assert sizes.memory_request == pytest.approx(min(1.04 * level, sizes.memory_limit))


def test_the_cpu_limit_is_twice_the_peak():
    cpu = np.r_[np.full(DAY, 0.1), 0.7]
    assert CalibratedPolicy().size(history(cpu)).sizes.cpu_limit == pytest.approx(1.4)
    own = CalibratedPolicy(cpu_limit_margin=0.5)
    assert own.size(history(cpu)).sizes.cpu_limit == pytest.approx(1.05)


def test_the_busier_of_two_pods_counts():
    n = 2 * DAY
    usage = History(
        np.repeat(300 * np.arange(1, n + 1), 2),
        np.tile([0, 1], n),
        np.tile([0.1, 1.0], n),
        np.full(2 * n, np.nan),
    )
    assert CalibratedPolicy(cpu_price=0.1, cpu_risk=1.0).size(usage).sizes.cpu_request == 1.0


@pytest.mark.parametrize(("days", "blocks"), [(3.75, 45), (4, 4), (6, 6)])
def test_a_block_is_a_day_and_two_hours_in_a_short_history(days, blocks):
    n = int(days * DAY)
    peaks, ahead, seen = block_peaks(Daily.of(history(memory=np.ones(n))), 2.0)
    assert peaks.size == blocks
    assert seen == pytest.approx(blocks)
    assert ahead == pytest.approx(2.0 if days >= 4 else 12 * 2.0)


@pytest.mark.parametrize("start", [0, 20, 40, 60])
def test_growth_within_half_a_day_is_seen_whatever_the_hour_it_began(start):
    # 10 % an hour: the limit holds for as long again as was seen.
    memory = np.r_[np.full(start, np.nan), 1.1 ** np.linspace(0, 8, 96)]
    limit = CalibratedPolicy().size(history(memory=memory)).sizes.memory_limit
    assert limit > 1.25 * np.nanmax(memory)


def test_many_peaks_are_counted_in_bins_and_none_is_lost():
    rng = np.random.default_rng(24)
    peaks = rng.normal(18, 0.5, 3000)
    grid = np.linspace(16, 21, 30)
    below = [np.mean(1 / (1 + np.exp(np.clip(-1.702 * (g - peaks) / 0.05, -50, 50)))) for g in grid]
    exact = 1 - np.array(below) ** 7
    assert passing_probability(grid, peaks, 0.05, 7.0) == pytest.approx(exact, abs=0.02)
    assert passing_probability(np.array([25.0]), peaks, 0.05, 7.0)[0] == pytest.approx(0, abs=1e-9)


def test_a_level_below_all_usage_wastes_nothing():
    seen = Histogram.of("memory", np.array([2.0, 3.0]))
    assert unused_share(seen, np.array([1.0])).tolist() == [0.0]


def test_a_shift_is_seen_between_two_weeks_counted_from_the_end():
    # Four days of 0.9, a week of 0.1, a week of 0.3.
    cpu = np.repeat([0.9, 0.1, 0.3], [4 * DAY, 7 * DAY, 7 * DAY])
    assert shifts(at_epoch(history(cpu))) == (2, 3)
    assert shifts(history(cpu[4 * DAY :])) == (1, 2)
    assert shifts(history(cpu[11 * DAY :])) == (0, 1)
