"""Walk forward, score what came next, and say what is not known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rightsize.errors import NoDataError, UsageError
from rightsize.results import Sizes
from rightsize.sizing.backtest import HalfSplit, Rates, Walk, backtest, frontier, score
from rightsize.sizing.policies import (
    History,
    KRRPolicy,
    PeakMarginPolicy,
    PercentilePolicy,
)
from rightsize.sizing.profiles import policy_named

GIB = 2**30
FIXED = PeakMarginPolicy(margin=0.0)


def history(cpu, memory=None, *, pod=None, start=0):
    n = len(cpu)
    return History(
        start + 300 * np.arange(1, n + 1),
        np.zeros(n, dtype=np.int64) if pod is None else np.asarray(pod),
        np.asarray(cpu, dtype=float),
        np.full(n, np.nan) if memory is None else np.asarray(memory, dtype=float),
    )


def usage(cpu, memory=None, *, workload="web", pod="a", **more):
    n = len(cpu)
    return pd.DataFrame(
        {
            "namespace": "shop",
            "workload": workload,
            "container": "istio-proxy",
            "pod": pod,
            "time": pd.date_range("2026-01-05 00:05", periods=n, freq="5min", tz="UTC"),
            "cpu": cpu,
            "memory": [1e8] * n if memory is None else memory,
            **more,
        }
    )


def test_slack_is_the_share_unused_and_never_negative():
    scored = score(Sizes(cpu_request=1.0), history([0.5, 0.5, 2.0, 1.0]))
    assert scored.cpu_slack == pytest.approx(0.25)
    assert scored.cpu_above == 0.25


def test_throttling_is_predicted_only_under_a_limit():
    assert score(Sizes(cpu_request=1, cpu_limit=2), history([1.0, 3.0])).throttled == 0.5
    assert np.isnan(score(Sizes(cpu_request=1), history([1.0, 3.0])).throttled)


def test_a_seven_day_window_counts_one_kill_however_many_samples_pass_the_limit():
    memory = np.full(14 * 288, 1e8)
    memory[10:40] = 3e8
    scored = score(Sizes(memory_request=1e8, memory_limit=2e8), history(memory * 0, memory))
    assert scored.memory_hit == 0.5


def test_each_pod_has_its_own_window():
    n = 288
    memory = np.r_[np.full(n, 1e8), np.full(n, 3e8)]
    both = History(np.tile(300 * np.arange(1, n + 1), 2), np.repeat([0, 1], n), memory * 0, memory)
    assert score(Sizes(memory_limit=2e8), both).memory_hit == 0.5


def test_a_size_that_is_not_set_is_scored_as_unknown():
    scored = score(Sizes(), history([1.0], [1.0]))
    assert np.isnan(scored.cpu_slack)
    assert np.isnan(scored.memory_hit)


def test_walking_forward_never_fits_on_what_it_scores():
    month = history(np.arange(30 * 288))
    folds = list(Walk(14, 7).folds(month))
    assert len(folds) == 2
    for past, future in folds:
        assert past.cpu.max() < future.cpu.min()
        assert past.time.size == 14 * 288
        assert future.time.size == 7 * 288


def test_the_half_split_uses_every_window_once():
    past, future = next(HalfSplit().folds(history(np.arange(101))))
    assert np.r_[past.cpu, future.cpu].tolist() == list(range(101))


def test_days_that_are_not_positive_are_refused():
    with pytest.raises(UsageError):
        Walk(14, 0)


def test_a_back_test_by_hand():
    # Fitted on two days of 0.1 cores, scored on one of 0.1 and 0.4 by turns; then on what follows.
    cpu = [0.1] * 576 + [0.1, 0.4] * 144 + [0.2] * 288
    result = backtest(usage(cpu), {"peak": FIXED}, split=Walk(2, 1))
    assert result.windows["cpu_request"].tolist() == pytest.approx([0.1, 0.4])
    assert result.windows["cpu_above"].tolist() == [0.5, 0.0]
    assert result.windows["cpu_slack"].tolist() == pytest.approx([0.0, 0.5])
    assert result.windows["cpu_change"].iloc[1] == pytest.approx(3.0)
    total = result.totals.iloc[0]
    assert (total["cpu_above"], total["cpu_slack"]) == pytest.approx((0.25, 0.25))


def test_usd_need_both_prices():
    frame = usage([0.5] * 864, [GIB] * 864)
    known = backtest(frame, {"p": FIXED}, split=Walk(2, 1), rates=Rates(0.04, 0.01)).totals
    half = backtest(frame, {"p": FIXED}, split=Walk(2, 1), rates=Rates(0.04, None)).totals
    assert known["usd_per_hour"].iloc[0] == pytest.approx(0.5 * 0.04 + 0.01)
    assert np.isnan(half["usd_per_hour"].iloc[0])


def test_what_is_in_force_is_scored_beside_the_policies():
    frame = usage([0.1] * 864, cpu_request=1.0, cpu_limit=np.nan)
    totals = backtest(frame, {"p": FIXED}, split=Walk(2, 1)).totals.set_index("policy")
    assert totals.loc["today", "cpu_slack"] == pytest.approx(0.9)
    assert totals.loc["p", "cpu_slack"] == pytest.approx(0.0)


def test_an_abstention_keeps_the_larger_of_today_and_its_own_and_is_counted():
    # The level trebles and falls back every week.
    cpu = np.repeat([0.1, 0.3, 0.1, 0.3, 0.1], 7 * 288)
    frame = usage(cpu, cpu_request=0.9)
    rates = Rates(0.04, 0.01)
    result = backtest(frame, {"balanced": policy_named("balanced")}, split=Walk(28, 7), rates=rates)
    row = result.windows[result.windows["policy"] == "balanced"].iloc[0]
    assert row["abstained_cpu"]
    assert not row["abstained_memory"]
    assert row["cpu_request"] == 0.9
    own = policy_named("balanced").fit(frame.iloc[: 28 * 288]).sizes_.cpu_request
    assert row["abstention_usd_per_hour"] == pytest.approx((0.9 - own) * 0.04)
    assert result.totals.set_index("policy").loc["balanced", "abstentions"] == 1


def test_workloads_are_kept_apart_and_short_ones_are_counted():
    frames = [
        usage([0.1] * 864, workload="web"),
        usage([0.2] * 864, workload="api"),
        usage([0.2] * 60, workload="new"),
    ]
    mixed = pd.concat(frames).sample(frac=1, random_state=1)
    result = backtest(mixed, {"krr": KRRPolicy(), "p95": PercentilePolicy()}, split=Walk(2, 1))
    assert result.left_out == 1
    each = result.workloads.set_index(["workload", "policy"])["cpu_above"]
    assert len(each) == 4
    requests = result.windows.set_index(["workload", "policy"])["cpu_request"]
    assert requests["api", "krr"] == pytest.approx(0.2)


def test_no_history_long_enough_is_no_data():
    with pytest.raises(NoDataError, match="14 days, then 7"):
        backtest(usage([0.1] * 100), {"krr": KRRPolicy()})


def test_the_frontier_holds_what_no_other_beats():
    waste, risk = np.array([1.0, 2.0, 3.0, 2.5, np.nan]), np.array([3.0, 2.0, 1.0, 2.5, 0.0])
    assert frontier(waste, risk).tolist() == [True, True, True, False, False]
