"""A level plus non-negative prices: recovered, bounded, and honest about what it cannot tell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from rightsize.istiod.law import ENDS, NonNegativeQuantileLaw, effective_rows


def mesh(seed: int, spread: float, hours: int = 336):
    """Services and proxies that grow by `spread`, a law, and what is seen at 3,000 services."""
    rng = np.random.default_rng(seed)
    grown = np.linspace(1, 1 + spread, hours)
    daily = 1 + 0.15 * np.sin(np.arange(hours) / 24 * 2 * np.pi)
    services = np.round(600 * grown)
    proxies = 1800 * grown**0.7 * daily * rng.normal(1, 0.02, hours)
    X = np.c_[services, proxies]
    prices = np.array([rng.uniform(0.2, 1), rng.uniform(0.05, 0.3)])
    level, noise = rng.uniform(50, 300), rng.uniform(0.01, 0.06)
    y = (level + X @ prices) * (1 + errors(rng, seed, hours, noise))
    far = np.array([3000.0, 9000.0])
    seen = (level + far @ prices) * (1 + errors(rng, seed, 50, noise)[-1])
    return X, y, prices, far, seen


def errors(rng, seed: int, n: int, size: float):
    """Normal, heavy-tailed, or correlated from hour to hour."""
    kind = seed % 3
    if kind == 0:
        return rng.normal(0, size, n)
    if kind == 1:
        return rng.standard_t(4, n) * size / 1.4
    found = np.zeros(n)
    for i in range(1, n):
        found[i] = 0.8 * found[i - 1] + rng.normal(0, size * 0.6)
    return found


def test_exact_data_gives_the_law_back():
    X = np.c_[np.linspace(100, 900, 60), np.tile([10.0, 30.0, 20.0], 20)]
    law = NonNegativeQuantileLaw().fit(X, 40 + 0.7 * X[:, 0] + 3 * X[:, 1])
    assert law.coef_ == pytest.approx([0.7, 3.0])
    assert law.intercept_ == pytest.approx(40)
    assert law.identified_.all()


def test_a_few_wild_hours_do_not_pull_the_fit():
    X = np.linspace(100, 900, 200)[:, None]
    y = 50 + 2 * X[:, 0]
    y[::10] *= 4
    assert NonNegativeQuantileLaw().fit(X, y).coef_[0] == pytest.approx(2.0, rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_no_driver_ever_gets_a_negative_price(seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(1, 100, (40, 3))
    law = NonNegativeQuantileLaw().fit(X, rng.uniform(1, 100, 40))
    assert (law.coef_ >= 0).all()
    assert law.intercept_ >= 0
    low, mid, high = law.predict_interval(X[:1])[0]
    assert 0 <= low <= mid <= high


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.booleans(), st.booleans(), st.sampled_from([0.0, 0.02, 1.0]))
def test_one_end_by_itself_is_that_of_the_interval(seed, held, unseen, spread):
    X, y, prices, far, _ = mesh(seed, spread, hours=60)
    priors = tuple(prices * 40) if held else None
    if unseen:
        X, far = np.c_[X, np.zeros(len(X))], np.r_[far, 5.0]
        priors = None if priors is None else (*priors, 3.0)
    law = NonNegativeQuantileLaw(priors=priors).fit(X, y)
    rows = np.array([X[0], X[-1], far])
    interval = law.predict_interval(rows)
    for column, end in enumerate(ENDS):
        assert law.predict_end(rows, end) == pytest.approx(interval[:, column], rel=1e-6)


@pytest.mark.parametrize("spread", [0.02, 0.3, 1.0])
def test_what_is_seen_at_3000_services_is_inside_the_interval_nine_times_in_ten(spread):
    inside = []
    for seed in range(20):
        X, y, _, far, seen = mesh(seed, spread)
        low, _, high = NonNegativeQuantileLaw().fit(X, y).predict_interval([far])[0]
        inside.append(low <= seen <= high)
    assert np.mean(inside) >= 0.9


def test_the_true_prices_are_inside_their_ranges_nine_times_in_ten():
    inside = []
    for seed in range(20):
        X, y, prices, _, _ = mesh(seed, 0.3)
        ranges = NonNegativeQuantileLaw().fit(X, y).coef_range_
        inside += list((ranges[:, 0] <= prices) & (prices <= ranges[:, 1]))
    assert np.mean(inside) >= 0.9


def test_an_interval_is_of_use_when_the_history_has_spread():
    X, y, _, far, _ = mesh(0, 1.0)
    low, mid, high = NonNegativeQuantileLaw().fit(X, y).predict_interval([far])[0]
    assert (high - low) / mid < 0.35


def test_a_driver_that_never_moves_is_not_identified_and_takes_the_published_price():
    rng = np.random.default_rng(1)
    X = np.c_[np.full(200, 600.0), rng.uniform(500, 1500, 200)]
    y = 300 + 0.4 * 600 + 0.3 * X[:, 1] + rng.normal(0, 5, 200)
    law = NonNegativeQuantileLaw(priors=(0.75, 0.1)).fit(X, y)
    assert list(law.identified_) == [False, True]
    assert law.coef_[0] == pytest.approx(0.75)
    assert law.coef_[1] == pytest.approx(0.3, rel=0.1)


def test_a_published_price_beyond_what_the_history_allows_is_cut_to_it():
    X = np.c_[np.full(200, 600.0), np.linspace(500, 1500, 200)]
    y = 100 + 0.3 * X[:, 1]
    law = NonNegativeQuantileLaw(priors=(5.0, 0.0)).fit(X, y)
    assert law.coef_[0] * 600 <= 110


def test_without_spread_the_interval_runs_from_no_growth_to_full_proportion():
    rng = np.random.default_rng(2)
    X = np.c_[np.full(200, 600.0), np.full(200, 1800.0)]
    y = 1000 * rng.normal(1, 0.01, 200)
    law = NonNegativeQuantileLaw().fit(X, y)
    low, _, high = law.predict_interval([[3000.0, 9000.0]])[0]
    assert low < 1000
    assert high > 5000


def test_correlated_hours_count_for_less():
    rng = np.random.default_rng(3)
    steps = rng.normal(0, 1, 500)
    series = np.zeros(500)
    assert effective_rows(steps, series) > 400
    assert effective_rows(np.cumsum(steps), series) < 50


def test_it_is_a_scikit_learn_estimator():
    law = NonNegativeQuantileLaw(quantile=0.9, max_rows=50)
    assert clone(law).get_params() == law.get_params()
    X = np.linspace(1, 9, 30)[:, None]
    assert law.fit(X, X[:, 0] * 2).score(X, X[:, 0] * 2) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("X", "y"),
    [([[1.0]], [1.0]), ([[-1.0]] * 4, [1.0] * 4), ([[1.0]] * 4, [0.0] * 4), ([[1.0]] * 4, [1.0])],
    ids=["too few rows", "negative driver", "no response", "lengths differ"],
)
def test_what_cannot_be_fitted_is_refused(X, y):
    with pytest.raises(ValueError):
        NonNegativeQuantileLaw().fit(X, y)
