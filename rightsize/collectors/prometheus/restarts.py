"""Restarts and OOM kills of a day.

cAdvisor's `container_oom_events_total` mostly stays 0, since the kubelet drops the container it
counted in (google/cadvisor#3015). What counts here: restarts after which kube-state-metrics gives
`OOMKilled` as the reason of the last termination.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from rightsize.collectors.prometheus.connection import quoted
from rightsize.collectors.prometheus.days import Day
from rightsize.collectors.prometheus.labels import ContainerKey, PodKey, container_key, pod_key
from rightsize.collectors.prometheus.parse import Answer, Labels
from rightsize.collectors.prometheus.queries import reason_windows, restart_windows
from rightsize.collectors.prometheus.source import Source, joined

_PODS_AT_ONCE = 100
_RunKey = tuple[ContainerKey, str]
"""Container and uid of its pod."""


@dataclass(frozen=True)
class DayCounts:
    """Restarts and kills of each container; a container that is absent is unknown."""

    restarts: Mapping[ContainerKey, float]
    oom_kills: Mapping[ContainerKey, float]
    reasons_known: bool = True
    """The server has reasons of terminations at all."""

    def kills(self, key: ContainerKey) -> float | None:
        """OOM kills; none without a restart, unknown where no reason of a restart is given.

        Kills that were seen count even where nothing says how many restarts the day had.
        """
        restarts, kills = self.restarts.get(key), self.oom_kills.get(key, 0.0)
        if restarts is None:
            return kills or None
        return None if restarts > 0 and not self.reasons_known else kills


def count_day(
    answers: Mapping[str, Answer], day: Day, starts: Mapping[PodKey, float], source: Source
) -> DayCounts:
    """Count the day's restarts and, where there were OOM kills, ask for their times."""
    restarts: dict[ContainerKey, float] = {}
    kills: dict[ContainerKey, float] = {}
    for family in ("", "init_"):
        runs = _restarts(
            answers[f"{family}restarts"], answers[f"{family}restarts_before"], day, starts
        )
        for (key, _), count in runs.items():
            restarts[key] = restarts.get(key, 0.0) + count
        killed = answers[f"{family}oom_killed"]
        if len(killed):
            kills |= _kills(family, killed, day, source, runs)
    return DayCounts(restarts, kills, len(answers["reasons"]) > 0)


def _restarts(
    last: Answer, before: Answer, day: Day, starts: Mapping[PodKey, float]
) -> dict[_RunKey, float]:
    """The counter's increase over the day; a pod that started on the day counts from zero.

    A counter that ends at zero never moved, whatever it was at midnight.
    """
    at_midnight, at_end = _highest(before), _highest(last)
    counts: dict[_RunKey, float] = {}
    for run, value in at_end.items():
        then = at_midnight.get(run)
        if then is None and (value == 0 or starts.get(run[0][:2], 0.0) >= day.start):
            then = 0.0
        if then is not None:
            counts[run] = float(value - then if value >= then else value)
    return counts


def _highest(answer: Answer) -> dict[_RunKey, float]:
    """Counters by run; of several that exporters gave, one of which ended early, the highest."""
    counters: dict[_RunKey, float] = {}
    for labels, value in zip(answer.labels, answer.column, strict=True):
        if not np.isnan(value):
            run = _run(labels)
            counters[run] = max(float(value), counters.get(run, 0.0))
    return counters


def _kills(
    family: str, killed: Answer, day: Day, source: Source, counted: Collection[_RunKey]
) -> dict[ContainerKey, float]:
    """OOM kills of each container; `counted` are the runs whose counter at midnight is known."""
    names = sorted({pod_key(labels)[1] for labels in killed.labels})
    kills: dict[ContainerKey, float] = {}
    for first in range(0, len(names), _PODS_AT_ONCE):
        pods = quoted("|".join(re.escape(name) for name in names[first : first + _PODS_AT_ONCE]))
        asked = [
            source.ask(query(family, pods), day) for query in (restart_windows, reason_windows)
        ]
        counters, reasons = (joined([future.result() for future in one]) for one in asked)
        because = {_run(labels): row for labels, row in _rows(reasons)}
        for labels, row in _rows(counters):
            run = _run(labels)
            if run in because:
                count = _killed_restarts(row, because[run], run in counted)
                kills[run[0]] = max(count, kills.get(run[0], 0.0))
    return kills


def _killed_restarts(counter: np.ndarray, reason: np.ndarray, counted: bool) -> float:
    """Restarts in windows after which the last termination was an OOM kill.

    A reason shows in the window in which it stops holding too, so it has to hold in the next
    window as well, unless nothing is known of that one.
    """
    known = np.where(np.isnan(counter), -np.inf, counter)
    before = np.maximum.accumulate(known)[:-1]
    # A counter that appears during the day starts at zero: pods do not come with restarts. That of an
    # older pod starts at what is first known of it.
    first = counter[~np.isnan(counter)][:1]
    before = np.where(np.isinf(before), 0.0 if counted or not first.size else first[0], before)
    gain = np.nan_to_num(counter[1:], nan=-np.inf) - before
    holds = reason[1:] > 0
    lasts = np.append(holds[1:] | np.isnan(counter[2:]), True)
    return float(gain[(gain > 0) & holds & lasts].sum())


def _rows(answer: Answer) -> list[tuple[Labels, np.ndarray]]:
    return list(zip(answer.labels, answer.values, strict=True))


def _run(labels: Labels) -> _RunKey:
    return container_key(labels), labels.get("uid", "")
