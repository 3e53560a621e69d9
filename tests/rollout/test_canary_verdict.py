"""A harmful size is found, a harmless one passes, and two hours at night are too early."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter

from rightsize.rollout.canary_folder import ResizedPod, TriedSize
from rightsize.rollout.canary_verdict import judge, made_anew, marked

MIB = 2.0**20
SINCE = datetime.fromisoformat("2026-10-12T00:00+00:00")


def tried(*pods: ResizedPod, goal: float | None = None) -> TriedSize:
    given = pods or (ResizedPod("web-0", "u0", SINCE, None),)
    limit = 128 * MIB
    return TriedSize(
        "shop", "web", "Deployment", "sidecar", "istio-proxy", False, given, limit, limit,
        goal or limit,
    )  # fmt: skip


def raw(
    count: int = 30,
    *,
    seed: int = 0,
    pods: int = 4,
    skip: int = 0,
    apart: float = 1.0,
    sticky: float = 0.0,
    **harm: float,
) -> pd.DataFrame:
    """A week, and `count` hours with one resized pod beside its siblings.

    `harm` is what the small size does to it; `apart` how much slower it always was, `sticky` a
    disturbance of one pod's latency that lasts for hours.
    """
    rng = np.random.default_rng(seed)
    times = pd.date_range(SINCE - timedelta(days=7), periods=7 * 24 + skip + count + 1, freq="h")[
        1:
    ]
    after = np.asarray(times > SINCE + timedelta(hours=skip))
    times, after = times[(times <= SINCE) | after], after[(times <= SINCE) | after]
    day = 1 + 0.8 * np.sin(2 * np.pi * (times.hour - 9) / 24)
    rows = []
    for number in range(pods):
        mine = after & (number == 0)
        requests = 50_000 * day * rng.lognormal(0, 0.1, len(times))
        drift = lfilter([sticky], [1, -0.9], rng.normal(size=len(times)))
        latency = 0.020 * (1 + 0.2 * day) * rng.lognormal(0, 0.05, len(times)) * np.exp(drift)
        latency = latency * (apart if number == 0 else 1) * np.where(mine, harm.get("slower", 1), 1)
        cpu = (requests * 0.0004 + 20) * rng.lognormal(0, 0.05, len(times))
        rows.append(
            pd.DataFrame(
                {
                    "time": times,
                    "pod": f"web-{number}",
                    "uid": f"u{number}",
                    "started": pd.Timestamp("2026-10-01", tz="UTC"),
                    "partial": False,
                    "periods": 36_000.0,
                    "throttled": 36_000 * np.where(mine, harm.get("throttled", 0.0), 0.001),
                    "kills": np.where(mine & (times == times[-1]), harm.get("kills", 0.0), 0.0),
                    "restarts": 0.0,
                    "memory": np.where(mine, harm.get("memory", 80.0), 80.0) * MIB,
                    "requests": requests,
                    "errors": requests * np.where(mine, harm.get("errors", 0.0), 0.0),
                    "duration_seconds": requests * latency,
                    "cpu": cpu * np.where(mine, harm.get("cpu", 1), 1),
                    "tcp_bytes": np.nan,
                }
            )
        )
    return pd.concat(rows, ignore_index=True)


def hours(count: int = 30, **how: float) -> pd.DataFrame:
    return marked(raw(count, **how), tried())


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ({"throttled": 0.08}, "throttled CFS periods"),
        ({"slower": 1.3}, "mean latency"),
        ({"errors": 0.02}, "5xx answers"),
        ({"cpu": 1.6}, "CPU per request"),
        ({"kills": 1.0}, "OOM-killed 1 times"),
        ({"memory": 126.0}, "of the recommended memory limit"),
    ],
)
def test_a_harmful_size_is_found_and_why(harm, words):
    found = judge(hours(**harm))
    assert found.answer == "worse"
    assert words in found.reason


def test_a_kill_is_found_in_the_first_hour():
    assert judge(hours(1, kills=1.0)).answer == "worse"


def test_a_kill_in_a_part_of_an_hour_is_found():
    rows = raw(1)
    last = rows["time"].max()
    edge = {"time": last + timedelta(minutes=20), "partial": True, "kills": 1.0, "restarts": 1.0}
    rows = pd.concat([rows, rows[(rows["time"] == last) & (rows["pod"] == "web-0")].assign(**edge)])
    assert judge(marked(rows.reset_index(drop=True), tried())).answer == "worse"


@pytest.mark.parametrize("world", [{}, {"apart": 1.3}, {"sticky": 0.02}], ids=str)
def test_a_harmless_size_passes_in_nine_of_ten(world):
    count = 96 if world.get("sticky") else 48
    answers = [judge(hours(count, seed=seed, **world)).answer for seed in range(20)]
    assert answers.count("holds") >= 18
    assert answers.count("worse") <= 1


def test_the_most_loaded_of_many_pods_is_no_measure_of_the_load():
    answers = [judge(uneven(hours(48, seed=seed, pods=40), seed)).answer for seed in range(5)]
    assert answers.count("holds") >= 4


def uneven(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Requests of single pods and hours up to twice as many, with all that belongs to them."""
    more = np.random.default_rng(seed).lognormal(0, 0.2, len(rows))
    columns = ["requests", "errors", "duration_seconds", "cpu"]
    return rows.assign(**{name: rows[name] * more for name in columns})


