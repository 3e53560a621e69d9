"""Random worlds through a real Prometheus: what is collected is what the generator used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rightsize.snapshot import Snapshot
from tests.cli.run import rightsize
from tests.collectors.prometheus.mesh import DAY, HOUR, node
from tests.collectors.prometheus.random_mesh import FROM, Workload, random_workload, series_of
from tests.servers.prometheus import filled_prometheus

SEED = 20260914
WORKLOADS = 24
DAYS = {"2026-09-13": (DAY - 24 * HOUR, DAY), "2026-09-14": (DAY, DAY + 24 * HOUR)}


@pytest.fixture(scope="module")
def world() -> list[Workload]:
    rng = np.random.default_rng(SEED)
    return [random_workload(rng, number) for number in range(WORKLOADS)]


@pytest.fixture(scope="module")
def usage(world: list[Workload], tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder, rng = tmp_path_factory.mktemp("random"), np.random.default_rng(SEED)
    series = [*node(), *(one for workload in world for one in series_of(workload, rng))]
    out: Path = folder / "snapshot"
    with filled_prometheus(folder, series) as address:
        done = rightsize(
            "collect", "--prometheus-url", address, "--start", "2026-09-13", "--end", "2026-09-15",
            "--out", out,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = Snapshot(out).read("usage")
    midnight = found["time"] - pd.Timedelta("1ms")
    return found.assign(namespace=found["namespace"].astype(str), day=midnight.dt.date.astype(str))


def test_cpu_seconds_of_a_workload_and_day_are_what_it_used_within_a_per_cent(
    world: list[Workload], usage: pd.DataFrame
) -> None:
    spent = (usage["cpu"] * usage["seconds"]).groupby([usage["namespace"], usage["day"]]).sum()
    wrong = {}
    for one in world:
        for day, (first, last) in DAYS.items():
            true = one.seconds(max(first, FROM), last)
            found = float(spent.get((one.name, day), 0.0))
            if abs(found - true) > 0.01 * true + one.slack(first, last):
                wrong[one.name, day] = (found, true, one.odd, one.step)
    assert not wrong


def test_the_highest_cpu_is_that_of_five_minutes_within_a_windows_resolution(
    world: list[Workload], usage: pd.DataFrame
) -> None:
    wrong = {}
    for one in world:
        first, last = one.lives[0].begin, float(one.lives[-1].times[-1])
        first, last = max(first, DAYS["2026-09-13"][0]), min(last, DAYS["2026-09-14"][1])
        found = usage[usage["namespace"] == one.name]["cpu"].max()
        most, least = (one.used.highest_mean(length, first, last) for length in (150.0, 900.0))
        if not 0.99 * least <= found <= 1.01 * most and not one.lost:
            wrong[one.name] = (found, least, most, one.odd, one.step)
    assert not wrong


def test_the_highest_memory_is_the_highest_sample(
    world: list[Workload], usage: pd.DataFrame
) -> None:
    found = usage.groupby("namespace")["memory"].max()
    for one in world:
        true = max(v for t, v in one.memory.items() if t <= DAYS["2026-09-14"][1])
        assert found[one.name] == pytest.approx(true, rel=1e-6)
