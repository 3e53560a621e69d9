"""Random counters on the window grid against what their generator used, and each rule of zero."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rightsize.collectors.prometheus.parse import Answer, Grid
from rightsize.collectors.prometheus.windows import Starts, Windows, highest, increases

COUNT = 289
GRID = Grid(0, 300, COUNT)
DAY = 86_400.0
KEY = ("shop", "web-1", "istio-proxy")
POD = KEY[:2]


def _labels(cgroup: str, **more: str) -> dict[str, str]:
    return {"namespace": KEY[0], "pod": KEY[1], "container": KEY[2], "id": cgroup, **more}


def _at_ends(moments: np.ndarray, counter: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The last sample of each window and its time, NaN where a window has none."""
    last = np.searchsorted(moments, GRID.moments, side="right") - 1
    known = (last >= 0) & (moments[last] > GRID.moments - 300)
    return np.where(known, counter[last], np.nan), np.where(known, moments[last], np.nan)


def _windows(
    series: Sequence[tuple[dict[str, str], np.ndarray, np.ndarray]], starts: Starts
) -> Windows:
    rows = [_at_ends(moments, counter) for _, moments, counter in series]
    values, times = (np.array(part) for part in zip(*rows, strict=True))
    return increases(Answer([labels for labels, _, _ in series], values), GRID, starts, times)


@given(
    seed=st.integers(0, 2**32 - 1),
    interval=st.sampled_from([15, 45, 60, 90, 120]),
    restarts=st.integers(0, 3),
    nested=st.booleans(),
    twice=st.booleans(),
    jump=st.booleans(),
    lost=st.floats(0, 0.2),
)
@settings(max_examples=120, deadline=None)
def test_cpu_seconds_of_a_day_are_the_generators(
    seed: int, interval: int, restarts: int, nested: bool, twice: bool, jump: bool, lost: float
) -> None:
    rng = np.random.default_rng(seed)
    cores = float(rng.uniform(0.005, 2.0))
    edges = np.sort(rng.uniform(-3600, DAY, restarts))
    begins, ends = [-7200.0, *edges], [*edges, DAY + 600]
    series, runs, moved = [], {}, {}
    for number, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        moments = np.arange(begin + rng.uniform(0, interval), end, interval)
        moments = moments[rng.random(len(moments)) >= lost / 4]
        if not len(moments):
            continue
        cgroup = f"/run-{number}"
        runs[KEY, cgroup] = begin
        if jump:
            moved[KEY, cgroup] = float(rng.uniform(begin, end))
        counter = cores * (moments - begin)
        series.append((_labels(cgroup), moments, counter))
        if nested:
            series.append((_labels(f"{cgroup}/init.scope"), moments, 0.6 * counter))
        if twice:
            later = moments + 3.0
            series.append((_labels(cgroup, job="two"), later, cores * (later - begin)))
    found = _windows(series, Starts(runs, {POD: -7200.0}, moved))
    known = np.nansum(found.values[0])
    # Up to one interval is unseen at the end of each run.
    truth = cores * np.nansum(found.seconds[0])
    assert known <= truth * 1.0001
    assert known == pytest.approx(cores * DAY, abs=cores * (DAY * 0.01 + 1200 * (restarts + 1)))
    rates = found.values[0] / found.seconds[0]
    assert np.nanmax(rates) <= cores * 1.001


def _appearing(at: int, value: float) -> tuple[np.ndarray, np.ndarray]:
    """One series that appears in the window that ends at moment `at`, and its times."""
    counter = np.full(COUNT, np.nan)
    counter[at:] = value + np.arange(COUNT - at)
    return counter[None], np.where(np.isnan(counter), np.nan, GRID.moments)[None]


