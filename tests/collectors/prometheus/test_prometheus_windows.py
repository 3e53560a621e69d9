"""What a window holds, asked of a real Prometheus: nothing lost, nothing counted twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rightsize.collectors.prometheus import collect
from rightsize.config import PrometheusSettings
from rightsize.snapshot import Snapshot
from tests.collectors.prometheus.mesh import DAY, HOUR, MIB, Pod, every, node
from tests.servers.prometheus import Series, filled_prometheus, filled_victoria_metrics

NOON = DAY + 12 * HOUR
"""A border between two windows."""
IDLE = 0.01


def _burst(t: float) -> float:
    """Idle but for 30 CPU seconds in the minute before noon's border."""
    return IDLE * (t - DAY + 2 * HOUR) + (30.0 if t >= NOON else 0.0)


def _late_burst(t: float) -> float:
    """The same between noon's sample and the next."""
    return IDLE * (t - DAY + 2 * HOUR) + (30.0 if t > NOON else 0.0)


def _pod(number: int, started: float = DAY - 2 * HOUR, **more: object) -> Pod:
    return Pod(f"web-6d4cf56db6-bcd{number}f", started=started, **more)  # type: ignore[arg-type]


def _series() -> list[Series]:
    flat = every(60, DAY - 2 * HOUR, DAY + 26 * HOUR)
    burst, late, born, known, reset, gap, twin, moved = (_pod(i) for i in range(2, 10))
    born.started = NOON + 100
    known.started = NOON - HOUR
    reset_counter = [(t, IDLE * ((t - DAY) if t < NOON + 130 else t - NOON - 100)) for t in flat]
    outage = [t for t in flat if not NOON < t <= NOON + 1200]
    peak = [(t, (200 if t == NOON else 60) * MIB) for t in flat]
    first_run = [(t, 5 + IDLE * (t - DAY)) for t in flat if t <= NOON + 60]
    second_run = [(t, IDLE * (t - NOON - 90)) for t in flat if t >= NOON + 120]
    halfway = [(t, IDLE * (t - DAY + 2 * HOUR)) for t in flat]
    late_known = [(t, 50 + IDLE * (t - DAY)) for t in flat if t > NOON]
    series = [
        *burst.used(cpu=[(t, _burst(t)) for t in flat], memory=peak),
        *late.used(cpu=[(t, _late_burst(t)) for t in flat]),
        *born.used(),
        *known.used(cpu=late_known, memory=[(t, 60.0 * MIB) for t in flat if t > NOON]),
        *reset.used(cpu=reset_counter),
        *gap.used(
            cpu=[(t, IDLE * (t - DAY + 2 * HOUR)) for t in outage],
            memory=[(t, 60.0 * MIB) for t in outage],
        ),
        # Two scrapers, ten seconds apart.
        *twin.used(),
        *twin.used(cpu=[(t + 10, IDLE * (t + 10 - DAY + 2 * HOUR)) for t in flat], job="kubelet2"),
        # A container that restarts gets another cgroup, so another series.
        *moved.used(cpu=first_run, cgroup="run-1"),
        *moved.used(cpu=second_run, memory=[], cgroup="run-2"),
        # A scrape label that changes at noon, the cgroup staying.
        *_pod(10).used(cpu=[s for s in halfway if s[0] <= NOON], job="old"),
        *_pod(10).used(cpu=[s for s in halfway if s[0] > NOON], memory=[], job="new"),
    ]
    for pod in (burst, late, born, known, reset, gap, twin, moved, _pod(10)):
        series += pod.described()
    return [*series, *node()]


@pytest.fixture(scope="module", params=["prometheus", "victoriametrics"])
def usage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[pd.DataFrame]:
    folder = tmp_path_factory.mktemp(request.param)
    fill = filled_prometheus if request.param == "prometheus" else filled_victoria_metrics
    with fill(folder, _series()) as address:
        yield _collected(address, folder / "snapshot").read("usage")


def _collected(address: str, out: Path) -> Snapshot:
    start = datetime.fromtimestamp(DAY, UTC)
    end = datetime.fromtimestamp(DAY + 24 * HOUR, UTC)
    collect(PrometheusSettings(url=(address,)), out=out, start=start, end=end)
    return Snapshot(out)