def test_looking_every_hour_at_little_traffic_finds_no_harm():
    alarms = 0
    for seed in range(20):
        rows = hours(12, seed=seed)
        noise = np.random.default_rng(seed).lognormal(0, 1.0, len(rows))
        rows["duration_seconds"] = rows["duration_seconds"] * noise
        times = sorted(rows.loc[rows["after"], "time"].unique())
        seen = [judge(rows[rows["time"] <= time]).answer for time in times]
        alarms += "worse" in seen
    assert alarms <= 1


def test_a_harm_is_found_where_the_pod_was_always_apart():
    answers = [judge(hours(48, seed=s, apart=0.8, slower=1.3)).answer for s in range(10)]
    assert answers.count("worse") >= 9


def test_two_hours_at_night_are_too_early():
    found = judge(hours(2, skip=2))
    assert (found.answer, found.more_hours) == ("too early", 22)


def test_a_day_without_the_weeks_load_is_too_early():
    rows = hours(30)
    rows.loc[~rows["after"], "requests"] *= 4
    found = judge(rows)
    assert (found.answer, found.more_hours) == ("too early", 24)
    assert "the week before had" in found.reason


def test_an_unknown_busiest_hour_is_too_early():
    found = judge(hours(30).assign(requests=np.nan))
    assert found.answer == "too early"
    assert "busiest hour of the week before is unknown" in found.reason


def test_without_requests_the_bytes_of_tcp_are_the_load():
    rows = hours(30)
    rows = rows.assign(tcp_bytes=rows["requests"] * 1000, requests=np.nan)
    assert judge(rows).answer == "holds"
    rows.loc[rows["after"] & rows["resized"], "tcp_bytes"] *= 0.1
    assert "bytes in their busiest hour" in judge(rows).reason


def test_a_noisy_signal_says_how_many_hours_are_needed():
    rows = hours(30)
    rng = np.random.default_rng(3)
    mine = rows["resized"] & rows["after"]
    rows.loc[mine, "duration_seconds"] *= rng.lognormal(0.05, 0.5, int(mine.sum()))
    found = judge(rows)
    assert found.answer == "too early"
    assert found.more_hours > 0
    assert "latency may still differ" in found.reason


def test_what_is_not_measured_is_said():
    found = judge(hours(30).assign(periods=np.nan, throttled=np.nan))
    assert found.answer == "holds"
    assert "no throttling was measured" in found.reason


@pytest.mark.parametrize("signal", ["restarts", "memory"])
def test_nothing_holds_where_a_kill_would_go_unseen(signal):
    found = judge(hours(30).assign(**{signal: np.nan}))
    assert found.answer == "too early"
    assert f"{signal} of the resized pods are not measured" in found.reason


def test_without_a_sibling_in_the_same_hours_nothing_is_said():
    rows = hours(30)
    found = judge(rows[rows["resized"]])
    assert (found.answer, found.hours) == ("too early", 0)


def test_memory_is_held_against_the_recommended_limit_where_a_pod_cannot_take_it():
    rows = marked(raw(30), tried(goal=82 * MIB))
    assert judge(rows).answer == "worse"
    assert judge(marked(raw(30), tried(goal=100 * MIB))).answer == "holds"


@pytest.mark.parametrize("known", ["uid", "started"])
def test_a_pod_made_anew_is_a_sibling_and_is_named(known):
    rows = raw(30)
    anew = (rows["pod"] == "web-0") & (rows["time"] > SINCE + timedelta(hours=5))
    rows.loc[anew, "uid"] = "other"
    rows.loc[anew, "started"] = pd.Timestamp(SINCE + timedelta(hours=5))
    if known == "started":
        rows["uid"] = ""
    else:
        assert made_anew(rows, tried()) == ("web-0",)
    found = marked(rows, tried())
    assert int((found["resized"] & found["after"]).sum()) == 5
    assert judge(found).more_hours == 19


def test_hours_after_a_pod_was_taken_back_are_a_siblings():
    until = SINCE + timedelta(hours=10, minutes=30)
    found = marked(raw(30), tried(ResizedPod("web-0", "u0", SINCE, until)))
    mine = found[(found["pod"] == "web-0") & found["after"]]
    assert mine["resized"].sum() == 10
    assert len(mine) == 30 - 1


def test_hours_before_a_later_pod_was_resized_are_nobodys():
    later = ResizedPod("web-1", "u1", SINCE + timedelta(hours=6, minutes=1), None)
    found = marked(raw(30), tried(ResizedPod("web-0", "u0", SINCE, None), later))
    second = found[(found["pod"] == "web-1") & found["after"]]
    assert second["resized"].all()
    assert second["time"].min() == pd.Timestamp(SINCE + timedelta(hours=8))
