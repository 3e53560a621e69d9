"""Pods of one node need the quantile of their sum."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rightsize.errors import NoDataError, UsageError
from rightsize.nodes.joint_demand import demand_of, joint_demand


def frame(*pods: list[float]) -> pd.DataFrame:
    times = pd.date_range("2026-01-05", periods=len(pods[0]), freq="5min", tz="UTC")
    return pd.concat(
        pd.DataFrame({"time": times, "pod": f"p{i}", "cpu": use}) for i, use in enumerate(pods)
    )


def test_pods_that_take_turns_need_half_of_what_their_peaks_add_up_to():
    found = joint_demand(frame([1.0, 0.0] * 50, [0.0, 1.0] * 50), quantile=1.0)
    assert (found.joint, found.sum_of_parts, found.gain) == (1.0, 2.0, 0.5)


def test_pods_that_peak_together_gain_nothing():
    found = joint_demand(frame([1.0, 0.1] * 50, [1.0, 0.1] * 50), quantile=1.0)
    assert found.gain == 0.0


def test_only_the_pods_asked_for_count():
    assert joint_demand(frame([1.0] * 9, [5.0] * 9), pods=["p0"]).joint == 1.0


def test_windows_in_which_a_pod_was_not_seen_are_said():
    found = joint_demand(frame([1.0, np.nan, 1.0, 1.0], [1.0] * 4), quantile=1.0)
    assert found.partial == 0.25
    assert found.joint == 2.0


def test_the_quantile_is_tested_on_the_last_third():
    calm_then_busy = [1.0] * 200 + [2.0] * 100
    assert joint_demand(frame(calm_then_busy), quantile=1.0).later == 1.0
    assert joint_demand(frame([1.0] * 300), quantile=1.0).later == 0.0


def test_no_usage_is_no_data():
    with pytest.raises(NoDataError):
        joint_demand(frame([1.0]), pods=["another"])


def test_a_quantile_in_percent_is_refused():
    with pytest.raises(UsageError):
        joint_demand(frame([1.0]), quantile=95.0)


@settings(max_examples=40, deadline=None)
@given(arrays(float, (30, 4), elements=st.floats(0, 8)))
def test_the_peak_of_the_sum_is_never_above_the_sum_of_peaks(use):
    found = demand_of(use, "cpu", 1.0)
    assert found.joint <= found.sum_of_parts + 1e-9
    assert found.joint == found.peak