def _of(usage: pd.DataFrame, number: int) -> pd.Series:
    """CPU of one pod by the window's end, as seconds after noon."""
    rows = usage[usage["pod"] == _pod(number).name]
    ends = (rows["time"] - pd.Timestamp(NOON, unit="s", tz="UTC")).dt.total_seconds()
    return pd.Series(rows["cpu"].to_numpy(), index=ends.astype(int))


def _seconds(usage: pd.DataFrame, number: int) -> pd.Series:
    """What each window of one pod covers."""
    cpu, rows = _of(usage, number), usage[usage["pod"] == _pod(number).name]
    return pd.Series(rows["seconds"].to_numpy(), index=cpu.index)


def test_a_burst_before_the_border_belongs_to_the_window_that_ends_there(
    usage: pd.DataFrame,
) -> None:
    cpu = _of(usage, 2)
    assert cpu[0] == pytest.approx(IDLE + 30 / 300)
    assert cpu[300] == pytest.approx(IDLE)


def test_a_burst_across_the_border_is_counted_once(usage: pd.DataFrame) -> None:
    cpu = _of(usage, 3)
    assert cpu[0] == pytest.approx(IDLE)
    assert cpu[300] == pytest.approx(IDLE + 30 / 300)


def test_no_second_of_the_day_is_lost(usage: pd.DataFrame) -> None:
    for number, burst in ((2, 30.0), (3, 30.0), (8, 0.0), (10, 0.0)):
        assert _of(usage, number).sum() * 300 == pytest.approx(IDLE * 24 * HOUR + burst)


def test_a_memory_peak_on_the_border_belongs_to_the_window_that_ends_there(
    usage: pd.DataFrame,
) -> None:
    rows = usage[usage["pod"] == _pod(2).name]
    peaks = rows[rows["memory"] > 100 * MIB]
    assert peaks["time"].tolist() == [pd.Timestamp(NOON, unit="s", tz="UTC")]


def test_a_pods_first_window_counts_from_zero_if_it_started_there(usage: pd.DataFrame) -> None:
    cpu = _of(usage, 4)
    assert cpu.index[0] == 300
    assert cpu[300] == pytest.approx(IDLE)
    assert _seconds(usage, 4)[300] == 200


def test_a_pod_seen_for_the_first_time_after_its_start_has_an_unknown_first_window(
    usage: pd.DataFrame,
) -> None:
    cpu = _of(usage, 5)
    assert cpu.index[0] == 300
    assert np.isnan(cpu[300])
    assert cpu[600] == pytest.approx(IDLE)


def test_after_a_reset_the_counters_own_value_counts(usage: pd.DataFrame) -> None:
    cpu = _of(usage, 6)
    assert cpu[300] == pytest.approx(IDLE * 200 / 300)
    assert (cpu.dropna() >= 0).all()


def test_windows_without_a_sample_have_no_row_and_the_next_one_no_cpu(usage: pd.DataFrame) -> None:
    cpu = _of(usage, 7)
    assert 0 in cpu.index
    assert not {300, 600, 900, 1200} & set(cpu.index)
    assert np.isnan(cpu[1500])
    assert cpu[1800] == pytest.approx(IDLE)


def test_two_scrapers_of_one_container_count_once(usage: pd.DataFrame) -> None:
    cpu = _of(usage, 8)
    assert len(cpu) == 288
    assert cpu.to_numpy() == pytest.approx(IDLE)


def test_a_restarted_container_adds_both_of_its_runs(usage: pd.DataFrame) -> None:
    cpu = _of(usage, 9)
    # One minute of the first run after noon, then the second run from zero at 12:01:30.
    assert cpu[300] == pytest.approx(IDLE * (60 + 210) / 300)


def test_a_series_whose_labels_change_goes_on(usage: pd.DataFrame) -> None:
    cpu = _of(usage, 10)
    assert len(cpu) == 288
    assert cpu.to_numpy() == pytest.approx(IDLE)
