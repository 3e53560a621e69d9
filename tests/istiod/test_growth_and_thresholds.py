"""Growth with a band that holds, and the dates it gives."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from rightsize.errors import NoDataError
from rightsize.istiod.growth import fit_growth
from rightsize.istiod.model import fit_istiod
from rightsize.istiod.thresholds import istiod_node, outlook
from rightsize.results import Sizes
from rightsize.snapshot.schema import frame
from tests.istiod.synthetic_istiod import MIB, START, Mesh, containers_of, hours_of

AHEAD = 180


def days(values) -> pd.Series:
    return pd.Series(values, index=pd.date_range(START, periods=len(values), freq="D"))


def path(kind: str, seed: int, n: int):
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    if kind == "straight":
        return 500 + 1.5 * t + rng.normal(0, 8, n)
    if kind == "share":
        return 400 * np.exp(0.004 * t) + rng.normal(0, 8, n)
    if kind == "wandering":
        return 500 + np.cumsum(rng.normal(1.0, 3.0, n))
    # Teams come aboard now and then, with many services at once.
    return 500 + np.cumsum(rng.poisson(0.1, n) * 12.0)


@pytest.mark.parametrize("kind", ["straight", "share", "wandering", "steps"])
def test_the_band_holds_half_a_year_ahead_nine_times_in_ten(kind):
    inside = []
    for seed in range(60):
        whole = path(kind, seed, 90 + AHEAD)
        low, _, high = fit_growth("services", days(whole[:90])).at(AHEAD)[0]
        inside.append(low <= whole[-1] <= high)
    assert np.mean(inside) >= 0.85


def test_the_band_of_steady_growth_is_of_use():
    low, mid, high = fit_growth("services", days(path("straight", 1, 90))).at(AHEAD)[0]
    assert mid == pytest.approx(500 + 1.5 * 269, rel=0.05)
    assert (high - low) / mid < 0.45


def test_growth_by_a_constant_share_is_distinguished_from_a_line():
    assert fit_growth("s", days(400 * np.exp(0.01 * np.arange(90)))).shape == "by a constant share"
    assert fit_growth("s", days(400 + 5.0 * np.arange(90))).shape == "straight"


def test_two_weeks_are_needed():
    with pytest.raises(NoDataError, match="13 days of services: growth needs 14"):
        fit_growth("services", days(np.arange(13.0)))


@pytest.fixture(scope="module")
def looked():
    hours = hours_of(Mesh(hours=30 * 24, growth=0.3))
    model = fit_istiod(hours)
    sizes = Sizes(cpu_request=2.0, memory_request=1100 * MIB, memory_limit=1500 * MIB)
    return outlook(hours, model, in_force=sizes, node=(4.0, 15e9)), sizes


def test_the_mark_of_1000_services_is_dated(looked):
    crossing = looked[0].crossings[0]
    # 780 services after 30 days and 180 more each 30 days: 220 more take 37 days.
    assert crossing.threshold.what == "1,000 services"
    assert not crossing.passed
    expected = START.date() + timedelta(days=29 + 37)
    assert abs((crossing.expected - expected).days) <= 3
    assert crossing.earliest <= crossing.expected <= crossing.latest


def test_memory_outgrows_request_before_limit(looked):
    found = {c.threshold.what: c for c in looked[0].crossings}
    request, limit = found["istiod memory request"], found["istiod memory limit"]
    assert request.earliest <= limit.earliest
    assert request.expected < limit.expected
    assert "istiod memory of its node" in found


def test_what_is_crossed_already_says_so():
    hours = hours_of(Mesh(hours=20 * 24, services=1200.0))
    crossing = outlook(hours, None).crossings[0]
    assert crossing.passed
    assert crossing.expected == crossing.earliest == START.date() + timedelta(days=19)


def test_a_mesh_that_stands_still_never_gets_there():
    hours = hours_of(Mesh(hours=20 * 24, growth=0.0, proxies=300.0))
    crossing = outlook(hours, None).crossings[1]
    assert crossing.expected is None
    assert crossing.latest is None


def test_a_short_history_gives_no_date_and_says_why():
    found = outlook(hours_of(Mesh(hours=5 * 24)), None)
    assert found.crossings == ()
    assert any("5 days of services" in note for note in found.notes)


def test_the_node_of_istiod_is_the_smallest_it_runs_on():
    pods = frame("pods", {"namespace": "istio-system", "pod": ["istiod-a", "istiod-b"],
                          "node": ["n1", "n2"]}).assign(day=START)  # fmt: skip
    nodes = frame("nodes", {"node": ["n1", "n2", "n3"], "allocatable_cpu": [4.0, 2.0, 1.0],
                            "allocatable_memory": [8e9, 4e9, 1e9]})  # fmt: skip
    assert istiod_node(pods, containers_of(), nodes) == (2.0, 4e9)
    assert istiod_node(pods, containers_of(), frame("nodes")) is None
