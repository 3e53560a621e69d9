"""What makes a proxy big: a generated mesh with known prices, and levers that follow from them."""

from __future__ import annotations

import os
import subprocess

import numpy as np
import pandas as pd
import pytest

from rightsize.config import Settings
from rightsize.errors import NoDataError
from rightsize.files.resource_fields import resource_fields
from rightsize.output.proxy_rows import proxies_to_dict, proxy_parts
from rightsize.proxies.levers import (
    SETTINGS,
    connections_levers,
    request_levers,
    scrape_lever,
    statistics_lever,
    threads_lever,
)
from rightsize.proxies.memory import fit_memory
from rightsize.proxies.study import study_proxies
from tests.tiny_mesh import MIB, Tiny, tiny_snapshot

SOURCE = os.environ.get("RIGHTSIZE_ISTIO_SOURCE")
TRUTH = {"clusters": 0.1 * MIB, "threads": 4.0 * MIB, "connections": 0.05 * MIB, "samples": 2000.0}


def generated(seed: int = 0, **fixed: float) -> pd.DataFrame:
    """300 proxies with what they hold, and the memory that follows with 3 % of noise."""
    random = np.random.default_rng(seed)
    held = {
        "clusters": random.uniform(50, 500, 300),
        "threads": random.integers(1, 9, 300).astype(float),
        "connections": random.uniform(0, 400, 300),
        "samples": random.uniform(200, 6000, 300),
    }
    held |= {name: np.full(300, value) for name, value in fixed.items()}
    memory = 30 * MIB + sum(TRUTH[name] * held[name] for name in TRUTH)
    frame = pd.DataFrame(held)
    return frame.assign(
        memory=memory * random.normal(1, 0.03, 300),
        cpu_p99=0.05,
        samples_a_day=frame["samples"] * 5760,
    )


@pytest.fixture(scope="module")
def law():
    return fit_memory(generated())


def test_intervals_hold_the_true_prices_nine_times_in_ten():
    laws = [fit_memory(generated(seed)) for seed in range(20)]
    prices = [(TRUTH[driver], law.price(driver)) for law in laws for driver in TRUTH]
    held = [price.low <= truth <= price.high for truth, price in prices]
    assert np.mean(held) >= 0.85
    assert all(price.mid == pytest.approx(truth, rel=0.25) for truth, price in prices)


def test_a_driver_in_which_proxies_do_not_differ_is_not_priced():
    found = fit_memory(generated(threads=2.0))
    assert found.price("threads") is None
    assert found.price("clusters") is not None


def test_a_mesh_of_equal_proxies_is_refused():
    with pytest.raises(NoDataError, match="differ"):
        fit_memory(generated(clusters=1, threads=1, connections=1, samples=1))


def test_threads_beyond_the_cpu_used_are_what_goes(law):
    proxies = pd.DataFrame({"threads": [8.0, 2.0, 1.0], "cpu_p99": [0.1, 1.3, 0.1]})
    lever = threads_lever(proxies, law)
    assert lever.memory == law.price("threads").scaled(7)


def test_threads_are_held_against_the_cpu_limit(law):
    limits = [0.5, 0.5, np.nan, 2.0]
    proxies = pd.DataFrame({"threads": [8.0, 1.0, 8.0, 2.0], "cpu_p99": 0.1, "cpu_limit": limits})
    assert "; 1 have more threads than their CPU limit has cores" in threads_lever(proxies, law).now


def test_proxies_whose_scrapes_failed_do_not_make_the_interval():
    proxies = pd.DataFrame({"samples": [1000.0, 0.0], "samples_a_day": [5_760_000.0, 0.0]})
    assert "about every 15 s" in scrape_lever(proxies, 1e-7, 1.0, "a price").now
    assert not scrape_lever(proxies.tail(1), 1e-7, 1.0, "a price").measured


def test_connections_without_a_request_in_flight_wait(law):
    proxies = pd.DataFrame({"connections": [100.0, 60.0]})
    waiting, http2 = connections_levers(proxies, 60.0, 0.5, law)
    assert waiting.memory.mid == pytest.approx(2 * http2.memory.mid)
    assert waiting.memory == law.price("connections").scaled(100)


def test_statistics_above_the_middle_come_down_to_it(law):
    lever = statistics_lever(pd.DataFrame({"samples": [500.0, 500.0, 4500.0]}), law)
    assert lever.memory == law.price("samples").scaled(4000)


def test_the_store_of_samples_is_priced_at_its_own_interval():
    # 1,000 samples every 15 s: 5.76 million a day.
    proxies = pd.DataFrame({"samples": [1000.0], "samples_a_day": [5_760_000.0]})
    lever = scrape_lever(proxies, 1e-7, 1.0, "a price")
    month = 5_760_000 * 730 / 24 * 1e-7
    assert lever.usd.mid == pytest.approx(month * 0.75)
    assert "every 15 s" in lever.now
    assert scrape_lever(proxies, None, 1.0, "").usd is None


def test_what_is_not_collected_saves_nothing_and_says_so():
    empty = pd.DataFrame({name: [np.nan] for name in (*TRUTH, "samples_a_day")})
    levers = [*connections_levers(empty, 0.0, 0.5, None), statistics_lever(empty, None)]
    levers += [scrape_lever(empty, 1e-7, 1.0, ""), *request_levers(None, 10.0, 1.0)]
    assert all(one.memory is None and one.usd is None and one.cpu is None for one in levers)
    assert "not collected" in levers[0].now
    assert "not measured" in levers[0].basis


def test_a_snapshot_has_every_lever(tmp_path):
    proxies = pd.DataFrame(
        {
            "namespace": "shop",
            "pod": [f"web-5d9c7b8f6-{n:05d}" for n in range(2)],
            "active_clusters": [100.0, 120.0],
            "concurrency": [2.0, 4.0],
        }
    )
    mesh = tiny_snapshot(tmp_path / "s", Tiny(days=1), days=1, more={"proxies": proxies})
    study = study_proxies(mesh, Settings())
    assert [lever.name for lever in study.levers] == list(SETTINGS)
    assert study.sidecars == 2
    assert len(proxies_to_dict(study, simulated=True)["levers"]) == len(SETTINGS)
    assert any(
        "fewer" in part or "needed" in part for part in proxy_parts(study) if isinstance(part, str)
    )


@pytest.mark.parametrize("name", SETTINGS)
def test_each_setting_is_a_field_of_istio(name):
    for setting in SETTINGS[name]:
        if setting.kind not in ("MeshConfig", "PodMonitor"):
            field = resource_fields()[setting.kind][setting.path]
            assert field.first <= (1, 24)


@pytest.mark.skipif(
    SOURCE is None, reason="RIGHTSIZE_ISTIO_SOURCE names no checkout of istio/istio"
)
@pytest.mark.parametrize("release", ["1.24.6", "1.28.6", "1.30.3"])
@pytest.mark.parametrize("field", ["ProxyStatsMatcher", "H2UpgradePolicy", "Concurrency"])
def test_each_setting_of_the_mesh_config_is_read_by_istio(release, field):
    words = ["git", "-C", str(SOURCE), "grep", "-q", field, release, "--", "pkg", "pilot"]
    assert subprocess.run(words, check=False).returncode == 0