@pytest.mark.parametrize(
    ("run_start", "pod_start", "gain"),
    [
        (None, None, None),
        (None, 3000 - 200.0, 7.0),
        (None, 3000 - 600.0, 7.0),
        (None, 3000 - 601.0, None),
        (3000 - 200.0, -9000.0, 7.0),
        (3000.0 - 601.0, -9000.0, None),
        # Later than the first sample: a restarted kubelet's.
        (3001.0, -9000.0, None),
        (3001.0, 3000 - 200.0, 7.0),
    ],
)
def test_a_counter_that_appears_counts_from_zero_if_it_started_two_windows_ago(
    run_start: float | None, pod_start: float | None, gain: float | None
) -> None:
    counter, times = _appearing(10, 7.0)
    runs = {} if run_start is None else {(KEY, "/a"): run_start}
    pods = {} if pod_start is None else {POD: pod_start}
    found = increases(Answer([_labels("/a")], counter), GRID, Starts(runs, pods), times)
    first = found.values[0, 9]
    assert np.isnan(first) if gain is None else first == gain
    assert found.sampled[0, 9]
    assert found.values[0, 10] == 1


def test_a_run_right_after_another_counts_from_zero() -> None:
    counter, _ = _appearing(10, 7.0)
    before = np.full(COUNT, np.nan)
    before[:10] = 50.0
    both = Answer([_labels("/a"), _labels("/b")], np.vstack([before, counter]))
    assert increases(both, GRID, Starts({}, {})).values[0, 9] == 7
    # Not one that came after an outage.
    both.values[0, 9] = np.nan
    assert np.isnan(increases(both, GRID, Starts({}, {})).values[0, 9])


def test_a_start_of_a_minute_counts_with_the_next_window() -> None:
    counter, times = _appearing(10, 7.0)
    found = increases(
        Answer([_labels("/a")], counter), GRID, Starts({(KEY, "/a"): 2940.0}, {}), times
    )
    assert np.isnan(found.values[0, 9])
    assert (found.values[0, 10], found.seconds[0, 10]) == (8, 360)
    # Where the next window has no sample, the first seconds are all there is.
    counter[0, 11] = times[0, 11] = np.nan
    found = increases(
        Answer([_labels("/a")], counter), GRID, Starts({(KEY, "/a"): 2940.0}, {}), times
    )
    assert (found.values[0, 9], found.seconds[0, 9]) == (7, 60)


def test_cores_of_their_own_series_add_up_unless_their_total_is_there() -> None:
    ramp = np.arange(COUNT, dtype=float)
    cores = [_labels("/a", cpu=f"cpu0{i}") for i in (0, 1)]
    found = increases(Answer(cores, np.vstack([ramp, ramp])), GRID, Starts({}, {}))
    assert set(found.values[0]) == {2.0}
    total = [*cores, _labels("/a", cpu="total")]
    found = increases(Answer(total, np.vstack([ramp, ramp, 2 * ramp])), GRID, Starts({}, {}))
    assert set(found.values[0]) == {2.0}


def test_a_gap_of_one_window_is_bridged_and_a_longer_one_unknown() -> None:
    for missing, known in ((1, True), (2, False)):
        counter = np.arange(COUNT, dtype=float)
        counter[100 : 100 + missing] = np.nan
        found = increases(Answer([_labels("/a")], counter[None]), GRID, Starts({}, {}))
        after = found.values[0, 99 + missing]
        assert (after == 2) if known else np.isnan(after)


def test_a_counter_that_fell_counts_its_own_value_and_the_fall_is_counted() -> None:
    counter = np.arange(COUNT, dtype=float)
    counter[50:] = 3.0 + np.arange(COUNT - 50)
    found = increases(Answer([_labels("/a")], counter[None]), GRID, Starts({}, {}))
    assert found.values[0, 48:51].tolist() == [1, 3, 1]
    assert found.resets == 1


def test_without_a_series_there_are_windows_and_no_containers() -> None:
    nothing = Answer([], np.empty((0, COUNT)))
    assert highest(nothing).values.shape == (0, COUNT - 1)
    found = increases(nothing, GRID, Starts({}, {}))
    assert found.values.shape == (0, COUNT - 1)
    assert found.resets == 0
