"""When a workload existed: runs, coverage, and whether it is still there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rightsize.sizing.presence import presence, run_peaks
from tests.sizing.days import records

DAY = pd.Timedelta("1D")
START = pd.Timestamp("2026-09-01", tz="UTC")
END = START + 9 * DAY


def lives(*spans, kind="Deployment", missing=None):
    """Usage and days of pods that live from and to these days, in windows of five minutes."""
    usage, rows = [], []
    for number, (first, last) in enumerate(spans):
        begin, end = START + first * DAY, START + last * DAY
        times = pd.date_range(begin, end, freq="5min", inclusive="right")
        if missing is not None:
            times = times[
                ~((times > START + missing[0] * DAY) & (times <= START + missing[1] * DAY))
            ]
        pod = f"pod-{number}"
        usage.append(pd.DataFrame({"time": times, "pod": pod, "cpu": 0.1, "memory": 6e7}))
        rows.append({"pod": pod, "workload_kind": kind, "started": begin, "first_seen": times[0],
                     "last_seen": end})  # fmt: skip
    return pd.concat(usage), pd.DataFrame(rows)


def found_in(lived, end=END):
    usage, rows = lived
    return presence(records(usage), rows, end)


def test_pauses_between_runs_are_no_gaps():
    office = [(day + 8 / 24, day + 18 / 24) for day in range(9)]
    found = found_in(lives(*office))
    assert (found.runs, found.coverage) == (9, 1.0)


def test_windows_missing_while_a_pod_lives_are_a_gap():
    found = found_in(lives((0, 9), missing=(3, 6)))
    assert found.coverage == pytest.approx(6 / 9, abs=0.001)


def test_a_pod_that_is_reported_without_samples_has_a_gap():
    usage, rows = lives((0, 9))
    found = found_in((usage[usage["time"] <= START + 6 * DAY], rows))
    assert found.coverage == pytest.approx(6 / 9, abs=0.001)


def test_a_nightly_pause_does_not_make_a_workload_gone():
    office = [(day + 8 / 24, day + 18 / 24) for day in range(9)]
    assert found_in(lives(*office), START + 9 * DAY).running


def test_what_stops_for_the_first_time_is_gone():
    found = found_in(lives((0, 8.5)))
    assert not found.running
    assert found.last == START + 8.5 * DAY


def test_what_was_seen_an_hour_ago_still_runs():
    assert found_in(lives((0, 9 - 0.9 / 24))).running
    assert not found_in(lives((0, 9 - 1.2 / 24))).running


def test_a_pause_half_as_long_again_as_the_longest_makes_it_gone():
    spans = [(0, 1), (2, 3)]
    assert found_in(lives(*spans), START + 4.4 * DAY).running
    assert not found_in(lives(*spans), START + 4.6 * DAY).running


def test_a_job_that_ran_once_this_week_may_be_weekly():
    assert found_in(lives((2, 2.1), kind="CronJob")).running
    assert not found_in(lives((2, 2.1), kind="Deployment")).running


def test_a_name_used_again_is_another_run():
    usage, rows = lives((0, 1), (3, 4))
    usage["pod"], rows["pod"] = "db-0", "db-0"
    found = found_in((usage, rows))
    assert (found.runs, found.coverage) == (2, 1.0)


def test_a_job_is_sampled_by_the_peaks_of_its_runs():
    usage, rows = lives((0, 0.1), (1, 1.1), kind="Job")
    usage["cpu"] = np.where(usage["pod"] == "pod-1", 0.3, 0.1)
    usage.loc[3, "cpu"] = 0.2
    peaks = run_peaks(records(usage).daily, found_in((usage, rows)))
    assert peaks["cpu"].tolist() == [0.2, 0.3]
