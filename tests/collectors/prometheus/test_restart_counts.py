"""OOM kills of a day, also where the counter of restarts is not known from its midnight on."""

from __future__ import annotations

from concurrent.futures import Future

import numpy as np
import pytest

from rightsize.collectors.prometheus.days import Day
from rightsize.collectors.prometheus.parse import Answer
from rightsize.collectors.prometheus.restarts import count_day

DAY = Day(1_788_220_800, 1_788_220_800 + 86_400)
LABELS = {"namespace": "shop", "pod": "web", "container": "istio-proxy", "uid": "1"}
KEY = ("shop", "web", "istio-proxy")
NONE = Answer([], np.empty((0, 1)))
HOUR = 12


class Stored:
    """A source that knows one container's counter and reason in 5-minute windows."""

    def __init__(self, counter, killed):
        self.rows = {"restart_windows": counter, "reason_windows": np.where(killed, 1.0, np.nan)}

    def ask(self, query, day):
        future = Future()
        rows = self.rows.get(query.name)
        future.set_result(NONE if rows is None else Answer([LABELS], rows[None, :]))
        return [future]


def counted(counter, killed, *, started):
    counter = np.asarray(counter, dtype=float)
    known = counter[~np.isnan(counter)]
    one = dict.fromkeys(("init_restarts", "init_restarts_before", "init_oom_killed"), NONE)
    one["restarts"] = Answer([LABELS], known[-1:][None, :])
    one["restarts_before"] = NONE if np.isnan(counter[0]) else Answer([LABELS], counter[:1][None])
    one["oom_killed"] = one["reasons"] = Answer([LABELS], np.ones((1, 1)))
    starts = {KEY[:2]: float(started)}
    return count_day(one, DAY, starts, Stored(counter, np.asarray(killed))).kills(KEY)


@pytest.mark.parametrize(
    ("midnight", "first", "kills"),
    [
        (np.nan, 0, 2),  # nothing was scraped at midnight; two kills later
        (np.nan, 5, 2),  # the five before are other days'
        (5, 5, 2),
    ],
)
def test_kills_after_an_unknown_midnight_count(midnight, first, kills):
    counter = np.full(289, float(first))
    counter[:HOUR] = midnight
    counter[200:] += 2
    killed = np.arange(289) >= (200 if first == 0 else 0)
    assert counted(counter, killed, started=DAY.start - 86_400) == kills


def test_the_kills_of_a_pod_that_started_on_the_day_count_from_zero():
    counter = np.full(289, np.nan)
    counter[100:] = 1
    killed = np.arange(289) >= 100
    assert counted(counter, killed, started=DAY.start + 100 * 300) == 1


def test_a_reason_of_an_earlier_day_is_no_kill_and_without_a_midnight_nothing_is_known():
    counter = np.full(289, 5.0)
    assert counted(counter, np.ones(289, dtype=bool), started=DAY.start - 86_400) == 0
    counter[:HOUR] = np.nan
    assert counted(counter, np.ones(289, dtype=bool), started=DAY.start - 86_400) is None
