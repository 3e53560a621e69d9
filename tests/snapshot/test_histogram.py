"""Histograms add up, and their quantiles are those of the values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rightsize.results import Usage
from rightsize.snapshot.histogram import GROWTH, Histogram, Tally, together

USAGE = arrays(float, st.integers(1, 200), elements=st.floats(0, 1e12))
RESOURCES = pytest.mark.parametrize("resource", ["cpu", "memory"])


@RESOURCES
@settings(max_examples=100, deadline=None)
@given(values=USAGE, share=st.floats(0, 1))
def test_a_quantile_is_above_that_of_the_values_by_less_than_a_bucket(resource, values, share):
    exact, found = np.quantile(values, share), Histogram.of(resource, values).quantile(share)
    assert exact * (1 - 1e-12) <= found <= exact * GROWTH[resource] * (1 + 1e-12) + 1e-6


@settings(max_examples=100, deadline=None)
@given(st.lists(USAGE, min_size=1, max_size=5))
def test_histograms_of_parts_together_are_that_of_the_whole(parts):
    whole = Histogram.of("cpu", np.concatenate(parts))
    found = together(Histogram.of("cpu", part) for part in parts)
    assert np.array_equal(found.buckets, whole.buckets)
    assert np.array_equal(found.counts, whole.counts)
    assert np.array_equal(found.highest, whole.highest)


@settings(max_examples=50, deadline=None)
@given(st.lists(USAGE, min_size=1, max_size=5))
def test_rows_pooled_are_the_histogram_of_all_their_values(parts):
    row = np.repeat(np.arange(len(parts)), [part.size for part in parts])
    tally = Tally.of("cpu", row, len(parts), np.concatenate(parts))
    whole = Histogram.of("cpu", np.concatenate(parts))
    assert np.array_equal(tally.pooled().counts, whole.counts)
    assert tally.peaks().tolist() == [part.max() for part in parts]
    assert tally.windows().tolist() == [part.size for part in parts]
    last = tally.take(np.array([len(parts) - 1])).pooled()
    assert np.array_equal(last.highest, Histogram.of("cpu", parts[-1]).highest)


def test_rows_in_any_order_are_counted_each_by_itself():
    tally = Tally.of("cpu", np.array([2, 0, 2]), 4, np.array([1.0, 2.0, 3.0]))
    assert tally.windows().tolist() == [1, 0, 2, 0]
    assert tally.between(1, 3).pooled().highest.tolist() == [1.0, 3.0]
    assert np.isnan(tally.peaks()[[1, 3]]).all()


def test_weights_count_windows_and_leave_their_number():
    tally = Tally.of("cpu", np.array([0, 1, 1]), 2, np.array([1.0, 1.0, 2.0]))
    pooled = tally.pooled(np.array([0.5, 2.0]))
    assert pooled.weights.tolist() == [2.5, 2.0]
    assert pooled.counts.tolist() == [2, 1]


@RESOURCES
def test_steady_usage_has_exact_quantiles(resource):
    assert Histogram.of(resource, np.full(7, 62914560.0)).quantile(0.5) == 62914560.0


@RESOURCES
def test_the_peak_is_the_highest_value_itself(resource):
    assert Histogram.of(resource, np.array([0.1, 0.123456789])).usage.peak == 0.123456789


def test_a_sidecar_that_does_nothing_has_buckets_of_its_own():
    idle = np.array([2e-6, 1e-5, 1e-4, 1e-3])
    assert Histogram.of("cpu", idle).counts.tolist() == [1, 1, 1, 1]


def test_unknown_values_are_not_counted_and_none_is_no_usage():
    assert Histogram.of("cpu", np.array([np.nan, 2.0])).windows == 1
    assert Histogram.of("cpu", np.array([np.nan])).usage == Usage()
    assert together([]).usage == Usage()


def test_a_window_counts_by_the_time_that_it_covers():
    # Nine whole windows of 1, and ten starts of half a minute at 5.
    values, seconds = np.repeat([1.0, 5.0], [9, 10]), np.repeat([300.0, 30.0], [9, 10])
    tally = Tally.of("cpu", np.zeros(19, dtype=np.int64), 1, values, seconds)
    assert tally.pooled().weights.sum() == pytest.approx(10.0)
    assert tally.pooled().quantile(0.8) == 1.0
    assert tally.pooled().quantile(0.95) == 5.0


@settings(max_examples=100, deadline=None)
@given(
    weight=st.floats(1.0, 600.0),
    share=st.floats(0, 1),
    values=st.lists(st.floats(1e-3, 10), min_size=1),
)
def test_equal_times_leave_quantiles_as_they_are(weight, share, values):
    row, array = np.zeros(len(values), dtype=np.int64), np.array(values)
    found = Tally.of("cpu", row, 1, array, np.full(len(values), weight)).pooled().quantile(share)
    assert found == pytest.approx(Histogram.of("cpu", array).quantile(share), rel=1e-9)


def test_a_share_of_time_is_that_of_each_second_counted_alone():
    rng = np.random.default_rng(5)
    values, seconds = rng.lognormal(size=400), rng.integers(1, 300, 400)
    row = np.zeros(400, dtype=np.int64)
    found = Tally.of("cpu", row, 1, values, seconds.astype(float)).pooled()
    ordered = np.append(np.sort(values), values.max())
    for share in (0.5, 0.9, 0.95, 0.99):
        true = int(np.searchsorted(ordered, np.quantile(np.repeat(values, seconds), share)))
        assert ordered[true - 2] <= found.quantile(share) <= 1.01 * ordered[true + 1]
