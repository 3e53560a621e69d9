"""A harmful size is found, a harmless one passes, and two hours at night are too early."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rightsize.rollout.canary_verdict import judge, with_limits

MIB = 2.0**20


def hours(
    count: int = 30,
    *,
    seed: int = 0,
    start: str = "2026-10-05T00:00Z",
    pods: int = 4,
    **harm: float,
) -> pd.DataFrame:
    """Hours of one resized pod beside its siblings; `harm` is what the small size does to it."""
    rng = np.random.default_rng(seed)
    times = pd.date_range(start, periods=count, freq="h", tz="UTC")
    rows = []
    for time in times:
        day = 1 + 0.8 * np.sin(2 * np.pi * (time.hour - 9) / 24)
        for number in range(pods):
            mine = number == 0
            requests = 50_000 * day * rng.lognormal(0, 0.1)
            latency = 0.020 * (1 + 0.2 * day) * rng.lognormal(0, 0.05)
            rows.append(
                {
                    "time": time,
                    "pod": f"web-{number}",
                    "periods": 36_000.0,
                    "throttled": 36_000 * (harm.get("throttled", 0.0) if mine else 0.001),
                    "kills": harm.get("kills", 0.0) if mine and time == times[-1] else 0.0,
                    "restarts": 0.0,
                    "memory": (harm.get("memory", 80.0) if mine else 80.0) * MIB,
                    "requests": requests,
                    "errors": requests * (harm.get("errors", 0.0) if mine else 0.0),
                    "duration_seconds": requests * latency * (harm.get("slower", 1) if mine else 1),
                }
            )
    return with_limits(pd.DataFrame(rows), ["web-0"], 128 * MIB, 128 * MIB)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ({"throttled": 0.08}, "throttled CFS periods"),
        ({"slower": 1.3}, "mean latency"),
        ({"errors": 0.02}, "5xx answers"),
        ({"kills": 1.0}, "OOM-killed 1 times"),
        ({"memory": 126.0}, "of the memory limit"),
    ],
)
def test_a_harmful_size_is_found_and_why(harm, words):
    found = judge(hours(**harm), busiest=90_000)
    assert found.answer == "worse"
    assert words in found.reason


def test_a_kill_is_found_in_the_first_hour():
    assert judge(hours(1, kills=1.0), busiest=None).answer == "worse"


def test_a_harmless_size_passes_in_nine_of_ten():
    answers = [judge(hours(30, seed=seed), busiest=90_000).answer for seed in range(40)]
    assert answers.count("holds") >= 36
    assert "worse" not in answers


def test_two_hours_at_night_are_too_early():
    found = judge(hours(2, start="2026-10-05T02:00Z"), busiest=90_000)
    assert (found.answer, found.more_hours) == ("too early", 22)


def test_a_day_without_the_weeks_load_is_too_early():
    found = judge(hours(30), busiest=400_000)
    assert (found.answer, found.more_hours) == ("too early", 24)
    assert "the week before had 400,000" in found.reason


def test_a_noisy_signal_says_how_many_hours_are_needed():
    rows = hours(30)
    rng = np.random.default_rng(3)
    mine = rows["resized"]
    rows.loc[mine, "duration_seconds"] *= rng.lognormal(0.05, 0.5, int(mine.sum()))
    found = judge(rows, busiest=90_000)
    assert found.answer == "too early"
    assert found.more_hours > 0
    assert "latency may still differ" in found.reason


def test_what_is_not_measured_is_said():
    rows = hours(30).assign(periods=np.nan, throttled=np.nan)
    found = judge(rows, busiest=90_000)
    assert found.answer == "holds"
    assert "no throttling was measured" in found.reason


@pytest.mark.parametrize("signal", ["restarts", "memory"])
def test_nothing_holds_where_a_kill_would_go_unseen(signal):
    found = judge(hours(30).assign(**{signal: np.nan}), busiest=90_000)
    assert found.answer == "too early"
    assert f"{signal} of the resized pods are not measured" in found.reason


def test_without_a_sibling_in_the_same_hours_nothing_is_said():
    rows = hours(30)
    found = judge(rows[rows["resized"]], busiest=None)
    assert (found.answer, found.hours) == ("too early", 0)
