"""What to measure, so that an answer at ten times the size is narrower."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rightsize.istiod.mesh_today import Scale
from rightsize.istiod.model import fit_istiod
from rightsize.simulate.simulate import load_at, simulate
from rightsize.simulate.to_measure import WIDE, istiod_measurements, sidecar_measurement
from tests.istiod.synthetic_istiod import Mesh, hours_of
from tests.simulate.test_simulate import PRICE, TODAY

TEN_TIMES = Scale(6000.0, 18_000.0, 50_000.0)


@pytest.fixture(scope="module")
def stable():
    """A mesh that hardly grew: its history does not tell services and proxies apart."""
    return fit_istiod(hours_of(Mesh(growth=0.02, hours=10 * 24)))


@pytest.fixture(scope="module")
def found(stable):
    return istiod_measurements(stable.memory, load_at(TODAY, TEN_TIMES, stable.load), 6)


def test_a_wide_interval_names_a_driver_that_the_history_does_not_show(stable, found):
    open_ones = {f"memory of one {stable.memory.named(c.driver)}" for c in
                 stable.memory.coefficients if not c.identified}  # fmt: skip
    assert found
    assert {one.unknown for one in found} <= open_ones
    assert found[0].now.high > WIDE * found[0].now.low


def test_each_measurement_narrows_what_the_ones_before_it_left(found):
    for one in found:
        assert one.then.high - one.then.low < one.now.high - one.now.low
        assert one.how in one.text


def test_a_narrow_interval_asks_for_nothing():
    grown = fit_istiod(hours_of(Mesh(growth=1.0, hours=10 * 24)))
    load = load_at(TODAY, TEN_TIMES, grown.load)
    assert istiod_measurements(grown.memory, load, 6) == ()


def test_a_mesh_that_grew_by_as_much_as_is_asked_for_is_narrower(stable):
    """What is named helps: the same mesh with pods of unlike proxies has the narrower answer."""
    hours = hours_of(Mesh(growth=0.02, hours=10 * 24))
    alone = hours["time"] > hours["time"].quantile(0.7)
    kept = hours[~(alone & (hours["pod"] == "istiod-b"))].copy()
    moved = kept["time"] > hours["time"].quantile(0.7)
    kept.loc[moved, "memory"] += 0.3 * 2**20 * kept.loc[moved, "proxies"]
    kept.loc[moved, "proxies"] *= 2
    load = load_at(TODAY, TEN_TIMES, stable.load)
    before, after = stable.memory.at(load, 6), fit_istiod(kept).memory.at(load, 6)
    assert after.high - after.low < before.high - before.low


def test_sidecars_ask_for_what_their_memory_rests_on():
    assert "15090" in sidecar_measurement(None, grows=True)[0].text
    assert sidecar_measurement(None, grows=False) == ()


def test_ambient_asks_for_a_namespace_in_ambient_mode(stable):
    today = replace(TODAY, scale=Scale(600.0, 1800.0, 5000.0))
    outcome = simulate(today, TEN_TIMES, stable, None, PRICE, mode="ambient")
    assert ["ambient mode" in one.text for one in outcome.to_measure] == [True]
