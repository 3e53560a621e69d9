"""Histograms add up, and their quantiles are those of the values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rightsize.results import Usage
from rightsize.sizing.histogram import Histogram, together

USAGE = arrays(float, st.integers(1, 200), elements=st.floats(0, 1e12))


@settings(max_examples=100, deadline=None)
@given(USAGE, st.floats(0.01, 1))
def test_a_quantile_is_off_by_at_most_two_per_mille(values, share):
    exact = np.quantile(values, share, method="inverted_cdf")
    assert Histogram.of(values).quantile(share) == pytest.approx(exact, rel=2.01e-3, abs=1e-300)


@settings(max_examples=100, deadline=None)
@given(st.lists(USAGE, min_size=1, max_size=5))
def test_histograms_of_parts_together_are_that_of_the_whole(parts):
    whole = Histogram.of(np.concatenate(parts))
    found = together(Histogram.of(part) for part in parts)
    assert np.array_equal(found.buckets, whole.buckets)
    assert np.array_equal(found.counts, whole.counts)
    assert found.sums == pytest.approx(whole.sums)
    assert found.highest == whole.highest


def test_steady_usage_has_exact_quantiles():
    assert Histogram.of(np.full(7, 62914560.0)).quantile(0.5) == 62914560.0


def test_the_peak_is_the_highest_value_itself():
    assert Histogram.of(np.array([0.1, 0.123456789])).usage.peak == 0.123456789


def test_unknown_values_are_not_counted_and_none_is_no_usage():
    assert Histogram.of(np.array([np.nan, 2.0])).counts.sum() == 1
    assert Histogram.of(np.array([np.nan])).usage == Usage()
    assert together([]).usage == Usage()
